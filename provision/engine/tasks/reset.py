"""The task `reset`: restart each board, as its RESET button does, and leave it to its app."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from provision.engine.context import DeviceContext, RunContext
from provision.engine.observe import prove
from provision.engine.task import Target
from provision.engine.tasks.plan import with_known_boards
from provision.errors import NoAnswer
from provision.interfaces import ScanRequest
from provision.model.event import ActionDone, Outcome
from provision.model.language import record
from provision.model.plan import Reset
from provision.model.state import DesiredState


@record(slots=False)
class ResetTask:
    """Files and firmware are not looked at; another board than the one that is meant is left
    alone."""

    name: ClassVar[str] = "reset"
    changes_boards: ClassVar[bool] = True  # it restarts them
    writes: ClassVar[bool] = False

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`: of images there is nothing to look up."""
        return [Target(desired=state) for state in with_known_boards(states, context)]

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "ok" of a board that was restarted."""
        restart(device)
        return "ok"


def restart(device: DeviceContext) -> None:
    """Restart the board of the device, if it is its own."""
    session = device.session
    session.stage("observe")
    try:
        actual = session.observe(ScanRequest())
    except NoAnswer as error:
        if not session.can_reset:
            raise
        session.note(f"no REPL: {error.message}")
        actual = session.flasher().identify()
    prove(device, actual)
    device.cancel.check()
    restart_proved(device, "as was asked for")


def restart_proved(device: DeviceContext, reason: str) -> None:
    """Restart a board that was proved to be the device's own, and leave it to its app."""
    device.session.stage("reset")
    device.session.restart()
    done = Reset(reason=reason)
    device.run.emit(ActionDone(device=device.desired.device, action=done))
