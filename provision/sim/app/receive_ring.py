"""The chip's receive ring: input waits in it until MicroPython reads, and is lost when it is full.

A UART's interrupt puts each byte into a ring of about 256 bytes and silently drops it when there is
no room. Here the ring is the child's standard input. A full ring can also mean that this computer
is busy and the child got no processor time; so bytes are dropped only when the child had time to
read and did not.
"""

from __future__ import annotations

from collections.abc import Callable

from provision.sim.app.interpreter import Interpreter
from provision.sim.event_loop import EventLoop, Timer

_LOOK_AGAIN = 0.001
# Processor seconds, or seconds asleep, that a child with a full ring has for reading on.
_READER_TIME = 0.001
_READER_TIME_BY_CLOCK = 0.012  # where the kernel does not tell, by the clock


class ReceiveRing:
    """`capacity` bytes, None for no limit. `overruns` counts the bytes that were dropped."""

    def __init__(
        self,
        *,
        loop: EventLoop,
        capacity: int | None,
        deliver: Callable[[bytes], None],
        unread: Callable[[], int],
        reader: Callable[[], Interpreter | None],
    ) -> None:
        self._loop = loop
        self._capacity = capacity
        self._deliver = deliver
        self._unread = unread
        self._reader = reader
        self._waiting = bytearray()
        self._timer: Timer | None = None
        self._full_at = 0.0
        self._processor_at: float | None = None
        self._asleep_at: float | None = None
        self.overruns = 0
        self.peak = 0

    def put(self, data: bytes) -> None:
        """Bytes from the line."""
        if not data:
            return
        if self._capacity is None:
            self._deliver(data)
            return
        self._waiting += data
        self._pump()

    def clear(self) -> None:
        """The chip was reset."""
        self._waiting.clear()
        self._stop()

    def _pump(self) -> None:
        assert self._capacity is not None
        held = self._unread()
        room = self._capacity - held
        if room > 0 and self._waiting:
            self._stop()
            ready = bytes(self._waiting[:room])
            del self._waiting[:room]
            self._deliver(ready)
            self.peak = max(self.peak, held + len(ready))
        if not self._waiting:
            return
        if self._timer is None:
            self._full_at = self._loop.now()
            self._processor_at = self._processor()
            self._asleep_at = None
        elif self._reader_had_time():
            self.overruns += len(self._waiting)
            self._waiting.clear()
            self._stop()
            return
        self._stop()
        self._timer = self._loop.after(_LOOK_AGAIN, self._pump)

    def _stop(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _processor(self) -> float | None:
        reader = self._reader()
        return reader.processor_seconds() if reader else None

    def _reader_had_time(self) -> bool:
        reader = self._reader()
        now = self._loop.now()
        processor = self._processor()
        if reader is None or processor is None or self._processor_at is None:
            return now - self._full_at >= _READER_TIME_BY_CLOCK
        if processor - self._processor_at >= _READER_TIME:
            return True
        if not reader.asleep():
            self._asleep_at = None
            return False
        if self._asleep_at is None:
            self._asleep_at = now
        return now - self._asleep_at >= _READER_TIME
