"""Signals to a real `provision` process: Ctrl-C, a service manager's stop, a closed terminal."""

from __future__ import annotations

import json
import os
import signal
import socket
from xml.etree import ElementTree

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from tests.apply.station import PATIENCE, Run, Station
from tests.html_page import parsed, rows, section, texts

STOPS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
IGNORES_SIGHUP = (
    "import os, signal, sys; signal.signal(signal.SIGHUP, signal.SIG_IGN); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


@pytest.fixture
def slow(station: Station) -> Station:
    """Two boards behind lines at their real rate; what is sent to each takes seconds."""
    for name in ("x", "z"):
        station.board(name, firmware=station.firmware(ESP32), wire="115200")
    station.write("data.bin", os.urandom(30_000))
    station.write(
        "fleet.yaml",
        """
        defaults: {board: esp32, files: [data.bin]}
        devices: {x: {port: sim://x}, z: {port: sim://z}}
        """,
    )
    return station


def while_sending(station: Station, *words: str, **options: bool | str) -> Run:
    run = station.start("apply", "--forks", "1", "--json", *words, **options)  # type: ignore[arg-type]
    run.until_event("stage-progress", device="x", stage="files")
    return run


def record(station: Station) -> list[dict[str, object]]:
    """The last run's record."""
    (path,) = (station.work.parent / "state" / "runs").iterdir()
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("number", STOPS, ids=lambda number: number.name)
def test_a_signal_finishes_what_is_written_and_leaves_every_report(
    slow: Station, number: signal.Signals
) -> None:
    reports = ("--junit", "junit.xml", "--html", "run.html", "--log-file", "run.log")
    run = while_sending(slow, *reports)
    run.signal(number)
    ended = run.end()
    assert ended.code == 130, ended.said
    assert "stopping: finishing writes in progress; press Ctrl-C again to abort" in ended.err
    assert ended.outcomes == {"x": "changed", "z": "skipped"}
    assert len(slow.files("x")["/data.bin"]) == 30_000

    suite = ElementTree.parse(slow.work / "junit.xml").getroot()[0]
    assert [case.get("name") for case in suite] == ["x", "z"]
    assert suite.get("skipped") == "1"
    page = parsed((slow.work / "run.html").read_text("utf-8"))
    assert rows(section(page, "devices"))[1][:2] == ["z", "– skipped"]
    assert "x: changed: 1 change" in (slow.work / "run.log").read_text(encoding="utf-8")
    last = record(slow)[-1]
    assert (last["kind"], last["exit_code"]) == ("run-finished", 130)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_second_signal_aborts(slow: Station, number: signal.Signals) -> None:
    run = while_sending(slow, "--junit", "junit.xml", "--html", "run.html")
    run.signal(number)
    run.until_event("notice")
    run.signal(number)
    ended = run.end()
    assert ended.code == 130, ended.said
    assert ended.err.endswith("interrupted\n")
    assert not ended.of("run-finished")
    cut = ElementTree.parse(slow.work / "junit.xml").getroot()[0][0]
    assert cut.get("name") == "x"
    assert cut.find("error") is not None
    page = parsed((slow.work / "run.html").read_text("utf-8"))
    assert "not finished" in texts(page, ".//dd")[1]
    assert texts(section(page, "attention"), ".//h3")[0].startswith("x: ")
    assert slow.apply().outcomes == {"x": "changed", "z": "changed"}


def test_a_terminal_that_closes_is_no_second_wish(slow: Station) -> None:
    """The kernel and the shell both tell of it; what was begun is finished, and kept on record,
    though nobody can be told any more."""
    run = while_sending(slow, "--junit", "junit.xml", terminal=True)
    run.hang_up()
    run.signal(signal.SIGHUP)
    run.until_event("notice")  # signals that wait together are one
    run.signal(signal.SIGHUP)
    ended = run.end()
    assert ended.code == 130, ended.said
    assert ended.outcomes == {"x": "changed", "z": "skipped"}
    assert record(slow)[-1]["kind"] == "run-finished"
    assert (slow.work / "junit.xml").exists()


def test_nohup_is_respected(slow: Station) -> None:
    run = while_sending(slow, wrapper=IGNORES_SIGHUP)
    run.signal(signal.SIGHUP)
    ended = run.end()
    assert ended.code == 0, ended.said
    assert ended.outcomes == {"x": "changed", "z": "changed"}


def test_sigterm_ends_any_command(station: Station) -> None:
    """Here one that waits for a download, from a server that takes the call and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(PATIENCE)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/x.bin"
        firmware = f"{{url: '{url}', version: 1.24.1}}"
        station.write(
            "fleet.yaml", f"devices: {{x: {{port: sim://x, board: esp32, firmware: {firmware}}}}}\n"
        )
        run = station.start("lock")
        connection, _ = server.accept()
        with connection:
            run.signal(signal.SIGTERM)
            ended = run.end()
    assert ended.code == 130, ended.said
    assert ended.err.strip() == "interrupted"


def test_a_run_that_is_stopped_leaves_a_cursor_and_goes_on(station: Station) -> None:
    """By Ctrl-Z, and then `fg`; the display hides the cursor while it redraws."""
    station.board("bare", ESP8266, wiring="none")
    station.write("main.py", "print(1)\n")
    station.write(
        "fleet.yaml",
        f"""
        devices:
          bare:
            port: sim://bare
            board: esp8266-bare
            firmware: {{file: {station.firmware(ESP8266)}}}
        """,
    )
    run = station.start("apply", "--yes", terminal=True)
    run.until(lambda run: "by hand: " in run.err)
    hidden, shown = "\x1b[?25l", "\x1b[?25h"
    run.signal(signal.SIGTSTP)
    run.until(lambda run: run.err.rfind(shown) > run.err.rfind(hidden))
    run.signal(signal.SIGCONT)  # which it needs not here: no shell is there to stop it
    station.press("bare", "boot", "reset")
    ended = run.end()
    assert ended.code == 0, ended.said
    assert "changed=1" in ended.out
