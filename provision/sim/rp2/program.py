"""What the boot ROM starts from flash, and whether that is a program.

An RP2040's ROM wants a second-stage loader of 256 bytes with a right CRC, and jumps into what lies
behind it whatever that is. An RP2350's wants a loop of blocks, one of which says that this is a
program for it; the last lies at the end of the image. Without those, both go to BOOTSEL.

Whether what is jumped into can run is not the ROM's concern, but a virtual board's: an image that
was written in part, or over another, crashes before its USB is up. An image of `firmware` carries
its own checksum; of any other, a page that is still erased tells that it is not whole.
"""

from __future__ import annotations

import struct
import zlib

from provision.core.chips.identity import read_banner
from provision.core.chips.rp2.binary_info import read_binary_info
from provision.core.chips.rp2.chips import RP2040
from provision.core.chips.rp2.firmware import place_of
from provision.core.chips.rp2.memory import PAGE
from provision.model.chip import Chip
from provision.model.firmware import FilesystemPlace
from provision.model.language import record
from provision.model.state import FirmwareIdentity

BOOT2 = 256
"""Bytes of an RP2040's second-stage loader, its CRC the last four."""

BLOCK_START = 0xFFFFDED3
BLOCK_END = 0xAB123579
ITEM_IMAGE_TYPE = 0x42
ITEM_LAST = 0xFF
IMAGE_ARM = 0x1021  # a program, secure, ARM, RP2350
IMAGE_RISCV = 0x1101  # a program, RISC-V, RP2350

CHECKSUM = struct.pack("<H2sI", 5, b"VB", 0x1D5C0A17)
"""How the entry of the binary information begins that only images of ours have: a number, zlib's
CRC-32 of all up to the binary's end, where it counts as 0 itself."""

USB_STDIO = b"USB stdin / stdout\0"
"""The feature that a program of the pico-sdk names whose standard input and output are on USB."""

_SEARCHED = 4096  # bytes of flash in which the first block begins
_MOST_BLOCK = 0x280
_MOST_BLOCKS = 16
_PROGRAM = 0x1  # image type, lowest four bits
_CHIP_RP2350 = 1
_ERASED = b"\xff" * PAGE


@record
class Program:
    """What is started. `whole`: it can run. `usb_stdio`: it has a port though it is not
    MicroPython. `identity` is None for what is not, `filesystem` for what has none."""

    whole: bool
    usb_stdio: bool = False
    identity: FirmwareIdentity | None = None
    filesystem: FilesystemPlace | None = None


def boot2_crc(data: bytes) -> int:
    """CRC-32 of a second-stage loader without its last four bytes, as the ROM computes it: highest
    bit first, from all ones, not inverted at the end."""
    turned = bytes(int(f"{byte:08b}"[::-1], 2) for byte in data)
    return int(f"{zlib.crc32(turned) ^ 0xFFFFFFFF:032b}"[::-1], 2)


def starts(flash: memoryview, chip: Chip) -> bool:
    """Whether the ROM finds something to start."""
    if chip == RP2040:
        boot2 = bytes(flash[:BOOT2])
        return boot2_crc(boot2[:-4]) == int.from_bytes(boot2[-4:], "little")
    return _is_program_for_rp2350(flash)


def program_in(flash: memoryview, chip: Chip) -> Program:
    """What is started, where `starts` is true."""

    def read(offset: int, size: int) -> bytes:
        return bytes(flash[offset : offset + size])

    info = read_binary_info(read, len(flash))
    if info is None or info.end is None:
        return Program(whole=False)
    image = read(0, info.end)
    if not _is_whole(image):
        return Program(whole=False)
    identity = read_banner(image, chip)
    return Program(
        whole=True,
        usb_stdio=USB_STDIO in image,
        identity=identity,
        filesystem=place_of(info, len(flash)) if identity else None,
    )


def image_crc(image: bytes, place: int) -> int:
    """The checksum that an image of ours carries at `place`, where it counts as 0."""
    return zlib.crc32(image[:place] + bytes(4) + image[place + 4 :])


def _is_whole(image: bytes) -> bool:
    place = image.find(CHECKSUM) + len(CHECKSUM)
    if place >= len(CHECKSUM):
        return int.from_bytes(image[place : place + 4], "little") == image_crc(image, place)
    return all(image[at : at + PAGE] != _ERASED for at in range(0, len(image) - PAGE, PAGE))


def _is_program_for_rp2350(flash: memoryview) -> bool:
    first = _first_block(flash)
    if first is None:
        return False
    at, found = first, False
    for _ in range(_MOST_BLOCKS):
        block = _read_block(flash, at)
        if block is None:
            return False
        image_type, link = block
        if image_type is not None:
            found = found or (image_type & 0xF == _PROGRAM and image_type >> 12 & 7 == _CHIP_RP2350)
        at += link
        if at == first:
            return found
        if not 0 <= at < len(flash):
            return False
    return False


def _first_block(flash: memoryview) -> int | None:
    marker = struct.pack("<I", BLOCK_START)
    head = bytes(flash[:_SEARCHED])
    at = head.find(marker)
    while at >= 0 and at % 4:
        at = head.find(marker, at + 1)
    return at if at >= 0 else None


def _read_block(flash: memoryview, start: int) -> tuple[int | None, int] | None:
    """The image type that a block names, if it does, and how far from it the next one is; None for
    what is no block."""
    words = memoryview(bytes(flash[start : start + _MOST_BLOCK]))
    image_type: int | None = None
    at = 4
    try:
        if struct.unpack_from("<I", words)[0] != BLOCK_START:
            return None
        while True:
            item, short, value = struct.unpack_from("<BBH", words, at)
            size: int = short | (value & 0xFF) << 8 if item & 0x80 else short
            if item == ITEM_LAST:
                link, end = struct.unpack_from("<iI", words, at + 4)
                right = end == BLOCK_END and size * 4 == at - 4
                return (image_type, link) if right else None
            if item == ITEM_IMAGE_TYPE:
                image_type = value
            if not size:
                return None
            at += 4 * size
    except struct.error:
        return None
