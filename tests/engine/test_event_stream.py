"""The events of a run as an iterator: what a web server with a queue would do with it."""

from __future__ import annotations

import gc
import threading
from collections.abc import Callable

import pytest

from provision.engine.cancellation import Cancellation
from provision.engine.event_stream import OnEvent, stream
from provision.engine.run import run
from provision.engine.tasks.apply import ApplyTask
from provision.errors import SourceError
from provision.model.event import DeviceFinished, Event, RunFinished, RunStarted
from provision.model.report import RunReport
from tests.engine.test_fleet_run import device, outcomes, running
from tests.fakes.world import FakeWorld

PATIENCE = 30.0


def fleet() -> FakeWorld:
    return FakeWorld({"/dev/a": running(), "/dev/b": running(mac="24:6f:28:00:00:0b")})


def apply(
    world: FakeWorld,
    *,
    on_event: OnEvent = lambda _: None,
    cancel: Cancellation | None = None,
) -> RunReport:
    """As `api.apply`, over boards in memory, one after the other."""
    return run(
        [device("a"), device("b")],
        ApplyTask(yes=True),
        world.context(emit=on_event, forks=1),
        cancel or Cancellation(),
        fleet="test",
    )


def held_at_the_first_end(cancel: Cancellation) -> tuple[Callable[[Event], None], threading.Event]:
    """A listener that keeps the run at the end of its first device until it is cancelled."""
    there = threading.Event()

    def listen(event: Event) -> None:
        if isinstance(event, DeviceFinished):
            there.set()
            while not cancel.cancelled():
                tick.wait(0.01)

    tick = threading.Event()
    return listen, there


def threads() -> set[str]:
    return {each.name for each in threading.enumerate() if each.name == "provision-stream"}


def test_every_event_in_order_and_the_report_at_the_end() -> None:
    with stream(apply, fleet()) as events:
        seen = list(events)
    assert isinstance(seen[0], RunStarted)
    assert isinstance(seen[-1], RunFinished)
    assert [each.device for each in seen if isinstance(each, DeviceFinished)] == ["a", "b"]
    assert outcomes(events.report) == {"a": "changed", "b": "changed"}
    assert next(events, None) is None
    assert not threads()


def test_a_callback_is_called_as_well() -> None:
    heard: list[Event] = []
    with stream(apply, fleet(), on_event=heard.append) as events:
        seen = list(events)
    assert heard == seen


def test_closing_cancels_and_waits_for_what_has_begun() -> None:
    cancel = Cancellation()
    listen, there = held_at_the_first_end(cancel)
    events = stream(apply, fleet(), on_event=listen, cancel=cancel)
    assert isinstance(next(events), RunStarted)
    assert there.wait(PATIENCE)
    events.close()
    assert cancel.cancelled()
    assert outcomes(events.report) == {"a": "changed", "b": "skipped"}
    assert events.report.exit_code() == 130
    assert list(events) == []
    assert not threads()


def test_a_stream_that_nobody_reads_ends_all_the_same() -> None:
    events = stream(apply, fleet())
    assert outcomes(events.report) == {"a": "changed", "b": "changed"}
    assert not threads()


def test_a_dropped_stream_cancels_its_run() -> None:
    cancel = Cancellation()
    listen, there = held_at_the_first_end(cancel)
    events = stream(apply, fleet(), on_event=listen, cancel=cancel)
    assert there.wait(PATIENCE)
    (thread,) = [each for each in threading.enumerate() if each.name == "provision-stream"]
    del events
    gc.collect()
    assert cancel.cancelled()
    thread.join(PATIENCE)
    assert not thread.is_alive()


def test_a_token_that_other_runs_share_outlives_a_finished_stream() -> None:
    cancel = Cancellation()
    with stream(apply, fleet(), cancel=cancel) as events:
        list(events)
    assert not cancel.cancelled()


def test_what_ends_a_run_without_a_report_is_raised_after_its_events() -> None:
    def apply_without_image(*, on_event: OnEvent, cancel: Cancellation) -> RunReport:
        on_event(RunStarted(task="apply", changes_boards=True, fleet="test", devices=("a",)))
        raise SourceError("the image cannot be had")

    with stream(apply_without_image, on_event=lambda _: None, cancel=Cancellation()) as events:
        assert isinstance(next(events), RunStarted)
        with pytest.raises(SourceError):
            next(events)
        assert next(events, None) is None
        with pytest.raises(SourceError):
            _ = events.report
    assert not threads()
