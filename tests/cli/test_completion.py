"""Completion in real, interactive shells: commands, options, devices, groups, paths on boards."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FLEET = """
groups: {sensors: {}, lamps: {}}
devices:
  kitchen:
    port: /dev/ttyUSB0
    board: esp32
    groups: [sensors]
    files: [main.py, {src: lib/, dest: /lib}, {src: main.py, dest: "/it's $(id); a.txt"}]
  shed: {port: /dev/ttyUSB1, board: esp32}
  shelf: {port: /dev/ttyUSB2, board: esp32}
"""
# The completion runs the program by its name; what the line has become is told by a function.
START = {
    "bash": """
PS1='ready$ '
eval "$(provision completion bash)"
provision() { printf 'became: '; printf '<%s>' "$@"; echo :end; }
""",
    "zsh": """
PS1='ready$ '
unsetopt PROMPT_CR PROMPT_SP
unset zle_bracketed_paste
autoload -Uz compinit && compinit -u -D
eval "$(provision completion zsh)"
provision() { printf 'became: '; printf '<%s>' "$@"; echo :end }
""",
    "fish": """
function fish_prompt; echo -n 'ready$ '; end
function fish_greeting; end
provision completion fish | source
function provision; printf 'became: '; printf '<%s>' $argv; echo :end; end
""",
}
COMMANDS: dict[str, Callable[[Path], list[str]]] = {
    "bash": lambda start: ["bash", "--noprofile", "--rcfile", str(start), "-i"],
    "zsh": lambda start: ["zsh", "--no-globalrcs", "-i"],
    "fish": lambda start: ["fish", "--no-config", "-i", "-C", f"source {start}"],
}
PATIENCE = 60.0


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "fleet.yaml").write_text(FLEET, encoding="utf-8")
    (tmp_path / "other.yaml").write_text(FLEET.replace("shed", "attic"), encoding="utf-8")
    (tmp_path / "wrong.yaml").write_text("devices: [", encoding="utf-8")
    (tmp_path / "main.py").write_text("print()\n", encoding="utf-8")
    (tmp_path / "lib" / "deep").mkdir(parents=True)
    (tmp_path / "lib" / "deep" / "a.py").write_text("a = 1\n", encoding="utf-8")
    # The script runs the program that is being completed, by its name.
    program = tmp_path / "bin" / "provision"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m provision "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    return tmp_path


def tab(shell: str, folder: Path, line: str) -> str:
    """What an interactive shell makes of the words of a line when a tab is pressed behind it."""
    start = folder / ".zshrc"  # where zsh looks for it
    start.write_text(START[shell], encoding="utf-8")
    master, slave = pty.openpty()
    environment = {
        **os.environ, "PYTHONPATH": str(ROOT), "TERM": "dumb", "INPUTRC": os.devnull,
        "ZDOTDIR": str(folder), "HOME": str(folder), "XDG_DATA_HOME": str(folder / "data"),
        "PATH": f"{folder / 'bin'}:{os.environ['PATH']}",
    }  # fmt: skip
    process = subprocess.Popen(
        # A session's first terminal that is opened becomes its own, which fish asks for.
        ["sh", "-c", 'exec "$@" <"$0" >"$0" 2>&1', os.ttyname(slave), *COMMANDS[shell](start)],
        start_new_session=True,
        cwd=folder,
        env=environment,
    )
    try:
        read_until(master, b"ready$ ")
        os.write(master, f"provision {line}\t\n".encode())
        said = read_until(master, b":end\r\n").decode()
        return said.rpartition("became: ")[2].partition(":end")[0]
    finally:
        process.kill()
        process.wait()
        os.close(slave)
        os.close(master)


def read_until(descriptor: int, words: bytes) -> bytes:
    said = b""
    while words not in said:
        assert select.select([descriptor], [], [], PATIENCE)[0], said
        said += os.read(descriptor, 65536)
    return said


def needs(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"needs {shell}")


# A manifest may be somebody else's: a path is a word, whatever a shell would make of it.
AS_A_WORD = "<cat><kitchen:/it's $(id); a.txt>"
LINES = [
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
    ("watch k", "<watch><kitchen>"),
    ("backup ki", "<backup><kitchen>"),
    ("ls kit", "<ls><kitchen:>"),
    ("cat kitchen:/m", "<cat><kitchen:/main.py>"),
    ("cp kitchen:/li", "<cp><kitchen:/lib/>"),
    ("cp kitchen:/lib/deep/", "<cp><kitchen:/lib/deep/a.py>"),
    ("cp mai", "<cp><main.py>"),  # a file of this computer
    ("cat kitchen:/i", AS_A_WORD),
]
IN_SHORT = (
    "repl s", "apply -l kitchen,@s", "apply --limit=kit", "cp kitchen:/li", "cat kitchen:/i",
)  # fmt: skip


@pytest.mark.parametrize(("line", "becomes"), LINES)
def test_a_tab_in_bash(folder: Path, line: str, becomes: str) -> None:
    assert tab("bash", folder, line) == becomes


@pytest.mark.parametrize("begun", [r"cat kitchen:/it\'s\ ", r"cat kitchen:/it\'s\ \$\(id\)\;\ a"])
def test_a_tab_in_bash_behind_what_it_has_escaped(folder: Path, begun: str) -> None:
    assert tab("bash", folder, begun) == AS_A_WORD


@pytest.mark.parametrize("shell", ["zsh", "fish"])
@pytest.mark.parametrize(
    ("line", "becomes"),
    [pytest.param(*each, marks=() if each[0] in IN_SHORT else pytest.mark.slow) for each in LINES],
)
def test_a_tab_in_another_shell(shell: str, folder: Path, line: str, becomes: str) -> None:
    needs(shell)
    assert tab(shell, folder, line) == becomes
