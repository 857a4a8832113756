"""The task `logs`: boards are listened to, and restarted only where that was asked for."""

from __future__ import annotations

from provision.engine.tasks.logs import LogsTask
from provision.model.event import ConsoleLine
from tests.engine.test_fleet_run import device, go, outcomes, running
from tests.fakes.world import FakeWorld


def test_nothing_is_done_to_a_board_that_is_looked_at() -> None:
    board = running()
    world = FakeWorld({"/dev/kitchen": board})
    assert outcomes(go(world, device(), task=LogsTask())) == {"kitchen": "ok"}
    assert board.log == ["follow"]
    assert [event.text for event in world.events if isinstance(event, ConsoleLine)] == [
        "ready: kitchen"
    ]


def test_only_the_right_board_is_restarted() -> None:
    board = running()
    task = LogsTask(since_boot=True)
    assert task.changes_boards
    world = FakeWorld({"/dev/kitchen": board})
    assert outcomes(go(world, device(), task=task)) == {"kitchen": "ok"}
    assert board.log == ["restart", "follow"]
    other = running(mac="24:6f:28:00:00:99")
    world = FakeWorld({"/dev/kitchen": other})
    report = go(world, device(mac="24:6f:28:00:00:77"), task=task)
    assert outcomes(report) == {"kitchen": "refused"}
    assert "restart" not in other.log
