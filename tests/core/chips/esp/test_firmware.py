"""Release images: what is read of good ones, and the one error that each bad one gets."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from provision.core.chips import registry
from provision.core.chips.esp.chips import (
    CHIPS,
    ESP32,
    ESP32C3,
    ESP32H2,
    ESP32P4,
    ESP32S2,
    ESP32S3,
    ESP8266,
)
from provision.core.chips.esp.firmware import read_firmware, regions
from provision.core.chips.esp.image import BOOT_OFFSETS, EspImage, read_image, with_flash_parameters
from provision.core.chips.esp.partition_table import Partition, build_table
from provision.core.chips.identity import read_banner
from provision.errors import ImageError, UsageError
from provision.model.chip import Chip
from provision.sim.esp.firmware import build, default_machine
from tests.images import profile, real_images


@pytest.mark.parametrize("chip", CHIPS)
def test_a_built_image_says_what_was_asked(chip: Chip) -> None:
    data = build(chip, "1.24.1")
    firmware = read_firmware(data, "some.bin")
    assert firmware.identity.version == "1.24.1"
    assert firmware.identity.date == "2024-11-29"
    assert firmware.identity.machine == default_machine(chip)
    assert firmware.chip is chip
    assert firmware.base == BOOT_OFFSETS[chip]
    assert (firmware.boot.flash_mode, firmware.boot.flash_size) == ("dio", "4MB")
    assert firmware.size == len(data)


def test_real_images_are_read() -> None:
    images = [read_firmware(path.read_bytes(), path.name) for path in real_images()]
    assert [(image.identity.version, image.identity.date) for image in images] == [
        ("1.15-108-g43e7e5f00-dirty", "2021-06-08"),
        ("1.16-237-g1613dc8a1-dirty", "2021-08-30"),
    ]
    for image in images:
        assert image.identity.machine == "ET-Board with ESP32"
        assert (image.chip, image.base) == (ESP32, 0x1000)
        assert (image.boot.flash_mode, image.boot.flash_size, image.boot.flash_freq) == (
            "dio",
            "4MB",
            "40m",
        )
        assert [(part.name, part.kind, part.offset) for part in image.partitions] == [
            ("nvs", "data nvs", 0x9000),
            ("phy_init", "data phy", 0xF000),
            ("factory", "app factory", 0x10000),
            ("vfs", "data fat", 0x200000),
        ]
        assert [region.name for region in regions(image, profile(ESP32))] == [
            "bootloader",
            "partition table",
            "app",
        ]


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("micropython", [True, False])
def test_esptool_finds_a_built_image_valid(chip: Chip, micropython: bool, tmp_path: Path) -> None:
    path = tmp_path / "image.bin"
    path.write_bytes(build(chip, "1.24.1", micropython=micropython))
    command = [sys.executable, "-m", "esptool", "--chip", chip.name, "image-info", str(path)]
    result = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "(valid)" in result.stdout
    assert "invalid" not in result.stdout.lower()
    assert ("Validation hash" in result.stdout) == (chip is not ESP8266)
    assert "Flash mode: DIO" in result.stdout


def test_the_same_arguments_give_the_same_bytes() -> None:
    first = build(ESP32, "1.24.1", size=100_000)
    assert build(ESP32, "1.24.1", size=100_000) == first
    assert build(ESP32, "1.24.2", size=100_000) != first


@pytest.mark.parametrize("chip", CHIPS)
def test_a_built_image_has_the_size_asked(chip: Chip) -> None:
    assert len(build(chip, "1.24.1", size=200_000)) == 200_000
    with pytest.raises(UsageError, match="at least"):
        build(chip, "1.24.1", size=1000)


def test_a_version_from_git_and_a_preview_are_read_whole() -> None:
    for version in ("1.25.0-preview.31.g1234567", "1.15-108-g43e7e5f00-dirty"):
        firmware = read_firmware(build(ESP32, version), "x")
        assert firmware.identity.version == version


def test_a_banner_in_two_literals_is_put_together() -> None:
    data = b"\0MicroPython v1.9.4 on 2018-05-11\0junk\0; ESP module with ESP8266\r\n\0"
    identity = read_banner(data, ESP8266)
    assert identity is not None
    assert (identity.version, identity.machine) == ("1.9.4", "ESP module with ESP8266")


ESP32_IMAGE = build(ESP32, "1.24.1")
ESP8266_IMAGE = build(ESP8266, "1.24.1")
APP_START = 0x10000 - 0x1000


# A table of one entry: nvs at 0x9000.
NO_APP = build_table((Partition(name="nvs", type=1, subtype=2, offset=0x9000, size=0x6000),))


def flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :]


BAD_IMAGES: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty"),
    "web page": (b"\n<!DOCTYPE html><html><title>404</title>", "is a web page"),
    "web page without doctype": (b"<html lang=en>", "is a web page"),
    "elf": (b"\x7fELF\x01\x01\x01" + bytes(60), "is an ELF file"),
    "uf2": (b"UF2\n\x57\x51\x5d\x9e" + bytes(504), "is damaged: its block 0 is no UF2 block"),
    "gzip": (gzip.compress(ESP32_IMAGE), "is compressed with gzip"),
    "zip": (b"PK\x03\x04" + bytes(60), "is a zip archive"),
    "esp8266 ota": (b"\xea\x04\x00\x00" + bytes(60), "over-the-air image"),
    "app-bin": (ESP32_IMAGE[APP_START:], "over-the-air updates"),
    "text": (b"Not Found\n" * 9, "is a text file"),
    "dump": (b"\xff" * 0x3000 + ESP32_IMAGE, "erased flash"),
    "merged at another chip's offset": (
        b"\xff" * 0x1000 + build(ESP32C3, "1.24.1"),
        "has its image at 0x1000, and an ESP32-C3 starts from 0x0: it would not boot",
    ),
    "an esp8266 image at an esp32's offset": (
        b"\xff" * 0x1000 + ESP8266_IMAGE,
        "an ESP8266 starts from 0x0",
    ),
    "merged and cut": (b"\xff" * 0x1000 + ESP32_IMAGE[:-5000], "is cut short"),
    "something else": (bytes(range(256)), "starts with byte 0x00"),
    "one byte": (b"\xe9", "only 1 bytes"),
    "esp32 cut in the header": (ESP32_IMAGE[:20], "only 20 bytes"),
    "esp32 cut in the bootloader": (ESP32_IMAGE[:300], "is cut short"),
    "esp32 cut before the table": (ESP32_IMAGE[:0x3000], "before its partition table"),
    "esp32 cut before the app": (ESP32_IMAGE[: APP_START - 9], "is cut short"),
    "esp32 cut in the app": (ESP32_IMAGE[:-100], "is cut short"),
    "esp32 cut in the digest": (ESP32_IMAGE[:-1], "is cut short"),
    "esp32 bootloader damaged": (flipped(ESP32_IMAGE, 0x100), "damaged: its checksum"),
    "esp32 header damaged": (flipped(ESP32_IMAGE, 4), "does not match its own sha256"),
    "esp32 table damaged": (flipped(ESP32_IMAGE, 0x7004), "partition table's MD5"),
    "esp32 table gone": (
        ESP32_IMAGE[:0x7000] + b"\xff" * 0xC00 + ESP32_IMAGE[0x7C00:],
        "there is no partition table",
    ),
    "esp32 app damaged": (flipped(ESP32_IMAGE, APP_START + 0x200), "damaged: its app is broken"),
    "esp8266 cut in the segments": (ESP8266_IMAGE[:700], "is cut short"),
    "esp8266 cut before the code": (ESP8266_IMAGE[:0x5000], "before its code"),
    "esp8266 cut in the code": (ESP8266_IMAGE[:-20], "is cut short"),
    "esp8266 segment damaged": (flipped(ESP8266_IMAGE, 0x30), "damaged: its checksum"),
    "esp8266 code damaged": (flipped(ESP8266_IMAGE, 0x9100), "does not match the MD5"),
    "esp8266 without length": (
        ESP8266_IMAGE[:0x8FFC] + b"\xff" * 4 + ESP8266_IMAGE[0x9000:],
        "length word",
    ),
    "another esp8266 firmware": (
        build(ESP8266, "1", micropython=False),
        "not of MicroPython",
    ),
    "another esp32 firmware": (build(ESP32, "1", micropython=False), "not of MicroPython"),
    "app of another chip": (
        ESP32_IMAGE[:APP_START] + build(ESP32S3, "1.24.1")[0x10000:],
        "mixes an ESP32-S3 app with an ESP32 bootloader",
    ),
    "no app in the table": (
        ESP32_IMAGE[:0x7000] + NO_APP + ESP32_IMAGE[0x7000 + len(NO_APP) :],
        "no app in its partition table",
    ),
    "unknown chip": (ESP32_IMAGE[:12] + b"\x1c" + ESP32_IMAGE[13:], "made for ESP32-H4"),
}


@pytest.mark.parametrize("case", BAD_IMAGES)
def test_a_bad_image_gets_its_own_error(case: str) -> None:
    data, expected = BAD_IMAGES[case]
    with pytest.raises(ImageError, match=expected) as caught:
        registry.read_firmware(data, "some.bin")
    assert caught.value.message.startswith("some.bin ")
    assert caught.value.hint


@pytest.mark.parametrize("image", [ESP32_IMAGE, ESP8266_IMAGE], ids=["esp32", "esp8266"])
def test_no_prefix_of_an_image_passes_for_one(image: bytes) -> None:
    for end in range(0, len(image), 977):
        with pytest.raises(ImageError):
            registry.read_firmware(image[:end], "some.bin")


def test_regions_leave_out_nvs_and_filesystem() -> None:
    firmware = registry.read_firmware(ESP32_IMAGE, "x")
    found = regions(firmware, profile(ESP32))
    assert [(region.name, region.offset) for region in found] == [
        ("bootloader", 0x1000),
        ("partition table", 0x8000),
        ("app", 0x10000),
    ]
    flash = bytearray(b"\xff" * 0x20000)
    for region in found:
        assert region.offset + len(region.data) <= 0x9000 or region.offset >= 0xF000
        flash[region.offset : region.offset + len(region.data)] = region.data
    assert flash[0x1000 : firmware.end] == ESP32_IMAGE  # nothing of the image is lost


@pytest.mark.parametrize("subtype", [0x02, 0x04], ids=["nvs", "nvs keys"])
def test_what_an_image_holds_for_nvs_is_not_written(subtype: int) -> None:
    """An image read back from a board has that board's settings in it."""
    table = (
        Partition(name="nvs", type=1, subtype=subtype, offset=0x9000, size=0x6000),
        Partition(name="phy_init", type=1, subtype=1, offset=0xF000, size=0x1000),
        Partition(name="factory", type=0, subtype=0, offset=0x10000, size=0x1F0000),
    )
    image = bytearray(build(ESP32, "1.24.1", partitions=table))
    image[0x9000 - 0x1000 : 0xF000 - 0x1000] = b"nvs!" * 0x1800
    found = regions(read_firmware(bytes(image), "x"), profile(ESP32))
    assert [region.name for region in found] == ["bootloader", "partition table", "app"]
    assert not any(b"nvs!" in region.data for region in found)


