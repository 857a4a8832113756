"""The LittleFS driver of releases before 1.22, in whose place a virtual board runs a newer one.

The old driver knows disk version 2.0. It silently takes the elder block of a directory's pair
where the newer one is of 2.1, refuses a superblock of 2.1, and writes 2.0. So that a virtual board
does the same, its interpreter works on a view: a file with the filesystem as the newer driver must
read it. What it writes there is put into the flash in 2.0 whenever the driver has finished a
commit, and when the interpreter has ended, however that was: loader, host tools and the program's
own esp.flash_read see what an old driver would have left. Blocks that the driver did not write
keep their bytes.

Modelled: which commits and blocks count, which block of a pair is written and when the other one
is taken, what a mount refuses. Not modelled: the driver's own size and speed, to the byte where
in a block a commit lies and when a block is full (2.1 takes up to 32 bytes more a commit), and
LittleFS on any other block device than the one that the firmware mounts at its start. A program
that reads that block device (rather than the flash) sees the view.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from provision.core.littlefs_blocks import Pair, ReadBlock, read_pair, walk
from provision.model.firmware import FilesystemPlace
from provision.sim.chip.flash import SECTOR, Flash
from provision.sim.esp.littlefs_2_0 import settled, shown

_NAME = "driver-view.bin"
_ANSWERS = ".answers"  # appended to the name: a FIFO
_TOUCHED = b"\x01"
_CHUNK = 1 << 20


class OldDriverView:
    """See `DriverView`.

    The file has a sector of the flash where the flash has it. At its start, where no filesystem
    is, a byte for every sector of the flash: not 0 if the sector was erased or programmed
    (onboard/_flash.py).
    """

    def __init__(self, flash: Flash, place: FilesystemPlace, directory: Path) -> None:
        self.path = directory / _NAME
        self._answers = directory / (_NAME + _ANSWERS)
        self._flash = flash
        self._place = place
        # Blocks that the driver sees otherwise than they were in flash: so, and so.
        self._altered: dict[int, tuple[bytes, bytes]] = {}
        self._settled: dict[int, tuple[int, bool]] = {}  # of which contents that was done
        self._pairs: dict[tuple[int, int], tuple[object, Pair]] = {}
        self._remove()
        os.mkfifo(self._answers, 0o600)
        self._fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        os.ftruncate(self._fd, flash.size)
        for offset in range(place.offset, place.end, _CHUNK):
            data = flash.read(offset, min(_CHUNK, place.end - offset))
            os.pwrite(self._fd, data, offset)
        for block in self._metadata(self._in_flash, fcrc=False):
            before = self._in_flash(block)
            seen = shown(before)
            if seen != before:
                self._altered[block] = before, seen
                os.pwrite(self._fd, seen, self._offset(block))

    def settle(self, answer: bytes = b"") -> None:
        # The driver may be at work meanwhile. Directories are looked at first and written last, so
        # that what they refer to is there before they do.
        directories: dict[int, bytes] = {}

        def read(block: int) -> bytes:
            return directories.setdefault(block, self._in_view(block))

        self._metadata(read, fcrc=True)
        marks = os.pread(self._fd, self._place.blocks, self._place.offset // SECTOR)
        touched = [block for block, mark in enumerate(marks) if mark]
        for block in touched:
            if block not in directories:
                self._put(block, self._in_view(block), metadata=False)
        for block in touched:
            if block in directories:
                self._put(block, directories[block], metadata=True)
        if answer:
            with contextlib.suppress(OSError):  # nobody waits any more
                fifo = os.open(self._answers, os.O_WRONLY | os.O_NONBLOCK)
                os.write(fifo, answer)
                os.close(fifo)

    def close(self) -> None:
        self.settle()
        os.close(self._fd)
        self._remove()

    def _put(self, block: int, now: bytes, *, metadata: bool) -> None:
        key = hash(now), metadata
        if self._settled.get(block) == key:
            return
        before, seen = self._altered.get(block, (b"", b""))
        if now == seen:
            now = before
        elif metadata:
            now = settled(before, seen, now)
        if now != self._in_flash(block):
            self._flash.overwrite(self._offset(block), now)
        self._settled[block] = key

    def _metadata(self, read: ReadBlock, *, fcrc: bool) -> set[int]:
        """The blocks of all directories that a driver finds."""
        pairs = walk(read, self._place.blocks, fcrc=fcrc, read_pair=self._read_pair)
        return {block for pair in pairs for block in pair.blocks}

    def _read_pair(
        self, blocks: tuple[int, int], data: tuple[bytes, bytes], *, fcrc: bool = True
    ) -> Pair:
        known = self._pairs.get(blocks)
        if known is None or known[0] != (data, fcrc):
            known = self._pairs[blocks] = (data, fcrc), read_pair(blocks, data, fcrc=fcrc)
        return known[1]

    def _in_flash(self, block: int) -> bytes:
        return self._flash.read(self._offset(block), SECTOR)

    def _in_view(self, block: int) -> bytes:
        return os.pread(self._fd, SECTOR, self._offset(block))

    def _offset(self, block: int) -> int:
        return self._place.offset + block * SECTOR

    def _remove(self) -> None:
        for path in (self.path, self._answers):
            path.unlink(missing_ok=True)
