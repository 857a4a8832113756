"""Small firmware images for virtual boards, examples and tests: real formats, invented content.

An image built here is what MicroPython's own makeimg.py makes: bootloader, partition table and
app for the ESP32 family, padded over NVS; loaded segments, length word, code and MD5 for the
ESP8266. Boot ROMs, esptool and this tool's reader find it whole. It holds the banner of the
asked version and board, but no program: only a virtual board can run it.
"""

from __future__ import annotations

import hashlib
import random
import re
import struct

from provision.core.chips.esp.chips import (
    ESP32,
    ESP32C2,
    ESP32C3,
    ESP32C5,
    ESP32C6,
    ESP32C61,
    ESP32H2,
    ESP32P4,
    ESP32S2,
    ESP32S3,
    ESP8266,
)
from provision.core.chips.esp.filesystem_place import SIZED_AT_RUN_TIME_SINCE
from provision.core.chips.esp.firmware import ESP8266_CODE
from provision.core.chips.esp.image import (
    BOOT_OFFSETS,
    CHECKSUM_SEED,
    CHIP_IDS,
    MAGIC,
    flash_sizes,
    size_name,
    xor_bytes,
)
from provision.core.chips.esp.partition_table import TABLE_OFFSET, Partition, build_table
from provision.errors import UsageError
from provision.model.chip import Chip
from provision.model.language import record

DATE = "2024-11-29"

# What the generic releases of micropython.org say of their board, by release name and variant.
MACHINES = {
    ("ESP8266_GENERIC", None): "ESP module with ESP8266",
    ("ESP8266_GENERIC", "FLASH_1M"): "ESP module (1M) with ESP8266",
    ("ESP8266_GENERIC", "FLASH_512K"): "ESP module (512K) with ESP8266",
    ("ESP32_GENERIC", None): "Generic ESP32 module with ESP32",
    ("ESP32_GENERIC_S2", None): "Generic ESP32S2 module with ESP32S2",
    ("ESP32_GENERIC_S3", None): "Generic ESP32S3 module with ESP32S3",
    ("ESP32_GENERIC_C2", None): "ESP32C2 module with ESP32C2",
    ("ESP32_GENERIC_C3", None): "ESP32C3 module with ESP32C3",
    ("ESP32_GENERIC_C5", None): "ESP32C5 module with ESP32C5",
    ("ESP32_GENERIC_C6", None): "ESP32C6 module with ESP32C6",
    ("ESP32_GENERIC_C61", None): "ESP32C61 module with ESP32-C61",  # no release of it yet
    ("ESP32_GENERIC_H2", None): "ESP32H2 module with ESP32-H2",
    ("ESP32_GENERIC_P4", None): "Generic ESP32P4 module with ESP32P4",
    ("ESP32_GENERIC_P4", "PRE_REV3"): (
        "Generic ESP32P4 module with pre revision 3 chip with ESP32-P4"
    ),
}
GENERIC_RELEASES = {
    ESP8266: "ESP8266_GENERIC",
    ESP32: "ESP32_GENERIC",
    ESP32S2: "ESP32_GENERIC_S2",
    ESP32S3: "ESP32_GENERIC_S3",
    ESP32C2: "ESP32_GENERIC_C2",
    ESP32C3: "ESP32_GENERIC_C3",
    ESP32C5: "ESP32_GENERIC_C5",
    ESP32C6: "ESP32_GENERIC_C6",
    ESP32C61: "ESP32_GENERIC_C61",
    ESP32H2: "ESP32_GENERIC_H2",
    ESP32P4: "ESP32_GENERIC_P4",
}

_APP_OFFSET = 0x10000
_APP_SIZE = 0x1F0000  # as MicroPython's partitions-4MiB.csv


@record(kw_only=False)
class _Map:
    """Where a chip maps read-only data from flash, and has RAM for code and for its bootloader."""

    rodata: int
    iram: int
    bootloader: int


# From esptool's memory maps (its targets' DROM, IRAM and DRAM ranges).
_MAPS = {
    ESP32: _Map(0x3F400020, 0x40080000, 0x3FFF0030),
    ESP32S2: _Map(0x3F000020, 0x40024000, 0x3FFE6110),
    ESP32S3: _Map(0x3C000020, 0x40374000, 0x3FCE3820),
    ESP32C2: _Map(0x3C000020, 0x40380000, 0x3FCD5C80),
    ESP32C3: _Map(0x3C000020, 0x40380000, 0x3FCD5820),
    ESP32C5: _Map(0x42000020, 0x40800000, 0x408556B0),
    ESP32C6: _Map(0x42000020, 0x40800000, 0x4086C410),
    ESP32C61: _Map(0x42000020, 0x40800000, 0x40845C00),
    ESP32H2: _Map(0x42000020, 0x40800000, 0x408460E0),
    ESP32P4: _Map(0x40000020, 0x4FF00000, 0x4FF33CE0),
}
# Revisions that builds for the ESP32-P4 name in their headers, and no others (sdkconfig.p4): up to
# 1.28 those before 3.0, since then those from 3.0 on, and a variant for the others.
_EARLY_REVISIONS = (0, 199)
_P4_REVISIONS = (300, 399)
_P4_SPLIT_SINCE = (1, 29)


