"""A computer that has something else to do: what is told of boards and servers."""

from __future__ import annotations

import signal
import socket
import threading
import time
from contextlib import suppress
from urllib.parse import urlsplit

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import PATIENCE, Station


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
