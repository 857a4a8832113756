"""What a virtual board prints from reset on, with and without something that boots."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.core.chips.esp.chips import CHIPS, ESP32, ESP32C2, ESP32C3, ESP32P4, ESP8266
from provision.core.chips.esp.image import BOOT_OFFSETS
from provision.core.chips.esp.partition_table import TABLE_OFFSET
from provision.model.chip import Chip
from provision.sim.chip.flash import Flash
from provision.sim.chip.model import FailedStart, Started
from provision.sim.esp.chips import FACTS
from provision.sim.esp.firmware import build
from provision.sim.families import MODELS
from provision.sim.process.flash_faults import FLASH_FAULTS
from provision.sim.setup import BoardSetup, ResetCause
from tests.sim.bench import PROMPT, Bench

ALL_CHIPS = pytest.mark.parametrize("chip", CHIPS)
ESP32S = pytest.mark.parametrize("chip", [chip for chip in CHIPS if chip is not ESP8266])


def test_esp32_rom_prints_reset_cause_and_what_it_loads(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        text = bench.boot().decode()
        assert text.startswith(
            "ets Jul 29 2019 12:21:46\r\n\r\nrst:0x1 (POWERON_RESET),"
            "boot:0x13 (SPI_FAST_FLASH_BOOT)\r\nconfigsip: 0, SPIWP:0xee\r\n"
        )
        assert (
            "\r\nmode:DIO, clock div:2\r\nload:0x3fff0030,len:512\r\nentry 0x40080078\r\n" in text
        )


@pytest.mark.parametrize(
    ("cause", "text"),
    [
        (ResetCause.EXTERNAL, b"rst:0x1 (POWERON_RESET)"),
        (ResetCause.SOFTWARE, b"rst:0xc (SW_CPU_RESET)"),
        (ResetCause.DEEPSLEEP, b"rst:0x5 (DEEPSLEEP_RESET)"),
    ],
)
def test_reset_cause_is_printed_and_told(tmp_path: Path, cause: ResetCause, text: bytes) -> None:
    with Bench(tmp_path) as bench:
        assert text in bench.boot(cause)
        number = {"external": 1, "software": 2, "deepsleep": 4}[cause.value]
        answer = bench.type(b"import machine; machine.reset_cause()\r")
        assert f"\r\n{number}\r\n".encode() in answer


def test_esp8266_rom_speaks_at_74880_baud_and_micropython_at_115200(tmp_path: Path) -> None:
    with Bench(tmp_path, ESP8266) as bench:
        bench.boot()
        first, baud = bench.sent[0]
        assert first.startswith(b"\r\n ets Jan  8 2013,rst cause:1, boot mode:(3,6)\r\n\r\nload 0x")
        assert baud == 74880
        assert all(baud is None for data, baud in bench.sent if b"MicroPython" in data)


@ALL_CHIPS
def test_blank_flash_loops_with_the_roms_complaint(tmp_path: Path, chip: Chip) -> None:
    with Bench(tmp_path, chip, None, scale="20") as bench:
        complaint = b"ets_main.c" if chip is ESP8266 else b"invalid header: 0xffffffff\r\n"
        bench.boot(until=complaint)
        again = {ESP8266: b"rst cause:4", ESP32: b"rst:0x10 (RTCWDT_RTC_RESET)"}
        bench.until(again.get(chip, b"rst:0x7 ("), count=2)
        bench.application.receive(b"\r\x03\x03\x01")
        assert b"raw REPL" not in bench.settle(0.05)


def test_blank_flash_resets_with_the_watchdogs_period(tmp_path: Path) -> None:
    with Bench(tmp_path, ESP32, None, scale="4") as bench:
        start = bench.loop.now()  # before anything is printed: it may be read late
        bench.boot(until=b"invalid header")
        bench.until(b"RTCWDT_RTC_RESET", count=3)
        assert bench.loop.now() - start >= 3 * 0.4 / 4


@ESP32S
def test_broken_app_loops_in_the_bootloader(tmp_path: Path, chip: Chip) -> None:
    with Bench(tmp_path, chip, scale="10") as bench:
        FLASH_FAULTS["broken-firmware"](bench.setup, bench.flash)
        bench.boot(until=b"esp_image: Checksum failed. Calculated 0x")
        assert bench.until(b"No bootable app partitions in the partition table\r\n")
        assert b"0x3 (" in bench.until(b"Checksum failed")


def test_broken_esp8266_app_crashes_for_ever(tmp_path: Path) -> None:
    with Bench(tmp_path, ESP8266, scale="10") as bench:
        image = bytearray(build(ESP8266, "1.24.1"))
        image[0x9200] ^= 1
        bench.install(bytes(image))
        bench.boot(until=b"Fatal exception")
        bench.until(b"Fatal exception", count=2)


def test_truncated_image_does_not_boot(tmp_path: Path) -> None:
    with Bench(tmp_path, firmware=build(ESP32, "1.24.1", size=200_000)[:150_000]) as bench:
        bench.boot(until=b"No bootable app partitions")


@pytest.mark.parametrize("offset", [0, 0x1000, 0x2000])
@ALL_CHIPS
def test_a_rom_starts_an_image_from_one_place_alone(
    tmp_path: Path, chip: Chip, offset: int
) -> None:
    """Its own offset, not the tool's table: an image that is put elsewhere is no image."""
    setup = BoardSetup.from_query("a", {"chip": chip.name}, tmp_path)
    flash = Flash(setup.flash_path, setup.flash_size)
    whole = b"\xff" * offset + build(chip, "1.24.1")
    own = offset == FACTS[chip].bootloader_offset
    if chip is not ESP8266 and not own:  # with its table and its app where they belong
        start = FACTS[chip].bootloader_offset
        right = b"\xff" * start + build(chip, "1.24.1")
        bootloader = build(chip, "1.24.1")[: TABLE_OFFSET - 0x2000]
        whole = b"\xff" * offset + bootloader
        whole = whole.ljust(TABLE_OFFSET, b"\xff") + right[TABLE_OFFSET:]
    flash.program(0, whole)
    started = MODELS[chip].start(setup, flash, ResetCause.POWER_ON, first=True)
    assert isinstance(started, Started) == own
    if not own:
        assert isinstance(started, FailedStart)
        complaint = b"ets_main.c" if chip is ESP8266 else b"invalid header: 0xffffffff"
        assert complaint in started.output


