"""What a device's last event tells of a run that did not end well: how much of the board was
changed, and what becomes of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from provision.engine.cancellation import Cancellation
from provision.engine.run import run
from provision.engine.tasks.apply import ApplyTask
from provision.errors import OutOfSpace
from provision.model.event import DeviceFinished, Event, StageStarted
from provision.model.state import Check, DesiredState
from provision.output.recap import recap_lines
from tests.engine.test_fleet_run import device, firmware, image, running
from tests.fakes.world import FakeBoard, FakeWorld

FILES = 4  # three files and the folder of one


@dataclass(frozen=True, kw_only=True)
class Ending:
    board: Callable[[], FakeBoard]
    state: DesiredState = field(default_factory=device)
    outcome: str
    changed: str
    left: str
    boots: bool = True  # what is flashed
    cancel_at: str = ""  # the stage at whose beginning the run is cancelled


def old(board: FakeBoard, version: str) -> FakeBoard:
    board.firmware = image(version=version).identity
    return board


ENDINGS = {
    "a check that fails after all was written": Ending(
        board=running,
        state=device(check=Check(console="never said")),
        outcome="failed",
        changed=f"changed={FILES} ",
        left="everything is written and the board restarted",
    ),
    "files that are cut short": Ending(
        board=lambda: running(failures=[OutOfSpace("full")]),
        outcome="failed",
        changed="changed=0+",
        left="update incomplete: every file is intact, some still the old version",
    ),
    "a flash that does not read back": Ending(
        board=lambda: FakeBoard(unverified=True),
        state=device(firmware=firmware()),
        outcome="failed",
        changed="changed=1+",  # it was erased
        left="its flash is only partly written; it may not start until the next apply",
    ),
    "a firmware that is not seen to start": Ending(
        board=FakeBoard,
        boots=False,
        state=device(firmware=firmware()),
        outcome="unreachable",
        changed=f"changed={2 + FILES} ",
        left="the firmware and every file are written and verified; it was not seen to start",
    ),
    "a stop when all was written": Ending(
        board=FakeBoard,
        state=device(firmware=firmware()),
        outcome="interrupted",
        changed=f"changed={2 + FILES} ",
        left="the firmware is written and runs; every file is there",
        cancel_at="flash",
    ),
    "a stop before the files": Ending(
        board=lambda: old(running(), "1.23.0"),
        state=device(firmware=firmware()),
        outcome="interrupted",
        changed="changed=1 ",
        left=f"the firmware is written and runs; {FILES} changes to files are still to come",
        cancel_at="flash",
    ),
    "a stop before anything": Ending(
        board=running,
        outcome="interrupted",
        changed="changed=0 ",
        left="nothing was changed",
        cancel_at="observe",
    ),
}


@pytest.mark.parametrize("case", ENDINGS.values(), ids=ENDINGS)
def test_how_much_was_changed_and_what_is_left(case: Ending) -> None:
    world = FakeWorld({"/dev/kitchen": case.board()}, {"new": image()})
    if not case.boots:
        world.boots = None
    cancel = Cancellation()

    def emit(event: Event) -> None:
        world.events.append(event)
        if isinstance(event, StageStarted) and event.stage == case.cancel_at:
            cancel.cancel()

    run([case.state], ApplyTask(yes=True), world.context(emit=emit), cancel, fleet="test")
    (finished,) = [event for event in world.events if isinstance(event, DeviceFinished)]
    assert finished.outcome == case.outcome
    assert finished.board_state == case.left
    assert case.changed in recap_lines([finished], 1.0)[1]
