"""Raw deflate for a fleet: what a device's stream has in common with another's is deflated once.

Thirty boards of a classroom get the same app and a configuration each, all at the same moment. 32
boards with an app of 144 kB took 7.9 s this way, and 1.7 s of CPU; each stream deflated for itself,
8.4 s and 2.1 s (tests/bench/together.py, two cores).
"""

from __future__ import annotations

import threading
import zlib
from typing import Any, NamedTuple

_WORTH = 1 << 14
"""Bytes in common from which on they are kept apart: below that, to deflate them is quicker."""

_SHORT_BLOCKS = 6
"""zlib's memLevel, which is how long its blocks are (2^(6 + that) symbols): each has codes of its
own, so that text and what lies beside it, pictures and fonts, do not share theirs. With a window of
32 kB the bench's app deflates to 60.9 kB, and to 63.5 with the longest; mpremote's sources, text
alone, to 30.3 and 30.2. Shorter windows gain less from that than shorter blocks cost."""


class _Common(NamedTuple):
    """A compressor that has taken `size` bytes, and what it has given for them; never used but
    for copies."""

    size: int
    compressor: Any  # zlib's has no public type
    output: bytes


class FleetDeflate:
    """Deflates with one window, by any number of threads; gives the bytes that zlib would."""

    def __init__(self, window: int) -> None:
        self._window = window
        self._lock = threading.Lock()
        self._first = b""
        self._common: _Common | None = None

    @property
    def shared(self) -> int:
        """How many bytes are deflated already for whoever begins with them."""
        return self._common.size if self._common else 0

    def __call__(self, data: bytes) -> bytes:
        common = self._shared(data) or _Common(0, self._compressor(), b"")
        compressor = common.compressor.copy()
        rest = compressor.compress(data[common.size :])
        return b"".join((common.output, rest, compressor.flush()))

    def _shared(self, data: bytes) -> _Common | None:
        with self._lock:  # others wait while what they share is deflated, and have it then
            same = common_prefix(self._first, data)
            if same < _WORTH:
                self._first, self._common = data, None
                return None
            if self._common is None or self._common.size > same:
                compressor = self._compressor()
                self._common = _Common(same, compressor, compressor.compress(data[:same]))
            return self._common

    def _compressor(self) -> Any:
        memory = _SHORT_BLOCKS if self._window > 13 else _SHORT_BLOCKS + 1
        return zlib.compressobj(9, zlib.DEFLATED, -self._window, memory)


def common_prefix(one: bytes, other: bytes) -> int:
    """How many first bytes are the same."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while high - low > 1:  # the first `low` are the same, the first `high` are not
        middle = (low + high) // 2
        if one[low:middle] == other[low:middle]:
            low = middle
        else:
            high = middle
    return low
