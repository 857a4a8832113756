"""The task `reset`: restart each board, as its RESET button does, and leave it to its app."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from provision.engine.context import DeviceContext, RunContext
from provision.engine.task import Target
from provision.engine.tasks.known_board import prove_board
from provision.engine.tasks.plan import with_known_boards
from provision.model.event import ActionDone, Outcome
from provision.model.plan import Reset
from provision.model.state import DesiredState


@dataclass(frozen=True, kw_only=True)
class ResetTask:
    """Files and firmware are not looked at; another board than the one that is meant is left
    alone."""

    name: ClassVar[str] = "reset"
    changes_boards: ClassVar[bool] = True  # it restarts them

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`: of images there is nothing to look up."""
        return [Target(desired=state) for state in with_known_boards(states, context)]

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "ok" of a board that was restarted."""
        prove_board(device, at_prompt=False)
        device.cancel.check()
        device.session.stage("reset")
        device.session.restart()
        done = Reset(reason="as was asked for")
        device.run.emit(ActionDone(device=device.desired.device, action=done))
        return "ok"
