"""The one thread of a board process: wait for descriptors and timers, call back, wait again.

Between events the process sleeps in the kernel, so that an idle board costs no CPU.
"""

from __future__ import annotations

import heapq
import itertools
import selectors
import time
from collections.abc import Callable
from dataclasses import dataclass, field

Callback = Callable[[], None]


@dataclass(order=True, slots=True)
class Timer:
    """A callback to come; `cancel` makes it never come."""

    due: float
    order: int
    callback: Callback | None = field(compare=False)

    def cancel(self) -> None:
        self.callback = None


@dataclass(slots=True)
class _Watched:
    readable: Callback | None = None
    writable: Callback | None = None

    @property
    def events(self) -> int:
        return (selectors.EVENT_READ if self.readable else 0) | (
            selectors.EVENT_WRITE if self.writable else 0
        )


class Loop:
    """A selector and a heap of timers. Seconds are those of `time.monotonic`."""

    def __init__(self) -> None:
        # select and not epoll: its timeouts are exact to the microsecond, epoll's come a
        # millisecond late, which a modelled line of one-byte answers would feel.
        self._selector = selectors.SelectSelector()
        self._timers: list[Timer] = []
        self._order = itertools.count()
        self._running = False

    def now(self) -> float:
        return time.monotonic()

    def watch(self, fd: int, callback: Callback) -> None:
        """Call back whenever `fd` can be read or has reached its end."""
        self._entry(fd).readable = callback
        self._apply(fd)

    def unwatch(self, fd: int) -> None:
        """Stop watching `fd` for reading; one that is not watched is no error."""
        if fd in self._selector.get_map():
            self._entry(fd).readable = None
            self._apply(fd)

    def watch_writable(self, fd: int, callback: Callback) -> None:
        """Call back whenever `fd` takes more bytes; unwatch as soon as there are none to give."""
        self._entry(fd).writable = callback
        self._apply(fd)

    def unwatch_writable(self, fd: int) -> None:
        if fd in self._selector.get_map():
            self._entry(fd).writable = None
            self._apply(fd)

    def after(self, seconds: float, callback: Callback) -> Timer:
        """Call back once, `seconds` from now; at once in the next round if it is 0 or less."""
        timer = Timer(self.now() + seconds, next(self._order), callback)
        heapq.heappush(self._timers, timer)
        return timer

    def run(self) -> None:
        """Serve callbacks until `stop`, or until there is nothing left that could call."""
        self._running = True
        while self._running and (self._selector.get_map() or self._timers):
            self.step()

    def stop(self) -> None:
        self._running = False

    def step(self) -> None:
        """Wait for one round of events and serve it."""
        while self._timers and self._timers[0].callback is None:
            heapq.heappop(self._timers)
        timeout = max(0.0, self._timers[0].due - self.now()) if self._timers else None
        if timeout is None and not self._selector.get_map():
            return
        for key, events in self._selector.select(timeout):
            watched: _Watched = key.data
            # An earlier callback of this round may have unwatched this one.
            if events & selectors.EVENT_READ and watched.readable:
                watched.readable()
            if events & selectors.EVENT_WRITE and watched.writable:
                watched.writable()
        now = self.now()
        due = []
        while self._timers and self._timers[0].due <= now:
            due.append(heapq.heappop(self._timers))
        for timer in due:
            if timer.callback:
                timer.callback()

    def close(self) -> None:
        self._selector.close()

    def _entry(self, fd: int) -> _Watched:
        key = self._selector.get_map().get(fd)
        if key is None:
            return self._selector.register(fd, selectors.EVENT_READ, _Watched()).data  # type: ignore[no-any-return]
        return key.data  # type: ignore[no-any-return]

    def _apply(self, fd: int) -> None:
        watched = self._entry(fd)
        if watched.events:
            self._selector.modify(fd, watched.events, watched)
        else:
            self._selector.unregister(fd)