def test_what_an_image_holds_beside_its_app_is_written() -> None:
    image = bytearray(ESP32_IMAGE)
    image[0xF000 - 0x1000 : 0xF000 - 0x1000 + 4] = b"phy!"
    found = regions(read_firmware(bytes(image), "x"), profile(ESP32))
    assert [(region.name, region.data) for region in found if region.offset == 0xF000] == [
        ("phy_init", b"phy!")
    ]


def test_blank_ota_data_is_written_too() -> None:
    table = (
        Partition(name="nvs", type=1, subtype=2, offset=0x9000, size=0x4000),
        Partition(name="otadata", type=1, subtype=0, offset=0xD000, size=0x2000),
        Partition(name="phy_init", type=1, subtype=1, offset=0xF000, size=0x1000),
        Partition(name="ota_0", type=0, subtype=0x10, offset=0x10000, size=0x180000),
        Partition(name="ota_1", type=0, subtype=0x11, offset=0x190000, size=0x180000),
    )
    firmware = read_firmware(build(ESP32, "1.24.1", partitions=table), "x")
    found = regions(firmware, profile(ESP32))
    assert [(region.name, region.offset) for region in found] == [
        ("bootloader", 0x1000),
        ("partition table", 0x8000),
        ("otadata", 0xD000),
        ("app", 0x10000),
    ]
    assert found[2].data == b"\xff" * 0x2000


