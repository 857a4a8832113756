"""What the chip is asked to digest while a block is on its way to it: pure.

A block takes 180 ms at 921600 baud, to write it a quarter of that. But the stub can take a second
command only when it has nothing to do (`stub_client`), and to wait for that pays only where the
block before gave it nothing to write: it writes whenever it has inflated a window.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from provision.core.chips.esp.erase_plan import Stretches
from provision.model.firmware import Region
from provision.model.language import record

STUB_WINDOW = 1 << 15  # bytes that the stub inflates before it writes them
DIGESTED = 2_000_000
"""Bytes of flash that a stub digests in a second: an ESP32-S3's does 2.4 MB, an ESP8266's half of
that. Where it takes longer than the block that comes meanwhile, the line waits for the rest."""
_LEAST = 1 << 16  # bytes: less is not worth two round trips
_BITS = 10  # of a byte on the line


@record
class Look:
    """A part of the flash, and the MD5 of what it should hold."""

    offset: int
    size: int
    expected: str
    of_region: bool  # whether it was written, or is to be blank


class Looks:
    """What is worth a look while one region is sent at `baud`: all of `unseen`, stretches that are
    to be blank, then what was written of the region itself."""

    def __init__(self, region: Region, unseen: list[tuple[int, int]], baud: int) -> None:
        self.verified = 0  # bytes from the region's start that were found as they should be
        self._region = region
        self._unseen = unseen
        self._looked_at = Stretches()
        self._baud = baud
        self._inflated = 0
        self._idle = True
        self._doubtful = False  # whether what was written was not found

    def sent(self, size: int) -> None:
        """The stub has taken a block that inflates to `size` bytes."""
        before = self._inflated // STUB_WINDOW
        self._inflated += size
        self._idle = self._inflated // STUB_WINDOW == before

    def next(self, block: int) -> Look | None:
        """What to ask for while a block of so many bytes comes; None where it would not pay."""
        most = block * _BITS * DIGESTED // self._baud
        if not self._idle or most < _LEAST:
            return None
        for start, length in self._missing():
            size = min(length, most)
            return Look(offset=start, size=size, expected=md5(b"\xff" * size), of_region=False)
        size = min(self._inflated // STUB_WINDOW * STUB_WINDOW - self.verified, most)
        if self._doubtful or size < _LEAST:
            return None
        data = self._region.data[self.verified : self.verified + size]
        offset = self._region.offset + self.verified
        return Look(offset=offset, size=size, expected=md5(data), of_region=True)

    def found(self, look: Look, digest: str) -> bool:
        """Note what the chip said; whether the flash there is as it should be."""
        right = digest == look.expected
        if not look.of_region:
            self._looked_at.add(look.offset, look.size)
        elif right:
            self.verified += look.size
        else:
            self._doubtful = True  # perhaps not written yet: all of it is verified in the end
        return right

    def _missing(self) -> Iterator[tuple[int, int]]:
        for stretch in self._unseen:
            yield from self._looked_at.missing(*stretch)


def md5(data: bytes) -> str:
    """As the chip's, in hexadecimal."""
    return hashlib.md5(data, usedforsecurity=False).hexdigest()
