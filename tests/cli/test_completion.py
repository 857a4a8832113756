"""Completion in a real bash: commands, options, devices and groups."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLEET = """
groups: {sensors: {}, lamps: {}}
devices:
  kitchen: {port: /dev/ttyUSB0, board: esp32, groups: [sensors]}
  shed: {port: /dev/ttyUSB1, board: esp32}
  shelf: {port: /dev/ttyUSB2, board: esp32}
"""
# What bash does at a tab, without a terminal: its completion function is called for these words.
TAB = """
provision() { "$PYTHON" -m provision "$@"; }
eval "$(provision completion bash)"
complete -p provision | grep -q _provision_completion || exit 9
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
_provision_completion provision
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "fleet.yaml").write_text(FLEET, encoding="utf-8")
    (tmp_path / "other.yaml").write_text(FLEET.replace("shed", "attic"), encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text("devices: [", encoding="utf-8")
    # The script runs the program that is being completed, by its name.
    program = tmp_path / "bin" / "provision"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m provision "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return tmp_path


def tab(folder: Path, *words: str) -> list[str]:
    done = subprocess.run(
        ["bash", "-c", TAB, "bash", "provision", *words],
        cwd=folder,
        env={
            **os.environ,
            "PYTHON": sys.executable,
            "PYTHONPATH": str(ROOT),
            "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.parametrize(
    ("words", "choices"),
    [
        (("re",), ["repl", "reset", "restore"]),
        (("repl", "sh"), ["shed", "shelf"]),
        (("apply", "-l", "kitchen,sh"), ["kitchen,shed", "kitchen,shelf"]),
        (("apply", "--limit", "!@"), ["!@sensors", "!@lamps"]),
        (("logs", "-m", "other.yaml", "a"), ["attic"]),
        (("logs", "-m", "wrong.yaml", "s"), []),
    ],
)
def test_a_tab(folder: Path, words: tuple[str, ...], choices: list[str]) -> None:
    assert tab(folder, *words) == choices
