"""Bytes to and from an opened port, with deadlines: what the raw REPL is spoken over.

A pyserial object's `timeout` is set once and left alone, because on an RFC 2217 port every change
of it is a negotiation; deadlines are kept here. They hold for a board that never stops talking as
for one that says nothing, and so does the bound on what is kept of it.

A deadline judges the board, so only time in which this process listened counts: where the computer
had something else to do, or slept, or the process was stopped, the board is given that time again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from typing import Protocol

from provision.device.transport.failures import NegotiationFailed

Tracer = Callable[[int, str], None]
"""Called with a level (1 for -v, 2 for -vv) and a text that holds no file's content."""


def untraced(_level: int, _text: str) -> None:
    """The tracer of those who do not listen."""


class BytePort(Protocol):
    """What is needed of a pyserial object, of whatever carrier."""

    timeout: float | None
    baudrate: int

    @property
    def in_waiting(self) -> int: ...

    def read(self, size: int, /) -> bytes: ...

    def write(self, data: bytes, /) -> int | None: ...


class Clock(Protocol):
    """What tells the time and lets it pass: the module `time`, or a test's own."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


Stopping = Callable[[], bool]
"""Whether a wait is to end early, since the user has stopped the run."""


def never() -> bool:
    """The answer of those who are not stopped."""
    return False


POLL_SECONDS = 0.05  # seconds that one read of the port may wait
LONGEST_POLL = 2 * POLL_SECONDS
"""Seconds that one poll, or what is done between two, can count as: what took longer is because
this process did not run."""
MAX_READ = 1 << 16  # bytes of one read at most: a port of a network's may hold any number


class ReadTimeout(Exception):
    """Nothing came in time; `heard` is what had come and was not asked for."""

    def __init__(self, heard: bytes) -> None:
        super().__init__(heard)
        self.heard = heard


class BufferedSerial:
    """A port with a buffer for what was read and not yet taken.

    Raises what pyserial raises: whoever owns the port knows how to translate it.
    """

    def __init__(self, port: BytePort, clock: Clock = time, *, read: bytes = b"") -> None:
        """`read` was read of the port before."""
        self._port = port
        self.clock = clock
        self._buffer = bytearray(read)
        self._seen = clock.monotonic()  # when this process last knew that it runs
        self._not_listened = 0.0  # seconds that count for no deadline
        self._base = port.baudrate
        if port.timeout != POLL_SECONDS:
            port.timeout = POLL_SECONDS

    def deadline(self, seconds: float) -> float:
        """A deadline that many seconds from now, for `left`."""
        return self._listened() + seconds

    def left(self, deadline: float) -> float:
        """Seconds until a deadline; asked all along, for no more counts between two times than
        one poll can take."""
        return deadline - self._listened()

    def _listened(self) -> float:
        """The time that deadlines are kept in: the clock's, less where this process did not listen.

        Whoever asks moves it on, so that a deadline set within another's time does not hide from
        that one what the host did in between.
        """
        before = self._seen
        self._seen = self.clock.monotonic()
        self._not_listened += max(0.0, self._seen - before - LONGEST_POLL)
        return self._seen - self._not_listened

    @property
    def base_rate(self) -> int:
        """The rate of the port when it was handed over, in bits a second."""
        return self._base

    def set_rate(self, rate: int) -> bool:
        """Go to another rate; whether the port, or the server behind it, takes it."""
        try:
            self._port.baudrate = rate
        except (ValueError, NotImplementedError, NegotiationFailed):
            # pyserial's words for a rate that the system has none of: by platform.
            return False
        return True

    def restore_rate(self) -> None:
        """Back to the rate of the beginning."""
        if self._port.baudrate != self._base:
            self._port.baudrate = self._base

    def write(self, data: bytes) -> None:
        self._port.write(data)

    def carry(self, parts: Iterable[bytes]) -> None:
        """Write, and return when the line has carried it all: a driver takes more than that."""
        over = self.clock.monotonic()
        for part in parts:
            self._port.write(part)
            over += len(part) * 10 / self._port.baudrate
        self.clock.sleep(max(0.0, over - self.clock.monotonic()))

    def read_until(
        self, *endings: bytes, timeout: float, limit: int = 1 << 20, stopping: Stopping = never
    ) -> bytes:
        """Everything up to and with the first of the endings; ReadTimeout after `timeout` seconds,
        or once `stopping` says so.

        No more than `limit` bytes are kept: of a flood the older half is dropped.
        """
        deadline = self.deadline(timeout)
        start = 0
        longest = max(map(len, endings))
        over = False
        while True:
            found = [
                at + len(ending)
                for ending in endings
                if (at := self._buffer.find(ending, start)) >= 0
            ]
            if found:
                return self.take(min(found))
            if len(self._buffer) > limit:
                del self._buffer[: limit // 2]
            start = max(0, len(self._buffer) - longest + 1)
            # What came with the last read is looked at, a flood's next is not waited for.
            over = over or stopping()
            if over or not self._read_more(deadline, stopping):
                raise ReadTimeout(bytes(self._buffer))
            over = self.left(deadline) <= 0

    def read_exactly(self, count: int, timeout: float) -> bytes:
        """The next `count` bytes; ReadTimeout after `timeout` seconds."""
        deadline = self.deadline(timeout)
        over = False
        while len(self._buffer) < count:
            if over or not self._read_more(deadline):
                raise ReadTimeout(bytes(self._buffer))
            over = self.left(deadline) <= 0
        return self.take(count)

    def read_some(self, timeout: float) -> bytes:
        """What is here or comes first; nothing after `timeout` seconds."""
        if not self._buffer:
            self._read_more(self.deadline(timeout))
        return self.take(len(self._buffer))

    def read_until_quiet(self, seconds: float, timeout: float, limit: int = 4096) -> bytes:
        """Read until nothing has come for `seconds`, at most for `timeout`; what came."""
        deadline = self.deadline(timeout)
        while self._read_more(min(deadline, deadline - self.left(deadline) + seconds)):
            del self._buffer[: max(0, len(self._buffer) - limit)]
            if self.left(deadline) <= 0:
                break
        return self.take(len(self._buffer))

    def take(self, count: int) -> bytes:
        """Up to `count` of the bytes that are here already."""
        taken = bytes(self._buffer[:count])
        del self._buffer[:count]
        return taken

    def read_available(self) -> bytes:
        """Whatever is here already."""
        while self._port.in_waiting:
            self._buffer += self._port.read(min(MAX_READ, self._port.in_waiting))
            if len(self._buffer) > 1 << 16:
                break  # a flood: the caller deals with it
        return self.take(len(self._buffer))

    def available(self) -> int:
        """How many bytes can be had without waiting."""
        return len(self._buffer) + int(self._port.in_waiting)

    def _read_more(self, deadline: float, stopping: Stopping = never) -> bool:
        """Hold at least one byte more, or False when the deadline passes."""
        while True:
            self.left(deadline)
            data = self._port.read(min(MAX_READ, max(1, self._port.in_waiting)))
            if data:
                self._buffer += data
                return True
            if self.left(deadline) <= 0 or stopping():
                return False
