"""What is asked of somebody at a terminal, and how often: each device asks on its own thread, as
from the engine, and the terminal is a real one."""

from __future__ import annotations

import io
import os
import pty
import select
import sys
import tty
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from provision.api import Cancellation
from provision.cli.consent import Consent
from provision.errors import Interrupted
from provision.model.event import (
    BatchStarted,
    DeviceFinished,
    DevicePlanned,
    Event,
    ManualActionNeeded,
    RunStarted,
    StageStarted,
)
from provision.model.plan import Batches, EraseFlash, Plan
from provision.output.fanout import Fanout
from provision.output.results import erase_question

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="pseudo-terminals are of Unix")
PATIENCE = 60.0  # seconds, far beyond what it takes


@dataclass
class Asked:
    """A run that asks, and the person at its terminal. `said` is what stands there."""

    master: int
    take_terminal: Callable[[], None]  # in the test itself: pytest has streams of its own before
    outputs: Fanout = field(default_factory=lambda: Fanout([]))
    cancel: Cancellation = field(default_factory=Cancellation)
    said: str = ""

    def begin(self, *devices: str, forks: int = 0, batches: Batches | None = None) -> None:
        self.take_terminal()
        self.consent = Consent(self.outputs, self.cancel, erase_question, forks=forks)
        self.outputs.add(self.consent)
        self.handle(
            RunStarted(
                task="apply", changes_boards=True, fleet="f", devices=devices, rollout=batches
            )
        )

    def handle(self, event: Event) -> None:
        self.outputs.handle(event)

    def ask(self, device: str, *losses: str) -> bool:
        """As a device does whose board is blank, or has these things to lose."""
        plan = Plan(device=device, actions=(EraseFlash(reason="blank", losses=losses),))
        self.handle(DevicePlanned(device=device, plan=plan))
        return self.consent(device, plan)

    def type(self, text: str) -> None:
        os.write(self.master, text.encode())

    def until(self, text: str) -> None:
        """Read what is shown until this stands there, beyond what was read before."""
        shown = ""
        while text not in shown:
            assert select.select([self.master], [], [], PATIENCE)[0], f"in vain: {self.said}{shown}"
            shown += os.read(self.master, 1024).decode()
        self.said += shown


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Iterator[Asked]:
    master, slave = pty.openpty()
    tty.setraw(slave, when=tty.TCSANOW)  # nothing is echoed
    with (
        open(slave, encoding="utf-8", closefd=False) as stdin,
        io.TextIOWrapper(open(slave, "wb", buffering=0, closefd=False), "utf-8") as stderr,
    ):

        def take_terminal() -> None:
            monkeypatch.setattr(sys, "stdin", stdin)
            monkeypatch.setattr(sys, "stderr", stderr)

        made = Asked(master, take_terminal)
        yield made
        made.cancel.cancel()
    for each in (master, slave):
        with suppress(OSError):
            os.close(each)


@pytest.fixture
def pool(asked: Asked) -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(40) as made:
        yield made
        asked.cancel.cancel()


def names(count: int) -> list[str]:
    return [f"desk-{number:02}" for number in range(1, count + 1)]


def test_thirty_blank_boards_are_one_question(asked: Asked, pool: ThreadPoolExecutor) -> None:
    asked.begin(*names(30))
    answers = [pool.submit(asked.ask, name) for name in reversed(names(30))]
    asked.until("? [y/N/each]: ")
    asked.type("y\n")
    assert all(each.result(PATIENCE) for each in answers)
    assert asked.said == (
        "desk-[01:30] (30 devices): erase these boards and every file on them (blank)? [y/N/each]: "
    )


@pytest.mark.parametrize(
    ("typed", "agreed"),
    [("n\n", []), ("\n", []), ("YES\n", ["a", "b", "c", "d"])],
)
def test_what_is_lost_is_shown_for_each_that_loses_something_else(
    asked: Asked, pool: ThreadPoolExecutor, typed: str, agreed: Sequence[str]
) -> None:
    asked.begin("a", "b", "c", "d")
    lost = {"a": "/log.csv", "b": "NVS", "c": "/log.csv", "d": ""}
    answers = {
        name: pool.submit(asked.ask, name, *([what] if what else [])) for name, what in lost.items()
    }
    asked.until("]: ")
    asked.type(typed)
    assert [name for name, each in answers.items() if each.result(PATIENCE)] == agreed
    assert asked.said.splitlines() == [
        "a, c (2 devices): lose /log.csv of each of these boards (blank)",
        "b: lose NVS of this board (blank)",
        "d: erase this board and every file on it (blank)",
        "4 devices: go on with all of them? [y/N/each]: ",
    ]


def test_each_can_be_answered_for_itself(asked: Asked, pool: ThreadPoolExecutor) -> None:
    asked.begin("a", "b", "c")
    answers = [pool.submit(asked.ask, name, *lost) for name, *lost in (("a",), ("b", "NVS"), "c")]
    for shown, typed in (
        ("3 devices: go on with all of them? [y/N/each]: ", "each\n"),
        ("a, c (2 devices): erase these boards and every file on them (blank)? [y/N/each]", "?\n"),
        ("[y/N/each]: ", "each\n"),
        ("a: erase this board and every file on it (blank)? [y/N]: ", "y\n"),
        ("c: erase this board and every file on it (blank)? [y/N]: ", "n\n"),
        ("b: lose NVS of this board (blank)? [y/N]: ", "y\n"),
    ):
        asked.until(shown)
        asked.type(typed)
    assert [each.result(PATIENCE) for each in answers] == [True, True, False]


