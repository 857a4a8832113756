"""Bounds that what is tested must keep."""

from __future__ import annotations

import signal
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def ending(seconds: float = 60.0) -> Iterator[None]:
    """It ends before it has taken so many seconds of CPU, far more than it needs: what would run
    for hours fails instead. Where the system has no such clock, nothing is bounded."""
    if not hasattr(signal, "setitimer"):
        yield
        return

    def give_up(_number: int, _frame: object) -> None:
        raise AssertionError(f"it runs for more than {seconds:g} s")

    before = signal.signal(signal.SIGVTALRM, give_up)
    signal.setitimer(signal.ITIMER_VIRTUAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)


@contextmanager
def memory_below(most: int) -> Iterator[None]:
    """Python's own memory never passes `most` bytes meanwhile."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < most
    finally:
        tracemalloc.stop()
