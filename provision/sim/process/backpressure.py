"""Reads no more from a host that is ahead of the line, or of a program that does not read, so that
it has to wait."""

from __future__ import annotations

from collections.abc import Callable

from provision.sim.chip.board import Board
from provision.sim.event_loop import EventLoop, Timer

# Seconds of a slow line that a driver and a bridge hold for it (0.5 KB at 115200).
_WRITE_AHEAD = 0.05


class Backpressure:
    """Watches the descriptor that a host writes to, and calls back when it may be read."""

    def __init__(
        self, *, board: Board, loop: EventLoop, fd: int, readable: Callable[[], None]
    ) -> None:
        self._board = board
        self._loop = loop
        self._fd = fd
        self._readable = readable
        self._waiting: Timer | None = None
        loop.watch(fd, readable)

    def apply(self) -> None:
        """Something was read and passed on."""
        ahead = self._board.backlog - _WRITE_AHEAD
        if ahead > 0:
            self._loop.unwatch(self._fd)
            if self._waiting:
                self._waiting.cancel()
            self._waiting = self._loop.after(ahead, self._resume)

    def close(self) -> None:
        self._loop.unwatch(self._fd)
        if self._waiting:
            self._waiting.cancel()
            self._waiting = None

    def _resume(self) -> None:
        self._waiting = None
        self._loop.watch(self._fd, self._readable)
        self.apply()
