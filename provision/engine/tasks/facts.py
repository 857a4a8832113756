"""The task `facts`: observe each board and report what it is, whatever the manifest wants."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from provision.core.chips.registry import family_of
from provision.engine.context import DeviceContext, RunContext
from provision.engine.observe import identify
from provision.engine.task import Target
from provision.engine.tasks.plan import with_known_boards
from provision.interfaces import ScanRequest
from provision.model.event import Outcome
from provision.model.language import record
from provision.model.state import DesiredState


@record(slots=False)
class FactsTask:
    """What is read from a board is the `actual` of its report. No file is looked at, and a board
    that is not the one the manifest means is reported like any other. `nvs`: what its NVS holds is
    read as well, but for the values of the chip's own libraries."""

    nvs: bool = False
    name: ClassVar[str] = "facts"
    changes_boards: ClassVar[bool] = False
    writes: ClassVar[bool] = False

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`: of images there is nothing to look up."""
        return [Target(desired=state) for state in with_known_boards(states, context)]

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "ok"."""
        device.session.stage("observe")
        device.actual, downloading = identify(device.session, ScanRequest())
        chip = device.actual.chip
        if self.nvs and chip is not None and not downloading:
            reserved = family_of(chip).reserved_nvs(chip)
            if reserved is not None:
                found = device.session.repl().nvs(None, reserved)
                device.actual = replace(device.actual, nvs=found)
        return "ok"