def default_machine(chip: Chip, flash_size: int | None = None) -> str:
    """What the generic release for `chip` calls its board; an ESP8266 with less than 2 MB has
    builds of its own."""
    variant = None
    if chip == ESP8266 and flash_size is not None and flash_size < 2 << 20:
        variant = "FLASH_1M" if flash_size >= 1 << 20 else "FLASH_512K"
    return MACHINES[GENERIC_RELEASES[chip], variant]


def build(
    chip: Chip,
    version: str,
    *,
    machine: str | None = None,
    flash_size: int | None = None,
    date: str = DATE,
    size: int | None = None,
    micropython: bool = True,
    partitions: tuple[Partition, ...] | None = None,
) -> bytes:
    """An image for `chip` whose banner says `version` ("1.24.1") and `machine`.

    `flash_size` (bytes, default 4 MB) goes into the header and, before 1.26, into the partition
    table as the end of `vfs`. `size` pads the image to that many bytes (about; rounded up to 16)
    with content that compresses as real firmware does. Without `micropython` it is a sound
    image of something else. `partitions` replaces the partition table. The same arguments give
    the same bytes. Raises UsageError for a `size` below what an image of this chip needs.
    """
    if not version or any(not 0x20 < ord(char) < 0x7F for char in version):
        raise UsageError(f"no version to put into a banner: {version!r}")
    text = machine if machine is not None else default_machine(chip, flash_size)
    banner = (
        f"MicroPython v{version} on {date}; {text}"
        if micropython
        else "Hello from another firmware"
    ).encode("ascii")
    total = flash_size if flash_size is not None else 4 << 20
    if chip == ESP8266:
        return _esp8266(banner, size, total)
    table = partitions if partitions is not None else _partitions(version, total)
    description = _app_description(version if micropython else "1.0")
    revisions = _revisions(chip, version, text)
    return _esp32(chip, description + banner, size, total, table, revisions=revisions)


def _revisions(chip: Chip, version: str, machine: str) -> tuple[int, int]:
    """The chip revisions that a release's header names."""
    if chip != ESP32P4:
        return (0, 0xFFFF)
    if not _since(version, _P4_SPLIT_SINCE):
        return _EARLY_REVISIONS
    return _EARLY_REVISIONS if "pre revision 3" in machine else _P4_REVISIONS


def _partitions(version: str, flash_size: int) -> tuple[Partition, ...]:
    """MicroPython's tables: since 1.26 the filesystem takes what the table leaves, before that
    it is an entry of its own from 2 MB on."""
    nvs = Partition(name="nvs", type=1, subtype=2, offset=0x9000, size=0x6000)
    phy = Partition(name="phy_init", type=1, subtype=1, offset=0xF000, size=0x1000)
    if _since(version, SIZED_AT_RUN_TIME_SINCE):
        app = Partition(name="factory", type=0, subtype=0, offset=_APP_OFFSET, size=_APP_SIZE)
        return (nvs, phy, app)
    start = 0x200000 if flash_size > 0x200000 else 0x180000
    app = Partition(name="factory", type=0, subtype=0, offset=_APP_OFFSET, size=start - _APP_OFFSET)
    vfs = Partition(name="vfs", type=1, subtype=0x81, offset=start, size=flash_size - start)
    return (nvs, phy, app, vfs)


def _since(version: str, first: tuple[int, int]) -> bool:
    match = re.match(r"(\d+)\.(\d+)", version)
    return match is not None and (int(match[1]), int(match[2])) >= first


