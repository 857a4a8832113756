"""The same board behind a pseudo-terminal and behind RFC 2217, driven by unmodified tools.

These carriers need nothing of this package in the tool's process: the tools run as they are.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from provision.core.chips.esp.chips import ESP32, ESP32C3, ESP8266
from provision.model.chip import Chip
from provision.sim import client
from provision.sim.esp.firmware import build
from tests.bench_of_boards import Bench, bench

__all__ = ["bench"]

PATIENCE = 20.0


def run(bench: Bench, tool: str, *words: str) -> subprocess.CompletedProcess[str]:
    """A tool by itself: no handler, no help."""
    return subprocess.run(
        [sys.executable, "-m", tool, *words],
        cwd=bench.work,
        env=bench.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=170,
    )


def checked(bench: Bench, tool: str, *words: str) -> str:
    done = run(bench, tool, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def tty(bench: Bench) -> str:
    """The terminal of a board that runs MicroPython; its buttons are for fingers."""
    image = bench.work / "firmware.bin"
    image.write_bytes(build(ESP32, "1.24.1"))
    client.ensure("a", {"chip": "esp32", "firmware": str(image)})
    return str(client.request("a", "pty", link=str(bench.work / "tty"))["pty"])


@pytest.fixture
def url(bench: Bench) -> str:
    image = bench.work / "firmware.bin"
    image.write_bytes(build(ESP32, "1.24.1"))
    client.ensure("a", {"chip": "esp32", "firmware": str(image)})
    return str(client.request("a", "rfc2217")["rfc2217"])


@pytest.fixture
def console(tty: str) -> Iterator[serial.Serial]:
    with serial.Serial(tty, 115200, timeout=PATIENCE, exclusive=True) as opened:
        yield opened


# Pseudo-terminals


def test_a_terminal_has_no_reset_lines(console: serial.Serial) -> None:
    with pytest.raises(OSError, match="Inappropriate ioctl"):
        console.rts = True


def test_a_terminal_carries_the_console(console: serial.Serial) -> None:
    client.request("a", "press", buttons=["reset"])
    assert console.read_until(b">>> ").endswith(b">>> ")
    console.write(b"6*7\r")
    assert console.read_until(b">>> ") == b"6*7\r\n42\r\n>>> "


def test_what_was_said_while_nobody_listened_is_lost(bench: Bench, tty: str) -> None:
    with serial.Serial(tty, 115200, timeout=PATIENCE) as opened:
        client.request("a", "press", buttons=["reset"])
        opened.read_until(b">>> ")
        opened.write(b"import time\r")
        opened.read_until(b">>> ")
        opened.write(b"time.sleep_ms(200); print('un'+'heard')\r")
        opened.read_until(b"\r\n")
    client.request("a", "press", buttons=["reset"])
    with serial.Serial(tty, 115200, timeout=PATIENCE) as opened:
        opened.write(b"\x03")
        opened.read_until(b">>> ")
        opened.write(b"'he'+'re'\r")
        assert b"unheard" not in opened.read_until(b"'here'\r\n")


def test_a_terminal_knows_the_rate_its_user_set(console: serial.Serial) -> None:
    console.timeout = 0.5
    while b"'here'" not in console.read_until(b"'here'\r\n"):  # its first boot is over, and heard
        console.write(b"'he'+'re'\r")
    console.baudrate = 57600
    client.request("a", "press", buttons=["reset"])
    heard = console.read(2000)
    assert heard
    assert b"MicroPython" not in heard


def test_the_name_stays_and_the_terminal_goes_with_the_cable(bench: Bench, tty: str) -> None:
    first = Path(tty).readlink()
    with serial.Serial(tty, 115200, timeout=PATIENCE) as opened:
        client.request("a", "unplug")
        with pytest.raises((serial.SerialException, termios.error, OSError)):
            while True:
                opened.read(1)
                opened.write(b"x")
    assert not os.path.lexists(tty)
    client.request("a", "replug")
    assert Path(tty).is_symlink()
    with serial.Serial(tty, 115200, timeout=PATIENCE) as opened:
        client.request("a", "press", buttons=["reset"])
        assert b"MicroPython" in opened.read_until(b">>> ")
    assert first.name.isdigit()


def test_esptool_on_a_terminal_needs_fingers(bench: Bench, tty: str) -> None:
    data = random.Random(2).randbytes(20_000)
    (bench.work / "image").write_bytes(data)
    once = ("--port", tty, "--before", "no-reset", "--after", "no-reset-stub")
    refused = run(bench, "esptool", *once, "--connect-attempts", "1", "chip-id")
    assert refused.returncode
    client.request("a", "press", buttons=["boot", "reset"])
    said = checked(bench, "esptool", *once, "-b", "921600", "write-flash", "0x100000", "image")
    assert "Hash of data verified." in said
    assert bench.flash("a")[0x100000:][: len(data)] == data


def test_esptool_warns_that_it_cannot_reset(bench: Bench, tty: str) -> None:
    client.request("a", "press", buttons=["boot", "reset"])
    done = run(bench, "esptool", "--port", tty, "chip-id")
    assert done.returncode == 0
    assert "Chip was NOT reset" in done.stderr
    assert client.request("a", "status")["mode"] == "download", "its hard reset did not arrive"


def test_mpremote_on_a_terminal(bench: Bench, tty: str) -> None:
    assert checked(bench, "mpremote", "connect", tty, "eval", "6*7").strip() == "42"


# RFC 2217. pyserial's client renegotiates at every change of a timeout, at 50 ms and more each:
# one flash-id takes it 20 s.


def test_rfc2217_carries_the_console_and_the_reset_lines(url: str) -> None:
    with serial.serial_for_url(url, 115200, timeout=PATIENCE) as opened:
        opened.dtr = False
        opened.rts = True
        opened.rts = False
        assert b"MicroPython" in opened.read_until(b">>> ")
        opened.write(b"bytes(range(250, 256))\r")
        assert b"\\xfa\\xfb" in opened.read_until(b">>> ")
        opened.write(b"import sys; sys.stdout.buffer.write(bytes(range(240, 256)))\r")
        assert bytes(range(240, 256)) in opened.read_until(b">>> ")


def test_rfc2217_takes_one_client(url: str) -> None:
    port = int(url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as first:
        assert first.recv(1) == b"\xff", "it negotiates"
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as second:
            assert second.recv(1) == b""
    with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as third:
        assert third.recv(1) == b"\xff"


def test_rfc2217_and_sim_share_one_port(
    url: str, monkeypatch: pytest.MonkeyPatch, bench: Bench
) -> None:
    monkeypatch.setattr(
        serial, "protocol_handler_packages", [*serial.protocol_handler_packages, "provision.sim"]
    )
    with (
        serial.serial_for_url(url, 115200, timeout=PATIENCE),
        pytest.raises(serial.SerialException, match="exclusively lock"),
    ):
        serial.serial_for_url("sim://a", 115200)


def test_esptool_over_rfc2217(bench: Bench, url: str) -> None:
    said = checked(bench, "esptool", "--port", url, "flash-id")
    assert "Detected flash size: 4MB" in said
    assert client.request("a", "status")["mode"] == "run"


@pytest.mark.slow
@pytest.mark.parametrize("chip", [ESP8266, ESP32C3])
def test_esptool_writes_over_rfc2217(bench: Bench, chip: Chip) -> None:
    client.ensure("b", {"chip": str(chip)})
    url = client.request("b", "rfc2217")["rfc2217"]
    data = random.Random(2).randbytes(40_000)
    (bench.work / "image").write_bytes(data)
    said = checked(bench, "esptool", "--port", url, "-b", "460800", "write-flash", "0", "image")
    assert "Hash of data verified." in said
    assert bench.flash("b")[: len(data)] == data
