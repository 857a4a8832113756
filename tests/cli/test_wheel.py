"""The wheel has everything that is not Python too: schemas, board profiles, the agent's files."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


in_a_clone = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs a clone")


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, unpacked as an installer would."""
    place = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation",
         "--disable-pip-version-check", "--wheel-dir", str(place), str(ROOT)],
        check=True, cwd=place,
    )  # fmt: skip
    (wheel,) = place.glob("micropython_provision-*.whl")
    zipfile.ZipFile(wheel).extractall(place / "site")
    return place / "site"


def run(installed: Path, code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(installed)!r})\n{code}"],
        cwd=installed.parent, check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip


def command(installed: Path, *arguments: str) -> str:
    return run(
        installed,
        f"sys.argv = ['provision', *{arguments!r}]\nfrom provision.cli import run\nrun()",
    )


def test_the_schema_is_that_of_the_checkout(installed: Path) -> None:
    ours = json.loads((ROOT / "schemas" / "fleet.schema.json").read_text())
    assert json.loads(command(installed, "schema")) == ours


def test_the_boards_are_there(installed: Path) -> None:
    assert "wemos-d1-mini" in command(installed, "boards")


def tracked(*folders: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", *folders], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.splitlines()
    return [path for path in listed if (ROOT / path).exists()]


@in_a_clone
def test_every_file_of_the_package_is_there(installed: Path) -> None:
    wanted = {
        f"provision/{path}" if path.startswith("schemas/") else path
        for path in tracked("provision", "schemas")
    }
    assert [path for path in sorted(wanted) if not (installed / path).is_file()] == []


def test_each_man_page_is_there(installed: Path) -> None:
    """Where pip puts `share/man/man1` of an environment or of the system."""
    (folder,) = installed.glob("*.data/data/share/man/man1")
    assert {path.name for path in folder.iterdir()} == {
        path.name for path in (ROOT / "man").iterdir()
    }


def test_what_was_imported_is_the_wheel(installed: Path) -> None:
    where = run(installed, "import provision; print(provision.__file__)").strip()
    assert Path(where).is_relative_to(installed)


@in_a_clone
def test_the_sdist_has_every_file(tmp_path: Path) -> None:
    """So has it all that is tested, and what its tests read."""
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "sdist", "-d", str(tmp_path)],
        cwd=ROOT, check=True, capture_output=True,
    )  # fmt: skip
    (sdist,) = tmp_path.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        there = {name.partition("/")[2] for name in archive.getnames()}
    assert sorted(set(tracked()) - there) == []
    assert not [name for name in there if name.startswith((".git/", ".venv/"))]
