"""A run that is cancelled: from another thread, or by Ctrl-C before any board is touched."""

from __future__ import annotations

import threading
from dataclasses import replace

import pytest

from provision.core.chips.esp.firmware import Firmware
from provision.engine.cancellation import Cancellation
from provision.engine.run import run
from provision.engine.tasks.apply import ApplyTask
from provision.errors import Interrupted
from provision.model.board import ResetWiring
from provision.model.event import Event, ManualActionNeeded, RunFinished, StageStarted
from provision.model.report import RunReport
from provision.model.state import DesiredState, FirmwareSource
from tests.engine.test_fleet_run import PROFILE, device, firmware, image, outcomes, running
from tests.fakes.world import FakeBoard, FakeWorld


def apply(
    world: FakeWorld, cancel: Cancellation, *states: DesiredState, **context: object
) -> RunReport:
    return run(states, ApplyTask(yes=True), world.context(**context), cancel, fleet="test")


def test_a_token_stays_cancelled() -> None:
    cancel = Cancellation()
    cancel.check()
    assert not cancel.cancelled()
    cancel.cancel()
    cancel.cancel()
    assert cancel.cancelled()
    with pytest.raises(Interrupted):
        cancel.check()


def test_a_wait_is_as_long_as_asked_or_until_the_token_is_cancelled() -> None:
    cancel, now = Cancellation(), [10.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds
        if now[0] > 13:
            cancel.cancel()

    def clock() -> float:
        return now[0]

    assert not cancel.wait(2.0, clock=clock, sleep=sleep)
    assert now == [pytest.approx(12.0)]
    assert cancel.wait(60.0, clock=clock, sleep=sleep)
    assert now[0] < 13.1
    assert cancel.wait(60.0, clock=clock, sleep=sleep)
    assert now[0] < 13.1, "no wait for a run that is to end"


def test_another_thread_stops_a_run_whose_flash_is_finished_first() -> None:
    first, second = FakeBoard(), running()
    world = FakeWorld({"/dev/a": first, "/dev/b": second}, {"new": image()})
    cancel = Cancellation()

    def emit(event: Event) -> None:
        world.events.append(event)
        if isinstance(event, StageStarted) and event.stage == "flash":
            other = threading.Thread(target=cancel.cancel)
            other.start()
            other.join()

    states = device("a", firmware=firmware()), device("b")
    report = apply(world, cancel, *states, forks=1, emit=emit)
    assert outcomes(report) == {"a": "interrupted", "b": "skipped"}
    assert report.interrupted
    assert report.exit_code() == 130
    assert first.firmware == image().identity
    assert world.journal.open == {}
    assert second.log == []
    assert not first.open


def test_a_run_cancelled_beforehand_opens_no_port() -> None:
    board = running()
    world = FakeWorld({"/dev/kitchen": board})
    cancel = Cancellation()
    cancel.cancel()
    report = apply(world, cancel, device())
    assert outcomes(report) == {"kitchen": "skipped"}
    assert report.exit_code() == 130
    assert board.log == []


def test_ctrl_c_while_images_are_read_ends_in_a_report() -> None:
    """As an image that is downloaded takes its time."""
    world = FakeWorld({"/dev/kitchen": FakeBoard()})

    class Images:
        def firmware(self, source: FirmwareSource) -> Firmware:
            raise KeyboardInterrupt

    report = apply(world, Cancellation(), device(firmware=firmware()), images=Images())
    assert outcomes(report) == {"kitchen": "skipped"}
    assert isinstance(world.events[-1], RunFinished)
    assert world.events[-1].exit_code == 130


def test_whoever_waits_for_an_operator_hears_of_it() -> None:
    profile = replace(PROFILE, reset=ResetWiring.NONE, download="Hold BOOT, press RESET.")
    world = FakeWorld({"/dev/kitchen": FakeBoard()}, {"new": image()})
    cancel = Cancellation()

    def emit(event: Event) -> None:
        world.events.append(event)
        if isinstance(event, ManualActionNeeded):
            cancel.cancel()

    state = device(board=profile, firmware=firmware())
    report = apply(world, cancel, state, operator=True, emit=emit)
    assert report.exit_code() == 130
