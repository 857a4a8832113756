"""UF2, the file format that these chips take as a drive: read, checked and written.

A file is a row of blocks of 512 bytes, each with 256 bytes of flash, its address, its number, the
number of all, and a family id that says which chip they are for (github.com/microsoft/uf2; what
the boot ROMs make of it: pico-bootrom-rp2040, virtual_disk.c, and pico-bootrom-rp2350,
usb_virtual_disk.c). Pure, and made for files that may hold anything.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field

from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.core.chips.rp2.memory import PAGE, SECTOR, WINDOW, XIP_BASE
from provision.core.wording import listed, plural
from provision.errors import ImageError
from provision.model.chip import Chip
from provision.model.firmware import Region
from provision.model.language import record

MAGIC = b"UF2\n"
BLOCK = 512
_HEADER = struct.Struct("<8I")
_STARTS = (0x0A324655, 0x9E5D5157)
_END = struct.pack("<I", 0x0AB16F30)
_NOT_MAIN_FLASH = 0x0001
_FILE_CONTAINER = 0x1000
_HAS_FAMILY = 0x2000

RP2040_FAMILY = 0xE48BFF56
ABSOLUTE_FAMILY = 0xE48BFF57
DATA_FAMILY = 0xE48BFF58
RP2350_ARM_FAMILY = 0xE48BFF59
RP2350_RISCV_FAMILY = 0xE48BFF5A
CHIP_OF_FAMILY: Mapping[int, Chip] = {
    RP2040_FAMILY: RP2040,
    RP2350_ARM_FAMILY: RP2350,
    RP2350_RISCV_FAMILY: RP2350,
}

# Of the chips that people mix up with these (github.com/microsoft/uf2, uf2families.json).
_OTHER_FAMILIES = {
    0xBFDD4EEE: "ESP32-S2",
    0xC47E5767: "ESP32-S3",
    0xD42BA06C: "ESP32-C3",
    0x540DDF62: "ESP32-C6",
    0x1C5F21B0: "ESP32",
    0x68ED2B88: "SAMD21",
    0x55114460: "SAMD51",
    0xADA52840: "nRF52840",
    0x1B57745F: "nRF52833",
    0x57755A57: "STM32F4",
    0x4FB2D5BD: "i.MX RT10xx",
    RP2350_ARM_FAMILY + 2: "RP2350's non-secure side",
    DATA_FAMILY: "data partition of an RP2350",
    0xE48BFF55: "Wi-Fi chip of a Pico W",
}
_AGAIN = "download the image again"
_BLANK_PAGE = b"\xff" * PAGE


@record(slots=False)
class Uf2:
    """A file that was read and found whole: `data` lies in flash from `offset` on, 0xFF where no
    block of it is."""

    family: int
    offset: int
    data: bytes = field(repr=False)

    @property
    def chip(self) -> Chip:
        return CHIP_OF_FAMILY[self.family]


@record
class _Block:
    flags: int
    address: int
    number: int
    count: int
    family: int
    payload: bytes


def read_uf2(data: bytes, name: str) -> Uf2:
    """Read a file; `name` is what messages call it. ImageError, with a message and a hint of its
    own, for one that is cut short or damaged, has gaps, is for another chip or for none."""
    blocks = list(_blocks(data, name))
    if not blocks:
        raise ImageError(f"{name} has no block for a flash", hint=_AGAIN)
    main = [block for block in blocks if block.family != ABSOLUTE_FAMILY]
    if not main:
        raise ImageError(
            f"{name} is for whatever chip takes it (absolute addresses), and names none",
            hint="choose the image of a release for this board from micropython.org/download",
        )
    family = _family(main, name)
    chip = CHIP_OF_FAMILY[family]
    if chip == RP2040 and len(main) != len(blocks):
        raise ImageError(f"{name} has blocks that an RP2040 does not take", hint=_AGAIN)
    pages = _pages(main, chip, name)
    start, end = min(pages), max(pages) + PAGE
    content = bytearray(b"\xff" * (end - start))
    for address, payload in pages.items():
        content[address - start : address - start + PAGE] = payload
    return Uf2(family=family, offset=start - XIP_BASE, data=bytes(content))


def _blocks(data: bytes, name: str) -> Iterator[_Block]:
    for at in range(0, len(data), BLOCK):
        block = data[at : at + BLOCK]
        where = f"its block {at // BLOCK}"
        if len(block) < BLOCK:
            raise ImageError(
                f"{name} is cut short: it ends {len(block)} bytes into {where}", hint=_AGAIN
            )
        *starts, flags, address, size, number, count, family = _HEADER.unpack_from(block)
        if tuple(starts) != _STARTS or block[-4:] != _END:
            raise ImageError(f"{name} is damaged: {where} is no UF2 block", hint=_AGAIN)
        if flags & _FILE_CONTAINER:
            raise ImageError(f"{name} is a UF2 file of files, not of firmware")
        if flags & _NOT_MAIN_FLASH:
            continue  # as the ROMs do
        if not flags & _HAS_FAMILY:
            raise ImageError(
                f"{name} does not say which chip it is for: {where} has no family id",
                hint="choose the image of a release for this board from micropython.org/download",
            )
        if size != PAGE and family in (*CHIP_OF_FAMILY, ABSOLUTE_FAMILY):
            raise ImageError(
                f"{name} is damaged: {where} holds {size} bytes, and the chips take {PAGE}",
                hint=_AGAIN,
            )
        yield _Block(
            flags=flags,
            address=address,
            number=number,
            count=count,
            family=family,
            payload=block[_HEADER.size : _HEADER.size + PAGE],
        )


def _family(blocks: Sequence[_Block], name: str) -> int:
    families = list(dict.fromkeys(block.family for block in blocks))
    known = [family for family in families if family in CHIP_OF_FAMILY]
    if len(families) > 1:
        chips = listed([_family_name(family) for family in families], 3)
        raise ImageError(f"{name} holds blocks for more than one chip: {chips}")
    if not known:
        raise ImageError(
            f"{name} is a UF2 file for the {_family_name(families[0])}",
            hint="for Espressif's chips download the .bin of the same release; this tool takes UF2 "
            "files for the RP2040 and the RP2350",
        )
    return known[0]


def _family_name(family: int) -> str:
    chip = CHIP_OF_FAMILY.get(family)
    if chip is not None:
        return f"{chip.label} (RISC-V)" if family == RP2350_RISCV_FAMILY else chip.label
    return _OTHER_FAMILIES.get(family, f"chip with the family id 0x{family:08x}")


def _pages(blocks: Sequence[_Block], chip: Chip, name: str) -> dict[int, bytes]:
    """The content by address; every block of the count there, none twice with different content."""
    counts = {block.count for block in blocks}
    if len(counts) > 1:
        raise ImageError(
            f"{name} is damaged: its blocks do not agree on how many they are", hint=_AGAIN
        )
    count = counts.pop()
    by_number: dict[int, _Block] = {}
    for block in blocks:
        if block.number >= count:
            raise ImageError(
                f"{name} is damaged: it has a block {block.number} of {count}", hint=_AGAIN
            )
        if by_number.setdefault(block.number, block) != block:
            raise ImageError(
                f"{name} is damaged: it has two different blocks {block.number}", hint=_AGAIN
            )
    if len(by_number) < count:
        raise ImageError(
            f"{name} is cut short: {plural(count - len(by_number), 'block')} of {count} "
            f"{'is' if count - len(by_number) == 1 else 'are'} missing",
            hint=_AGAIN,
        )
    pages: dict[int, bytes] = {}
    for _, block in sorted(by_number.items()):
        if not XIP_BASE <= block.address < XIP_BASE + WINDOW[chip]:
            raise ImageError(
                f"{name} has a block for address 0x{block.address:08x}, which is not in flash",
                hint="a program that runs from RAM is gone at the next reset: choose an image "
                "that is flashed",
            )
        if block.address % PAGE:
            raise ImageError(
                f"{name} is damaged: its block {block.number} starts inside a page of the flash",
                hint=_AGAIN,
            )
        before = pages.setdefault(block.address, block.payload)
        if before == _BLANK_PAGE:  # as the sector that a chip starts from is, while it is written
            pages[block.address] = block.payload
        elif before != block.payload:
            raise ImageError(
                f"{name} is damaged: two of its blocks write 0x{block.address:08x}", hint=_AGAIN
            )
    return pages


_IMAGE_DEFINITION = bytes.fromhex("d3deffff4201")
"""How a block that describes an image begins (RP2350 datasheet, 5.9.3): its marker, and its first
item, the image's type, one word long."""
_CORES = 0x0700
_RISCV_CORES = 0x0100


