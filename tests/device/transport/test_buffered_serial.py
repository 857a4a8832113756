"""Bytes from a port, taken up to where somebody wants them."""

from __future__ import annotations

import pytest

from provision.device.transport.buffered_serial import (
    LONGEST_POLL,
    BufferedSerial,
    ReadTimeout,
)
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


class Stopped:
    """A port on which nothing comes for a while, read by a process that was stopped meanwhile, or
    got its turn late: the clock goes on by `late` in each read."""

    timeout: float | None = None
    baudrate = 115200
    in_waiting = 0

    def __init__(self, clock: VirtualClock, late: float, *, says: bytes, after: float) -> None:
        self._clock, self._late, self._says, self._after = clock, late, says, after
        self.polls = 0

    def read(self, _size: int, /) -> bytes:
        self.polls += 1
        self._clock.sleep(self._late)
        answers = self.polls * min(self._late, LONGEST_POLL) >= self._after
        said, self._says = (self._says, b"") if answers else (b"", self._says)
        return said

    def write(self, data: bytes, /) -> int:
        return len(data)


@pytest.mark.parametrize("late", [0.05, 0.1, 0.5, 15.0])
def test_a_deadline_counts_what_this_process_listened(late: float) -> None:
    """However late it got its turn, a board that answers within nine seconds of listening is heard,
    and one that needs eleven is not."""
    clock = VirtualClock()
    port = Stopped(clock, late, says=b"done>", after=9.0)
    assert BufferedSerial(port, clock).read_until(b">", timeout=10.0) == b"done>"
    port = Stopped(clock, late, says=b"done>", after=11.0)
    with pytest.raises(ReadTimeout):
        BufferedSerial(port, clock).read_until(b">", timeout=10.0)


def test_what_the_host_does_between_two_reads_counts_for_no_deadline() -> None:
    clock = VirtualClock()
    line = BufferedSerial(Stopped(clock, 0.05, says=b"", after=0.0), clock)
    deadline = line.deadline(10.0)
    clock.sleep(60.0)
    assert line.left(deadline) == pytest.approx(10.0 - LONGEST_POLL)
    assert line.deadline(1.0) - 1.0 == pytest.approx(deadline - 10.0 + LONGEST_POLL)


def test_a_wait_within_another_does_not_make_up_for_what_the_host_did_before_it() -> None:
    """Each step of a long exchange has a deadline of its own."""
    clock = VirtualClock()
    line = BufferedSerial(Stopped(clock, 0.05, says=b"", after=0.0), clock)
    whole = line.deadline(10.0)
    clock.sleep(60.0)
    line.deadline(1.0)
    assert line.left(whole) == pytest.approx(10.0 - LONGEST_POLL)
