"""Task: what a run does with each device, as the engine sees it. `tasks/` has them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from provision.engine.context import DeviceContext, RunContext
from provision.model.event import Outcome
from provision.model.firmware import Firmware
from provision.model.language import record
from provision.model.state import DesiredState


@record(slots=False)
class Target:
    """One device as a task asks for it: its desired state, completed by what the task looked up,
    and the image that its board shall run, where the task needs one."""

    desired: DesiredState
    firmware: Firmware | None = None


class Task(Protocol):
    """One thing to do with devices; options that are its own are its fields."""

    @property
    def name(self) -> str:
        """Its word in events and reports: "apply"."""
        ...

    @property
    def changes_boards(self) -> bool:
        """Whether it may leave a board other than it was."""
        ...

    @property
    def writes(self) -> bool:
        """Whether it writes to boards itself, so that a run which is stopped has to finish that."""
        ...

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """Look up what the devices have in common, before any board is touched; one target a
        state, in order. Errors of the inputs (an image that cannot be read) are raised."""
        ...

    def run(self, device: DeviceContext) -> Outcome:
        """Do it with one device, whose port is open and closed afterwards. Called from the
        device's own thread; errors of the device are raised."""
        ...
