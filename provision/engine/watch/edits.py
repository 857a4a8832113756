"""Edits: the newest targets of a project that is edited, from its reader to the boards' threads.

A device's edit has a number. Whoever works at one when the next comes sees that number change, and
takes the newest then: nothing is queued, and none is lost.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace

from provision.core.planning.edits import concerns
from provision.engine.context import RunContext
from provision.engine.task import Target
from provision.engine.tasks.plan import read_targets
from provision.interfaces import Images
from provision.model.language import record
from provision.model.state import DesiredState


@record
class Edit:
    """What one device must be, as of its edit `number`; `noticed` on the run's clock."""

    number: int
    target: Target
    noticed: float


class Edits:
    """Safe to use from any thread."""

    def __init__(self) -> None:
        self.begun = threading.Event()
        self._edits: dict[str, Edit] = {}
        self._context: RunContext | None = None

    def begin(self, targets: Sequence[Target], context: RunContext) -> None:
        """The targets that the run begins with, which are the first edit of each device."""
        now = context.clock()
        self._context = context
        self._edits = {
            target.desired.device: Edit(number=1, target=target, noticed=now) for target in targets
        }
        self.begun.set()

    @property
    def devices(self) -> tuple[str, ...]:
        """Those of the run."""
        return tuple(self._edits)

    def now(self) -> float:
        """The run's clock."""
        assert self._context is not None, "the run has not begun"
        return self._context.clock()

    def publish(self, states: Sequence[DesiredState], images: Images, noticed: float) -> None:
        """What the devices of the run must be from now on; those without a state stay as they
        were. Raises as `Images` where one of their images cannot be had, and changes nothing."""
        assert self._context is not None, "the run has not begun"
        own = [state for state in states if state.device in self._edits]
        for target in read_targets(own, replace(self._context, images=images)):
            before = self._edits[target.desired.device]
            if concerns(before.target.desired, target.desired):
                edit = Edit(number=before.number + 1, target=target, noticed=noticed)
                self._edits[target.desired.device] = edit

    def of(self, device: str) -> Edit:
        """The newest."""
        return self._edits[device]
