"""What is told of a flash by what lies in it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.core.chips.esp.chips import CHIPS, ESP32, ESP8266
from provision.core.chips.esp.family import FAMILY
from provision.core.chips.esp.firmware import EspFirmware, read_firmware
from provision.core.chips.esp.partition_table import TABLE_OFFSET, Partition, build_table
from provision.core.littlefs_blocks import VERSION_2_0, VERSION_2_1
from provision.device.flashing.littlefs import build_filesystem
from provision.model.chip import Chip
from provision.model.firmware import FilesystemPlace, FlashData
from provision.model.state import FirmwareIdentity
from provision.sim.esp.firmware import build

MB = 1 << 20
NVS = Partition(name="nvs", type=1, subtype=2, offset=0x9000, size=0x6000)
PHY = Partition(name="phy_init", type=1, subtype=1, offset=0xF000, size=0x1000)
APP = Partition(name="factory", type=0, subtype=0, offset=0x10000, size=0x1F0000)
VFS = Partition(name="vfs", type=1, subtype=0x81, offset=0x200000, size=0x200000)
FAT = b"\xeb\xfe\x90MSDOS5.0".ljust(510, b"\0") + b"\x55\xaa"
GENERIC = "ESP module with ESP8266"


class Flash:
    """A flash, erased but for what is put there."""

    def __init__(self, size: int = 4 * MB) -> None:
        self.data = bytearray(b"\xff" * size)
        self.bytes_read = 0

    def put(self, offset: int, data: bytes) -> Flash:
        self.data[offset : offset + len(data)] = data
        return self

    def filesystem(self, offset: int, blocks: int) -> Flash:
        place = FilesystemPlace(offset=offset, blocks=blocks)
        return self.put(offset, build_filesystem(place, {"/main.py": b"app"}).data)

    def table(self, *partitions: Partition) -> Flash:
        return self.put(TABLE_OFFSET, build_table(partitions))

    def header(self, size_code: int) -> Flash:
        return self.put(0, bytes([0xE9, 1, 2, size_code]))

    def read(self, offset: int, size: int) -> bytes:
        assert 0 <= offset <= offset + size <= len(self.data)
        self.bytes_read += size
        return bytes(self.data[offset : offset + size])

    def place(self, chip: Chip, running: FirmwareIdentity | None) -> FilesystemPlace | None:
        return FAMILY.filesystem_in_flash(chip, self.read, len(self.data), running)

    def holds(self, chip: Chip, running: FirmwareIdentity | None) -> tuple[FlashData, ...]:
        return FAMILY.data_in_flash(chip, self.read, len(self.data), running)


def running(
    version: str, chip: Chip = ESP32, machine: str = "", date: str = ""
) -> FirmwareIdentity:
    return FirmwareIdentity(version=version, machine=machine, chip=chip, date=date)


def at(offset: int, blocks: int) -> FilesystemPlace:
    return FilesystemPlace(offset=offset, blocks=blocks)


FFAT = replace(VFS, name="ffat")
PLACES = {
    "vfs": (Flash().table(NVS, PHY, APP, VFS), None, at(0x200000, 512)),
    "vfs, found": (
        Flash().table(NVS, PHY, APP, VFS).filesystem(0x200000, 512),
        None,
        at(0x200000, 512),
    ),
    "vfs, holding a FAT": (Flash().table(NVS, APP, VFS).put(0x200000, FAT), None, None),
    "ffat": (Flash().table(NVS, APP, FFAT), running("1.24.1"), None),
    "vfs and ffat": (
        Flash(8 * MB).table(NVS, APP, FFAT, replace(VFS, offset=0x400000)),
        None,
        at(0x400000, 512),
    ),
    "vfs past the end of the flash": (Flash(2 * MB).table(NVS, APP, VFS), None, None),
    "sized at run time": (Flash().table(NVS, PHY, APP), running("1.26.0"), at(0x200000, 512)),
    "sized at run time, on a larger flash": (
        Flash(8 * MB).table(NVS, PHY, APP),
        running("1.27.0-preview.3"),
        at(0x200000, 1536),
    ),
    "no vfs before that was": (Flash().table(NVS, PHY, APP), running("1.25.0"), None),
    "no vfs, but a filesystem": (
        Flash().table(NVS, PHY, APP).filesystem(0x200000, 512),
        None,
        at(0x200000, 512),
    ),
    "no vfs, nothing known": (Flash().table(NVS, PHY, APP), None, None),
    "a damaged table": (
        Flash().table(NVS, PHY, APP, VFS).put(TABLE_OFFSET + 36, b"\x77").filesystem(0x200000, 512),
        running("1.26.0"),
        None,
    ),
    "an erased flash": (Flash(), None, None),
    "a flash too small for a table": (Flash(0x8000), None, None),
}


@pytest.mark.parametrize(("flash", "identity", "place"), PLACES.values(), ids=PLACES)
def test_where_an_esp32_keeps_its_filesystem(
    flash: Flash, identity: FirmwareIdentity | None, place: FilesystemPlace | None
) -> None:
    assert flash.place(ESP32, identity) == place


def esp8266(version: str = "1.24.1", machine: str = GENERIC) -> FirmwareIdentity:
    return running(version, ESP8266, machine)


SMALL = "ESP module (1M) with ESP8266"
ESP8266_PLACES = {
    "4 MB": (Flash().header(0x40), None, at(0x100000, 763)),
    "4 MB, found": (Flash().header(0x40).filesystem(0x100000, 763), None, at(0x100000, 763)),
    "16 MB that claim 4": (Flash(16 * MB).header(0x40), esp8266(), at(0x100000, 763)),
    "16 MB": (Flash(16 * MB).header(0x90), esp8266(), at(0x100000, 3835)),
    "a build for 1 MB on 4": (Flash().header(0x40), esp8266(machine=SMALL), at(0x99000, 866)),
    "a build for 1 MB on 4, by what lies there": (
        Flash().header(0x40).filesystem(0x99000, 866),
        None,
        at(0x99000, 866),
    ),
    "1 MB": (Flash(MB).header(0x20), None, at(0x99000, 98)),
    "512 KB": (Flash(MB // 2).header(0x00), None, None),
    "the image lost": (Flash().filesystem(0x100000, 763), None, at(0x100000, 763)),
    "the image lost, where it claimed 2 MB": (
        Flash().filesystem(0x100000, 251),
        None,
        at(0x100000, 763),
    ),
    "the filesystem of another header": (
        Flash(16 * MB).header(0x40).filesystem(0x100000, 3835),
        None,
        at(0x100000, 3835),
    ),
    "a FAT": (Flash().header(0x40).put(0x99000, FAT), None, None),
    "an erased flash": (Flash(), None, None),
    "a header of no sense": (Flash().header(0xF0), None, None),
}


@pytest.mark.parametrize(
    ("flash", "identity", "place"), ESP8266_PLACES.values(), ids=ESP8266_PLACES
)
def test_where_an_esp8266_keeps_its_filesystem(
    flash: Flash, identity: FirmwareIdentity | None, place: FilesystemPlace | None
) -> None:
    assert flash.place(ESP8266, identity) == place


@pytest.mark.parametrize("chip", CHIPS)
def test_a_board_as_it_was_flashed_agrees_with_its_image(chip: Chip) -> None:
    firmware = read_firmware(build(chip, "1.24.1"), "some.bin")
    place = FAMILY.filesystem_place(firmware, None, None)
    flash = Flash().put(firmware.base, firmware.data)
    assert flash.place(chip, firmware.identity) == flash.place(chip, None) == place


# What would be lost


def test_what_an_erase_would_lose() -> None:
    spiffs = Partition(name="web", type=1, subtype=0x82, offset=0x400000, size=0x100000)
    otadata = Partition(name="otadata", type=1, subtype=0, offset=0x600000, size=0x2000)
    core = Partition(name="core", type=1, subtype=3, offset=0x500000, size=0x10000)
    flash = Flash(8 * MB).table(NVS, otadata, PHY, APP, VFS, spiffs, core)
    blank = flash.holds(ESP32, None)
    assert [(data.name, data.kind, data.blank) for data in blank] == [
        ("NVS", "nvs", True),
        ("filesystem", "littlefs", True),
        ("partition web", "other", True),
    ]
    flash.put(0x600000, b"1").put(0xF000, b"2").put(0x500000, b"3").put(0x10000, b"app")
    assert flash.holds(ESP32, None) == blank
    flash.put(0x9000 + 0x3010, b"\xfe").filesystem(0x200000, 512).put(0x400000, b"web")
    full = flash.holds(ESP32, None)
    assert full == tuple(replace(data, blank=False) for data in blank)
    assert [(data.offset, data.size) for data in full] == [
        (0x9000, 0x6000),
        (0x200000, 0x200000),
        (0x400000, 0x100000),
    ]


@pytest.mark.parametrize("sector", [2, 7, 12, 511])
def test_a_filesystem_is_not_blank_though_its_beginning_is_lost(sector: int) -> None:
    flash = Flash().table(NVS, PHY, APP, VFS).put(0x200000 + sector * 4096 + 4095, b"x")
    assert [data.blank for data in flash.holds(ESP32, None)] == [True, False]


@pytest.mark.parametrize(
    ("flash", "identity", "kind"),
    [
        (Flash().table(APP, VFS).put(0x200000, FAT), None, "fat"),
        (Flash().table(APP, FFAT), None, "fat"),
        (Flash().table(APP, VFS), running("1.12"), "fat"),
        (Flash().table(APP, FFAT).filesystem(0x200000, 512), None, "littlefs"),
        (Flash().table(APP), running("1.28.0"), "littlefs"),
    ],
    ids=["FAT in vfs", "ffat", "an old firmware", "LittleFS in ffat", "sized at run time"],
)
def test_kinds_of_filesystem(flash: Flash, identity: FirmwareIdentity | None, kind: str) -> None:
    (data,) = flash.holds(ESP32, identity)
    assert (data.name, data.kind) == ("filesystem", kind)


def test_another_filesystem_than_the_one_that_is_mounted() -> None:
    second = replace(VFS, name="store", offset=0x400000)
    flash = Flash(8 * MB).table(APP, VFS, second).filesystem(0x400000, 512)
    assert [(data.name, data.kind, data.blank) for data in flash.holds(ESP32, None)] == [
        ("filesystem", "littlefs", True),
        ("partition store", "littlefs", False),
    ]


def test_what_an_esp8266_would_lose() -> None:
    flash = Flash().header(0x40)
    (data,) = flash.holds(ESP8266, esp8266())
    assert data == FlashData(
        name="filesystem", kind="littlefs", offset=0x100000, size=763 * 4096, blank=True
    )
    (data,) = flash.filesystem(0x100000, 763).holds(ESP8266, None)
    assert (data.name, data.kind, data.blank) == ("filesystem", "littlefs", False)
    (data,) = Flash().header(0x40).put(0x100000, b"others'").holds(ESP8266, None)
    assert (data.name, data.kind, data.blank) == ("data at 0x100000", "other", False)
    (data,) = Flash().header(0x40).put(0x99000, FAT).holds(ESP8266, None)
    assert (data.name, data.kind, data.offset) == ("filesystem", "fat", 0x99000)
    assert Flash().holds(ESP8266, None) == ()


def test_little_is_read() -> None:
    """An erased data partition is the worst case: nothing ends the look at it."""
    flash = Flash(16 * MB).table(NVS, PHY, APP, replace(VFS, size=14 * MB))
    assert all(data.blank for data in flash.holds(ESP32, None))
    assert flash.bytes_read < 160_000


# Layouts


@pytest.mark.parametrize(
    ("table", "same"),
    [
        ((NVS, PHY, APP, VFS), True),
        ((replace(NVS, size=0x5000), PHY, APP, VFS), False),
        ((replace(NVS, offset=0x3F0000), PHY, APP), False),
        ((replace(NVS, name="settings"), PHY, APP, VFS), True),
    ],
)
def test_whether_an_image_has_the_place_of_what_lies_in_flash(
    table: tuple[Partition, ...], same: bool
) -> None:
    firmware = read_firmware(build(ESP32, "1.24.1"), "some.bin")
    flash = Flash().table(*table).put(table[0].offset, b"settings")
    (nvs,) = (data for data in flash.holds(ESP32, None) if data.kind == "nvs")
    assert FAMILY.has_place(firmware, nvs) is same
    app = FlashData(name="app", kind="other", offset=APP.offset, size=APP.size, blank=False)
    assert not FAMILY.has_place(firmware, app)


@pytest.mark.parametrize("table", [b"", b"\x77" * 64], ids=["erased", "damaged"])
def test_a_table_that_is_lost_is_no_loss_of_what_it_told_of(table: bytes) -> None:
    """As of a board whose flashing was cut short: the image that is wanted says where NVS is."""
    firmware = read_firmware(build(ESP32, "1.24.1"), "some.bin")
    flash = Flash().put(TABLE_OFFSET, table).put(NVS.offset, b"settings")
    flash.filesystem(VFS.offset, 512)
    found = FAMILY.data_in_flash(ESP32, flash.read, 4 * MB, None, firmware)
    nvs = FlashData(name="NVS", kind="nvs", offset=NVS.offset, size=NVS.size, blank=False)
    assert found == (nvs,)
    assert FAMILY.data_in_flash(ESP32, flash.read, 4 * MB, None) == ()
    there = Flash().table(replace(NVS, offset=0xA000), APP).put(NVS.offset, b"something")
    found = FAMILY.data_in_flash(ESP32, there.read, 4 * MB, None, firmware)
    assert [data.offset for data in found if data.kind == "nvs"] == [0xA000]


def outside(offset: int, size: int) -> FlashData:
    name = f"data at 0x{offset:x}, outside of any partition"
    return FlashData(name=name, kind="other", offset=offset, size=size, blank=False)


@pytest.mark.parametrize(
    ("flash", "found"),
    [
        (Flash(8 * MB).table(NVS, PHY, APP, VFS), []),
        (
            Flash(8 * MB).table(NVS, PHY, APP, VFS).put(8 * MB - 4096, b"mine"),
            [outside(4 * MB, 4 * MB)],
        ),
        (
            Flash().table(VFS, NVS, replace(APP, size=0x1E0000)).put(0x1F0000, b"mine"),
            [outside(0x1F0000, 0x10000)],
        ),
        (Flash(8 * MB).table(NVS, APP, replace(VFS, size=6 * MB)).put(6 * MB, b"files"), []),
        # With no partition for files the rest of the flash is the filesystem's.
        (Flash(8 * MB).table(NVS, APP).filesystem(0x200000, 1536).put(7 * MB, b"mine"), []),
    ],
    ids=["blank", "behind the last", "between two", "none is left", "sized at run time"],
)
def test_what_an_app_keeps_in_flash_that_no_partition_has(
    flash: Flash, found: list[FlashData]
) -> None:
    assert [data for data in flash.holds(ESP32, None) if data.kind == "other"] == found


@pytest.mark.parametrize(
    ("table", "stays"),
    [
        ((NVS, PHY, APP, VFS), True),
        ((NVS, PHY, APP, replace(VFS, size=3 * MB)), False),  # its filesystem reaches there
        ((NVS, PHY, APP), False),  # its filesystem is all the rest
    ],
    ids=["beside", "in the way", "sized at run time"],
)
def test_whether_what_no_partition_has_may_stay(table: tuple[Partition, ...], stays: bool) -> None:
    image = read_firmware(build(ESP32, "1.24.1", partitions=table), "some.bin")
    assert FAMILY.has_place(image, outside(4 * MB, 4 * MB)) is stays


SDK = FlashData(
    name="Wi-Fi settings and calibration",
    kind="nvs",
    offset=4 * MB - 20480,
    size=20480,
    blank=False,
)


@pytest.mark.parametrize(
    ("flash", "found"),
    [
        (Flash().header(0x40), []),
        (Flash().header(0x40).put(4 * MB - 20480, b"init"), [SDK]),
        (Flash().header(0x40).put(4 * MB - 4096, b"ssid"), [SDK]),
        (Flash(16 * MB).header(0x40).put(4 * MB - 4096, b"ssid"), [SDK]),
        (Flash().filesystem(0x100000, 763).put(4 * MB - 4096, b"ssid"), [SDK]),
        (Flash(), []),
    ],
    ids=["none", "first", "last", "16 MB that claim 4", "the image lost", "an erased flash"],
)
def test_what_the_sdk_of_an_esp8266_keeps(flash: Flash, found: list[FlashData]) -> None:
    assert [data for data in flash.holds(ESP8266, None) if data.kind == "nvs"] == found


def test_an_esp8266_has_no_table() -> None:
    firmware = read_firmware(build(ESP8266, "1.24.1"), "some.bin")
    assert isinstance(firmware, EspFirmware)
    (data,) = Flash().filesystem(0x100000, 763).holds(ESP8266, None)
    assert not FAMILY.has_place(firmware, data)
    assert FAMILY.has_place(firmware, SDK)


@pytest.mark.parametrize(
    ("version", "date", "newest"),
    [
        ("1.13", "2020-09-02", VERSION_2_0),
        ("1.21.0", "2023-10-05", VERSION_2_0),
        ("1.22.0-preview.5.g1234567", "2023-10-20", VERSION_2_0),
        ("1.22.0-preview.64.g7f36d5d", "2023-11-01", VERSION_2_1),
        ("1.22.0-preview", "", VERSION_2_1),
        ("1.22.0", "2023-12-27", VERSION_2_1),
        ("1.9.4", "2018-05-11", VERSION_2_0),
        ("1.28.0", "", VERSION_2_1),
        ("2.0.0", "", VERSION_2_1),
        ("custom", "2025-01-01", VERSION_2_0),
    ],
)
def test_the_newest_littlefs_that_a_firmware_reads(version: str, date: str, newest: int) -> None:
    assert FAMILY.newest_littlefs(running(version, date=date)) == newest


# What anybody may have written


@given(data=st.data(), chip=st.sampled_from((ESP8266, ESP32)))
@settings(max_examples=200, deadline=None)
def test_no_flash_makes_it_raise(data: st.DataObject, chip: Chip) -> None:
    word = st.sampled_from((0, 0x1000, 0x9000, 0x10000, 0x200000, 0x3FF000, 0xFFFFFFFF))
    flash = Flash()
    partitions = [
        Partition(
            name=data.draw(st.sampled_from(("vfs", "ffat", "nvs", "x"))),
            type=data.draw(st.sampled_from((0, 1, 0x40))),
            subtype=data.draw(st.sampled_from((0, 2, 3, 0x10, 0x81, 0x83))),
            offset=data.draw(word),
            size=data.draw(word),
        )
        for _ in range(data.draw(st.integers(0, 6)))
    ]
    if partitions:
        flash.table(*partitions)
    flash.put(0, data.draw(st.binary(max_size=8)))
    for offset in (0x10000, 0x99000, 0x100000, 0x200000):
        flash.put(offset, data.draw(st.sampled_from((b"", FAT, b"\0" * 5000, b"\x01littlefs"))))
    identity = data.draw(st.sampled_from((None, running("1.28.0", chip), running("?", chip))))
    place = flash.place(chip, identity)
    assert place is None or place.end <= len(flash.data)
    for each in flash.holds(chip, identity):
        assert each.offset + each.size <= len(flash.data)
