"""Requests and answers of the serial boot protocol, below the two that speak it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass

HEADER = struct.Struct("<BBHI")  # direction, operation, length of the data, checksum or value
REQUEST, RESPONSE = 0, 1


class CommandFailed(Exception):
    """A command's status: the two bytes of it that carry meaning, the first one highest."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status:#06x}")
        self.status = status


@dataclass(kw_only=True, slots=True)
class Answer:
    """What a command gives back. It takes the chip `seconds` before the answer can be sent;
    `after` is done once it has been."""

    value: int = 0
    data: bytes = b""
    seconds: float = 0.0
    repeat: int = 1
    after: Callable[[], None] | None = None


def require_length(data: bytes, size: int, status: int) -> None:
    """Refuse a command, with this status, whose data has not the size that it must have."""
    if len(data) != size:
        raise CommandFailed(status)


def register_writes(data: bytes, status: int) -> Iterator[tuple[int, int, int]]:
    """Address, value and mask of each register that a command writes; 16 bytes a register."""
    if not data or len(data) % 16:
        raise CommandFailed(status)
    for start in range(0, len(data), 16):
        address, value, mask, _ = words(data[start:], 4)
        yield address, value, mask


def words(data: bytes, count: int) -> tuple[int, ...]:
    """The first little-endian words of a command's data."""
    return struct.unpack_from(f"<{count}I", data)
