"""The task `repl`: a board's prompt on a terminal, once it is proved to be the right board."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from provision.engine.context import DeviceContext, RunContext
from provision.engine.observe import needs_repl
from provision.engine.task import Target
from provision.engine.tasks.plan import with_known_boards
from provision.interfaces import Terminal
from provision.model.event import Notice, Outcome
from provision.model.language import record
from provision.model.state import DesiredState


@record(slots=False)
class ReplTask:
    """For a fleet of one device."""

    terminal: Terminal
    name: ClassVar[str] = "repl"
    changes_boards: ClassVar[bool] = True  # whatever is typed
    writes: ClassVar[bool] = False

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`: of images there is nothing to look up."""
        return [Target(desired=state) for state in with_known_boards(states, context)]

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "ok" of a prompt that was left."""
        needs_repl(device)
        ends = "Ctrl-] leaves the prompt, Ctrl-D starts the app"
        name, emit = device.desired.device, device.run.emit
        emit(Notice(device=name, message=ends))
        self.terminal.open()
        try:
            restarted = device.session.interact(self.terminal, device.cancel.cancelled)
        finally:
            self.terminal.close()
        if restarted:
            emit(Notice(device=name, message="its app is started again"))
        return "ok"
