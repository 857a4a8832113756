"""How the code lies: rooms that can be taken in at a look, tests beside what they test, guides that
name files which are there. Who may import whom is import-linter's."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "provision"
# Tests of whole commands, of tools beside ours, of rules over all of it, of the documentation, and
# what tests stand on.
CROSSING = {
    "apply", "bench", "campaign", "cases", "collection", "contract", "docs", "fakes", "handlers",
    "hw", "mutations", "platforms", "security",
}  # fmt: skip
MOST_MODULES = 15
MOST_LINES = 420
GUIDES = (
    "CONTRIBUTING.md",
    "README.md",
    *(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")),
)


def modules(folder: Path) -> list[Path]:
    return [path for path in folder.glob("*.py") if path.name != "__init__.py"]


def folders() -> list[Path]:
    return sorted({path.parent for path in PACKAGE.rglob("*.py")})


def name(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("folder", folders(), ids=name)
def test_a_folder_can_be_taken_in_at_a_look(folder: Path) -> None:
    if folder == PACKAGE / "cli":  # one file a command
        return
    assert len(modules(folder)) <= MOST_MODULES


def test_no_module_is_long() -> None:
    lines = {
        name(path): len(path.read_text("utf-8").splitlines()) for path in PACKAGE.rglob("*.py")
    }
    assert {path: count for path, count in lines.items() if count > MOST_LINES} == {}


def test_tests_lie_beside_what_they_test() -> None:
    rooms = {
        path.relative_to(ROOT / "tests").parent for path in (ROOT / "tests").rglob("test_*.py")
    }
    mirrored = {room for room in rooms if room.parts and room.parts[0] not in CROSSING}
    assert mirrored
    assert {str(room) for room in mirrored if not (PACKAGE / room).is_dir()} == set()


ROOMS = "|".join(sorted(path.name for path in PACKAGE.iterdir() if path.is_dir()))
NAMED = re.compile(rf"`((?:provision|tests|schemas|examples|docs|{ROOMS})/[\w./*-]+)`")


@pytest.mark.parametrize("guide", GUIDES)
def test_a_guide_names_files_that_are_there(guide: str) -> None:
    named = set(NAMED.findall((ROOT / guide).read_text("utf-8")))
    places = (ROOT, PACKAGE, ROOT / "tests")
    missing = {
        path
        for path in named
        if not re.search("NAME|FAMILY", path) and not any(any(place.glob(path)) for place in places)
    }
    assert missing <= {"provision/config.yaml"}, "the user's own, in their configuration folder"


def texts() -> list[Path]:
    folders = ("provision", "schemas", "examples", "docs", "tests", "tools", "ansible", ".ci")
    files = [*ROOT.glob("*.*"), *(path for one in folders for path in (ROOT / one).rglob("*"))]
    return [
        path
        for path in files
        if path.is_file() and path.suffix not in (".pyc", ".sqlite") and path != Path(__file__)
    ]


def test_no_file_names_a_package_registrys_host() -> None:
    """Nor does a lock file: where packages come from is for who installs to say."""
    hosts = re.compile(rb"pypi\.(?:org|python\.org)|files\.pythonhosted|registry\.npmjs|crates\.io")
    assert not [name(path) for path in texts() if hosts.search(path.read_bytes())]


def test_what_is_to_be_installed_is_called_by_its_name() -> None:
    """`provision` on the package index is somebody else's."""
    other = re.compile(
        rb"(?<![\w-])provision\[|(?:pip|pipx|uv tool) install (?:[^`\n]* )?provision\b"
    )
    assert not [name(path) for path in texts() if other.search(path.read_bytes())]


def test_each_extra_that_is_named_is_one_of_ours() -> None:
    project = (ROOT / "pyproject.toml").read_text("utf-8")
    extras = project.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    ours = set(re.findall(r"^(\w+) = \[", extras, re.MULTILINE))
    named = {
        extra
        for path in texts()
        for one in re.findall(rb"micropython-provision\[([a-z, ]+)\]", path.read_bytes())
        for extra in one.decode().replace(" ", "").split(",")
    }
    assert {"sim", "web"} <= named <= ours
