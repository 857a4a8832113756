"""What a project hangs on is what is watched, however an editor saves."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from provision.project.watching.changes import Changes
from provision.project.watching.places import Places, unsettled
from tests.fleets import fleet

MANIFEST = """
devices:
  kitchen:
    port: /dev/ttyUSB0
    board: esp32
    vars: {wifi: !secret wifi}
    files:
      - {src: app/, dest: /}
      - {src: templates/config.json.j2, dest: /config.json, template: true}
"""
FILES = {
    "app/main.py": "x = 1\n",
    "app/lib/a.py": "a = 1\n",
    "templates/config.json.j2": "{{ wifi }}",
    "templates/other.txt": "",
    "secrets.yaml": "wifi: correct-horse\n",
    "unrelated/notes.md": "",
}


@pytest.fixture
def places(tmp_path: Path) -> Places:
    loaded = fleet(tmp_path, MANIFEST, FILES)
    loaded.states()
    return Places(*loaded.looked_at)


@pytest.mark.parametrize(
    ("path", "matters"),
    [
        ("fleet.yaml", True),
        ("fleet.lock", True),
        ("secrets.yaml", True),
        (".provisionignore", True),
        ("app/main.py", True),
        ("app/new.py", True),
        ("app/lib/a.py", True),
        ("app/lib", True),
        ("app/lib/new.py", True),
        ("templates/config.json.j2", True),
        ("templates/other.txt", False),
        ("unrelated/notes.md", False),
        ("out.log", False),
        (".git/index", False),
    ],
)
def test_what_matters(places: Places, tmp_path: Path, path: str, matters: bool) -> None:
    assert places.concern([str(tmp_path / path)]) is matters


def test_the_folders_that_are_watched_are_those_it_hangs_on(places: Places, tmp_path: Path) -> None:
    assert places.directories == tuple(
        sorted(str(tmp_path / name) for name in ("", "app", "app/lib", "templates"))
    ) or places.directories == tuple(
        sorted(str(tmp_path / name).rstrip("/") for name in ("", "app", "app/lib", "templates"))
    )


def test_a_source_that_is_a_link_is_watched_at_both_ends(tmp_path: Path) -> None:
    text = "devices: {x: {port: /dev/ttyUSB0, board: esp32, files: [main.py]}}"
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared" / "real.py").write_text("x = 1\n")
    (tmp_path / "main.py").symlink_to("shared/real.py")
    loaded = fleet(tmp_path, text)
    loaded.states()
    found = Places(*loaded.looked_at)
    assert str(tmp_path / "shared") in found.directories
    assert found.concern([str(tmp_path / "shared" / "real.py")])
    assert found.concern([str(tmp_path / "main.py")])


def test_what_is_missing_matters_when_it_comes(tmp_path: Path) -> None:
    found = Places(frozenset({tmp_path / "a" / "b" / "main.py"}), frozenset())
    assert found.directories == (str(tmp_path),)
    assert found.concern([str(tmp_path / "a")])
    before = found.stamps()
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "main.py").write_text("x = 1\n")
    assert found.stamps() != before


@pytest.mark.parametrize(
    ("before", "now", "midst"),
    [
        ((1, 10), (2, 0), True),
        ((1, 10), (), True),
        ((1, 10), (2, 11), False),
        ((1, 0), (2, 0), False),
        ((), (), False),
        ((1, 10), (1, 10), False),
    ],
)
def test_a_file_that_was_emptied_or_removed_may_be_amid_a_save(
    before: tuple[int, ...], now: tuple[int, ...], midst: bool
) -> None:
    assert unsettled({"a": before}, {"a": now}) is midst


# -- what the system tells ----------------------------------------------------------------------


@pytest.fixture
def changes() -> Iterator[Changes]:
    stop = threading.Event()
    made = Changes(stop)
    yield made
    stop.set()
    made.close()


def rewrite(path: Path, text: str = "x = 2\n") -> None:
    path.write_text(text, encoding="utf-8")


def rename_over(path: Path, text: str = "x = 2\n") -> None:
    beside = path.with_name(f".{path.name}.swp")
    beside.write_text(text, encoding="utf-8")
    beside.replace(path)


def backup_and_rename(path: Path, text: str = "x = 2\n") -> None:
    """As vim does."""
    backup = path.with_name(f"{path.name}~")
    path.rename(backup)
    path.write_text(text, encoding="utf-8")
    backup.unlink()


def remove(path: Path) -> None:
    path.unlink()


def touch(path: Path) -> None:
    os.utime(path)


@pytest.mark.parametrize("save", [rewrite, rename_over, backup_and_rename, remove, touch])
def test_each_way_of_saving_is_seen_again_and_again(
    changes: Changes, tmp_path: Path, save: Callable[[Path], None]
) -> None:
    path = tmp_path / "main.py"
    assert changes.watch([str(tmp_path)])
    for _ in range(3):
        path.write_text("x = 1\n")
        while changes.wait():
            pass
        save(path)
        seen: set[str] = set()
        while str(path) not in seen:
            seen |= changes.wait()


def test_other_folders_can_be_watched_in_place_of_the_first(
    changes: Changes, tmp_path: Path
) -> None:
    first, second = tmp_path / "a", tmp_path / "b"
    for folder in (first, second):
        folder.mkdir()
    assert changes.watch([str(first)])
    assert not changes.watch([str(first)])
    assert changes.watch([str(first), str(second)])
    (second / "x").write_text("")
    seen: set[str] = set()
    while str(second / "x") not in seen:
        seen |= changes.wait()


@pytest.mark.skipif(sys.platform != "linux", reason="names are text elsewhere")
def test_a_name_that_is_no_text_does_not_end_it(changes: Changes, tmp_path: Path) -> None:
    assert changes.watch([str(tmp_path)])
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.py")).touch()
    while changes.watching:
        changes.wait()
    assert changes.problem is None
    assert changes.watch([str(tmp_path)]), "from the beginning"
    (tmp_path / "main.py").touch()
    seen: set[str] = set()
    while str(tmp_path / "main.py") not in seen:
        seen |= changes.wait()
    folder = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    folder.mkdir()
    changes.watch([str(folder)])
    assert changes.problem is not None
    assert changes.wait() == set()


def test_what_cannot_be_watched_is_told_once(changes: Changes, tmp_path: Path) -> None:
    changes.watch([str(tmp_path / "nowhere")])
    assert changes.problem is not None
    assert changes.wait() == set()
