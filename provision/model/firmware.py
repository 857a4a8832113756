"""Firmware, whatever the chip: one image that was read, the parts of flash it fills, and where it
keeps its filesystem."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import field
from functools import cached_property
from typing import Literal

from provision.model.chip import Chip
from provision.model.language import record
from provision.model.state import FirmwareIdentity


@record
class Region:
    """Bytes to be in flash at an offset: "bootloader", "partition table", "app", "filesystem"."""

    name: str
    offset: int
    data: bytes


@record(slots=False)
class Firmware:
    """One image that was read and found whole: `data` is flashed at offset `base`. A file that was
    merged to be flashed at 0 has `padding` blank bytes (0xFF) before it.

    Each chip family has a subclass with what its own format says besides.
    """

    name: str
    data: bytes = field(repr=False)
    identity: FirmwareIdentity
    base: int
    padding: int = 0

    @property
    def chip(self) -> Chip:
        return self.identity.chip

    @property
    def file(self) -> bytes:
        """The file, as it was read."""
        return b"\xff" * self.padding + self.data

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return self.padding + len(self.data)

    @property
    def file_offset(self) -> int:
        """Where other tools have to flash the file."""
        return self.base - self.padding

    @property
    def end(self) -> int:
        """Where in the flash the image ends."""
        return self.base + len(self.data)

    @cached_property
    def sha256(self) -> str:
        """Of the file."""
        return hashlib.sha256(self.file).hexdigest()


LITTLEFS_BLOCK = 4096
"""Bytes of a block of LittleFS, on every port of MicroPython that this tool builds one for."""


@record
class FilesystemPlace:
    """Where in flash a firmware keeps its LittleFS: `blocks` blocks of `block` bytes."""

    offset: int
    blocks: int
    block: int = LITTLEFS_BLOCK

    @property
    def size(self) -> int:
        return self.blocks * self.block

    @property
    def end(self) -> int:
        return self.offset + self.size


DataKind = Literal["nvs", "littlefs", "fat", "other"]


@record
class FlashData:
    """Data in flash that no image brings: what erasing the whole of it would lose. `name` is for
    people; `blank` where nothing was ever written there, as far as samples of it tell."""

    name: str
    kind: DataKind
    offset: int
    size: int
    blank: bool


@record
class FlashPart:
    """One row of the partition table that lies in a flash; `kind` in words: "data nvs"."""

    name: str
    kind: str
    offset: int
    size: int


def joined(regions: Sequence[Region], base: int) -> bytes:
    """The bytes from offset `base` of a flash that holds these regions and is else erased."""
    end = max(region.offset + len(region.data) for region in regions)
    image = bytearray(b"\xff" * (end - base))
    for region in regions:
        start = region.offset - base
        image[start : start + len(region.data)] = region.data
    return bytes(image)
