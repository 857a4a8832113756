"""Jobs on their threads: how many at once, and what a failure or the user stops."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

import pytest

from provision.engine.cancellation import Cancellation
from provision.engine.scheduler import FINISHING, run_all
from tests.ctrl_c import ctrl_c_raises

PATIENCE = 30.0


class Job:
    """Does `work`, and tells what became of it."""

    def __init__(self, work: Callable[[], None] = lambda: None, *, fails: bool = False) -> None:
        self.work = work
        self.fails = fails
        self.failed = False
        self.fate = "waiting"

    def run(self) -> None:
        self.fate = "begun"
        self.work()
        self.failed = self.fails
        self.fate = "ended"

    def skip(self) -> None:
        self.fate = "skipped"


def test_no_more_than_forks_at_once() -> None:
    together, most, lock = 0, 0, threading.Lock()
    full = threading.Barrier(3)

    def work() -> None:
        nonlocal together, most
        with lock:
            together += 1
            most = max(most, together)
        full.wait(PATIENCE)
        with lock:
            together -= 1

    jobs = [Job(work) for _ in range(6)]
    run_all([jobs], Cancellation(), forks=3, notice=lambda _: None)
    assert [job.fate for job in jobs] == ["ended"] * 6
    assert most == 3


def none_failed(_number: int, failed: int) -> bool:
    return failed == 0


def test_a_failure_keeps_others_from_beginning_and_lets_those_finish_that_have() -> None:
    cancel = Cancellation()
    failed = threading.Event()

    class Failing(Job):
        def run(self) -> None:
            super().run()
            failed.set()

    seen = []

    def slow() -> None:
        assert failed.wait(PATIENCE)
        seen.append(cancel.cancelled())

    jobs = [Job(slow), Failing(fails=True), Job(), Job()]
    run_all([jobs], cancel, forks=2, may_begin=none_failed, notice=lambda _: None)
    assert [job.fate for job in jobs[:2]] == ["ended", "ended"]
    assert seen == [False]


def press_ctrl_c() -> None:
    """As the system does: the signal goes to the main thread."""
    ident = threading.main_thread().ident
    assert ident is not None
    signal.pthread_kill(ident, signal.SIGINT)


def test_the_first_ctrl_c_waits_for_what_has_begun() -> None:
    cancel, notices = Cancellation(), []

    def interrupted() -> None:
        press_ctrl_c()
        while not cancel.cancelled():  # goes on until it hears of it, as a board being flashed does
            told.wait(0.01)

    told = threading.Event()
    jobs = [Job(interrupted), Job()]
    with ctrl_c_raises():
        run_all([jobs], cancel, forks=1, notice=notices.append)
    assert [job.fate for job in jobs] == ["ended", "skipped"]
    assert notices == [FINISHING]


def test_the_second_ctrl_c_is_passed_on() -> None:
    cancel, release = Cancellation(), threading.Event()

    def stubborn() -> None:
        press_ctrl_c()
        release.wait(PATIENCE)

    def notice(_: str) -> None:
        signal.raise_signal(signal.SIGINT)

    with ctrl_c_raises(), pytest.raises(KeyboardInterrupt):
        run_all([[Job(stubborn)]], cancel, forks=1, notice=notice)
    assert cancel.cancelled()
    release.set()


def test_a_batch_has_ended_before_the_next_begins() -> None:
    ended: list[int] = []
    begun: list[tuple[int, int]] = []
    lock = threading.Lock()
    later = threading.Event()

    def work(number: int) -> Callable[[], None]:
        def one() -> None:
            if number:
                later.set()
            else:
                later.wait(0.3)  # which passes in vain: nobody else begins meanwhile
            with lock:
                ended.append(number)

        return one

    batches = [[Job(work(number)) for _ in range(size)] for number, size in enumerate((1, 3, 4))]
    run_all(
        batches,
        Cancellation(),
        begun=lambda number: begun.append((number, len(ended))),
        notice=lambda _: None,
    )
    assert ended == [0, 1, 1, 1, 2, 2, 2, 2]
    assert begun == [(0, 0), (1, 1), (2, 4)]


def test_no_batch_begins_after_failures_that_are_too_many() -> None:
    asked: list[tuple[int, int]] = []
    begun: list[int] = []

    def may_begin(number: int, failed: int) -> bool:
        asked.append((number, failed))
        return failed < 2

    batches = [[Job(), Job(fails=True)], [Job(fails=True), Job()], [Job(), Job()]]
    run_all(
        batches, Cancellation(), forks=1, begun=begun.append, may_begin=may_begin,
        notice=lambda _: None,
    )  # fmt: skip
    fates = [[job.fate for job in batch] for batch in batches]
    assert fates == [["ended", "ended"], ["ended", "skipped"], ["skipped", "skipped"]]
    assert asked == [(0, 0), (0, 0), (1, 1), (1, 2), (2, 2), (2, 2)]
    assert begun == [0, 1]


def test_ctrl_c_amid_a_batch_skips_those_behind_it() -> None:
    cancel = Cancellation()

    def interrupted() -> None:
        press_ctrl_c()
        while not cancel.cancelled():  # as a board being flashed goes on
            told.wait(0.01)

    told = threading.Event()
    batches = [[Job(interrupted)], [Job(), Job()], [Job()]]
    with ctrl_c_raises():
        run_all(batches, cancel, notice=lambda _: None)
    assert [job.fate for batch in batches for job in batch] == ["ended", *["skipped"] * 3]