def test_what_was_typed_before_is_no_answer(asked: Asked, pool: ThreadPoolExecutor) -> None:
    asked.begin("a")
    asked.type("y\ny\n")
    answer = pool.submit(asked.ask, "a")
    asked.until("? [y/N]: ")
    asked.type("n\n")
    assert not answer.result(PATIENCE)


def test_nobody_is_waited_for_who_has_nothing_to_ask(
    asked: Asked, pool: ThreadPoolExecutor
) -> None:
    """One is missing, one has nothing to change, one is at work, one needs somebody's hands."""
    asked.begin("a", "gone", "same", "busy", "bare")
    answer = pool.submit(asked.ask, "a")
    plan = Plan(device="busy", actions=(EraseFlash(reason="in fleet.lock"),))
    asked.handle(DeviceFinished(device="gone", outcome="unreachable", seconds=0, error="no port"))
    asked.handle(DevicePlanned(device="same", plan=Plan(device="same")))
    asked.handle(DeviceFinished(device="same", outcome="ok", seconds=0))
    asked.handle(DevicePlanned(device="busy", plan=plan))
    asked.handle(ManualActionNeeded(device="bare", instructions="Hold BOOT.", seconds=9))
    assert not answer.done()
    asked.handle(StageStarted(device="busy", stage="erase"))
    asked.until("a: erase this board and every file on it (blank)? [y/N/all]: ")
    asked.type("all\n")
    assert answer.result(PATIENCE)
    asked.handle(StageStarted(device="bare", stage="observe"))
    assert asked.ask("bare")  # unasked


def test_a_yes_for_all_that_may_come_is_none_for_one_that_loses_more(
    asked: Asked, pool: ThreadPoolExecutor
) -> None:
    asked.begin(*names(3), forks=1)
    for name, losses, shown in (
        ("desk-01", (), "desk-01: erase this board and every file on it (blank)? [y/N/all]: "),
        ("desk-02", ("its Wi-Fi settings",), "desk-02: lose its Wi-Fi settings of this board"),
    ):
        answer = pool.submit(asked.ask, name, *losses)
        asked.until(shown)
        asked.type("all\n" if not losses else "n\n")
        assert answer.result(PATIENCE) is (not losses)
        asked.handle(DeviceFinished(device=name, outcome="changed", seconds=1))
    assert asked.ask("desk-03")  # unasked: it loses what the first did


def test_who_has_no_thread_yet_is_not_waited_for(asked: Asked, pool: ThreadPoolExecutor) -> None:
    asked.begin(*names(4), forks=2)
    first = [pool.submit(asked.ask, name) for name in names(2)]
    asked.until("]: ")
    assert asked.said == (
        "desk-01, desk-02 (2 devices): erase these boards and every file on them (blank)? "
        "[y/N/each/all]: "
    )
    asked.type("y\n")
    assert [each.result(PATIENCE) for each in first] == [True, True]
    for name in names(2):
        asked.handle(DeviceFinished(device=name, outcome="changed", seconds=1))
    rest = [pool.submit(asked.ask, name) for name in names(4)[2:]]
    asked.until("[y/N/each]: ")
    assert "desk-03, desk-04 (2 devices): " in asked.said
    asked.type("n\n")
    assert [each.result(PATIENCE) for each in rest] == [False, False]


def test_a_batch_is_asked_about_when_its_turn_has_come(
    asked: Asked, pool: ThreadPoolExecutor
) -> None:
    batches = Batches(devices=(("a",), ("b", "c")))
    asked.begin("a", "b", "c", batches=batches)
    asked.handle(BatchStarted(number=1, of=2, devices=("a",)))
    answer = pool.submit(asked.ask, "a")
    asked.until("a: erase this board and every file on it (blank)? [y/N/all]: ")
    asked.type("y\n")
    assert answer.result(PATIENCE)


@pytest.mark.parametrize("stand_there", [True, False])
def test_a_run_that_is_cancelled_waits_for_no_answer(
    asked: Asked, pool: ThreadPoolExecutor, stand_there: bool
) -> None:
    asked.begin("a") if stand_there else asked.begin("a", "b")
    answer = pool.submit(asked.ask, "a")
    if stand_there:
        asked.until("? [y/N]: ")
    asked.cancel.cancel()
    with pytest.raises(Interrupted):
        answer.result(PATIENCE)


def test_others_ask_while_somebody_answers(asked: Asked, pool: ThreadPoolExecutor) -> None:
    """With one that needs hands, so that it comes after the question stands there."""
    asked.begin("a", "bare")
    asked.handle(ManualActionNeeded(device="bare", instructions="Hold BOOT.", seconds=9))
    first = pool.submit(asked.ask, "a")
    asked.until("[y/N/all]: ")
    second = pool.submit(asked.ask, "bare")
    asked.type("y\n")
    assert first.result(PATIENCE)
    asked.until("bare: erase this board and every file on it (blank)? [y/N]: ")
    asked.type("y\n")
    assert second.result(PATIENCE)
