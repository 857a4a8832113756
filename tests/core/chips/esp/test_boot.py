"""What a chip boots from its flash, and what it complains of when it cannot."""

from __future__ import annotations

import binascii

import pytest

from provision.core.chips.esp.boot import Bootable, NotBootable, boot_of
from provision.core.chips.esp.chips import CHIPS, ESP32, ESP32C3, ESP32S3, ESP8266
from provision.core.chips.esp.firmware import read_firmware
from provision.core.chips.esp.image import BOOT_OFFSETS
from provision.core.chips.esp.partition_table import Partition
from provision.model.chip import Chip
from provision.sim.esp.firmware import build

SIZE = 4 << 20


def flash_with(chip: Chip, data: bytes) -> bytearray:
    flash = bytearray(b"\xff" * SIZE)
    start = BOOT_OFFSETS[chip]
    flash[start : start + len(data)] = data
    return flash


def complaint(flash: bytearray, chip: Chip) -> NotBootable:
    found = boot_of(memoryview(flash), chip)
    assert isinstance(found, NotBootable)
    return found


@pytest.mark.parametrize("chip", CHIPS)
def test_a_flashed_image_boots_as_what_it_is(chip: Chip) -> None:
    data = build(chip, "1.26.0")
    found = boot_of(memoryview(flash_with(chip, data)), chip)
    assert isinstance(found, Bootable)
    assert found.identity == read_firmware(data, "x").identity
    other = boot_of(flash_with(chip, build(chip, "1", micropython=False)), chip)
    assert isinstance(other, Bootable)
    assert other.identity is None


@pytest.mark.parametrize("chip", CHIPS)
def test_blank_flash(chip: Chip) -> None:
    found = complaint(flash_with(chip, b""), chip)
    assert found.stage == "rom"
    expected = "ets_main.c 181" if chip is ESP8266 else "invalid header: 0xffffffff"
    assert found.complaint == (expected,)


@pytest.mark.parametrize("chip", CHIPS)
def test_an_image_for_another_chip_does_not_boot(chip: Chip) -> None:
    for other in CHIPS:
        if BOOT_OFFSETS[other] == BOOT_OFFSETS[chip] and other is not chip:
            found = complaint(flash_with(chip, build(other, "1.24.1")), chip)
            assert other.label in found.message


def test_a_half_written_app_is_found_by_the_bootloader() -> None:
    flash = flash_with(ESP32, build(ESP32, "1.24.1"))
    flash[0x10200:0x10280] = b"\xff" * 0x80
    found = complaint(flash, ESP32)
    assert found.stage == "bootloader"
    assert found.complaint[0].startswith("E esp_image: Checksum failed. Calculated 0x")
    assert found.complaint[-1] == "E boot: No bootable app partitions in the partition table"


APPS = {
    "digest": (lambda app: app[:0x60] + b"?" + app[0x61:], "Checksum failed"),
    "its digest alone": (lambda app: app[:-1] + b"?", "Image hash failed - image is corrupt"),
    "chip": (lambda app: app[:12] + b"\x63" + app[13:], "mismatch chip ID"),
    "segments": (lambda app: app[:1] + b"\xfe" + app[2:], "has an invalid segment"),
    "another chip's": (
        lambda _: build(ESP32S3, "1.24.1")[0x10000:],
        "mismatch chip ID, expected ESP32",
    ),
}


@pytest.mark.parametrize("case", APPS)
def test_what_the_bootloader_says_of_an_app(case: str) -> None:
    change, expected = APPS[case]
    data = build(ESP32, "1.24.1")
    start = 0x10000 - 0x1000
    found = complaint(flash_with(ESP32, data[:start] + change(data[start:])), ESP32)
    assert found.stage == "bootloader"
    assert expected in found.complaint[0]


def test_a_missing_app_and_a_missing_table() -> None:
    flash = flash_with(ESP32, build(ESP32, "1.24.1"))
    flash[0x10000:] = b"\xff" * (SIZE - 0x10000)
    assert "invalid magic byte (nothing flashed here?)" in complaint(flash, ESP32).complaint[0]
    flash[0x8000:0x9000] = b"\xff" * 0x1000
    assert complaint(flash, ESP32).complaint[0] == (
        "E flash_parts: partition 0 invalid magic number 0xffff"
    )


def test_a_broken_bootloader_is_found_by_the_rom() -> None:
    flash = flash_with(ESP32C3, build(ESP32C3, "1.24.1"))
    flash[0x40] ^= 1
    found = complaint(flash, ESP32C3)
    assert (found.stage, found.complaint[-1]) == ("rom", "ets_main.c 371")


def test_an_esp8266_checks_its_segments_and_crashes_in_broken_code() -> None:
    flash = flash_with(ESP8266, build(ESP8266, "1.24.1"))
    flash[0x9010] ^= 1
    found = complaint(flash, ESP8266)
    assert found.stage == "app"
    assert found.complaint[0].startswith("Fatal exception")
    flash[0x20] ^= 1
    assert complaint(flash, ESP8266).complaint == ("csum err", "ets_main.c 181")


def test_ota_data_chooses_the_slot() -> None:
    table = (
        Partition(name="otadata", type=1, subtype=0, offset=0xD000, size=0x2000),
        Partition(name="ota_0", type=0, subtype=0x10, offset=0x10000, size=0x20000),
        Partition(name="ota_1", type=0, subtype=0x11, offset=0x30000, size=0x20000),
    )
    first = build(ESP32, "1.24.1", partitions=table)
    second = build(ESP32, "1.25.0", partitions=table)
    flash = flash_with(ESP32, first)
    app = second[0x10000 - 0x1000 :]
    flash[0x30000 : 0x30000 + len(app)] = app

    def version() -> str:
        found = boot_of(flash, ESP32)
        assert isinstance(found, Bootable)
        assert found.identity is not None
        return found.identity.version

    def select(sector: int, number: int) -> None:
        raw = number.to_bytes(4, "little")
        crc = binascii.crc32(raw, 0xFFFFFFFF).to_bytes(4, "little")
        flash[0xD000 + sector : 0xD000 + sector + 32] = raw + b"\xff" * 24 + crc

    assert version() == "1.24.1"
    select(0, 1)
    select(0x1000, 2)
    assert version() == "1.25.0"
    flash[0x30100] ^= 1  # the chosen slot is broken: the other one boots
    assert version() == "1.24.1"
