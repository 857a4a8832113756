"""The plainest line between two UARTs, for want of one that keeps time."""

from __future__ import annotations

from collections.abc import Callable

from provision.sim.loop import Loop
from provision.sim.setup import WireModel


class Wire:
    """A perfect line between equal rates, garbage between unequal ones."""

    def __init__(
        self,
        *,
        model: WireModel,
        loop: Loop,
        to_chip: Callable[[bytes], None],
        to_host: Callable[[bytes], None],
    ) -> None:
        self._to_chip = to_chip
        self._to_host = to_host

    def from_host(self, data: bytes, host_baud: int, chip_baud: int) -> None:
        self._to_chip(data if host_baud == chip_baud else _garbled(data))

    def from_chip(self, data: bytes, chip_baud: int, host_baud: int) -> None:
        self._to_host(data if host_baud == chip_baud else _garbled(data))

    def clear(self) -> None:
        """Nothing is under way."""


def _garbled(data: bytes) -> bytes:
    return bytes(byte * 7 + 0x8B & 0xFF | 0x80 for byte in data)
