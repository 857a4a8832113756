"""The filesystem of a virtual board lies in its flash, as the chip's does in its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32, ESP32C3, ESP8266
from provision.model.chip import Chip
from provision.sim.chip.flash import PowerLost, Work
from provision.sim.esp.firmware import build
from provision.sim.families import MODELS
from provision.sim.process.flash_faults import (
    FLASH_FAULTS,
    open_filesystem,
    put_file,
)
from tests.sim.bench import RAW, Bench

LAYOUTS = pytest.mark.parametrize(
    ("chip", "version", "flash", "place"),
    [
        (ESP8266, "1.24.1", "4MB", (0x100000, 763)),
        (ESP8266, "1.24.1", "1MB", (0x99000, 98)),
        (ESP8266, "1.24.1", "2MB", (0x100000, 251)),
        (ESP32, "1.24.1", "4MB", (0x200000, 512)),
        (ESP32, "1.26.1", "4MB", (0x200000, 512)),
        (ESP32, "1.26.1", "16MB", (0x200000, 3584)),
        (ESP32C3, "1.24.1", "4MB", (0x200000, 512)),
    ],
)


@LAYOUTS
def test_micropython_mounts_what_the_host_built_and_the_host_what_it_wrote(
    tmp_path: Path, chip: Chip, version: str, flash: str, place: tuple[int, int]
) -> None:
    content = bytes(range(256)) * 40
    with Bench(tmp_path, chip, version, flash=flash) as bench:
        where = MODELS[bench.chip].filesystem_place(bench.setup, bench.flash)
        assert (where.offset, where.blocks) == place
        put_file(bench.setup, bench.flash, "/from_host.bin", content)
        assert b"Performing initial setup" not in bench.boot()
        bench.raw()
        assert bench.run("import os; print(os.listdir('/'))") == "['from_host.bin']"
        digest = "from hashlib import sha256; from binascii import hexlify\n"
        digest += "print(sha256(open('/from_host.bin', 'rb').read()).digest()[:4])"
        assert bench.run(digest) == repr(_sha256(content)[:4])
        bench.run("f = open('back.bin', 'wb'); f.write(bytes(range(256)) * 21); f.close()")
        assert bench.run("print(os.statvfs('/')[:3])") == f"(4096, 4096, {place[1]})"
        bench.application.halt()
        filesystem = open_filesystem(bench.setup, bench.flash)
        with filesystem.open("/back.bin", "rb") as file:
            assert file.read() == bytes(range(256)) * 21
        filesystem.unmount()


def _sha256(data: bytes) -> bytes:
    import hashlib

    return hashlib.sha256(data).digest()


@pytest.mark.parametrize(
    ("chip", "version", "last"),
    [
        (ESP32, "1.24.1", "#webrepl.start()\n"),
        (ESP8266, "1.24.1", "import os, machine\n"),
        (ESP8266, "1.19.1", "import uos, machine\n"),
    ],
)
def test_first_boot_writes_the_ports_boot_py(
    tmp_path: Path, chip: Chip, version: str, last: str
) -> None:
    with Bench(tmp_path, chip, version) as bench:
        bench.boot()
        bench.application.halt()
        filesystem = open_filesystem(bench.setup, bench.flash)
        with filesystem.open("/boot.py", "r") as file:
            text = file.read()
        assert text.startswith("# This file is executed on every boot (including wake-boot from")
        assert last in text
        # And the chip can mount what was formatted at its first boot.
        assert b"Performing initial setup" not in bench.boot()


def test_a_preloaded_filesystem_has_no_default_boot_py(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        put_file(bench.setup, bench.flash, "/main.py", b"")
        bench.boot()
        bench.raw()
        assert bench.run("import os; print(os.listdir())") == "['main.py']"


@pytest.mark.parametrize(
    ("chip", "words"),
    [
        (ESP32, b"The filesystem appears to be corrupted."),
        (
            ESP8266,
            b"The filesystem starting at sector 256 with size 763 sectors looks corrupt",
        ),
    ],
)
def test_a_corrupt_filesystem_loops_until_ctrl_c(tmp_path: Path, chip: Chip, words: bytes) -> None:
    with Bench(tmp_path, chip) as bench:
        FLASH_FAULTS["corrupt-filesystem"](bench.setup, bench.flash)
        bench.boot(until=words)
        bench.settle(0.1)
        bench.type(b"\x03")
        bench.raw()
        assert bench.run("import vfs; print(vfs.mount())") == "[]"


def test_a_wrong_sized_filesystem_is_corrupt_on_esp32(tmp_path: Path) -> None:
    from littlefs import LittleFS

    with Bench(tmp_path) as bench:
        small = LittleFS(block_size=4096, block_count=64, read_size=32, prog_size=32)
        bench.flash.program(0x200000, bytes(small.context.buffer))
        larger = LittleFS(block_size=4096, block_count=1024, read_size=32, prog_size=32)
        bench.flash.erase(0x200000, 64 * 4096)
        bench.flash.program(0x200000, bytes(larger.context.buffer[: 64 * 4096]))
        bench.boot(until=b"The filesystem appears to be corrupted.")


def test_a_full_filesystem_says_no_space(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        FLASH_FAULTS["full-filesystem"](bench.setup, bench.flash)
        bench.boot()
        bench.raw()
        code = (
            "try:\n with open('big', 'wb') as f:\n  f.write(bytes(40000))\n"
            "except OSError as e:\n print(e.errno)"
        )
        assert bench.run(code) == "28"


@pytest.mark.parametrize("work", Work)
def test_a_power_cut_leaves_the_sector_half_done(tmp_path: Path, work: Work) -> None:
    with Bench(tmp_path, ESP8266, flash="1MB") as bench:
        # Every block was in use before, so that erasing one shows.
        FLASH_FAULTS["full-filesystem"](bench.setup, bench.flash)
        bench.boot()
        bench.raw()
        bench.run("import os; os.remove('ballast.bin')")
        bench.run("f = open('a.txt', 'w'); f.write('old' * 3000); f.close()")
        place = MODELS[bench.chip].filesystem_place(bench.setup, bench.flash)
        before = bench.flash.read(place.offset, place.size)
        gone: list[bool] = []
        bench.application.cut_power(work, 2, lambda: gone.append(True))
        bench.application.receive(b"f = open('a.txt', 'w'); f.write('new' * 3000); f.close()\x04")
        bench.wait(lambda: bool(gone), "the power to fail")
        after = bench.flash.read(place.offset, place.size)
        assert after != before
        if work is Work.ERASE:
            changed = [
                after[i : i + 4096]
                for i in range(0, len(after), 4096)
                if after[i : i + 2048] == b"\xff" * 2048 != before[i : i + 2048]
            ]
            assert any(sector[2048:] != b"\xff" * 2048 for sector in changed)
        # LittleFS is made for this: the file has its old content or its new one, nothing else.
        bench.output.clear()
        bench.boot()
        bench.raw()
        assert bench.run("print(open('a.txt').read() == 'old' * 3000)") == "True"


def test_a_power_cut_counts_on_through_a_soft_reset(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.boot()
        gone: list[bool] = []
        bench.application.cut_power(Work.ERASE, 3, lambda: gone.append(True))
        bench.raw()
        erase = "from esp import flash_erase as e; e(600)"
        bench.run(erase)
        bench.type(b"\x04", RAW)
        bench.run(erase)
        bench.type(b"\x04", RAW)
        assert not gone
        bench.application.receive(erase.encode() + b"\x04")
        bench.wait(lambda: bool(gone), "the power to fail")


def test_a_power_cut_is_of_the_application_not_of_the_loaders_flash(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.boot()
        bench.application.cut_power(Work.ERASE, 1, lambda: None)
        bench.flash.erase_sector(0x300000)
        bench.flash.cut_power(Work.ERASE, 1, lambda: None)
        with pytest.raises(PowerLost):
            bench.flash.erase_sector(0x300000)


def test_writing_without_erasing_corrupts(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.boot()
        bench.raw()
        code = (
            "from esp32 import Partition as P\n"
            "p = P.find(P.TYPE_DATA, label='vfs')[0]\n"
            "b = bytearray(b'\\x55' * 32); p.writeblocks(400, b, 0)\n"
            "p.writeblocks(400, bytearray(b'\\x33' * 32), 0)\n"
            "p.readblocks(400, b); print(b[0])"
        )
        assert bench.run(code) == str(0x11)


def test_flash_takes_a_real_chips_time_when_asked(tmp_path: Path) -> None:
    took = []
    for timing in ("off", "on", "4x"):
        (tmp_path / timing).mkdir()
        with Bench(tmp_path / timing, timing=timing) as bench:
            bench.boot()
            bench.raw()
            code = (
                "import time; t = time.ticks_ms()\n"
                "with open('x', 'wb') as f:\n f.write(bytes(40000))\n"
                "print(time.ticks_diff(time.ticks_ms(), t))"
            )
            took.append(int(bench.run(code)))
    at_least = 10 * 45 + 40000 / 256 * 0.4
    assert took[1] >= at_least
    assert took[2] >= 4 * at_least


def test_flash_fault_without_a_firmware_is_a_clear_error(tmp_path: Path) -> None:
    from provision.errors import SimulatorError

    with Bench(tmp_path, firmware=None) as bench, pytest.raises(SimulatorError, match="bench"):
        FLASH_FAULTS["corrupt-filesystem"](bench.setup, bench.flash)
    (tmp_path / "small").mkdir()
    image = build(ESP8266, "1.24.1", flash_size=512 << 10)
    with (
        Bench(tmp_path / "small", ESP8266, image, flash="512KB") as bench,
        pytest.raises(SimulatorError, match="no LittleFS"),
    ):
        FLASH_FAULTS["full-filesystem"](bench.setup, bench.flash)
