"""The task of asking for the prompt: whether a board whose app runs gives its REPL, as `apply` asks
for it first, without a reset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from provision.engine.context import DeviceContext, RunContext
from provision.engine.task import Target
from provision.model.event import Outcome
from provision.model.language import record
from provision.model.state import DesiredState


@record(slots=False)
class PromptTask:
    """ "ok" of a board that gives it; NoAnswer of one that does not."""

    name: ClassVar[str] = "rehearse"
    changes_boards: ClassVar[bool] = False
    writes: ClassVar[bool] = False

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`."""
        return [Target(desired=state) for state in states]

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`."""
        device.session.repl()
        return "ok"