def test_an_esp8266_image_is_one_region() -> None:
    (region,) = regions(read_firmware(ESP8266_IMAGE, "x"), profile(ESP8266))
    assert (region.name, region.offset, len(region.data)) == ("firmware", 0, len(ESP8266_IMAGE))


@pytest.mark.parametrize("chip", CHIPS)
def test_the_header_is_as_the_profile_wants_it(chip: Chip) -> None:
    firmware = read_firmware(build(chip, "1.24.1"), "x")
    slow = "12m" if chip is ESP32H2 else "20m"  # of 96 MHz, and of 80
    board = profile(chip, flash_mode="dout", flash_freq=slow, header_size="detect")
    boot = regions(firmware, board, flash_size=16 << 20)[0]
    image = read_image(boot.data)
    assert isinstance(image, EspImage)  # checksum and digest hold
    size = "4MB" if chip is ESP8266 else "16MB"  # an ESP8266 cannot boot with more
    assert (image.flash_mode, image.flash_freq, image.flash_size) == ("dout", slow, size)
    kept = regions(firmware, profile(chip, flash_mode="keep", header_size="keep"))[0]
    assert firmware.data.startswith(kept.data)


def test_a_header_cannot_name_every_size() -> None:
    with pytest.raises(UsageError, match="cannot name the flash size '2MB-c1'"):
        with_flash_parameters(ESP32_IMAGE, chip=ESP32, size="2MB-c1")
    with pytest.raises(UsageError, match="no flash mode 'fast'"):
        with_flash_parameters(ESP32_IMAGE, chip=ESP32, mode="fast")


