"""Faults of a virtual Pico: what can go wrong with any board, and what cannot with this one."""

from __future__ import annotations

import pytest

from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.errors import SimulatorError
from provision.model.chip import Chip
from provision.sim import client
from tests.bench_of_boards import Bench, bench
from tests.sim.rp2.pico import Pico
from tests.virtual_ports import virtual_ports

__all__ = ["bench", "virtual_ports"]

BOTH = pytest.mark.parametrize("chip", [RP2040, RP2350])


@BOTH
def test_a_broken_program_hangs_and_only_the_button_helps(bench: Bench, chip: Chip) -> None:
    pico = Pico(bench, chip, "1.24.1")
    pico.fault("broken-firmware")
    status = pico.status
    assert (status["mode"], status["present"], status["volume"]) == ("run", False, None)
    client.request("pico", "press", buttons=["boot", "reset"])
    assert pico.status["volume"]


def test_a_foreign_program_has_a_port_and_no_prompt(bench: Bench) -> None:
    pico = Pico(bench, firmware="1.24.1")
    pico.fault("foreign-firmware")
    with pico.open() as port:
        assert port.read_until(b"ready\r\n").endswith(b"ready\r\n")
        port.write(b"\x03print(1)\r")
        port.timeout = 0.1
        assert port.read(10) == b""


def test_a_full_filesystem_and_one_that_is_damaged(bench: Bench) -> None:
    pico = Pico(bench, firmware="1.24.1")
    pico.fault("full-filesystem")
    pico.until_running()
    assert int(pico.run("import os; print(os.statvfs('/')[3])")) < 4
    pico.fault("corrupt-filesystem")
    pico.until_running()
    assert pico.run("import os; print(os.listdir('/'))") == "[]", "made anew, without a word"


def test_an_app_that_sleeps_takes_its_port_along(bench: Bench) -> None:
    pico = Pico(bench, firmware="1.24.1")
    pico.fault("main-deepsleep")
    pico.until(lambda status: status["mode"] == "sleep")
    assert not pico.status["present"]
    client.request("pico", "press", buttons=["boot", "reset"])
    assert pico.status["volume"]


def test_an_app_that_restarts_the_chip_comes_and_goes(bench: Bench) -> None:
    pico = Pico(bench, firmware="1.24.1")
    boots = pico.status["boots"]
    pico.fault("main-reset-loop")
    pico.until(lambda status: status["boots"] > boots + 3)
    client.request("pico", "press", buttons=["boot"], hold=True)
    pico.until_bootsel()


def test_a_watchdog_that_is_not_fed_restarts_it(bench: Bench) -> None:
    pico = Pico(bench, firmware="1.24.1", scale="20")
    boots = pico.status["boots"]
    pico.fault("main-watchdog")
    pico.until(lambda status: status["boots"] > boots + 2)


def test_power_that_fails_while_files_are_written_leaves_what_was_there(bench: Bench) -> None:
    pico = Pico(bench, firmware="1.24.1")
    pico.run("f = open('kept', 'w'); f.write('yes'); f.close()")
    pico.fault("cut-write", after="2")
    with pico.open() as port:
        port.write(b"\x03f = open('new', 'w'); f.write('x' * 5000); f.close()\r")
        pico.until(lambda status: status["mode"] == "off")
    client.request("pico", "power", on=True)
    pico.until_running()
    assert pico.run("print(open('kept').read())") == "yes"


def test_another_board_with_the_same_flash_has_another_id(bench: Bench) -> None:
    pico = Pico(bench, firmware="1.24.1", serial="e661410300000001")
    pico.fault("exchange", serial="e661410300000002")
    pico.until_running()
    shown = pico.run("import machine, binascii; print(binascii.hexlify(machine.unique_id()))")
    assert shown == "b'e661410300000002'"


def test_what_cannot_happen_to_it_is_refused(bench: Bench) -> None:
    pico = Pico(bench)
    with pytest.raises(SimulatorError, match="no such eFuse"):
        pico.fault("secure-boot")
    with pytest.raises(SimulatorError, match="USB sends them again"):
        pico.fault("noise", drop="0.1")
