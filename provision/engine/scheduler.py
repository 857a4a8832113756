"""Scheduler: the jobs of a run on their threads, and how the run ends early.

Cancelling stops all: writes in progress are finished, the rest is not begun. A failure with
`fail_fast` keeps further jobs from beginning, and leaves those that have begun alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Protocol

from provision.engine.cancellation import Cancellation

STOPPING = "stopping; press Ctrl-C again to abort"
FINISHING = "stopping: finishing writes in progress; press Ctrl-C again to abort"
# Windows does not interrupt a wait that has no timeout, so that Ctrl-C would not be heard.
WAKE_SECONDS = 1.0


class Job(Protocol):
    """One device's part of a run: exactly one of `run` and `skip` is called; neither raises."""

    def run(self) -> None: ...

    def skip(self) -> None: ...

    @property
    def failed(self) -> bool: ...


def run_all(
    jobs: Sequence[Job],
    cancel: Cancellation,
    *,
    forks: int = 0,
    fail_fast: bool = False,
    notice: Callable[[str], None],
    stopping: str = FINISHING,
) -> None:
    """Run the jobs in order on `forks` threads, 0 for one each. The first KeyboardInterrupt
    cancels the run, which `stopping` tells, and waits on; the second is passed on."""
    waiting = list(reversed(jobs))
    left = len(jobs)
    failed = False
    changed = threading.Condition()

    def work() -> None:
        nonlocal left, failed
        while True:
            with changed:
                if not waiting:
                    return
                job = waiting.pop()
            try:
                if cancel.cancelled() or (fail_fast and failed):
                    job.skip()
                else:
                    job.run()
            finally:
                with changed:
                    left -= 1
                    failed = failed or job.failed
                    changed.notify_all()

    def wait() -> None:
        with changed:
            while left:
                changed.wait(WAKE_SECONDS)

    # Jobs are waited for, not threads: before Python 3.13, a thread whose `join` was interrupted
    # is taken to have ended, though it runs on.
    try:
        for number in range(min(forks or len(jobs), len(jobs))):
            threading.Thread(target=work, name=f"provision-{number}", daemon=True).start()
        wait()
    except KeyboardInterrupt:
        cancel.cancel()
        notice(stopping)
        work()  # skips what has not begun; a thread may have been interrupted before its start
        wait()
