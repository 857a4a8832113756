"""What the boot ROM makes of the sectors that a host writes to its volume.

Where in the volume a sector lies, and in which file, is nothing to it: a sector that is a UF2 block
counts, any other is forgotten. Pure: what is to be done to the flash comes out as `Page`.
"""

from __future__ import annotations

import struct

from provision.core.chips.rp2.memory import PAGE, SECTOR, XIP_BASE
from provision.model.language import record
from provision.sim.rp2.chips import ChipFacts

BLOCK = 512
"""Bytes of a UF2 block, and of a sector of the volume."""

_HEADER = struct.Struct("<8I")
_MAGIC = (0x0A324655, 0x9E5D5157)
_MAGIC_END = struct.pack("<I", 0x0AB16F30)
_NOT_MAIN_FLASH = 0x00000001
_FAMILY_PRESENT = 0x00002000
_BLOCKS_OF_A_SECTOR = SECTOR // PAGE


@record(kw_only=False)
class Page:
    """256 bytes to be programmed at an offset of the flash, after a sector is erased if it is to
    be. `offset` is None for a page of RAM."""

    erase: int | None
    offset: int | None
    data: bytes


class Uf2Receiver:
    """One stay in BOOTSEL. After each `take`, and once its page is written, `complete` tells
    whether all blocks have come."""

    def __init__(self, facts: ChipFacts) -> None:
        self._facts = facts
        self._count = 0  # blocks of the transfer that runs; 0 where none does
        self._family = 0
        self._ram = False
        self._came: set[int] = set()
        self._erased: set[int] = set()

    def take(self, sector: bytes) -> Page | None:
        """One sector of the volume; what is to be written, if anything is."""
        fields: tuple[int, ...] = _HEADER.unpack_from(sector)
        first, second, flags, address, size, number, count, family = fields
        if (first, second) != _MAGIC or sector[-4:] != _MAGIC_END:
            return None
        if not flags & _FAMILY_PRESENT or flags & _NOT_MAIN_FLASH or size != PAGE:
            return None
        facts = self._facts
        by_number = facts.erases_by_block_number  # the RP2040, which looks at the family here
        if by_number and family not in facts.families:
            return None
        last = address + PAGE - 1
        ram = facts.in_ram(address) and facts.in_ram(last)
        flash = facts.in_flash(address) and facts.in_flash(last)
        if by_number and not (count and (ram or flash) and not (flash and address % PAGE)):
            self._forget()
            return None
        if self._count != count or (not by_number and self._family != family):
            # The RP2350 goes on with the transfer that runs, whatever of other families comes.
            if family not in facts.families:
                return None
            self._forget()
            if count > (facts.most_ram_blocks if ram else facts.most_blocks):
                return None
            self._count, self._family, self._ram = count, family, ram
        if ram != self._ram or not (ram or flash) or number >= count or (flash and address % PAGE):
            self._forget()
            return None
        return self._page(number, address, sector[32 : 32 + PAGE])

    @property
    def complete(self) -> bool:
        return self._count > 0 and len(self._came) == self._count

    @property
    def ram(self) -> bool:
        """Whether what has come is a program for the RAM."""
        return self._ram

    def _page(self, number: int, address: int, data: bytes) -> Page | None:
        if number in self._came:
            return None
        self._came.add(number)
        if self._ram:
            return Page(None, None, data)
        offset = address - XIP_BASE
        sector = number // _BLOCKS_OF_A_SECTOR
        if not self._facts.erases_by_block_number:
            sector = offset // SECTOR
        erase = None
        if sector not in self._erased:
            self._erased.add(sector)
            erase = offset // SECTOR * SECTOR
        return Page(erase, offset, data)

    def _forget(self) -> None:
        """No transfer runs: the next block begins one."""
        self._count = self._family = 0
        self._ram = False
        self._came.clear()
        self._erased.clear()
