"""Completion in a real, interactive bash: commands, options, devices and groups."""

from __future__ import annotations

import os
import pty
import select
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
# The completion runs the program by its name; what the line has become is told by a function.
START = """
PS1='ready$ '
eval "$(provision completion bash)"
provision() { printf '<%s>' "$@"; echo; }
"""
PATIENCE = 60.0


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


def tab(folder: Path, line: str) -> str:
    """What an interactive bash makes of the words of a line when a tab is pressed behind it."""
    (folder / "start").write_text(START, encoding="utf-8")
    master, slave = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb", "INPUTRC": os.devnull}
    environment["PATH"] = f"{folder / 'bin'}:{os.environ['PATH']}"
    bash = subprocess.Popen(
        ["bash", "--noprofile", "--rcfile", str(folder / "start"), "-i"],
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
        cwd=folder,
        env=environment,
    )
    os.close(slave)
    try:
        read_until(master, b"ready$ ")
        os.write(master, f"provision {line}\t\n".encode())
        said = read_until(master, b"\nready$ ").decode()
        return said.splitlines()[-2]
    finally:
        bash.kill()
        bash.wait()
        os.close(master)


def read_until(descriptor: int, ending: bytes) -> bytes:
    said = b""
    while not said.endswith(ending):
        assert select.select([descriptor], [], [], PATIENCE)[0], said
        said += os.read(descriptor, 65536)
    return said


@pytest.mark.parametrize(
    ("line", "becomes"),
    [
        ("rep", "<repl>"),
        ("repl s", "<repl><she>"),  # what shed and shelf share
        ("apply -l kitchen,k", "<apply><-l><kitchen,kitchen>"),
        ("apply -l @s", "<apply><-l><@sensors>"),
        ("apply -l kitchen,@s", "<apply><-l><kitchen,@sensors>"),
        ("apply --limit=kit", "<apply><--limit=kitchen>"),
        ("apply --limit=shed,@l", "<apply><--limit=shed,@lamps>"),
        ("logs -m other.yaml a", "<logs><-m><other.yaml><attic>"),
        ("logs -m wrong.yaml k", "<logs><-m><wrong.yaml><k>"),
        ("logs -m oth", "<logs><-m><other.yaml>"),  # a file
        ("logs --since", "<logs><--since-boot>"),
    ],
)
def test_a_tab(folder: Path, line: str, becomes: str) -> None:
    assert tab(folder, line) == becomes
