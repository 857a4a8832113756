"""A computer that has something else to do, a board that is slow or stands still: what is told."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import PATIENCE, Run, Station

LONG = 18.0
"""Seconds, longer than any one answer of a transfer is waited for."""


def sending(station: Station, carrier: str) -> Run:
    """An apply that has begun to send a file, over `sim`, `rfc2217` or `pty`."""
    station.board("x", firmware=station.firmware(ESP32), wire="on")
    port = "sim://x" if carrier == "sim" else station.order("x", carrier)[carrier]
    station.write("data.bin", random.Random(7).randbytes(30_000))
    station.write(
        "fleet.yaml",
        f"devices: {{x: {{port: '{port}', board: esp32, files: [data.bin]}}}}\n",
    )
    run = station.start("apply", "--json")
    run.until_event("stage-progress", device="x", stage="files")
    return run


SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "carrier", ["sim", pytest.param("rfc2217", marks=SLOW), pytest.param("pty", marks=SLOW)]
)
def test_a_tool_that_was_stopped_amid_a_transfer_goes_on(station: Station, carrier: str) -> None:
    """What came of the board meanwhile is there, and is no reason to judge it."""
    run = sending(station, carrier)
    run.signal(signal.SIGSTOP)
    time.sleep(LONG)
    run.signal(signal.SIGCONT)
    ended = run.end()
    assert ended.code == 0, ended.said
    assert ended.outcomes == {"x": "changed"}
    assert len(station.files("x")["/data.bin"]) == 30_000


@pytest.mark.parametrize("carrier", ["sim", pytest.param("rfc2217", marks=SLOW)])
def test_a_board_that_stands_still_is_waited_for(station: Station, carrier: str) -> None:
    run = sending(station, carrier)
    board = station.order("x", "status")["pid"]
    os.kill(board, signal.SIGSTOP)
    try:
        time.sleep(10.0)
    finally:
        os.kill(board, signal.SIGCONT)
    ended = run.end()
    assert ended.code == 0, ended.said
    assert ended.outcomes == {"x": "changed"}


def test_a_tool_that_was_stopped_while_a_server_spoke_asks_it_again(station: Station) -> None:
    """Stopped after half of the negotiation, it wakes when the time for it is over."""
    station.board("x", firmware=station.firmware(ESP32))
    address = station.order("x", "rfc2217")["rfc2217"]
    board = urlsplit(address)
    with socket.create_server(("127.0.0.1", 0)) as between:
        between.settimeout(PATIENCE)
        port = between.getsockname()[1]
        station.write(
            "fleet.yaml",
            f"devices: {{x: {{port: 'rfc2217://127.0.0.1:{port}?timeout=2', board: esp32}}}}\n",
        )
        run = station.start("plan", "--json")
        first, _ = between.accept()
        with first:
            assert first.recv(64)
            first.sendall(b"\xff\xfb\x03")  # IAC WILL SUPPRESS-GO-AHEAD
            run.signal(signal.SIGSTOP)
            time.sleep(4.0)
            run.signal(signal.SIGCONT)
            between.settimeout(30.0)
            with suppress(TimeoutError):
                second, _ = between.accept()
                onward = socket.create_connection((board.hostname, board.port))
                for source, to in ((second, onward), (onward, second)):
                    threading.Thread(target=carry, args=(source, to), daemon=True).start()
            ended = run.end()
    assert ended.code == 0, ended.said


def carry(source: socket.socket, to: socket.socket) -> None:
    with suppress(OSError), source, to:
        while data := source.recv(4096):
            to.sendall(data)


def test_a_flash_that_takes_seconds_for_each_sector_is_waited_for(station: Station) -> None:
    station.board("x", firmware=station.firmware(ESP32), timing="30x")
    content = random.Random(8).randbytes(30_000)
    station.write("data.bin", content)
    station.write("fleet.yaml", "devices: {x: {port: sim://x, board: esp32, files: [data.bin]}}\n")
    assert station.apply().outcomes == {"x": "changed"}
    assert station.files("x")["/data.bin"] == content
