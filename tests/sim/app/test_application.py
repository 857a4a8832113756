"""The application of a virtual board, from reset to raw REPL."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.core.chips.esp.chips import CHIPS, ESP32C3
from provision.model.chip import Chip
from provision.sim.setup import ResetCause, ResetKind, ResetRequest
from tests.sim.bench import PROMPT, RAW, Bench

ALL_CHIPS = pytest.mark.parametrize("chip", CHIPS)


@ALL_CHIPS
def test_first_boot_formats_and_says_what_was_flashed(tmp_path: Path, chip: Chip) -> None:
    with Bench(tmp_path, chip, "1.24.1") as bench:
        text = bench.boot()
        assert b"Performing initial setup\r\n" in text
        machine = {"esp8266": "ESP module with ESP8266", "esp32": "Generic ESP32 module with ESP32"}
        expected = machine.get(str(chip), "")
        banner = f"MicroPython v1.24.1 on 2024-11-29; {expected}".encode()
        assert banner in text
        assert text.endswith(b'\r\nType "help()" for more information.\r\n>>> ')
        again = bench.boot(ResetCause.EXTERNAL)
        assert b"Performing initial setup" not in again


def test_raw_repl_byte_for_byte(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.boot()
        assert bench.type(b"\x01", b"\n>") == b"\r\nraw REPL; CTRL-B to exit\r\n>"
        assert bench.type(b"print(1)\x04", b"\x04>") == b"OK1\r\n\x04\x04>"
        assert bench.type(b"\x05A\x01", b"\x00\x01") == b"R\x01\x80\x00\x01"
        assert bench.type(b"print(2)\x04", b"\x04>") == b"\x042\r\n\x04\x04>"
        assert bench.type(b"\x04", RAW) == (
            b"OK\r\nMPY: soft reboot\r\nraw REPL; CTRL-B to exit\r\n>"
        )
        failed = bench.type(b"1/0\x04", b"\x04>")
        assert failed == (
            b"OK\x04Traceback (most recent call last):\r\n"
            b'  File "<stdin>", line 1, in <module>\r\n'
            b"ZeroDivisionError: divide by zero\r\n\x04>"
        )
        assert bench.type(b"\x02", PROMPT) == (
            b"\r\nMicroPython v1.24.1 on 2024-11-29; Generic ESP32 module with ESP32\r\n"
            b'Type "help()" for more information.\r\n>>> '
        )


def test_all_256_bytes_pass_both_ways(tmp_path: Path) -> None:
    every = bytes(range(256))
    with Bench(tmp_path) as bench:
        bench.boot()
        bench.raw()
        out = bench.type(
            b"import sys\nsys.stdout.buffer.write(bytes(range(256)))\x04", b"\x04\x04>"
        )
        assert out == b"OK" + every + b"\x04\x04>"
        reader = (
            b"import sys, micropython\nmicropython.kbd_intr(-1)\nsys.stdout.write('?')\n"
            b"d = sys.stdin.buffer.read(256)\nprint(d == bytes(range(256)))\x04"
        )
        assert bench.type(reader, b"?") == b"OK?"
        assert bench.type(every, b"\x04>") == b"True\r\n\x04\x04>"


def test_ctrl_c_interrupts_while_it_is_the_interrupt_character(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.boot()
        bench.raw()
        bench.type(b"print('on')\nwhile True: pass\x04", b"on\r\n")
        interrupted = bench.type(b"\x03", b"\x04>")
        assert b"KeyboardInterrupt: \r\n" in interrupted
        # At the prompt it is a character like others: it clears the line.
        assert bench.type(b"nonsense\x03print(5)\x04", b"\x04>") == b"OK5\r\n\x04\x04>"


def test_machine_reset_leaves_for_a_software_reset(tmp_path: Path) -> None:
    with Bench(tmp_path, ESP32C3) as bench:
        bench.boot()
        bench.type(b"import machine; machine.reset()\r", b"reset()\r\n")
        assert bench.until_reset_request() == ResetRequest(kind=ResetKind.RESET)
        assert b"rst:0xc (RTC_SW_CPU_RST)" in bench.boot(ResetCause.SOFTWARE)
        bench.type(b"import machine; machine.bootloader()\r", b"\r\n")
        assert bench.until_reset_request() == ResetRequest(kind=ResetKind.BOOTLOADER)


def test_a_chip_that_was_reset_is_deaf_until_micropython_is_up(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.boot()
        bench.application.boot(ResetCause.EXTERNAL)
        bench.application.receive(b"print('too early')\r")
        bench.until(PROMPT)
        assert bench.settle(0.05) == b""
        # Started because its port was opened, it is taken to have been up all along.
        bench.application.boot(ResetCause.POWER_ON)
        bench.application.receive(b"print('in time')\r")
        assert b"in time\r\n" in bench.until(PROMPT, count=2)


def test_loading_takes_a_real_chips_time_when_asked(tmp_path: Path) -> None:
    with Bench(tmp_path, timing="on") as bench:
        start = bench.loop.now()
        bench.boot(until=b"entry")
        bench.until(PROMPT)
        assert bench.loop.now() - start >= 0.3
