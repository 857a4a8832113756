"""Bytes that MicroPython does not read in time are lost, and only those."""

from __future__ import annotations

import os
import signal
from hashlib import sha256
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32, ESP32C3, ESP8266
from provision.model.board import ResetWiring
from provision.model.chip import Chip
from provision.sim.line.wire import Wire
from provision.sim.setup import ResetCause
from tests.sim.bench import Bench

RINGS = pytest.mark.parametrize(("chip", "ring"), [(ESP8266, 255), (ESP32, 259)])

SLEEPER = (
    b"import sys, time, select, micropython\nmicropython.kbd_intr(-1)\n"
    b"print('ready')\ntime.sleep_ms(400)\n"
    b"p = select.poll(); p.register(sys.stdin, select.POLLIN)\nn = 0; ok = True\n"
    b"while p.poll(100):\n"
    b"  ok = ok and sys.stdin.buffer.read(1)[0] == 4 + n % 251; n += 1\n"
    b"print(n, ok)\x04"
)


class OnTheLine:
    """A bench whose bytes travel over a wire of 115200 baud."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self.wire = Wire(
            model=bench.setup.wire,
            loop=bench.loop,
            to_chip=bench.application.receive,
            to_host=lambda data: None,
            scale=bench.setup.scale,
        )

    def send(self, data: bytes) -> None:
        self.wire.from_host(data, 115200, 115200)


def pattern(size: int) -> bytes:
    """Bytes from 4 on: none that interrupts."""
    return bytes(4 + index % 251 for index in range(size))


@RINGS
def test_what_nobody_reads_is_dropped(tmp_path: Path, chip: Chip, ring: int) -> None:
    with Bench(tmp_path, chip, wire="on") as bench:
        bench.boot()
        bench.raw()
        bench.type(SLEEPER, b"ready\r\n")
        OnTheLine(bench).send(pattern(1000))
        count, good = bench.until(b"\x04>").split(b"\r\n")[0].split()
        assert good == b"True"  # the first bytes are all there, the rest is gone
        # A little more than the ring: bytes that come while this simulator makes sure.
        assert ring <= int(count) <= ring + 128
        assert bench.application.overruns == 1000 - int(count)


def test_without_a_model_nothing_is_dropped(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.boot()
        bench.raw()
        bench.type(SLEEPER, b"ready\r\n")
        bench.application.receive(pattern(1000))
        assert bench.until(b"\x04>").startswith(b"1000 True\r\n")
        assert bench.application.overruns == 0


def test_usb_holds_the_host_back_instead(tmp_path: Path) -> None:
    wiring = ResetWiring.USB_JTAG.value
    with Bench(tmp_path, ESP32C3, wire="on", wiring=wiring) as bench:
        bench.boot()
        bench.raw()
        bench.type(SLEEPER, b"ready\r\n")
        bench.application.receive(pattern(1000))
        assert bench.until(b"\x04>").startswith(b"1000 True\r\n")


def test_a_busy_program_that_does_not_read_loses_bytes_too(tmp_path: Path) -> None:
    with Bench(tmp_path, wire="on") as bench:
        bench.boot()
        bench.raw()
        bench.type(b"print('on')\nwhile True: pass\x04", b"on\r\n")
        OnTheLine(bench).send(pattern(1000))
        bench.wait(lambda: bench.application.overruns > 500, "an overrun")
        assert b"KeyboardInterrupt" in bench.type(b"\x03", b"\x04>")


def test_a_reader_that_keeps_up_loses_nothing(tmp_path: Path) -> None:
    size = 12_000
    with Bench(tmp_path, wire="on", scale="2") as bench:
        bench.boot()
        bench.raw()
        code = (
            "import sys, micropython, hashlib\nmicropython.kbd_intr(-1)\n"
            f"h = hashlib.sha256(); left = {size}; b = memoryview(bytearray(100))\nprint('ready')\n"
            "while left:\n"
            "  n = min(left, 100); sys.stdin.buffer.readinto(b[:n]); h.update(b[:n]); left -= n\n"
            "print(h.digest()[:6])"
        )
        bench.type(code.encode() + b"\x04", b"ready\r\n")
        data = pattern(size)
        OnTheLine(bench).send(data)
        assert bench.until(b"\x04>").startswith(repr(sha256(data).digest()[:6]).encode())
        assert bench.application.overruns == 0


def test_a_computer_that_starves_the_child_loses_nothing(tmp_path: Path) -> None:
    """The child is stopped as if it had no processor; it cannot be blamed for not reading."""
    with Bench(tmp_path, wire="on") as bench:
        bench.boot()
        bench.raw()
        code = (
            b"import sys, micropython\nmicropython.kbd_intr(-1)\nprint('ready')\n"
            b"d = sys.stdin.buffer.read(1000)\nprint(len(d), sum(d))\x04"
        )
        bench.type(code, b"ready\r\n")
        interpreter = bench.application._interpreter
        assert interpreter is not None
        os.kill(interpreter.pid, signal.SIGSTOP)
        OnTheLine(bench).send(pattern(1000))
        bench.settle(0.2)  # more than the line takes
        os.kill(interpreter.pid, signal.SIGCONT)
        assert bench.until(b"\x04>").startswith(f"1000 {sum(pattern(1000))}\r\n".encode())
        assert bench.application.overruns == 0


def test_ctrl_c_needs_no_room_in_the_ring(tmp_path: Path) -> None:
    with Bench(tmp_path, wire="on") as bench:
        bench.boot()
        bench.type(b"import time; time.sleep(1000)\r", b"1000)\r\n")
        bench.application.receive(b"x" * 600)
        bench.wait(lambda: bench.application.overruns > 0, "an overrun")
        assert b"KeyboardInterrupt" in bench.type(b"\x03", b"KeyboardInterrupt: \r\n")


def test_raw_paste_keeps_within_its_window(tmp_path: Path) -> None:
    """mpremote's flow control, over a line that drops: 128 bytes and no more without a go-ahead."""
    code = b"x = 0\n" + b"x += 1\n" * 800 + b"print(x)\n"
    with Bench(tmp_path, ESP8266, wire="on", scale="4") as bench:
        bench.boot()
        bench.raw()
        line = OnTheLine(bench)
        line.send(b"\x05A\x01")
        bench.until(b"R\x01\x80\x00\x01")
        credit = 256
        while code:
            line.send(code[:credit])
            sent, code, credit = len(code[:credit]), code[credit:], 0
            assert sent
            if code:
                bench.until(b"\x01")
                credit += 128
        line.send(b"\x04")
        assert bench.until(b"\x04>").endswith(b"\x04800\r\n\x04\x04>")
        assert bench.application.overruns == 0


def test_a_program_that_prints_waits_for_the_line(tmp_path: Path) -> None:
    with Bench(tmp_path, wire="on") as bench:
        bench.boot()
        bench.raw()
        start = bench.loop.now()
        bench.run("for i in range(300): print('-' * 78)")
        # 24 kB at 11.5 kB/s, but for what pipe and buffer hold.
        assert bench.loop.now() - start > 24_000 * 10 / 115200 / 2


@pytest.mark.parametrize("cause", [ResetCause.EXTERNAL, ResetCause.SOFTWARE])
def test_a_reset_empties_the_ring(tmp_path: Path, cause: ResetCause) -> None:
    with Bench(tmp_path, wire="on") as bench:
        bench.boot()
        bench.type(b"import time; time.sleep(1000)\r", b"1000)\r\n")
        bench.application.receive(b"print('lost')\r")
        bench.application.halt()
        bench.output.clear()
        bench.boot(cause)
        assert b"lost" not in bench.settle(0.1)
