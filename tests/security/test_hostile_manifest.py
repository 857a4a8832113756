"""A manifest from a stranger's repository reads nothing that lies outside of it."""

from __future__ import annotations

import os
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


def test_a_linked_folder_that_leads_outside(project: Path) -> None:
    (project / "app/more").symlink_to("../../home")
    (said,) = problems(project, MANIFEST % "{src: app/, dest: /}")
    assert "more is a link that leads outside" in said


def test_a_linked_folder_inside_is_followed(project: Path) -> None:
    (project / "shared/deep").mkdir(parents=True)
    (project / "shared/deep/wifi.py").write_text("wifi = 1")
    (project / "app/more").symlink_to("../shared")
    (state,) = fleet(project, MANIFEST % "{src: app/, dest: /}").states()
    assert list(state.files_by_dest) == ["/main.py", "/more/deep/wifi.py"]
    assert state.files_by_dest["/more/deep/wifi.py"].content.data == b"wifi = 1"


def test_what_a_linked_folder_inside_holds_is_judged_too(project: Path) -> None:
    (project / "shared").mkdir()
    (project / "shared/x.py").symlink_to("../../private.key")
    (project / "app/more").symlink_to("../shared")
    (said,) = problems(project, MANIFEST % "{src: app/, dest: /}")
    assert "more/x.py is a link that leads outside" in said


@pytest.mark.parametrize("target", [".", "..", "../app", "../app/sub"])
def test_a_link_that_leads_back(project: Path, target: str) -> None:
    (project / "app/sub").mkdir()
    (project / "app/sub/again").symlink_to(f"../{target}")
    (said,) = problems(project, MANIFEST % "{src: app/, dest: /}")
    assert "by a link, to a folder that it lies in" in said


def test_links_that_double_at_every_step_end(project: Path) -> None:
    for level in range(40):
        folder = project / f"levels/{level}"
        folder.mkdir(parents=True)
        for name in "ab":
            (folder / name).symlink_to(f"../{level + 1}")
    (project / "levels/40").mkdir()
    (project / "levels/40/x.py").write_text("")
    (said,) = problems(project, MANIFEST % "{src: levels/0/, dest: /}")
    assert "files below it" in said or "to look at" in said


@pytest.mark.parametrize("exclude", ["more", "more/", "/more", "mo*"])
@pytest.mark.parametrize("target", ["../../home", "../../private.key", "more", "/dev/zero", "gone"])
def test_what_is_left_out_is_not_judged(project: Path, target: str, exclude: str) -> None:
    (project / "app/more").symlink_to(target)
    if exclude == "more/" and target != "../../home":
        exclude = "more"  # a pattern for folders is not for files
    (state,) = fleet(project, MANIFEST % f"{{src: app/, dest: /, exclude: ['{exclude}']}}").states()
    assert list(state.files_by_dest) == ["/main.py"]


def test_an_environment_with_its_links_is_not_judged(project: Path, tmp_path: Path) -> None:
    (project / ".venv/bin").mkdir(parents=True)
    (project / ".venv/bin/python").symlink_to("/usr/bin/env")
    (project / ".venv/lib64").symlink_to("/usr")
    (project / "env/bin").mkdir(parents=True)
    (project / "env/pyvenv.cfg").write_text("home = /usr/bin\n")
    (project / "env/bin/python").symlink_to("/usr/bin/env")
    for exclude in ("x", "!.venv/"):
        manifest = MANIFEST % f"{{src: ., dest: /, exclude: ['{exclude}']}}"
        (state,) = fleet(project, manifest).states()
        assert list(state.files_by_dest) == ["/app/main.py"]


def test_what_is_left_out_is_not_counted(project: Path) -> None:
    (project / "app/data").mkdir()
    for number in range(20_010):
        (project / f"app/data/{number}").touch()
    manifest = MANIFEST % "{src: app/, dest: /, exclude: [%s]}"
    for exclude in ("data/", "'/data/*', '!/data/7'"):
        (state,) = fleet(project, manifest % exclude).states()
        assert "/main.py" in state.files_by_dest
        assert len(state.files) <= 2
    (said,) = problems(project, manifest % "x")
    assert "more than 20,000 files below it" in said


def test_a_pipe_that_is_left_out_is_not_judged_and_one_that_is_not_is(project: Path) -> None:
    os.mkfifo(project / "app/pipe")
    (state,) = fleet(project, MANIFEST % "{src: app/, dest: /, exclude: [pipe]}").states()
    assert list(state.files_by_dest) == ["/main.py"]
    (said,) = problems(project, MANIFEST % "{src: app/, dest: /}")
    assert "'app/pipe': it is a pipe (FIFO), not a file" in said


def test_a_source_below_a_linked_folder(project: Path) -> None:
    (project / "more").symlink_to("../home")
    (said,) = problems(project, MANIFEST % "{src: more/notes.txt, dest: /x}")
    assert REFUSED in said


