"""A manifest from a stranger's repository reads nothing that lies outside of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.fleets import fleet, problems

MANIFEST = "devices: {d: {port: /dev/ttyUSB0, board: esp32, files: [%s]}}\n"
REFUSED = "leads out of the manifest's folder"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "private.key").write_text("of the user")
    (tmp_path / "home").mkdir()
    (tmp_path / "home/notes.txt").write_text("of the user, too")
    made = tmp_path / "project"
    (made / "app").mkdir(parents=True)
    (made / "app/main.py").write_text("print(1)")
    return made


@pytest.mark.parametrize("source", ["../private.key", "../home", "..", "app/../../private.key"])
def test_a_source_that_climbs_out(project: Path, source: str) -> None:
    (said,) = problems(project, MANIFEST % f"{{src: {source}, dest: /x}}")
    assert REFUSED in said


def test_an_absolute_source(project: Path, tmp_path: Path) -> None:
    (said,) = problems(project, MANIFEST % f"{{src: {tmp_path}/private.key, dest: /x}}")
    assert REFUSED in said


@pytest.mark.parametrize("target", ["../private.key", "../home"])
def test_a_link_that_leads_out(project: Path, target: str) -> None:
    (project / "innocent").symlink_to(target)
    (said,) = problems(project, MANIFEST % "{src: innocent, dest: /x}")
    assert REFUSED in said


def test_a_link_in_a_folder(project: Path) -> None:
    (project / "app/lib.py").symlink_to("../../private.key")
    (said,) = problems(project, MANIFEST % "{src: app/, dest: /}")
    assert "lib.py is a link that leads outside" in said


def test_a_linked_folder_is_not_followed(project: Path) -> None:
    (project / "app/more").symlink_to("../../home")
    (state,) = fleet(project, MANIFEST % "{src: app/, dest: /}").states()
    assert list(state.files_by_dest) == ["/main.py"]


def test_a_source_below_a_linked_folder(project: Path) -> None:
    (project / "more").symlink_to("../home")
    (said,) = problems(project, MANIFEST % "{src: more/notes.txt, dest: /x}")
    assert REFUSED in said


def test_an_ignore_file_that_is_a_link_is_not_read(project: Path) -> None:
    (project / "app/.provisionignore").symlink_to("../../private.key")
    (said,) = problems(project, MANIFEST % "{src: app/, dest: /}")
    assert ".provisionignore is a link that leads outside" in said


def test_links_inside_are_fine(project: Path) -> None:
    (project / "app/again.py").symlink_to("main.py")
    (state,) = fleet(project, MANIFEST % "{src: app/, dest: /}").states()
    assert state.files_by_dest["/again.py"].content.data == b"print(1)"


def test_in_a_checkout_its_top_is_the_border(project: Path, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (state,) = fleet(project, MANIFEST % "{src: ../home, dest: /}").states()
    assert list(state.files_by_dest) == ["/notes.txt"]
    (said,) = problems(project, MANIFEST % "{src: ../../, dest: /x}")
    assert REFUSED in said
