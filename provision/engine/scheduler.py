"""Turns: the jobs of a run on their threads, and how the run is stopped.

A user stops all: what may not be cut is finished, the rest is not begun. A failure with
`--fail-fast` keeps further jobs from beginning, and leaves those that have begun alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

STOPPING = "stopping: what may not be cut is being finished; Ctrl-C again to cut"


class Stop:
    """What the jobs of a run look at to know that it is to end early."""

    def __init__(self) -> None:
        self._by_user = threading.Event()
        self._by_failure = threading.Event()

    def by_user(self) -> bool:
        """Whether what has begun shall end as soon as it may."""
        return self._by_user.is_set()

    def before_beginning(self) -> bool:
        """Whether nothing more shall begin."""
        return self._by_user.is_set() or self._by_failure.is_set()

    def interrupt(self) -> None:
        self._by_user.set()

    def fail(self) -> None:
        self._by_failure.set()


class Turn(Protocol):
    """One job: exactly one of `run` and `skip` is called; neither raises."""

    def run(self) -> None: ...

    def skip(self) -> None: ...

    @property
    def failed_fast(self) -> bool:
        """Whether its failure keeps others from beginning."""
        ...


def run_all(jobs: Sequence[Turn], forks: int, stop: Stop, notice: Callable[[str], None]) -> None:
    """Run the jobs in order on `forks` threads. The first KeyboardInterrupt stops the run and
    waits on; the second is passed on."""
    waiting = list(reversed(jobs))
    left = len(jobs)
    changed = threading.Condition()

    def work() -> None:
        nonlocal left
        while True:
            with changed:
                if not waiting:
                    return
                job = waiting.pop()
            try:
                if stop.before_beginning():
                    job.skip()
                else:
                    job.run()
                if job.failed_fast:
                    stop.fail()
            finally:
                with changed:
                    left -= 1
                    changed.notify_all()

    def wait() -> None:
        with changed:
            changed.wait_for(lambda: not left)

    # Jobs are waited for, not threads: before Python 3.13, a thread whose `join` was interrupted
    # is taken to have ended, though it runs on.
    try:
        for number in range(min(forks, len(jobs))):
            threading.Thread(target=work, name=f"provision-{number}", daemon=True).start()
        wait()
    except KeyboardInterrupt:
        stop.interrupt()
        notice(STOPPING)
        work()  # skips what has not begun; a thread may have been interrupted before its start
        wait()
