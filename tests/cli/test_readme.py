"""What the README shows of the command line is what the command line says."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_help_in_the_readme_is_the_real_one() -> None:
    said = subprocess.run(
        [sys.executable, "-m", "provision", "--help"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert said.strip() in (ROOT / "README.md").read_text()


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
