"""The task `run`: code on the right board, and nobody left without their app."""

from __future__ import annotations

from dataclasses import replace

from provision.core.chips.esp.chips import ESP8266
from provision.engine.tasks.run_code import RunCodeTask
from provision.model.board import ResetWiring
from provision.model.event import ConsoleLine
from tests.engine.test_fleet_run import device, error_of, go, outcomes, running
from tests.fakes.world import FakeBoard, FakeWorld

TASK = RunCodeTask(code=b"probe()", file="probe.py")
TRACEBACK = 'Traceback (most recent call last):\n  File "<stdin>", line 1\nOSError: 2\n'


def world_of(board: FakeBoard) -> FakeWorld:
    return FakeWorld({"/dev/kitchen": board})


def printed(world: FakeWorld) -> list[tuple[str, bool]]:
    return [
        (event.text, event.traceback) for event in world.events if isinstance(event, ConsoleLine)
    ]


def test_what_it_prints_is_told() -> None:
    board = running()
    board.prints = "a\nb"
    world = world_of(board)
    assert outcomes(go(world, device(), task=TASK)) == {"kitchen": "ok"}
    assert "run probe()" in board.log
    assert printed(world) == [("a", False), ("b", False)]


def test_an_exception_fails_the_device_and_names_the_file() -> None:
    board = running()
    board.prints, board.raises = "", TRACEBACK
    world = world_of(board)
    report = go(world, device(), task=TASK)
    assert outcomes(report) == {"kitchen": "failed"}
    assert error_of(report) == "the code raised OSError: 2"
    assert printed(world) == [(line, True) for line in TRACEBACK.replace(
        "<stdin>", "probe.py").splitlines()]  # fmt: skip


def test_another_board_runs_nothing() -> None:
    for board in (running(mac="24:6f:28:00:00:99"), running(chip=ESP8266)):
        report = go(world_of(board), device(mac="24:6f:28:00:00:77"), task=TASK)
        assert outcomes(report) == {"kitchen": "refused"}
        assert "run probe()" not in board.log


def test_a_board_without_a_repl_runs_nothing() -> None:
    board = running(silent=True)
    state = device()
    state = replace(state, board=replace(state.board, reset=ResetWiring.NONE))
    assert outcomes(go(world_of(board), state, task=TASK)) == {"kitchen": "unreachable"}
    assert "run probe()" not in board.log
    board = running(silent=True)  # which its lines take to download mode
    report = go(world_of(board), device(), task=TASK)
    assert outcomes(report) == {"kitchen": "unreachable"}
    (error,) = [each.error for each in report.devices]
    assert error is not None
    assert error.message == "its REPL does not answer"
    assert error.hint == "`provision plan -v` tells what is there"
    assert "run probe()" not in board.log