def test_an_ignore_file_that_is_a_link_is_not_read(project: Path) -> None:
    (project / "app/.provisionignore").symlink_to("../../private.key")
    (said,) = problems(project, MANIFEST % "{src: app/, dest: /}")
    assert "app/.provisionignore: it is a link that leads outside of the project" in said


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


# How a manifest names a file that it is made of, and what is said of one that is none of those.
PARTS = {
    ".yaml": ("include: ['%s']\n", "the name of a manifest's file ends in .yaml or .yml"),
    ".csv": (
        "devices: {'d{{ n }}': {csv: '%s', board: esp32}}\n",
        "the name of a table's file ends in .csv or .tsv or .txt",
    ),
}
OF_THE_USER = "n: of the user\n"


@pytest.mark.parametrize("suffix", PARTS)
def test_a_manifest_is_made_of_files_of_its_project_alone(
    project: Path, tmp_path: Path, suffix: str
) -> None:
    manifest, _ = PARTS[suffix]
    (tmp_path / f"mine{suffix}").write_text(OF_THE_USER)
    (tmp_path / "home" / f"mine{suffix}").write_text(OF_THE_USER)
    (project / f"link{suffix}").symlink_to(f"../mine{suffix}")
    (project / "door").symlink_to("../home")
    said = {
        f"../mine{suffix}": "it lies outside of the project in",
        f"app/../../mine{suffix}": "it lies outside of the project in",
        f"{tmp_path}/mine{suffix}": "is not relative to the file that names it",
        f"link{suffix}": "it is a link that leads outside of the project in",
        f"door/mine{suffix}": "it lies outside of the project in",
    }
    for path, why in said.items():
        (told,) = problems(project, manifest % path)
        assert why in told
        assert "of the user" not in told


@pytest.mark.parametrize("suffix", PARTS)
def test_nor_of_other_files_of_it(project: Path, suffix: str) -> None:
    """What is wrong with a line of a file is told with the line: so no file of other kinds."""
    manifest, why = PARTS[suffix]
    (project / ".git").mkdir()
    (project / ".git/config").write_text("url = https://token@example.org\n")
    (project / ".env").write_text("TOKEN=of the user\n")
    (project / f"link{suffix}").symlink_to(".git/config")
    for path in (".git/config", ".env", f"link{suffix}"):
        (told,) = problems(project, manifest % path)
        assert why in told


@pytest.mark.parametrize("suffix", PARTS)
def test_nor_of_its_secrets(project: Path, suffix: str) -> None:
    manifest, _ = PARTS[suffix]
    (project / "secrets.yaml").write_text("wifi: of the user\n")
    (project / f"mine{suffix}").write_text("wifi: of the user\n")
    (project / f"link{suffix}").symlink_to("secrets.yaml")
    (project / f"other{suffix}").symlink_to(f"mine{suffix}")
    names = ("secrets.yaml", "SECRETS.Yaml", f"link{suffix}", f"mine{suffix}", f"other{suffix}")
    for path in names:
        (told,) = problems(project, manifest % path, secrets=project / f"mine{suffix}")
        assert f"'{path}' holds secrets, and is no part of a manifest" in told


def test_in_a_checkout_a_part_may_lie_beside_the_folder(project: Path, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "shared.yaml").write_text("devices: {'d{{ n }}': {csv: class.csv, board: esp32}}\n")
    (tmp_path / "class.csv").write_text("n\n1\n")
    assert fleet(project, "include: [../shared.yaml]\n").names() == ("d1",)
    (tmp_path.parent / "shared.yaml").write_text(OF_THE_USER)
    (told,) = problems(project, "include: [../../shared.yaml]\n")
    assert "it lies outside of the project in" in told


def test_included_files_and_tables_are_bounded(project: Path) -> None:
    with (project / "large.yaml").open("wb") as file:
        file.truncate(200 * 1024 * 1024)
    (told,) = problems(project, "include: [large.yaml]\n")
    assert "it is larger than 128 MB" in told
    with (project / "large.csv").open("wb") as file:
        file.truncate(20 * 1024 * 1024)
    (told,) = problems(project, PARTS[".csv"][0] % "large.csv")
    assert "it is larger than 16 MB" in told
    (project / "long.csv").write_text("n\n" + "".join(f"{n}\n" for n in range(20_001)))
    (told,) = problems(project, PARTS[".csv"][0] % "long.csv")
    assert "long.csv:20002:1: more than 20,000 rows" in told
    (project / "wide.csv").write_text(",".join(f"n{n}" for n in range(1_001)) + "\n")
    (told,) = problems(project, PARTS[".csv"][0] % "wide.csv")
    assert "wide.csv:1:1: more than 1,000 columns" in told
