"""A `sim://` port behaves as the device file of a USB bridge does, in good days and bad."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from provision.core.chips.esp.chips import ESP32
from provision.sim import client
from provision.sim.esp.firmware import build
from tests.bench_of_boards import Bench, bench
from tests.virtual_ports import virtual_ports

__all__ = ["bench", "virtual_ports"]

PATIENCE = 20.0


@contextlib.contextmanager
def port(url: str = "sim://a?chip=esp32", **settings: object) -> Iterator[serial.Serial]:
    opened = serial.serial_for_url(url, **{"baudrate": 115200, "timeout": PATIENCE, **settings})
    try:
        yield opened
    finally:
        opened.close()


def micropython(bench: Bench) -> str:
    """The address of a board that runs MicroPython."""
    image = bench.work / "firmware.bin"
    image.write_bytes(build(ESP32, "1.24.1"))
    return f"sim://a?chip=esp32&firmware={image}"


def reset(opened: serial.Serial) -> None:
    opened.dtr = False
    opened.rts = True
    opened.reset_input_buffer()
    opened.rts = False


def until(opened: serial.Serial, pattern: bytes) -> bytes:
    got = opened.read_until(pattern)
    assert got.endswith(pattern), got
    return got


def test_bytes_go_both_ways(bench: Bench) -> None:
    with port(micropython(bench)) as opened:
        reset(opened)
        until(opened, b">>> ")
        opened.write(b"print(6*7)\r")
        assert until(opened, b">>> ") == b"print(6*7)\r\n42\r\n>>> "


def test_the_app_goes_on_between_two_openings_and_after_the_tool(bench: Bench) -> None:
    url = micropython(bench)
    with port(url) as opened:
        reset(opened)
        until(opened, b">>> ")
        opened.write(b"x = 17\r")
        until(opened, b">>> ")
    with port("sim://a") as opened:
        opened.write(b"x + 1\r")
        assert b"18" in until(opened, b"18\r\n>>> ")


def test_select_waits_for_it(bench: Bench) -> None:
    with port() as opened:
        opened.reset_input_buffer()
        reset(opened)
        assert select.select([opened], [], [], PATIENCE)[0]
        assert opened.in_waiting > 0
        count = opened.in_waiting
        assert len(opened.read(count)) == count


def test_a_read_that_gets_nothing_ends_after_its_timeout(bench: Bench) -> None:
    with port(timeout=0.05) as opened:
        opened.rts = True
        opened.dtr = False
        opened.reset_input_buffer()
        assert opened.read(10) == b""
        opened.timeout = 0
        assert opened.read(10) == b""
        assert opened.in_waiting == 0


def test_a_read_can_be_called_off(bench: Bench) -> None:
    with port(timeout=None) as opened:
        opened.dtr = False
        opened.rts = True
        opened.reset_input_buffer()
        waiting = threading.Thread(target=lambda: got.append(opened.read(1)))
        got: list[bytes] = []
        waiting.start()
        while waiting.is_alive():
            opened.cancel_read()
            waiting.join(0.01)
        assert got == [b""]


@pytest.mark.parametrize("written", [1, 20_000])
def test_who_is_gone_holds_the_port_no_longer_whatever_they_wrote(
    bench: Bench, written: int
) -> None:
    address = "sim://a?chip=esp32&wire=on"
    for _ in range(2):
        with port(address) as mine:
            mine.write(b"\x00" * written)
        with port(address):
            pass


def test_a_second_opener_is_told_that_the_port_is_taken(bench: Bench) -> None:
    with (
        port(exclusive=True),
        pytest.raises(serial.SerialException) as refused,
        port("sim://a", exclusive=True),
    ):
        pass
    assert refused.value.errno == errno.EAGAIN
    assert "exclusively lock" in str(refused.value)
    with port("sim://a"):
        pass


def test_a_port_can_be_opened_again_at_once(bench: Bench) -> None:
    for _ in range(20):
        with port():
            pass


def test_another_board_under_the_same_name_is_an_error(bench: Bench) -> None:
    with port():
        pass
    for running in (True, False):
        if not running:
            client.stop("a")
        with (
            pytest.raises(serial.SerialException, match="chip is esp32, not esp8266"),
            port("sim://a?chip=esp8266"),
        ):
            pass


def test_a_name_that_nobody_has(bench: Bench) -> None:
    with pytest.raises(serial.SerialException) as refused, port("sim://nobody"):
        pass
    assert refused.value.errno == errno.ENOENT
    assert "chip=" in str(refused.value)
    assert not (bench.home / "nobody").exists()


def test_a_nonsense_address(bench: Bench) -> None:
    with pytest.raises(serial.SerialException, match="colour"), port("sim://a?chip=esp32&colour=1"):
        pass


def test_a_pulled_cable(bench: Bench) -> None:
    with port(timeout=None) as opened:
        client.request("a", "unplug")
        with pytest.raises(serial.SerialException, match="returned no data"):
            while True:
                opened.read(1)
        with pytest.raises(serial.SerialException):
            while True:
                opened.write(b"x")
    with pytest.raises(serial.SerialException) as refused, port("sim://a"):
        pass
    assert refused.value.errno == errno.ENOENT
    client.request("a", "replug")
    with port("sim://a"):
        assert client.request("a", "status")["mode"] == "run"


def test_a_cable_that_comes_loose_after_so_many_bytes(bench: Bench) -> None:
    with port() as opened:
        opened.dtr = False
        opened.rts = True
        opened.reset_input_buffer()
        client.request("a", "fault", fault="unplug", arguments={"bytes": "20"})
        opened.rts = False
        got = b""
        with pytest.raises(serial.SerialException):
            while True:
                got += opened.read(1)
        assert len(got) == 20


def test_plugged_in_again_under_another_name(bench: Bench) -> None:
    with port():
        client.request("a", "unplug")
    mac = client.request("a", "replug", name="b")
    assert mac == {"name": "b"}
    with pytest.raises(serial.SerialException, match="plugged in as 'b'") as gone, port("sim://a"):
        pass
    assert gone.value.errno == errno.ENOENT
    with port("sim://b"):
        assert client.request("b", "status")["chip"] == "esp32"
    client.stop("b")
    with port("sim://b"):
        assert client.request("b", "status")["directory"] == str(bench.home / "a")
    client.stop("b")


def test_wrong_baud_is_garbage_both_ways(bench: Bench) -> None:
    with port(micropython(bench)) as opened:
        reset(opened)
        until(opened, b">>> ")
        opened.baudrate = 57600
        opened.write(b"x\r")
        opened.timeout = 0.3
        assert b"x\r\n" not in opened.read(100)
        opened.timeout = PATIENCE
        opened.baudrate = 115200
        opened.write(b"\x03")
        until(opened, b">>> ")


def test_lost_and_flipped_bytes(bench: Bench) -> None:
    with port(micropython(bench)) as opened:
        reset(opened)
        until(opened, b">>> ")
        client.request("a", "fault", fault="noise", arguments={"flip": "0.2", "seed": "3"})
        opened.write(b"0123456789" * 20 + b"\r")
        opened.timeout = 0.5
        assert b"0123456789" * 20 not in opened.read(1000)


def test_a_killed_board_starts_again_with_its_flash(bench: Bench) -> None:
    with port(micropython(bench)) as opened:
        reset(opened)
        until(opened, b">>> ")
        opened.write(b"f=open('kept','w');f.write('yes');f.close()\r")
        until(opened, b">>> ")
    os.kill(client.request("a", "status")["pid"], signal.SIGKILL)
    deadline = time.monotonic() + PATIENCE
    while client.running("a"):
        assert time.monotonic() < deadline
    with port("sim://a") as opened:
        reset(opened)
        until(opened, b">>> ")
        opened.write(b"print(open('kept').read())\r")
        assert b"yes" in until(opened, b"yes\r\n>>> ")


def test_two_that_start_one_board_at_the_same_time_get_one(bench: Bench) -> None:
    pids = set()
    threads = [
        threading.Thread(
            target=lambda: pids.add(client.ensure("a", {"chip": "esp32", "flash": "1MB"})["pid"])
        )
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(pids) == 1


def test_sockets_are_private(bench: Bench) -> None:
    with port():
        status = client.request("a", "status")
    from provision.sim import paths

    socket = paths.socket_path(bench.home, "a")
    assert status["name"] == "a"
    assert len(str(socket)) <= 100
    assert Path(socket).parent.stat().st_mode & 0o077 == 0
