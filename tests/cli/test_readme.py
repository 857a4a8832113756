"""What the documentation shows of the command line is what the command line says."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]
CODE = re.compile(r"^ *```.*?^ *```|`[^`\n]*`", re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> Iterator[str]:
    """What a link may name in a page, as GitHub makes it of each heading."""
    text = re.sub(r"^ *```.*?^ *```", "", page.read_text("utf-8"), flags=re.DOTALL | re.MULTILINE)
    for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE):
        yield re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_of_a_page_leads_somewhere(page: Path) -> None:
    wrong = []
    for link in re.findall(r"\]\(([^)\s]+)\)", CODE.sub("", page.read_text("utf-8"))):
        if link.startswith(("https://", "http://", "mailto:")):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            wrong.append(link)
    assert wrong == []


def test_every_guide_is_reached_from_the_readme() -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    known = {"coverage.md", "mutations.md"}  # CONTRIBUTING.md has them
    for page in (ROOT / "docs").glob("*.md"):
        assert f"](docs/{page.name})" in readme or page.name in known, page.name


def test_every_page_is_in_the_navigation_of_the_site() -> None:
    nav = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:")[2]
    for page in (ROOT / "docs").rglob("*.md"):
        assert f": {page.relative_to(ROOT / 'docs').as_posix()}\n" in nav, page.name


def test_the_reference_is_what_schemas_commands_and_errors_say() -> None:
    done = subprocess.run(
        [sys.executable, "tools/docs_site/reference.py", "--check"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_help_in_the_documentation_is_the_real_one() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "provision", "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert said.strip() in (ROOT / "docs/commands.md").read_text()


def test_every_command_is_lazy_and_documented() -> None:
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, provision.cli as cli; "
            "sys.argv = ['provision', '--help']\n"
            "try:\n    cli.run()\nexcept SystemExit:\n    pass\n"
            "heavy = {'esptool', 'jsonschema', 'jinja2', 'rich', 'serial', 'yaml', 'littlefs'}\n"
            "print(sorted(heavy & set(sys.modules)))",
        ],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert said.splitlines()[-1] == "[]"


def test_what_a_plan_of_plain_files_does_not_import(tmp_path: Path) -> None:
    (tmp_path / "app").mkdir()
    (tmp_path / "app" / "main.py").write_text("print(1)\n")
    (tmp_path / "fleet.yaml").write_text(
        "devices: {x: {port: /dev/none, board: esp32, files: [{src: app/, dest: /}]}}\n"
    )
    said = subprocess.run(
        [
            sys.executable,
            "-c",
            "import sys, provision.cli as cli; "
            "sys.argv = ['provision', 'plan', sys.argv[1]]\n"
            "try:\n    cli.run()\nexcept SystemExit as end:\n    print(end.code)\n"
            "heavy = {'esptool', 'jinja2', 'littlefs', 'mpremote', 'rich', 'starlette'}\n"
            "print(sorted(heavy & set(sys.modules)))",
            str(tmp_path / "fleet.yaml"),
        ],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert said.splitlines()[-2:] == ["5", "[]"]
