"""Scheduler: the jobs of a run on their threads, and how the run ends early.

Jobs come in batches, each of which has ended before the next begins. Cancelling stops all: writes
in progress are finished, the rest is not begun. Failures may keep further jobs from beginning, and
leave those that have begun alone.
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
    batches: Sequence[Sequence[Job]],
    cancel: Cancellation,
    *,
    forks: int = 0,
    begun: Callable[[int], None] = lambda _number: None,
    may_begin: Callable[[int, int], bool] = lambda _number, _failed: True,
    notice: Callable[[str], None],
    stopping: str = FINISHING,
) -> None:
    """Run the jobs in order on `forks` threads, 0 for one each. The first KeyboardInterrupt
    cancels the run, which `stopping` tells, and waits on; the second is passed on.

    `may_begin` is asked before each job whether it may begin, by the number of its batch, from 0,
    and how many jobs have failed; `begun` is told of each batch of which one does. Neither is
    called by two threads at once.
    """
    waiting = [(number, job) for number, batch in enumerate(batches) for job in batch][::-1]
    left = [len(batch) for batch in batches]
    failed = 0
    told: set[int] = set()
    changed = threading.Condition()

    def next_job() -> tuple[int, Job, bool] | None:
        """A job whose batch's turn it is, and whether it may begin; None when all are taken."""
        with changed:
            while waiting:
                number = waiting[-1][0]
                cancelled = cancel.cancelled()
                if not cancelled and any(left[:number]):
                    changed.wait(WAKE_SECONDS)
                    continue
                job = waiting.pop()[1]
                goes = not cancelled and may_begin(number, failed)
                if goes and number not in told:
                    told.add(number)
                    begun(number)
                return number, job, goes
        return None

    def work() -> None:
        nonlocal failed
        while (taken := next_job()) is not None:
            number, job, goes = taken
            try:
                if goes:
                    job.run()
                else:
                    job.skip()
            finally:
                with changed:
                    left[number] -= 1
                    failed += job.failed
                    changed.notify_all()

    def wait() -> None:
        with changed:
            while any(left):
                changed.wait(WAKE_SECONDS)

    # Jobs are waited for, not threads: before Python 3.13, a thread whose `join` was interrupted
    # is taken to have ended, though it runs on.
    try:
        for number in range(min(forks or len(waiting), len(waiting))):
            threading.Thread(target=work, name=f"provision-{number}", daemon=True).start()
        wait()
    except KeyboardInterrupt:
        cancel.cancel()
        notice(stopping)
        work()  # skips what has not begun; a thread may have been interrupted before its start
        wait()
