"""Bytes from a port, taken up to where somebody wants them."""

from __future__ import annotations

import pytest

from provision.device.transport.buffered_serial import BufferedSerial, ReadTimeout
from tests.fakes.line import MemoryPort, VirtualClock


class Talker:
    """Says a piece whenever the host looks, then no more."""

    def __init__(self, *pieces: bytes) -> None:
        self._pieces = list(pieces)

    def hear(self, data: bytes) -> None:
        """It does not listen."""

    def say(self) -> bytes:
        return self._pieces.pop(0) if self._pieces else b""


def buffered(*pieces: bytes) -> BufferedSerial:
    clock = VirtualClock()
    return BufferedSerial(MemoryPort(Talker(*pieces), clock), clock)


def test_the_first_ending_is_where_it_stops() -> None:
    line = buffered(b"one>two\x04", b"three")
    assert line.read_until(b"\x04", b">", timeout=1.0) == b"one>"
    assert line.read_until(b"\x04", timeout=1.0) == b"two\x04"
    with pytest.raises(ReadTimeout) as silent:
        line.read_until(b"!", timeout=1.0)
    assert silent.value.heard == b"three"


def test_an_ending_that_comes_in_two_pieces_is_one() -> None:
    assert (
        buffered(b"abc\x04", b"\x04>rest").read_until(b"\x04\x04>", timeout=1.0) == b"abc\x04\x04>"
    )


def test_of_a_flood_the_newest_is_kept() -> None:
    line = buffered(*[bytes([65 + number]) * 100 for number in range(20)], b">")
    heard = line.read_until(b">", timeout=5.0, limit=400)
    assert len(heard) <= 600
    assert heard.endswith(b"S" * 100 + b"T" * 100 + b">")
    assert b"A" not in heard