def test_our_header_codes_are_esptools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ESPTOOL_CFGFILE", str(tmp_path / "none.cfg"))
    from esptool.cmds import FLASH_MODES
    from esptool.targets import CHIP_DEFS

    from provision.core.chips.esp import image

    for chip in CHIPS:
        theirs = CHIP_DEFS[chip.name]
        assert BOOT_OFFSETS[chip] == theirs.BOOTLOADER_FLASH_OFFSET
        for name, code in theirs.FLASH_SIZES.items():
            assert image.flash_sizes(chip).get(name, code) == code
        assert set(image.flash_sizes(chip)) <= set(theirs.FLASH_SIZES)
        assert dict(image.flash_frequencies(chip)) == theirs.FLASH_FREQUENCY
        if chip is not ESP8266:
            assert image.CHIP_IDS[chip] == theirs.IMAGE_CHIP_ID
    assert {name: index for index, name in enumerate(image.FLASH_MODES)} == FLASH_MODES


@pytest.mark.parametrize(("chip", "start"), [(ESP32, 0x1000), (ESP32S2, 0x1000), (ESP32P4, 0x2000)])
@pytest.mark.parametrize("size", [None, 4 << 20], ids=["as it is", "as large as the flash"])
def test_an_image_that_was_merged_to_be_flashed_at_0(
    chip: Chip, start: int, size: int | None
) -> None:
    """As `esptool merge-bin` makes it: what is written is what the image itself says."""
    plain = build(chip, "1.24.1")
    merged = b"\xff" * start + plain
    if size is not None:
        merged = merged.ljust(size, b"\xff")
    firmware = registry.read_firmware(merged, "merged.bin")
    alone = registry.read_firmware(plain, "plain.bin")
    assert (firmware.base, firmware.file_offset, alone.file_offset) == (start, 0, start)
    assert (firmware.size, firmware.sha256) == (len(merged), hashlib.sha256(merged).hexdigest())
    board = profile(chip)
    family = registry.family_of(chip)
    assert family.regions(firmware, board, 4 << 20) == family.regions(alone, board, 4 << 20)
    assert family.filesystem_place(firmware, None, None) == family.filesystem_place(
        alone, None, None
    )
