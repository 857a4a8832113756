"""The MicroPython of a virtual Pico is ports/rp2's, by its own words and by what it offers."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.model.chip import Chip
from provision.sim.process.flash_faults import FLASH_FAULTS, open_filesystem, put_file
from provision.sim.rp2.firmware import build
from provision.sim.setup import ResetCause, ResetKind, ResetRequest
from tests.sim.bench import PROMPT, Bench

RISCV = "Raspberry Pi Pico2 with RP2350-RISCV"


def at_raw(bench: Bench) -> Bench:
    bench.boot()
    bench.raw()
    return bench


@pytest.mark.parametrize(
    ("chip", "machine", "version", "expected"),
    [
        (
            RP2040,
            "Raspberry Pi Pico with RP2040",
            "1.26.1",
            "(name='micropython', version=(1, 26, 1, ''), "
            "_machine='Raspberry Pi Pico with RP2040', _mpy=4870, _build='RPI_PICO', "
            "_thread='unsafe')",
        ),
        (
            RP2350,
            RISCV,
            "1.25.0",
            "(name='micropython', version=(1, 25, 0, ''), "
            f"_machine='{RISCV}', _mpy=12038, _build='RPI_PICO2-RISCV')",
        ),
        (
            RP2350,
            "Raspberry Pi Pico2 with RP2350",
            "1.24.1",
            "(name='micropython', version=(1, 24, 1, ''), "
            "_machine='Raspberry Pi Pico2 with RP2350', _mpy=7942)",
        ),
    ],
)
def test_sys_implementation(
    tmp_path: Path, chip: Chip, machine: str, version: str, expected: str
) -> None:
    with Bench(tmp_path, chip, build(chip, version, machine=machine)) as bench:
        at_raw(bench)
        assert bench.run("import sys; print(sys.implementation)") == expected


def test_first_boot_makes_a_filesystem_of_pages_and_no_boot_py(tmp_path: Path) -> None:
    with Bench(tmp_path, RP2040) as bench:
        text = bench.boot()
        assert text == (
            b"MicroPython v1.24.1 on 2024-11-29; Raspberry Pi Pico with RP2040\r\n"
            b'Type "help()" for more information.\r\n>>> '
        )
        bench.raw()
        told = bench.run(
            "import os\nprint(os.listdir('/'), os.statvfs('/')[:4])\n"
            "print([n for n in dir() if n[0] != '_'])"
        )
        assert told == "[] (4096, 4096, 352, 350)\n['machine', 'rp2', 'os']"
        bench.run("f = open('a.txt', 'w'); f.write('hello'); f.close()")
        bench.application.halt()
        filesystem = open_filesystem(bench.setup, bench.flash)
        assert filesystem.cfg.prog_size == 256
        with filesystem.open("a.txt", "rb") as file:
            assert file.read() == b"hello"


def test_a_filesystem_that_cannot_be_mounted_is_made_anew_without_a_word(tmp_path: Path) -> None:
    with Bench(tmp_path, RP2040) as bench:
        put_file(bench.setup, bench.flash, "/main.py", b"print('main')\n")
        assert b"main\r\n" in bench.boot()
        bench.application.halt()
        FLASH_FAULTS["corrupt-filesystem"](bench.setup, bench.flash)
        at_raw(bench)
        assert bench.run("import os; print(os.listdir('/'))") == "[]"


def test_uname_platform_and_what_there_is_no_module_for(tmp_path: Path) -> None:
    with Bench(tmp_path, RP2040, "1.23.0") as bench:
        at_raw(bench)
        assert bench.run("import os, sys; print(os.uname(), sys.platform)") == (
            "(sysname='rp2', nodename='rp2', release='1.23.0', "
            "version='v1.23.0 on 2024-11-29', machine='Raspberry Pi Pico with RP2040') rp2"
        )
        for name in ("esp", "esp32", "network", "flashbdev"):
            missing = bench.run(f"try:\n import {name}\nexcept ImportError:\n print('none')")
            assert missing == "none", name
    radio = build(RP2040, "1.24.1", machine="Raspberry Pi Pico W with RP2040")
    with Bench(tmp_path, RP2040, radio) as bench:
        at_raw(bench)
        found = bench.run(
            "import network\nw = network.WLAN(network.STA_IF)\nw.active(True)\nw.connect('a')\n"
            "print(w.status() == network.STAT_GOT_IP == 3, network.hostname())"
        )
        assert found == "True PicoW"


def test_machine(tmp_path: Path) -> None:
    with Bench(tmp_path, RP2040, serial="e6614103e7452d2f") as bench:
        at_raw(bench)
        assert bench.run(
            "import machine, binascii\nprint(binascii.hexlify(machine.unique_id()), machine.freq())"
        ) == ("b'e6614103e7452d2f' 125000000")
        assert bench.run("print(machine.reset_cause() == machine.PWRON_RESET == 1)") == "True"
        assert bench.run("machine.Pin('LED', machine.Pin.OUT).on(); print(1)") == "1"
        refused = "try:\n {}\nexcept ValueError as e:\n print(e)"
        assert "exceeds 8388" in bench.run(refused.format("machine.WDT(timeout=9000)"))
        assert "change frequency" in bench.run(refused.format("machine.freq(1)"))
        assert bench.run("print(hasattr(machine, 'DEEPSLEEP_RESET'))") == "False"
        bench.application.receive(b"machine.reset()\x04")
        assert bench.until_reset_request() == ResetRequest(kind=ResetKind.RESET)
        bench.boot(ResetCause.SOFTWARE)
        bench.raw()
        assert bench.run("print(machine.reset_cause() == machine.WDT_RESET == 3)") == "True"
        bench.application.receive(b"machine.bootloader()\x04")
        assert bench.until_reset_request() == ResetRequest(kind=ResetKind.BOOTLOADER)


def test_deep_sleep_is_a_light_one_and_a_restart(tmp_path: Path) -> None:
    with Bench(tmp_path, RP2040) as bench:
        bench.boot()
        bench.application.receive(b"machine.deepsleep(1)\r")
        assert bench.until_reset_request() == ResetRequest(kind=ResetKind.RESET)
        bench.boot(ResetCause.SOFTWARE)
        bench.application.receive(b"machine.deepsleep()\r")
        assert bench.until_reset_request().kind is ResetKind.DEEPSLEEP


def test_the_clock_begins_in_2021_at_every_start_and_counts_from_1970(tmp_path: Path) -> None:
    with Bench(tmp_path, RP2350) as bench:
        at_raw(bench)
        now = ast.literal_eval(bench.run("import time; print((time.time(), time.gmtime()[:3]))"))
        assert 1609459200 <= now[0] < 1609459200 + 60
        assert now[1] == (2021, 1, 1)
        bench.run("machine.RTC().datetime((2026, 5, 4, 0, 12, 0, 0, 0))")
        assert bench.run("print(time.localtime()[:4])") == "(2026, 5, 4, 12)"
        assert bench.run("print(time.mktime((2026, 5, 4, 12, 0, 0, 0, 0)))") == "1777896000"


def test_the_flash_is_read_where_the_chip_has_it_in_its_memory(tmp_path: Path) -> None:
    with Bench(tmp_path, RP2040) as bench:
        at_raw(bench)
        bench.run("import uctypes, binascii, rp2")
        for read in ("bytes_at", "bytearray_at"):
            code = f"print(binascii.hexlify(uctypes.{read}(0x10000000, 256)).decode())"
            assert bench.run(code) == bench.flash.read(0, 256).hex()
        stack = int.from_bytes(bench.flash.read(256, 4), "little")
        assert bench.run("print(machine.mem32[0x10000100])") == str(stack)
        assert bench.run("print(machine.mem8[0x10000101])") == str(stack >> 8 & 255)
        last = "print(uctypes.bytes_at(0x10000000 + 2 * 1024 * 1024 - 4, 4))"
        assert bench.run(last) == str(bench.flash.read((2 << 20) - 4, 4))
        outside = "try:\n print({})\nexcept NotImplementedError:\n print('not here')"
        assert bench.run(outside.format("uctypes.bytes_at(0x10200000, 1)")) == "not here"
        assert bench.run(outside.format("machine.mem32[0x40000000]")) == "not here"
        assert bench.run("print(uctypes.UINT8 is not None)") == "True"


def test_rp2_flash_is_the_filesystems_part_alone(tmp_path: Path) -> None:
    with Bench(tmp_path, RP2040) as bench:
        at_raw(bench)
        bench.run("import rp2\nb = rp2.Flash(start=1404 * 1024, len=4096)\nd = bytearray(4096)")
        assert bench.run("print(b.ioctl(4, 0), b.ioctl(5, 0))") == "1 4096"
        bench.run("b.ioctl(6, 0)\nb.writeblocks(0, b'\\x12' * 256, 256)\nb.readblocks(0, d)")
        assert bench.flash.read((2 << 20) - 4096 + 256, 256) == b"\x12" * 256
        assert bench.run("print(d[255], d[256], d[512])") == "255 18 255"
        refused = "try:\n rp2.Flash(start={}, len={})\nexcept ValueError:\n print('no')"
        for start, length in ((1408 * 1024, 4096), (1, 4096), (0, 2 << 20)):
            assert bench.run(refused.format(start, length)) == "no"


@pytest.mark.parametrize(("version", "late"), [("1.22.0", False), ("1.24.1", True)])
def test_usb_comes_up_after_boot_py_since_1_23(tmp_path: Path, version: str, late: bool) -> None:
    with Bench(tmp_path, RP2040, version) as bench:
        put_file(bench.setup, bench.flash, "/boot.py", b"print('hangs')\nwhile True:\n    pass\n")
        bench.boot(until=b"hangs\r\n")
        assert (not bench.attached) is late
    with Bench(tmp_path, RP2040, version) as bench:
        put_file(bench.setup, bench.flash, "/boot.py", b"print('boot')\n")
        put_file(bench.setup, bench.flash, "/main.py", b"print('main')\nwhile True: pass\n")
        bench.boot(until=b"main\r\n")
        assert bench.attached
        bench.insist(b"\x03")


def test_ctrl_c_empties_what_was_not_read_yet(tmp_path: Path) -> None:
    with Bench(tmp_path, RP2040) as bench:
        at_raw(bench)
        bench.type(b"print('on')\nwhile True: pass\x04", b"on\r\n")
        bench.application.receive(b"typed ahead\x03")
        assert b"KeyboardInterrupt: \r\n" in bench.until(b"\x04>")
        assert bench.run("print(5)") == "5"


def test_a_boot_py_that_fails_keeps_main_py_away(tmp_path: Path) -> None:
    with Bench(tmp_path, RP2350) as bench:
        put_file(bench.setup, bench.flash, "/boot.py", b"1/0\n")
        put_file(bench.setup, bench.flash, "/main.py", b"print('main runs')\n")
        text = bench.boot()
        assert b"ZeroDivisionError" in text
        assert b"main runs" not in text
        assert b"soft reboot" in bench.type(b"\x04", PROMPT)


@pytest.mark.parametrize(
    ("chip", "machine", "free"),
    [
        (RP2040, None, 228 << 10),
        (RP2040, "Raspberry Pi Pico W with RP2040", 188 << 10),
        (RP2350, None, 472 << 10),
    ],
)
def test_as_much_memory_is_free_as_on_a_chip(
    tmp_path: Path, chip: Chip, machine: str | None, free: int
) -> None:
    with Bench(tmp_path, chip, build(chip, "1.24.1", machine=machine)) as bench:
        bench.boot()
        answer = bench.type(b"import gc; gc.collect(); gc.mem_free()\r")
        told = int(answer.split(b"\r\n")[-2])
        assert abs(told / 2 - free) < 4 << 10, told / 2
