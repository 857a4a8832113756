"""A board behind the real ser2net: flashed, reset by its modem lines, converged."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import PATIENCE, Station

SER2NET = shutil.which("ser2net", path="/usr/sbin:/usr/local/sbin:/usr/bin")
CONFIG = """%YAML 1.1
---
connection: &board
  accepter: telnet(rfc2217),tcp,127.0.0.1,{port}
  connector: telnet(rfc2217=true),tcp,127.0.0.1,{board}
  timeout: 0
  options:
    kickolduser: false
    max-connections: 1
    mdns: false
"""


@contextmanager
def ser2net(folder: Path, board: int) -> Iterator[int]:
    """A ser2net in front of the RFC 2217 port of a board; its own port."""
    assert SER2NET is not None
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    (folder / "ser2net.yaml").write_text(CONFIG.format(port=port, board=board))
    words = [SER2NET, "-n", "-c", "ser2net.yaml", "-P", "ser2net.pid"]
    with (folder / "ser2net.log").open("wb") as log:
        running = subprocess.Popen(words, cwd=folder, stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + PATIENCE
        while not listens(port):
            assert running.poll() is None, (folder / "ser2net.log").read_text()
            assert time.monotonic() < deadline
            time.sleep(0.05)  # no event tells that it listens
        yield port
    finally:
        running.terminate()
        running.wait()


def listens(port: int) -> bool:
    """Without a connection, which would be the board's only one."""
    wanted = f"0100007F:{port:04X} 00000000:0000 0A"
    return wanted in Path("/proc/net/tcp").read_text()


@pytest.mark.skipif(SER2NET is None, reason="needs ser2net")
def test_a_blank_board_behind_ser2net(station: Station, tmp_path: Path) -> None:
    station.board("x")
    station.write("main.py", "print('ready')\n")
    board = int(station.port("x", "rfc2217").rpartition(":")[2])
    with ser2net(tmp_path, board) as port:
        manifest = f"""
            firmware: {{fw: {{file: {station.firmware(ESP32)}, version: 1.24.1}}}}
            devices:
              x: {{port: "rfc2217://127.0.0.1:{port}", board: esp32, firmware: fw,
                  files: [main.py], check: {{console: ready}}}}
            """
        station.write("fleet.yaml", manifest)
        assert station.apply("--yes").outcomes == {"x": "changed"}
        assert station.files("x")["/main.py"] == b"print('ready')\n"
        boots = station.order("x", "status")["boots"]
        assert station.apply().outcomes == {"x": "ok"}
        assert station.order("x", "status")["boots"] == boots
        assert station.provision("reset").code == 0
        assert station.order("x", "status")["boots"] > boots
