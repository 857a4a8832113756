"""Safety rule 1 for images: every reason not to write one, and none for a good one."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest

from provision.core.chips.esp.chips import CHIPS, ESP32, ESP32C3, ESP8266
from provision.core.chips.esp.filesystem_place import place_on_board
from provision.core.chips.esp.firmware import read_firmware
from provision.core.chips.esp.image_checks import image_refusals
from provision.core.chips.esp.partition_table import Partition
from provision.model.board import BoardProfile
from provision.model.chip import Chip
from provision.model.firmware import Firmware
from provision.model.state import ActualState
from provision.sim.esp.firmware import build
from tests.images import profile, real_images

MEGABYTE = 1 << 20


def firmware(chip: Chip, version: str = "1.24.1", **options: object) -> Firmware:
    return read_firmware(build(chip, version, **options), "some.bin")  # type: ignore[arg-type]


@pytest.mark.parametrize("chip", CHIPS)
def test_a_fitting_image_is_not_refused(chip: Chip) -> None:
    image = firmware(chip)
    board = profile(chip)
    assert image_refusals(image, board, ActualState()) == ()
    facts = ActualState(chip=chip, flash_size=4 * MEGABYTE, revision=103)
    assert image_refusals(image, board, facts) == ()


def kinds(image: Firmware, board: BoardProfile, **seen: Any) -> list[str]:
    return [refusal.kind for refusal in image_refusals(image, board, ActualState(**seen))]


def test_every_reason_to_refuse() -> None:
    image = firmware(ESP32)
    board = profile(ESP32)
    assert kinds(image, profile(ESP8266)) == ["wrong-chip"]
    assert kinds(firmware(ESP8266), board) == ["wrong-chip"]
    assert kinds(image, board, flash_size=2 * MEGABYTE) == ["table-past-end"]
    assert kinds(image, board, flash_size=0x10000) == ["image-too-large", "table-past-end"]
    assert kinds(image, profile(ESP32, header_size="16MB"), flash_size=4 * MEGABYTE) == [
        "header-past-end"
    ]
    assert kinds(firmware(ESP8266), profile(ESP8266), flash_size=MEGABYTE) == ["image-too-large"]


def test_a_chip_revision_that_the_image_excludes() -> None:
    data = bytearray(build(ESP32C3, "1.24.1"))
    data[8 + 7 : 8 + 9] = (300).to_bytes(2, "little")  # lowest revision v3.0
    # The digest is the bootloader's last 32 bytes; make it match again.
    end = read_firmware(build(ESP32C3, "1.24.1"), "x").boot.end
    data[end - 32 : end] = hashlib.sha256(data[: end - 32]).digest()
    image = read_firmware(bytes(data), "x")
    assert kinds(image, profile(ESP32C3), revision=4) == ["chip-revision"]
    assert kinds(image, profile(ESP32C3), revision=301) == []


def test_refusals_tell_what_to_do() -> None:
    for refusal in image_refusals(
        firmware(ESP32), profile(ESP8266), ActualState(chip=ESP32C3, flash_size=MEGABYTE)
    ):
        assert refusal.message
        assert refusal.hint


FAT = (Partition(name="factory", type=0, subtype=0, offset=0x10000, size=0x1F0000),)
FFAT = (*FAT, Partition(name="ffat", type=1, subtype=0x81, offset=0x200000, size=0x200000))


@pytest.mark.parametrize(
    ("chip", "version", "options", "board", "flash_size", "expected"),
    [
        (ESP8266, "1.24.1", {}, {}, 4 * MEGABYTE, (0x100000, 763)),
        (ESP8266, "1.24.1", {}, {}, 2 * MEGABYTE, (0x100000, 251)),
        (ESP8266, "1.24.1", {"flash_size": MEGABYTE}, {}, MEGABYTE, (0x99000, 98)),
        (ESP8266, "1.24.1", {"flash_size": MEGABYTE}, {}, 4 * MEGABYTE, (0x99000, 866)),
        (ESP8266, "1.24.1", {"flash_size": MEGABYTE // 2}, {}, MEGABYTE // 2, None),
        # The ESP8266 goes by the header, not by the chip.
        (ESP8266, "1.24.1", {}, {"header_size": "4MB"}, 16 * MEGABYTE, (0x100000, 763)),
        (ESP8266, "1.24.1", {}, {"header_size": "16MB"}, 16 * MEGABYTE, (0x100000, 3835)),
        (ESP8266, "1.24.1", {}, {}, 16 * MEGABYTE, (0x100000, 763)),
        (ESP8266, "1.11", {}, {}, 4 * MEGABYTE, None),
        (ESP32, "1.24.1", {}, {}, 4 * MEGABYTE, (0x200000, 512)),
        (ESP32, "1.24.1", {}, {}, 16 * MEGABYTE, (0x200000, 512)),
        (ESP32, "1.26.0", {}, {}, 4 * MEGABYTE, (0x200000, 512)),
        (ESP32, "1.26.0", {}, {}, 16 * MEGABYTE, (0x200000, 3584)),
        # ... and the ESP32 by the chip, not by the header.
        (ESP32, "1.26.0", {}, {"header_size": "4MB"}, 16 * MEGABYTE, (0x200000, 3584)),
        (ESP32, "1.26.0", {}, {}, 2 * MEGABYTE, None),
        (ESP32, "1.24.1", {"partitions": FAT}, {}, 4 * MEGABYTE, None),
        (ESP32, "1.26.0", {"partitions": FFAT}, {}, 4 * MEGABYTE, None),
        (ESP32, "1.11", {}, {}, 4 * MEGABYTE, None),
        (ESP32C3, "1.27.0", {}, {}, 4 * MEGABYTE, (0x200000, 512)),
    ],
)
def test_where_the_filesystem_lies(
    chip: Chip,
    version: str,
    options: dict[str, object],
    board: dict[str, object],
    flash_size: int,
    expected: tuple[int, int] | None,
) -> None:
    image = firmware(chip, version, **options)
    found = place_on_board(image, profile(chip, **board), flash_size)
    assert (None if found is None else (found.offset, found.blocks)) == expected


def test_the_filesystem_of_a_real_image() -> None:
    image = read_firmware(real_images()[0].read_bytes(), "real.bin")
    found = place_on_board(image, profile(ESP32))
    assert found is not None
    assert (found.offset, found.size, found.end) == (0x200000, 0x200000, 0x400000)
