"""Cancellation: how a run is told, from any thread, that it is to end early.

What has begun on a board ends where that leaves no half-written flash behind; what has not begun
is skipped. Nothing is killed.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from provision.errors import Interrupted

_LOOK = 0.02  # seconds


class Cancellation:
    """A token that one side cancels and the other looks at. Once cancelled it stays so.

    Safe to use from any thread and from a signal handler: it takes no lock.
    """

    def __init__(self) -> None:
        self._cancelled = False

    def cancel(self) -> None:
        """Ask the run to end; returns at once. Asking again changes nothing."""
        self._cancelled = True

    def cancelled(self) -> bool:
        """Whether somebody has asked."""
        return self._cancelled

    def check(self) -> None:
        """Interrupted if somebody has asked: for the points where a run may end."""
        if self._cancelled:
            raise Interrupted("the run was cancelled")

    def wait(
        self,
        seconds: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> bool:
        """Wait for so long at most, or until somebody asks; whether somebody has."""
        until = clock() + seconds
        while not self._cancelled and (left := until - clock()) > 0:
            sleep(min(left, _LOOK))  # no event: its lock could be held by what a signal interrupts
        return self._cancelled
