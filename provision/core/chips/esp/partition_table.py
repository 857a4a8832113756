"""The ESP32 family's partition table: what lies where in the flash."""

from __future__ import annotations

import hashlib
import struct
from typing import Literal

from provision.core.chips.esp.image import Buffer
from provision.core.wording import printable
from provision.model.language import record

TABLE_OFFSET = 0x8000  # CONFIG_PARTITION_TABLE_OFFSET; every MicroPython build has it here
TABLE_SIZE = 0xC00  # 95 entries and the MD5 row

_ENTRY = struct.Struct("<HBBII16sI")
_MAGIC = 0x50AA
_MD5_MAGIC = b"\xeb\xeb" + b"\xff" * 14
_DATA_SUBTYPES = {
    0x00: "ota",
    0x01: "phy",
    0x02: "nvs",
    0x03: "coredump",
    0x04: "nvs_keys",
    0x05: "efuse",
    0x06: "undefined",
    0x80: "esphttpd",
    0x81: "fat",
    0x82: "spiffs",
    0x83: "littlefs",
    0x8F: "romfs",
}


@record
class Partition:
    """One entry: `offset` and `size` in bytes of flash, type and subtype as the chip numbers them
    (type 0 is an app, 1 is data)."""

    name: str
    type: int
    subtype: int
    offset: int
    size: int
    flags: int = 0

    @property
    def end(self) -> int:
        return self.offset + self.size

    @property
    def is_app(self) -> bool:
        return self.type == 0

    @property
    def kind(self) -> str:
        """Type and subtype in words: "app factory", "app ota_0", "data nvs"."""
        if self.type == 0:
            if self.subtype == 0:
                return "app factory"
            if 0x10 <= self.subtype < 0x20:
                return f"app ota_{self.subtype - 0x10}"
            return "app test" if self.subtype == 0x20 else f"app 0x{self.subtype:02x}"
        if self.type == 1:
            return f"data {_DATA_SUBTYPES.get(self.subtype, f'0x{self.subtype:02x}')}"
        return f"0x{self.type:02x} 0x{self.subtype:02x}"


@record
class TableFault:
    """Why there is no usable table; `found` is the number that the second-stage bootloader
    prints ("partition 0 invalid magic number 0xffff")."""

    kind: Literal["magic", "md5", "empty"]
    message: str
    found: int = 0


def read_table(data: Buffer) -> tuple[Partition, ...] | TableFault:
    """The entries of a table, in its order; `data` starts at the table."""
    partitions: list[Partition] = []
    for position in range(0, min(len(data), TABLE_SIZE) - 31, 32):
        row = bytes(data[position : position + 32])
        if row == b"\xff" * 32:
            break
        if row.startswith(_MD5_MAGIC):
            if hashlib.md5(data[:position], usedforsecurity=False).digest() != row[16:]:
                return TableFault(kind="md5", message="the partition table's MD5 does not match it")
            break
        magic, kind, subtype, offset, size, label, flags = _ENTRY.unpack(row)
        if magic != _MAGIC:
            return TableFault(
                kind="magic",
                found=magic,
                message=f"entry {len(partitions)} of the partition table is damaged",
            )
        # It is shown, and an image is a stranger's.
        name = printable(label.rstrip(b"\0").decode("ascii", "replace"))
        partitions.append(
            Partition(name=name, type=kind, subtype=subtype, offset=offset, size=size, flags=flags)
        )
    if not partitions:
        return TableFault(kind="empty", message="there is no partition table", found=0xFFFF)
    return tuple(partitions)


def build_table(partitions: tuple[Partition, ...]) -> bytes:
    """The table's bytes with its MD5 row, TABLE_SIZE long."""
    rows = b"".join(
        _ENTRY.pack(
            _MAGIC, each.type, each.subtype, each.offset, each.size, each.name.encode(), each.flags
        )
        for each in partitions
    )
    rows += _MD5_MAGIC + hashlib.md5(rows, usedforsecurity=False).digest()
    return rows.ljust(TABLE_SIZE, b"\xff")
