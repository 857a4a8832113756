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
