"""Errors on the line between host and chip, on request: lost and corrupted bytes, a cut cable.

They are drawn from a seed, so that a failed run can be repeated.
"""

from __future__ import annotations

import random
from collections.abc import Callable


class Noise:
    """Passes everything unchanged until it is told otherwise."""

    def __init__(self) -> None:
        self._random = random.Random(0)
        self._drop = 0.0
        self._flip = 0.0
        self._above = 0
        self._left: int | None = None
        self._at_end: Callable[[], None] | None = None
        self.passed = 0

    def disturb(
        self, *, drop: float = 0.0, flip: float = 0.0, seed: int = 0, above: int = 0
    ) -> None:
        """Lose each byte with probability `drop`, change a bit of it with probability `flip`; only
        while the host's rate is `above` so many baud."""
        self._random.seed(seed)
        self._drop, self._flip, self._above = drop, flip, above

    def cut_after(self, count: int, at_end: Callable[[], None]) -> None:
        """Call `at_end` when `count` more bytes have passed, both ways together; none follow
        until `restore`."""
        self._left, self._at_end = count, at_end

    def restore(self) -> None:
        self._left = self._at_end = None

    def to_chip(self, data: bytes, baud: int) -> bytes:
        return self._pass(data, baud)

    def to_host(self, data: bytes, baud: int) -> bytes:
        return self._pass(data, baud)

    def _pass(self, data: bytes, baud: int) -> bytes:
        if self._left is not None:
            data = data[: self._left]
            self._left -= len(data)
        self.passed += len(data)
        if (self._drop or self._flip) and baud > self._above:
            data = self._disturbed(data)
        if self._left == 0 and self._at_end:
            at_end, self._at_end = self._at_end, None
            at_end()
        return data

    def _disturbed(self, data: bytes) -> bytes:
        out = bytearray()
        for byte in data:
            if self._random.random() < self._drop:
                continue
            if self._random.random() < self._flip:
                out.append(byte ^ 1 << self._random.randrange(8))
            else:
                out.append(byte)
        return bytes(out)