def test_a_revision_that_an_image_is_not_for_does_not_boot(tmp_path: Path) -> None:
    for revision, version, complaint in (
        ("1.3", "1.29.0", b"chip revision check failed. Required >= v3.0, found v1.3."),
        ("3.0", "1.28.0", b"chip revision check failed. Required <= v1.99, found v3.0."),
        ("1.3", "1.28.0", None),
        ("3.1", "1.29.0", None),
    ):
        setup = BoardSetup.from_query("a", {"chip": "esp32p4", "revision": revision}, tmp_path)
        flash = Flash(setup.flash_path, setup.flash_size)
        flash.erase(0, flash.size)
        MODELS[ESP32P4].install(flash, build(ESP32P4, version))
        started = MODELS[ESP32P4].start(setup, flash, ResetCause.POWER_ON, first=True)
        assert isinstance(started, FailedStart if complaint else Started)
        assert complaint is None or complaint in started.output


def test_an_esp32_c2_with_a_crystal_of_26_mhz_starts_at_74880_baud(tmp_path: Path) -> None:
    with Bench(tmp_path, ESP32C2) as bench:
        bench.boot()
        assert bench.sent[0] == (bench.sent[0][0], 74880)
        assert b"rst:0x1 (POWERON),boot:0xc (SPI_FAST_FLASH_BOOT)" in bench.sent[0][0]
        assert all(baud is None for data, baud in bench.sent if b"MicroPython" in data)


def test_image_for_another_chip_does_not_boot(tmp_path: Path) -> None:
    with Bench(tmp_path, ESP32, None) as bench:
        bench.flash.program(BOOT_OFFSETS[ESP32], build(ESP32C3, "1.24.1"))
        bench.application.boot(ResetCause.POWER_ON)
        assert b"MicroPython" not in bench.settle(0.3)


@ALL_CHIPS
def test_foreign_firmware_says_something_and_answers_nothing(tmp_path: Path, chip: Chip) -> None:
    with Bench(tmp_path, chip) as bench:
        FLASH_FAULTS["foreign-firmware"](bench.setup, bench.flash)
        bench.boot(until=b"ready\r\n")
        bench.application.receive(b"\r\x03\x03\x01\x04")
        assert bench.settle(0.05) == b""


def test_esp8266_above_4_mb_loops_without_calibration(tmp_path: Path) -> None:
    image = build(ESP8266, "1.24.1", flash_size=16 << 20)
    with Bench(tmp_path, ESP8266, image, flash="16MB", scale="10") as bench:
        bench.boot(until=b"rf_cal[0] !=0x05,is 0xFF")
        bench.until(b"rst cause:2", count=2)
        bench.flash.program(0xFFC000, b"\x05")
        bench.boot(until=PROMPT)
    image = build(ESP8266, "1.24.1", flash_size=4 << 20)
    (tmp_path / "second").mkdir()
    with Bench(tmp_path / "second", ESP8266, image, flash="16MB") as bench:
        bench.boot(until=PROMPT)


def test_nobody_listens_before_micropython_does(tmp_path: Path) -> None:
    with Bench(tmp_path) as bench:
        bench.application.receive(b"lost while off")
        bench.boot()
        assert bench.settle(0.05) == b""
        bench.application.halt()
        bench.application.receive(b"\r")
        assert bench.settle(0.05) == b""
