"""A NOR flash chip in a file, so that a board keeps its contents between runs.

Programming only clears bits; erasing sets them, a sector, a block or the whole chip at a time. A
power cut in the middle of either leaves the work half done, as on the bench.
"""

from __future__ import annotations

import mmap
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

SECTOR = 4096
BLOCK = 65536
PAGE = 256
ERASED = b"\xff"

# Typical times of a Winbond W25Q32 (its data sheet, AC characteristics), in seconds.
SECTOR_ERASE = 0.045
BLOCK_ERASE = 0.150
CHIP_ERASE_PER_MB = 2.5
PAGE_PROGRAM = 0.0004

MANUFACTURER = 0xEF  # Winbond
DEVICE_TYPE = 0x40


class PowerLost(Exception):
    """The supply broke down while the flash was at work."""


class Work(str, Enum):
    """What a flash chip is doing when its power is cut."""

    ERASE = "erase"
    PROGRAM = "program"


class Flash:
    """`size` bytes in the file at `path`, made all erased when it is not there yet.

    The methods that change it return the seconds a real chip would have taken, and raise
    ValueError for a place outside the chip. The application's processor may open the same file:
    nothing is cached here.
    """

    def __init__(self, path: Path, size: int) -> None:
        if size % BLOCK:
            raise ValueError(f"flash size {size} is no multiple of {BLOCK}")
        self.path = path
        self.size = size
        self.status = 0
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        held = os.fstat(self._fd).st_size
        if held > size:
            os.ftruncate(self._fd, size)
        for offset in range(held, size, BLOCK):
            os.pwrite(self._fd, ERASED * min(BLOCK, size - offset), offset)
        self._cut: tuple[Work, int] | None = None
        self._on_cut: Callable[[], None] | None = None

    def close(self) -> None:
        os.close(self._fd)

    @property
    def jedec_id(self) -> int:
        """What command 9F answers, first byte lowest: manufacturer, type, log2 of the size."""
        return MANUFACTURER | DEVICE_TYPE << 8 | (self.size.bit_length() - 1) << 16

    def read(self, offset: int, size: int) -> bytes:
        self._check(offset, size)
        return os.pread(self._fd, size, offset)

    @contextmanager
    def whole(self) -> Iterator[memoryview]:
        """All of it, in place: megabytes that are not copied, to be looked at within the `with`."""
        with (
            mmap.mmap(self._fd, self.size, access=mmap.ACCESS_READ) as mapped,
            memoryview(mapped) as view,
        ):
            yield view

    def program(self, offset: int, data: bytes) -> float:
        """Clear the bits that are 0 in `data`; a bit once 0 stays 0 until it is erased."""
        self._check(offset, len(data))
        if self._cut_due(Work.PROGRAM):
            self._program(offset, data[: len(data) // 2])
            self._lose_power()
        self._program(offset, data)
        return PAGE_PROGRAM * -(-len(data) // PAGE)

    def overwrite(self, offset: int, data: bytes) -> None:
        """Put bytes there as erasing and programming would have in the end: for work that was
        done, counted and timed elsewhere."""
        self._check(offset, len(data))
        os.pwrite(self._fd, data, offset)

    def erase_sector(self, offset: int) -> float:
        return self._erase(offset, SECTOR, SECTOR_ERASE)

    def erase_block(self, offset: int) -> float:
        return self._erase(offset, BLOCK, BLOCK_ERASE)

    def erase_chip(self) -> float:
        return self._erase(0, self.size, CHIP_ERASE_PER_MB * self.size / (1 << 20))

    def erase(self, offset: int, size: int) -> float:
        """Erase whole sectors, by blocks where they fit; both numbers are multiples of 4096."""
        self._check(offset, size)
        if offset % SECTOR or size % SECTOR:
            raise ValueError(f"erasing {size} bytes at {offset:#x}: not whole sectors")
        seconds = 0.0
        end = offset + size
        while offset < end:
            step = self.next_erase(offset, end - offset)
            seconds += self.erase_block(offset) if step == BLOCK else self.erase_sector(offset)
            offset += step
        return seconds

    @staticmethod
    def next_erase(offset: int, size: int) -> int:
        """How much one erase command takes off a region: a block where it fits, else a sector."""
        return BLOCK if offset % BLOCK == 0 and size >= BLOCK else SECTOR

    def cut_power(self, work: Work, count: int, on_cut: Callable[[], None]) -> None:
        """Let the power fail in the middle of the `count`th erase or program from now.

        `on_cut` is called then, and PowerLost raised to whoever asked for the work.
        """
        self._cut = (work, count)
        self._on_cut = on_cut

    def cancel_power_cut(self) -> None:
        """Take back what `cut_power` ordered."""
        self._cut = self._on_cut = None

    def _check(self, offset: int, size: int) -> None:
        if offset < 0 or size < 0 or offset + size > self.size:
            raise ValueError(f"{size} bytes at {offset:#x}: outside {self.size} bytes of flash")

    def _program(self, offset: int, data: bytes) -> None:
        old = os.pread(self._fd, len(data), offset)
        if old.count(ERASED) != len(old):
            kept = int.from_bytes(old, "little") & int.from_bytes(data, "little")
            data = kept.to_bytes(len(data), "little")
        os.pwrite(self._fd, data, offset)

    def _erase(self, offset: int, size: int, seconds: float) -> float:
        self._check(offset, size)
        if offset % size:
            raise ValueError(f"erasing at {offset:#x}: not a multiple of {size}")
        if self._cut_due(Work.ERASE):
            os.pwrite(self._fd, ERASED * (size // 2), offset)
            self._lose_power()
        for part in range(0, size, BLOCK):
            os.pwrite(self._fd, ERASED * min(BLOCK, size - part), offset + part)
        return seconds

    def _cut_due(self, work: Work) -> bool:
        if self._cut is None or self._cut[0] is not work:
            return False
        self._cut = (work, self._cut[1] - 1)
        return self._cut[1] <= 0

    def _lose_power(self) -> None:
        on_cut, self._cut, self._on_cut = self._on_cut, None, None
        if on_cut:
            on_cut()
        raise PowerLost