def family_of_program(chip: Chip, data: bytes) -> int:
    """The family id for a program that lies at the start of a chip's flash: an RP2350 has cores of
    two kinds, and the program says which run it."""
    if chip == RP2040:
        return RP2040_FAMILY
    at = data.find(_IMAGE_DEFINITION, 0, SECTOR)
    flags = int.from_bytes(data[at + 6 : at + 8], "little") if at >= 0 else 0
    return RP2350_RISCV_FAMILY if flags & _CORES == _RISCV_CORES else RP2350_ARM_FAMILY


def build_uf2(regions: Sequence[Region], family: int) -> bytes:
    """A file that writes these regions, in order, to a chip of this family.

    An RP2040's ROM erases a sector when the first of sixteen block numbers comes, whatever their
    addresses: each sixteen are therefore one whole sector, what no region fills 0xFF. The sector
    that the chip starts from is blank first and comes again at the very end, so that wherever the
    copy is cut the chip starts in BOOTSEL mode again, and neither the old firmware nor half of
    the new one runs. The block that an RP2350 with a partition table wants (its erratum E10) is
    left out: on a flash of 4 MB it overwrites the end of the filesystem.
    """
    sectors = _sectors(regions)
    boot = sectors.pop(0, None)
    ordered = [*sectors.items()]
    if boot is not None:
        ordered = [(0, b"\xff" * SECTOR), *ordered, (0, boot)]
    count = len(ordered) * SECTOR // PAGE
    out = bytearray()
    number = 0
    for offset, data in ordered:
        for at in range(0, SECTOR, PAGE):
            address = XIP_BASE + offset + at
            header = _HEADER.pack(*_STARTS, _HAS_FAMILY, address, PAGE, number, count, family)
            out += header + data[at : at + PAGE].ljust(BLOCK - len(header) - 4, b"\0") + _END
            number += 1
    return bytes(out)


def _sectors(regions: Sequence[Region]) -> dict[int, bytes]:
    """The content of each sector that a region touches, by offset, in the regions' order."""
    sectors: dict[int, bytearray] = {}
    for region in regions:
        at, end = region.offset, region.offset + len(region.data)
        while at < end:
            start = at - at % SECTOR
            piece = region.data[at - region.offset : start + SECTOR - region.offset]
            sector = sectors.setdefault(start, bytearray(b"\xff" * SECTOR))
            sector[at - start : at - start + len(piece)] = piece
            at = start + SECTOR
    return {start: bytes(sector) for start, sector in sectors.items()}
