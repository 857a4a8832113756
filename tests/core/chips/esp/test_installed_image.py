"""The image in a flash, found by as little of it as tells, is what a file of it would be."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.core.chips.esp.chips import CHIPS, ESP32, ESP8266
from provision.core.chips.esp.family import FAMILY
from provision.core.chips.esp.firmware import read_firmware
from provision.core.chips.esp.image import BOOT_OFFSETS
from provision.core.chips.esp.partition_table import Partition
from provision.model.chip import Chip
from provision.sim.esp.firmware import build
from tests.core.chips.esp.test_flash_contents import APP, MB, NVS, PHY, VFS, Flash
from tests.images import profile, real_images

OTA = Partition(name="otadata", type=1, subtype=0, offset=0xD000, size=0x2000)
SLOTS = (
    Partition(name="ota_0", type=0, subtype=0x10, offset=0x10000, size=0x60000),
    Partition(name="ota_1", type=0, subtype=0x11, offset=0x70000, size=0x60000),
)


def written(chip: Chip, data: bytes) -> Flash:
    return Flash().put(BOOT_OFFSETS[chip], data)


def found(chip: Chip, flash: Flash) -> bytes | None:
    place = FAMILY.installed_image(chip, flash.read, len(flash.data))
    return flash.read(*place) if place is not None else None


@pytest.mark.parametrize("chip", CHIPS, ids=str)
def test_an_image_is_found_whole_in_a_flash(chip: Chip) -> None:
    data = build(chip, "1.24.1", size=200_000)
    flash = written(chip, data).put(0x200000, b"files")
    assert found(chip, flash) == data
    assert flash.bytes_read < len(data) + 8192
    image = read_firmware(data, "it")
    for region in FAMILY.regions(image, profile(chip), 4 * MB):
        assert flash.read(region.offset, len(region.data)) == region.data


@pytest.mark.parametrize("path", real_images(), ids=lambda path: path.name)
def test_a_real_image_is_found_whole_in_a_flash(path: object) -> None:
    data = path.read_bytes()  # type: ignore[attr-defined]
    image = read_firmware(data, "it")
    flash = written(ESP32, data)
    again = found(ESP32, flash)
    assert again is not None
    before = FAMILY.regions(image, profile(ESP32), 4 * MB)
    assert FAMILY.regions(read_firmware(again, "it"), profile(ESP32), 4 * MB) == before


def test_both_slots_and_the_choice_between_them_are_part_of_it() -> None:
    data = build(ESP32, "1.24.1", size=100_000, partitions=(NVS, OTA, *SLOTS, VFS))
    app = data[0xF000:]
    flash = written(ESP32, data).put(0x70000, app).put(OTA.offset, b"\x01\0\0\0")
    again = found(ESP32, flash)
    assert again is not None
    assert 0x1000 + len(again) == 0x70000 + len(app)
    regions = FAMILY.regions(read_firmware(again, "it"), profile(ESP32), 4 * MB)
    assert {region.name for region in regions} >= {"app", "otadata", "ota_1"}


@given(st.sampled_from(CHIPS), st.binary(max_size=64), st.integers(0, 0x10040), st.booleans())
def test_whatever_lies_in_a_flash_something_or_nothing_is_found(
    chip: Chip, noise: bytes, place: int, blank: bool
) -> None:
    flash = Flash() if blank else written(chip, build(chip, "1.24.1"))
    flash.put(place, noise)
    again = FAMILY.installed_image(chip, flash.read, len(flash.data))
    assert again is None or 0 <= again[0] < sum(again) <= len(flash.data)


def test_a_blank_flash_and_a_small_one_have_none() -> None:
    for chip in (ESP32, ESP8266):
        assert found(chip, Flash()) is None
        assert found(chip, Flash(4096)) is None
    assert found(ESP32, Flash().table(NVS, PHY, APP)) is None
