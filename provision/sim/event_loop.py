"""The event loop of a board's process, which has one thread: waits for descriptors and timers.

Between events the process sleeps in the kernel, so that an idle board costs no CPU time.
"""

from __future__ import annotations

import heapq
import itertools
import select
import time
from collections.abc import Callable
from dataclasses import dataclass

Callback = Callable[[], None]


@dataclass(slots=True, eq=False)
class Timer:
    """A callback to come, at `due`; `cancel` makes it never come."""

    due: float
    callback: Callback | None

    def cancel(self) -> None:
        self.callback = None


class EventLoop:
    """What is watched, and a heap of timers. Seconds are those of `time.monotonic`."""

    def __init__(self) -> None:
        self._readable: dict[int, Callback] = {}
        self._writable: dict[int, Callback] = {}
        self._timers: list[tuple[float, int, Timer]] = []
        self._order = itertools.count()
        self.stopped = False  # and not run since

    def now(self) -> float:
        return time.monotonic()

    def watch(self, fd: int, callback: Callback) -> None:
        """Call back whenever `fd` can be read or has reached its end."""
        self._readable[fd] = callback

    def unwatch(self, fd: int) -> None:
        """Stop watching `fd` for reading; one that is not watched is no error."""
        self._readable.pop(fd, None)

    def watch_writable(self, fd: int, callback: Callback) -> None:
        """Call back whenever `fd` takes more bytes; unwatch as soon as there are none to give."""
        self._writable[fd] = callback

    def unwatch_writable(self, fd: int) -> None:
        self._writable.pop(fd, None)

    def after(self, seconds: float, callback: Callback) -> Timer:
        """Call back once, `seconds` from now; at once in the next round if it is 0 or less."""
        timer = Timer(self.now() + seconds, callback)
        heapq.heappush(self._timers, (timer.due, next(self._order), timer))
        return timer

    def run(self) -> None:
        """Serve callbacks until `stop`, or until there is nothing left that could call."""
        while not self.stopped and (self._readable or self._writable or self._timers):
            self.step()
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True

    def step(self) -> None:
        """Wait for one round of events and serve it."""
        timers = self._timers
        while timers and timers[0][2].callback is None:
            heapq.heappop(timers)
        timeout = max(0.0, timers[0][0] - self.now()) if timers else None
        if timeout is None and not self._readable and not self._writable:
            return
        # select and not epoll: its timeouts are exact to the microsecond, epoll's come a
        # millisecond late, which a modelled line of one-byte answers would feel.
        readable, writable, _ = select.select(
            list(self._readable), list(self._writable), [], timeout
        )
        ready = [(self._readable, fd, self._readable[fd]) for fd in readable]
        ready += [(self._writable, fd, self._writable[fd]) for fd in writable]
        for watched, fd, callback in ready:
            # An earlier one of this round may have unwatched it, or closed it for another.
            if watched.get(fd) == callback:
                callback()
        now = self.now()
        due: list[Timer] = []
        while timers and timers[0][0] <= now:
            due.append(heapq.heappop(timers)[2])
        for timer in due:
            if timer.callback:
                timer.callback()
