"""The task `reset`: the right board is restarted, by whatever way it can be asked who it is."""

from __future__ import annotations

from dataclasses import replace

from provision.core.chips.esp.chips import ESP8266
from provision.engine.tasks.reset import ResetTask
from provision.model.board import ResetWiring
from provision.model.event import ActionDone
from tests.engine.test_fleet_run import MAC, device, error_of, go, outcomes, running
from tests.fakes.world import FakeBoard, FakeWorld


def world_of(board: FakeBoard) -> FakeWorld:
    return FakeWorld({"/dev/kitchen": board})


def test_a_board_is_restarted_and_nothing_else() -> None:
    board = running({"/main.py": b"1"})
    world = world_of(board)
    report = go(world, device(), task=ResetTask())
    assert outcomes(report) == {"kitchen": "ok"}
    assert board.log == ["restart"]
    assert [event.action.kind for event in world.events if isinstance(event, ActionDone)] == [
        "reset"
    ]


def test_a_board_whose_app_keeps_the_repl_is_asked_by_its_flasher() -> None:
    board = running(silent=True)
    report = go(world_of(board), device(), task=ResetTask())
    assert outcomes(report) == {"kitchen": "ok"}
    assert board.log == ["bootloader", "restart"]


def test_a_board_that_nobody_can_ask_is_left_alone() -> None:
    board = running(silent=True)
    state = device()
    state = replace(state, board=replace(state.board, reset=ResetWiring.NONE))
    report = go(world_of(board), state, task=ResetTask())
    assert outcomes(report) == {"kitchen": "unreachable"}
    assert board.log == []


def test_another_board_is_not_restarted() -> None:
    for board in (running(mac="24:6f:28:00:00:99"), running(chip=ESP8266), running(silent=True)):
        report = go(world_of(board), device(mac="24:6f:28:00:00:77"), task=ResetTask())
        assert outcomes(report) == {"kitchen": "refused"}
    board = running()
    world = world_of(board)
    world.identities.macs["shed"] = MAC
    report = go(world, device(), task=ResetTask())
    assert "shed" in error_of(report)
    assert "restart" not in board.log
