"""Sixty-four virtual boards at once, each running MicroPython: what they cost.

`pytest -m slow -s tests/bench/test_many_boards.py` prints the figures.
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import pytest
import serial

from provision.core.chips.esp.chips import ESP32
from provision.sim import client
from provision.sim.esp.firmware import build
from tests.bench_of_boards import Bench, bench

__all__ = ["bench"]

BOARDS = 64
MEMORY = 3 << 30  # bytes for all of them
IDLE = 5.0  # seconds of watching them do nothing


def family(pid: int) -> list[int]:
    """A board's process and its MicroPython."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text(encoding="ascii").split()
    return [pid, *map(int, children)]


def resident(pid: int) -> int:
    """Bytes in memory, shared pages counted in full."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def processor(pid: int) -> float:
    """Seconds of processor time so far."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def answer(name: str) -> bytes:
    with serial.serial_for_url(f"sim://{name}", 115200, timeout=60) as opened:
        opened.dtr = False
        opened.rts = True
        opened.rts = False
        assert opened.read_until(b">>> ").endswith(b">>> ")
        opened.write(b"1+1\r")
        return opened.read_until(b"\r\n>>> ")


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")
def test_sixty_four_boards(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        serial, "protocol_handler_packages", [*serial.protocol_handler_packages, "provision.sim"]
    )
    image = bench.work / "firmware.bin"
    image.write_bytes(build(ESP32, "1.24.1"))
    names = [f"desk-{number:02}" for number in range(BOARDS)]
    query = {"chip": "esp32", "firmware": str(image)}
    begun = time.monotonic()
    pids = [int(client.ensure(name, query)["pid"]) for name in names]
    started = time.monotonic() - begun
    for name in names:
        assert answer(name) == b"1+1\r\n2\r\n>>> "
    everybody = [pid for board in pids for pid in family(board)]
    assert len(everybody) == 2 * BOARDS
    memory = sum(map(resident, everybody))
    before = sum(map(processor, everybody))
    time.sleep(IDLE)  # what this costs is what is measured
    idle = sum(map(processor, everybody)) - before
    print(
        f"\n{BOARDS} boards: {started / BOARDS:.2f} s each to start, "
        f"{memory / BOARDS / 2**20:.1f} MB each ({memory / 2**20:.0f} MB), "
        f"{idle:.2f} s of processor time in {IDLE:.0f} s of doing nothing"
    )
    assert memory < MEMORY
    assert idle < 0.02 * IDLE
