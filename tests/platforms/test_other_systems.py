"""Our branches for Windows and macOS, run here: `pretend` says what of it is theirs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import Ended, Run, Station
from tests.platforms.pretend import CTRL_BREAK, MISSING

pytest.importorskip("micropython_unix")

ROOT = Path(__file__).parents[2]


def on(system: str, station: Station, *words: str) -> Ended:
    return begun_on(system, station, *words).end()


def begun_on(system: str, station: Station, *words: str, terminal: bool = False) -> Run:
    run = Run(
        [sys.executable, "-m", "tests.platforms.pretend", system, *words],
        terminal=terminal,
        cwd=station.work,
        environment=station.environment,
    )
    station.runs.append(run)
    return run


def bench(station: Station) -> None:
    """A blank board that another computer would reach in the same way, and its manifest."""
    station.board("node", ESP32)
    station.write("app/main.py", "print('hello')\n")
    station.write(
        "fleet.yaml",
        f"""
        firmware: {{new: {{file: {station.firmware(ESP32)}}}}}
        devices:
          node:
            board: esp32
            port: "{station.port("node", "rfc2217")}"
            firmware: new
            files: [{{src: app/, dest: /}}]
            check: {{console: hello}}
        """,
    )


@pytest.mark.parametrize("system", [*MISSING])
def test_the_main_job(station: Station, system: str) -> None:
    bench(station)
    ended = on(system, station, "apply", "--yes")
    assert ended.code == 0, ended.said
    assert station.files("node", ESP32)["/main.py"] == b"print('hello')\n"
    assert "node: no changes" in on(system, station, "plan").out
    ended = on(system, station, "backup")
    assert ended.code == 0, ended.said
    (kept,) = (station.work / "backups" / "node").glob("*/files/main.py")
    assert kept.read_text() == "print('hello')\n"


def test_windows_is_asked_and_answers(station: Station) -> None:
    """Questions are answered at the keyboard, where `select` knows sockets alone."""
    bench(station)
    run = begun_on("win32", station, "apply", terminal=True)
    run.until(lambda run: "[y/N" in run.err)
    run.answer("y\n")
    assert run.end().code == 0
    (station.work / "fleet.yaml").unlink()
    run = begun_on("win32", station, "init", "--walk", terminal=True)
    run.until(lambda run: "Enter ends" in run.err)
    run.answer("\n")
    ended = run.end()
    assert (ended.code, "0 devices added" in ended.err) == (0, True), ended.said


@pytest.mark.parametrize(
    ("words", "said"), [("serve --port 0", "Ctrl-C ends it"), ("watch", "as the manifest says")]
)
def test_ctrl_break_and_a_closed_window_end_a_command_on_windows(
    station: Station, words: str, said: str
) -> None:
    station.board("node", ESP32, station.firmware(ESP32))
    port = station.port("node", "rfc2217")
    station.write("fleet.yaml", f'devices: {{node: {{board: esp32, port: "{port}"}}}}')
    run = begun_on("win32", station, *words.split())
    run.until(lambda run: said in run.out + run.err)
    run.signal(CTRL_BREAK)
    ended = run.end()
    assert (ended.code, "internal" in ended.said) in [(130, False), (0, False)], ended.said


@pytest.mark.parametrize(
    "words", ["sim list", "sim up --chip esp32 x", "sim rm x", "sim exec -- esptool", "rehearse"]
)
def test_windows_is_told_that_it_has_no_virtual_boards(station: Station, words: str) -> None:
    station.write("fleet.yaml", 'devices: {x: {board: esp32, port: "sim://x?chip=esp32"}}')
    ended = on("win32", station, *words.split())
    assert ended.code == 2
    assert "error: there are no virtual boards on Windows" in ended.err
    assert "hint: " in ended.err


def test_a_virtual_port_on_windows_is_one_device_that_cannot_be_reached(station: Station) -> None:
    station.write("fleet.yaml", 'devices: {x: {board: esp32, port: "sim://x?chip=esp32"}}')
    ended = on("win32", station, "plan")
    assert (ended.code, "no virtual boards on Windows" in ended.said) == (5, True), ended.said


def test_a_pipe_in_an_old_encoding(station: Station) -> None:
    """What Windows gives a program whose output goes to a file."""
    bench(station)
    station.write("app/温度.py", "x = 'Ω'\n")
    environment = {**station.environment, "PYTHONUTF8": "0", "PYTHONIOENCODING": "cp1252"}
    for words in (["apply", "--yes"], ["plan"], ["show"], ["validate"], ["--help"]):
        said = subprocess.run(
            [sys.executable, "-m", "provision", *words],
            cwd=station.work,
            env=environment,
            check=False,
            capture_output=True,
            timeout=120,
        )
        assert said.returncode == 0, said.stderr
        shown = said.stdout.decode("cp1252") + said.stderr.decode("cp1252")
        assert r"\u6e29\u5ea6.py" in shown or words[0] in ("plan", "validate", "--help"), shown
    assert station.files("node", ESP32)["/温度.py"] == "x = 'Ω'\n".encode()


@pytest.mark.parametrize(("system", "but"), [("win32", "provision/sim/"), ("darwin", None)])
def test_types_hold_on_other_systems(system: str, but: str | None, tmp_path: Path) -> None:
    """mypy reads there what it passes over here, and knows which modules and constants there are.
    There are no virtual boards on Windows."""
    said = subprocess.run(
        [sys.executable, "-m", "mypy", "--platform", system, "--cache-dir", os.fspath(tmp_path)],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
    )
    wrong = [line for line in said.stdout.splitlines() if ": error: " in line]
    assert "checked" in said.stdout or "no issues found" in said.stdout, said.stdout + said.stderr
    assert [line for line in wrong if but is None or not line.startswith(but)] == []
