"""A check stays pending until it has passed on this very state, and `check` runs it alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provision.engine.run import run
from provision.engine.task import Task
from provision.engine.tasks.apply import ApplyTask
from provision.engine.tasks.check import CheckTask
from provision.engine.tasks.plan import PlanTask
from provision.errors import NoAnswer, ProvisionError
from provision.model.event import DevicePlanned
from provision.model.report import RunReport
from provision.model.state import Check, DesiredState
from tests.engine.test_fleet_run import (
    MAC,
    Cancellation,
    converged,
    device,
    error_of,
    file,
    outcomes,
    running,
)
from tests.fakes.world import FakeBoard, FakeWorld

READY = Check(console="ready")


def world_of(board: FakeBoard) -> FakeWorld:
    return FakeWorld({"/dev/kitchen": board})


def go(world: FakeWorld, state: DesiredState, task: Task | None = None) -> RunReport:
    return run([state], task or ApplyTask(yes=True), world.context(), Cancellation(), fleet="test")


def outcome(world: FakeWorld, state: DesiredState, task: Task | None = None) -> str:
    return outcomes(go(world, state, task))["kitchen"]


def reasons(world: FakeWorld) -> list[tuple[str, str]]:
    plan = [event.plan for event in world.events if isinstance(event, DevicePlanned)][-1]
    return [(action.kind, action.reason) for action in plan.actions]


def test_a_check_that_failed_stays_pending_until_it_has_passed() -> None:
    board = running(prints="crashed")
    world, state = world_of(board), device(check=READY)
    assert outcome(world, state) == "failed"
    for _ in range(2):
        assert outcome(world, state, PlanTask()) == "pending"
        assert reasons(world)[-1] == ("check", "it failed in the last run")
        assert outcome(world, state) == "failed"
    board.prints = "ready"
    assert outcome(world, state) == "ok"
    assert outcome(world, state, PlanTask()) == "ok"


def test_a_check_that_is_added_to_an_unchanged_board_runs() -> None:
    board = converged(prints="ready")
    world = world_of(board)
    assert outcome(world, device()) == "ok"
    assert outcome(world, device(check=READY), PlanTask()) == "pending"
    assert outcome(world, device(check=READY)) == "ok"
    assert board.log[-1] == "restart"


def test_nothing_is_done_to_a_board_whose_check_has_passed() -> None:
    board = converged(prints="ready")
    world, state = world_of(board), device(check=READY)
    assert outcome(world, state) == "ok"
    board.log.clear()
    board.prints = "nobody listens"
    assert outcome(world, state) == "ok"
    assert board.log == ["leave"]


@pytest.mark.parametrize(
    "other",
    [
        device(check=Check(console="ready", timeout=11)),
        device(check=Check(console="rea")),
        device(check=READY, absent=("/old.py",)),
        device(check=READY, prune=("/lib",)),
    ],
    ids=["timeout", "pattern", "absent", "prune"],
)
def test_what_passed_on_another_state_proves_nothing(other: DesiredState) -> None:
    world = world_of(converged(prints="ready"))
    assert outcome(world, device(check=READY)) == "ok"
    assert outcome(world, other, PlanTask()) == "pending"
    assert reasons(world)[-1][1] == "it has not passed since files, firmware or the check changed"
    assert outcome(world, other) == "ok"
    assert outcome(world, other, PlanTask()) == "ok"


def test_another_firmware_than_the_check_passed_on_is_checked() -> None:
    board = converged(prints="ready")
    world, state = world_of(board), device(check=READY)
    assert outcome(world, state) == "ok"
    assert board.firmware is not None
    board.firmware = replace(board.firmware, version="1.99.0")  # by other means
    assert outcome(world, state, PlanTask()) == "pending"


@pytest.mark.parametrize("error", [NoAnswer("it is gone")])
def test_a_run_cut_between_writing_and_checking_leaves_the_check_pending(
    error: ProvisionError,
) -> None:
    """Also where the board was put back to the very state that had passed before."""
    board = converged(prints="ready")
    world, state = world_of(board), device(check=READY)
    assert outcome(world, state) == "ok"
    board.files["/main.py"] = b"edited"
    board.failures = [error, error]
    assert outcome(world, state) == "unreachable"
    board.failures = []
    board.files.update({file.dest: file.content.data for file in state.files})
    assert outcome(world, state, PlanTask()) == "pending"
    assert reasons(world)[-1] == ("check", "the last run ended before it had passed")


def test_a_run_without_a_check_that_changes_the_board_ends_what_was_proved() -> None:
    board = converged(prints="ready")
    world, state = world_of(board), device(check=READY)
    assert outcome(world, state) == "ok"
    other = device(files=(*state.files, file("/more.py", "x = 1\n")))
    assert outcome(world, other) == "changed"
    assert outcome(world, state, PlanTask()) == "pending"


def test_a_run_that_checks_nothing_remembers_nothing() -> None:
    world = world_of(running())
    assert outcome(world, device()) == "changed"
    assert world.checks.records == {}


def test_another_board_has_proved_nothing() -> None:
    board = converged(prints="ready")
    world, state = world_of(board), device(check=READY)
    assert outcome(world, state) == "ok"
    board.mac = "24:6f:28:00:00:99"
    task = ApplyTask(yes=True, accept_new=frozenset({"kitchen"}))
    board.prints = "crashed"
    assert outcome(world, state, task) == "failed"


def test_check_runs_the_check_and_writes_nothing() -> None:
    board = converged(prints="ready")
    world, state = world_of(board), device(check=READY)
    before = dict(board.files)
    assert outcome(world, state, CheckTask()) == "ok"
    assert board.log == ["restart"]
    assert outcome(world, state, PlanTask()) == "ok"
    board.prints = "crashed"
    assert outcome(world, state, CheckTask()) == "failed"
    assert outcome(world, state, PlanTask()) == "pending"
    assert board.files == before


def test_check_of_a_board_that_is_not_as_it_must_be_proves_nothing_of_that() -> None:
    board = running({"/main.py": b"another"}, prints="ready")
    world, state = world_of(board), device(check=READY)
    assert outcome(world, state, CheckTask()) == "pending"
    assert board.files == {"/main.py": b"another"}
    assert world.checks.records == {}
    board.prints = "crashed"
    assert outcome(world, state, CheckTask()) == "failed"


def test_check_leaves_a_board_alone_that_is_not_the_devices() -> None:
    board = converged(prints="ready")
    world = world_of(board)
    report = go(world, device(check=READY, mac="24:6f:28:00:00:99"), CheckTask())
    assert outcomes(report) == {"kitchen": "refused"}
    assert MAC in error_of(report)
    assert "restart" not in board.log


def test_check_does_nothing_without_a_check() -> None:
    board = converged()
    assert outcome(world_of(board), device(), CheckTask()) == "ok"
    assert board.log == []