def _esp8266(banner: bytes, size: int | None, flash_size: int) -> bytes:
    seed = f"esp8266 {banner.hex()}"
    smallest = ESP8266_CODE + 0x400 + 16
    wanted = _wanted(size, smallest, ESP8266)
    segments = [
        (0x40100000, _filler(f"{seed} iram", 0x400)),
        (0x3FFE8000, _filler(f"{seed} data", 0x100)),
    ]
    loaded = _image(ESP8266, segments, entry=0x40100004, flash_size=flash_size, mode=2)
    code_size = wanted - ESP8266_CODE - 16
    code = banner + b"\r\n\0" + _filler(f"{seed} code", code_size)
    length = struct.pack("<I", ESP8266_CODE + code_size)
    data = loaded.ljust(ESP8266_CODE - 4, b"\xff") + length + code[:code_size]
    return data + hashlib.md5(data[4:], usedforsecurity=False).digest()


def _esp32(
    chip: Chip,
    text: bytes,
    size: int | None,
    flash_size: int,
    partitions: tuple[Partition, ...],
    *,
    revisions: tuple[int, int],
) -> bytes:
    seed = f"{chip.name} {text.hex()}"
    base = BOOT_OFFSETS[chip]
    chip_map = _MAPS[chip]
    app_start = min(part.offset for part in partitions if part.is_app) - base
    smallest = app_start + 0x400
    wanted = _wanted(size, smallest, chip)
    bootloader = _image(
        chip,
        [(chip_map.bootloader, _filler(f"{seed} bootloader", 0x200))],
        entry=chip_map.iram + 0x78,
        flash_size=flash_size,
        mode=2,
        revisions=revisions,
    )
    code = _filler(f"{seed} iram", 0x80)
    # Header, two segment headers, code, checksum and digest leave this for the read-only data.
    room = wanted - app_start - 24 - 16 - len(code) - 16 - 32
    rodata = text + b"\r\n\0" + _filler(f"{seed} rodata", room)
    app = _image(
        chip,
        [(chip_map.rodata, rodata[:room]), (chip_map.iram, code)],
        entry=chip_map.iram,
        flash_size=flash_size,
        mode=2,
        revisions=revisions,
    )
    image = bootloader.ljust(TABLE_OFFSET - base, b"\xff") + build_table(partitions)
    return image.ljust(app_start, b"\xff") + app


def _wanted(size: int | None, smallest: int, chip: Chip) -> int:
    if size is None:
        return smallest
    if size < smallest:
        raise UsageError(f"an {chip.label} image has at least {smallest} bytes, not {size}")
    return (size + 15) & ~15


def _app_description(version: str) -> bytes:
    """esp_app_desc_t: magic, version, project name, time, date, ESP-IDF version, digest."""
    return struct.pack(
        "<II8x32s32s16s16s32s32s80x",
        0xABCD5432,
        0,
        version.encode("ascii")[:31],
        b"micropython",
        b"00:00:00",
        b"Nov 29 2024",
        b"v5.2.2",
        b"",
    )


def _image(
    chip: Chip,
    segments: list[tuple[int, bytes]],
    *,
    entry: int,
    flash_size: int,
    mode: int,
    revisions: tuple[int, int] = (0, 0xFFFF),
) -> bytes:
    """One image in Espressif's format with its checksum and, but on the ESP8266, its digest."""
    size = flash_sizes(chip).get(size_name(flash_size), flash_sizes(chip)["4MB"])
    frequency = 0  # 40 MHz, on most chips
    head = struct.pack("<BBBBI", MAGIC, len(segments), mode, size | frequency, entry)
    if chip != ESP8266:
        # wp_pin disabled, drive strengths, chip id, revisions, digest appended.
        head += struct.pack("<B3xHBHH4xB", 0xEE, CHIP_IDS[chip], 0, *revisions, 1)
    checksum = CHECKSUM_SEED
    for address, content in segments:
        padded = content + b"\0" * (-len(content) % 4)
        head += struct.pack("<II", address, len(padded)) + padded
        checksum = xor_bytes(padded, checksum)
    head += b"\0" * (15 - len(head) % 16) + bytes([checksum])
    return head if chip == ESP8266 else head + hashlib.sha256(head).digest()


def _filler(seed: str, size: int) -> bytes:
    """`size` bytes that deflate to about 63 %, as MicroPython's own images do (measured on two
    ESP32 builds): short runs of machine-code-like noise between words seen before."""
    if size <= 0:
        return b""
    generator = random.Random(seed)  # str seeds are hashed with SHA-512: the same everywhere
    words = [generator.randbytes(8) for _ in range(512)]
    noise = memoryview(generator.randbytes(size))
    picks = generator.randbytes(size // 4 + 2)
    out = bytearray()
    position = 0
    while len(out) < size:
        pick = picks[position % (len(picks) - 1)]
        length = 4 + pick % 12
        out += noise[len(out) : len(out) + length]
        out += words[pick * 2 + picks[(position + 1) % len(picks)] % 2]
        position += 1
    return bytes(out[:size])
