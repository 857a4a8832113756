"""The task `watch`: keep each board in step with a project while somebody edits it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from provision.engine.context import DeviceContext, RunContext
from provision.engine.task import Target
from provision.engine.tasks.plan import read_targets
from provision.engine.watch.board import WatchedBoard
from provision.engine.watch.edits import Edits
from provision.model.event import Outcome
from provision.model.language import record
from provision.model.state import DesiredState


@record(slots=False)
class WatchTask:
    """Until the run is cancelled. `edits` is where the project's reader puts what devices must be
    from then on; with `reset` apps are started anew after each change of their files."""

    edits: Edits
    reset: bool = True
    name: ClassVar[str] = "watch"
    changes_boards: ClassVar[bool] = True
    writes: ClassVar[bool] = True

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`."""
        targets = read_targets(states, context)
        self.edits.begin(targets, context)
        return targets

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "ok" of a board that was kept up until the end."""
        WatchedBoard(device, self.edits, reset=self.reset).keep_up()
        return "ok"
