"""How much of a flash is the firmware that a chip starts from, read from the flash alone, by as
little of it as tells: pure but for the reader that is passed in.

The bytes found are what a file of that firmware would hold: bootloader, partition table and the
apps of all slots with the choice between them, or an ESP8266's image with the code that it runs
from flash.
"""

from __future__ import annotations

import struct

from provision.core.chips.esp.chips import ESP8266
from provision.core.chips.esp.firmware import ESP8266_CODE, ESP8266_DIGEST
from provision.core.chips.esp.image import (
    BOOT_OFFSETS,
    DIGEST,
    EXTENDED_HEADER,
    HEADER,
    MAGIC,
    MAX_SEGMENTS,
)
from provision.core.chips.esp.partition_table import (
    TABLE_OFFSET,
    TABLE_SIZE,
    Partition,
    TableFault,
    read_table,
)
from provision.interfaces import FlashRead
from provision.model.chip import Chip

_SEGMENT = struct.Struct("<II")
_MOST = 16 << 20  # bytes of one image


def installed_image(chip: Chip, read: FlashRead, flash_size: int) -> tuple[int, int] | None:
    """See `ChipFamily.installed_image`."""
    end = _esp8266_end(read, flash_size) if chip == ESP8266 else _esp32_end(read, flash_size)
    base = BOOT_OFFSETS[chip]
    return (base, end - base) if end is not None and base < end <= flash_size else None


def _esp8266_end(read: FlashRead, flash_size: int) -> int | None:
    """By the length that MicroPython's own makefile writes before the code, and the MD5 behind."""
    if flash_size < ESP8266_CODE or read(0, 1) != bytes([MAGIC]):
        return None
    length = int.from_bytes(read(ESP8266_CODE - 4, 4), "little")
    return length + ESP8266_DIGEST if ESP8266_CODE <= length < _MOST else None


def _esp32_end(read: FlashRead, flash_size: int) -> int | None:
    if flash_size < TABLE_OFFSET + TABLE_SIZE:
        return None
    table = read_table(read(TABLE_OFFSET, TABLE_SIZE))
    if isinstance(table, TableFault):
        return None
    ends = [end for part in table if (end := _end_of(part, read, flash_size)) is not None]
    return max(ends, default=None)


def _end_of(part: Partition, read: FlashRead, flash_size: int) -> int | None:
    """Where what a partition has of the firmware ends: an app, or the choice between two."""
    if part.end > flash_size:
        return None
    if part.kind == "data ota":
        return part.end
    return _app_end(read, part) if part.is_app else None


def _app_end(read: FlashRead, part: Partition) -> int | None:
    """By the headers of its segments; the checksum ends a multiple of 16 bytes."""
    header = read(part.offset, HEADER + EXTENDED_HEADER)
    count, hashed = header[1], header[-1] == 1
    if header[0] != MAGIC or not 0 < count <= MAX_SEGMENTS:
        return None
    position = part.offset + len(header)
    for _ in range(count):
        if position + _SEGMENT.size > part.end:
            return None
        _, length = _SEGMENT.unpack(read(position, _SEGMENT.size))
        position += _SEGMENT.size + length
    end = part.offset + ((position - part.offset) | 15) + 1 + (DIGEST if hashed else 0)
    return end if end <= part.end else None
