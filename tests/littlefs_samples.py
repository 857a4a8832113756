"""LittleFS images and metadata blocks for tests: of either disk version, made and hand-made."""

from __future__ import annotations

import gzip
import struct
from pathlib import Path

from littlefs import LittleFS

from provision.core.littlefs_blocks import (
    CHECKSUM,
    FCRC,
    INLINE_STRUCT,
    MAGIC,
    NO_ID,
    SUPERBLOCK,
    ReadBlock,
    Tag,
    checksum,
)

BLOCK = 4096
BLOCKS = 32
# A filesystem (512 blocks) that MicroPython 1.18 made on an emulated ESP32, 1.26.1 wrote to and
# 1.18 wrote to again: each saw only what is in its own block of the root.
TWO_DRIVERS = gzip.decompress((Path(__file__).parent / "littlefs-two-drivers.bin.gz").read_bytes())


def made(version: int, *, files: int = 3) -> bytes:
    filesystem = LittleFS(
        block_size=BLOCK,
        block_count=BLOCKS,
        read_size=32,
        prog_size=32,
        cache_size=128,
        disk_version=version,
    )
    filesystem.makedirs("lib/deep")
    for number in range(files):
        with filesystem.open(f"lib/deep/{number}.py", "wb") as file:
            file.write(b"#" * number)
    return bytes(filesystem.context.buffer)


def blocks_of(image: bytes) -> ReadBlock:
    return lambda number: image[number * BLOCK : (number + 1) * BLOCK]


def block_of(
    *commits: list[Tag], revision: int = 1, size: int = 512, closing: int = CHECKSUM
) -> bytes:
    """A metadata block as a driver writes it, each commit padded to 32 bytes."""
    data = bytearray(struct.pack("<I", revision))
    previous, begin = 0xFFFFFFFF, 0
    for tags in commits:
        for tag in tags:
            data += (tag.word ^ previous).to_bytes(4, "big") + tag.data
            previous = tag.word
        end = -(-(len(data) + 8) // 32) * 32
        word = closing << 20 | NO_ID << 10 | end - len(data) - 4
        data += (word ^ previous).to_bytes(4, "big")
        data += struct.pack("<I", checksum(bytes(data[begin:])))
        data += b"\xff" * (end - len(data))
        previous, begin = word ^ (closing & 1) << 31, end
    return bytes(data.ljust(size, b"\xff"))


def superblock(version: int, *, size: int = 512, count: int = 2) -> list[Tag]:
    return [
        Tag(SUPERBLOCK, 0, MAGIC),
        Tag(INLINE_STRUCT, 0, struct.pack("<6I", version, size, count, 255, 1 << 20, 1022)),
    ]


FORWARD = Tag(FCRC, NO_ID, struct.pack("<2I", 32, checksum(b"\xff" * 32)))
