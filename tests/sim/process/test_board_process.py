"""A board's own process, seen from outside: its memory, the callers it has no time for, its end."""

from __future__ import annotations

import socket
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32
from provision.errors import SimulatorError
from provision.sim import client, paths
from provision.sim.esp.firmware import build
from tests.bench_of_boards import Bench, bench

__all__ = ["bench"]

FLASH = 16 << 10  # KiB


def most_memory(pid: int) -> int:
    """KiB that a process has held at most since its peak was reset."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_a_board_that_boots_does_not_copy_its_flash(bench: Bench) -> None:
    image = bench.work / "firmware.bin"
    image.write_bytes(build(ESP32, "1.24.1", flash_size=FLASH << 10))
    status = client.ensure("desk", {"chip": "esp32", "flash": "16MB", "firmware": str(image)})
    Path(f"/proc/{status['pid']}/clear_refs").write_text("5", encoding="ascii")
    before = most_memory(status["pid"])
    client.request("desk", "unplug")
    client.request("desk", "replug")
    assert client.request("desk", "status")["boots"] == status["boots"] + 1
    assert most_memory(status["pid"]) - before < FLASH // 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse instead of waiting")
def test_who_calls_a_board_that_is_busy_waits_until_it_takes_callers(bench: Bench) -> None:
    path = paths.socket_path(paths.home(), "busy")
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as board:
        board.bind(str(path))
        board.listen(0)
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as first,
            ThreadPoolExecutor(1) as others,
        ):
            first.connect(str(path))  # the queue is full
            waiting = others.submit(client.running, "busy")
            assert not wait([waiting], timeout=0.2).done  # it has not given up
            for _ in range(2):
                board.accept()[0].close()
            assert waiting.result()


def test_a_board_whose_socket_was_removed_can_be_removed(bench: Bench) -> None:
    client.ensure("lost", {"chip": "esp32"})
    paths.socket_path(paths.home(), "lost").unlink()
    with pytest.raises(SimulatorError, match="'lost' is running but cannot be reached") as caught:
        client.ensure("lost", {})
    assert "`provision sim rm lost`" in str(caught.value.hint)
    bench.provision("sim", "rm", "lost")
    assert not (bench.home / "lost").exists()
    assert client.ensure("lost", {"chip": "esp8266"})["chip"] == "esp8266"
