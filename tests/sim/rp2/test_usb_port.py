"""The port of a virtual Pico is its program's own: it comes and goes, has no rate and no reset
lines, and holds back instead of dropping."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import serial

from provision.sim import client
from provision.sim.process.flash_faults import MAIN_PY
from tests.bench_of_boards import Bench, bench
from tests.sim.rp2.pico import PATIENCE, Pico
from tests.virtual_ports import virtual_ports

__all__ = ["bench", "virtual_ports"]

PROMPT = b">>> "
DEAF = "import micropython, time\nmicropython.kbd_intr(-1)\nprint('deaf')\ntime.sleep(60)\n"


def with_main(pico: Pico, source: str) -> None:
    pico.run(f"f = open('main.py', 'w'); f.write({source!r}); f.close()")
    client.request(pico.name, "press", buttons=["reset"])
    pico.until_running()


def test_a_restart_takes_the_port_away_and_brings_it_back(bench: Bench) -> None:
    pico = Pico(bench, firmware="1.24.1")
    with pico.open() as port:
        port.write(b"\x03import machine; machine.reset()\r")
        with pytest.raises(serial.SerialException, match="returned no data"):
            while True:
                port.read(100)
    pico.until(lambda status: status["boots"] == 2 and status["present"])
    assert pico.run("print(7)") == "7"


def test_a_soft_reset_leaves_it_alone(bench: Bench) -> None:
    pico = Pico(bench, firmware="1.24.1")
    with pico.open() as port:
        port.write(b"\x03\x04")
        assert b"soft reboot" in port.read_until(b"soft reboot\r\n")
        port.write(b"print(6*7)\r")
        assert port.read_until(b"\r\n42\r\n").endswith(b"\r\n42\r\n")


def test_lines_and_rate_are_nothing_to_it(bench: Bench) -> None:
    pico = Pico(bench, firmware="1.24.1")
    with pico.open(baudrate=57600) as port:
        for dtr, rts in ((False, True), (True, False), (True, True)):
            port.dtr, port.rts = dtr, rts
        port.baudrate = 1_000_000
        port.write(b"\x03print(6*7)\r")
        assert port.read_until(b"\r\n42\r\n").endswith(b"\r\n42\r\n")
    assert pico.status["boots"] == 1


def test_what_was_printed_before_is_kept_as_far_as_there_is_room(bench: Bench) -> None:
    pico = Pico(bench, firmware="1.24.1")
    pico.run("pass")
    with pico.open() as port:
        port.write(b"import time; time.sleep(1); print('x' * 1000); print('last')\r")
        port.read_until(b"\r\n")
    pico.until(lambda status: status["wire"]["to_host"] > 1000)
    with pico.open() as port:
        heard = port.read_until(b"last\r\n>>> ")
        assert heard.endswith(b"last\r\n>>> ")
        assert heard.count(b"x") < 320


@pytest.mark.parametrize("carrier", ["sim", "pty"])
def test_a_writer_is_held_back_by_a_program_that_does_not_read(bench: Bench, carrier: str) -> None:
    pico = Pico(bench, firmware="1.24.1")
    with_main(pico, DEAF)
    url = "sim://pico" if carrier == "sim" else str(client.request("pico", "pty")["pty"])
    with serial.serial_for_url(url, timeout=PATIENCE, write_timeout=0.5) as port:
        with pytest.raises(serial.SerialTimeoutException):
            for _ in range(200):
                port.write(bytes(1024))
        assert pico.status["present"]
    assert pico.status["overruns"] == 0


def test_nothing_is_lost_of_what_waits_for_the_program(bench: Bench) -> None:
    pico = Pico(bench, firmware="1.24.1")
    every = bytes(range(256)) * 40
    with pico.open() as port:
        port.write(b"\x03\x01")
        port.read_until(b"\r\n>")
        port.write(
            b"import sys, micropython, time, hashlib\nmicropython.kbd_intr(-1)\nprint('go')\n"
            b"h = hashlib.sha256()\n"
            b"for _ in range(40):\n time.sleep_ms(5)\n h.update(sys.stdin.buffer.read(256))\n"
            b"print(h.digest() == hashlib.sha256(bytes(range(256)) * 40).digest())\x04"
        )
        port.read_until(b"go\r\n")
        port.write(every)
        assert port.read_until(b"\x04>").startswith(b"True")


def test_a_program_waits_for_a_host_that_does_not_read_and_then_goes_on(bench: Bench) -> None:
    pico = Pico(bench, firmware="1.24.1", scale="10")  # it waits for a twentieth of a second
    with pico.open() as port:
        port.write(b"\x03\x01")
        port.read_until(b"\r\n>")
        port.write(
            b"import time\nt = time.ticks_ms()\nfor _ in range(20):\n print('y' * 1000)\n"
            b"f = open('done', 'w'); f.write(str(time.ticks_diff(time.ticks_ms(), t))); f.close()\n"
            b"\x04"
        )
        pico.until(lambda status: b"done" in pico.flash[0xA0000:])
        heard = port.read_until(b"\x04>")
    assert heard.count(b"y") < 20_000, "some was dropped, and it did not wait for ever"


def test_the_terminal_goes_and_comes_back_by_its_name(bench: Bench) -> None:
    pico = Pico(bench, firmware="1.24.1")
    link = Path(client.request("pico", "pty")["pty"])
    first = link.readlink()
    client.request("pico", "press", buttons=["boot", "reset"])
    assert not link.is_symlink(), "no port in BOOTSEL"
    with pytest.raises(serial.SerialException):
        serial.Serial(str(link))
    client.request("pico", "press", buttons=["reset"])
    pico.until_running()
    assert link.is_symlink()
    with serial.Serial(str(link), timeout=PATIENCE) as port:
        port.write(b"\x03print(6*7)\r")
        assert port.read_until(b"\r\n42\r\n").endswith(b"\r\n42\r\n")
    assert os.path.lexists(first) or link.readlink() != first


def test_a_boot_py_that_hangs_leaves_no_port_at_all(bench: Bench) -> None:
    pico = Pico(bench, firmware="1.24.1")
    hangs = "f = open('it-hangs', 'w')\nf.close()\nwhile True: pass\n"
    pico.run(f"f = open('boot.py', 'w'); f.write({hangs!r}); f.close()")
    client.request("pico", "press", buttons=["reset"])
    pico.until(lambda _: pico.flash.count(b"it-hangs") > 1)  # in boot.py, and as a file's name
    with pytest.raises(serial.SerialException, match="hangs") as refused:
        pico.open()
    assert refused.value.errno == 2
    client.request("pico", "press", buttons=["boot", "reset"])
    assert pico.status["volume"]


def test_a_main_that_hogs_the_chip_is_interrupted(bench: Bench) -> None:
    pico = Pico(bench, firmware="1.24.1")
    with_main(pico, MAIN_PY["hog"])
    assert pico.run("print(1)") == "1"


def test_unplugged_and_plugged_in_again(bench: Bench) -> None:
    pico = Pico(bench, firmware="1.24.1")
    with pico.open() as port:
        client.request("pico", "unplug")
        with pytest.raises(serial.SerialException):
            while True:
                port.read(100)
    client.request("pico", "replug", name="again")
    pico.name = "again"
    pico.until_running()
    assert pico.run("print(1)") == "1"
    client.stop("again")
