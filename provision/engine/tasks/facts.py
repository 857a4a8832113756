"""The task `facts`: observe each board and report what it is, whatever the manifest wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from provision.engine.context import DeviceContext, RunContext
from provision.engine.observe import identify
from provision.engine.task import Target
from provision.engine.tasks.plan import with_known_boards
from provision.interfaces import ScanRequest
from provision.model.event import Outcome
from provision.model.state import DesiredState


@dataclass(frozen=True, kw_only=True)
class FactsTask:
    """What is read from a board is the `actual` of its report. No file is looked at, and a board
    that is not the one the manifest means is reported like any other."""

    name: ClassVar[str] = "facts"
    changes_boards: ClassVar[bool] = False
    writes: ClassVar[bool] = False

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`: of images there is nothing to look up."""
        return [Target(desired=state) for state in with_known_boards(states, context)]

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "ok"."""
        device.session.stage("observe")
        device.actual, _ = identify(device.session, ScanRequest())
        return "ok"
