"""The task `logs`: what each board prints, while its app goes on undisturbed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from provision.engine.context import DeviceContext, RunContext
from provision.engine.task import Target
from provision.engine.tasks.plan import with_known_boards
from provision.engine.tasks.reset import restart
from provision.model.event import Notice, Outcome
from provision.model.language import record
from provision.model.state import DesiredState


@record(slots=False)
class LogsTask:
    """For so many `seconds`, or until the run is cancelled; with `since_boot` boards are restarted
    first. Otherwise nothing is sent, and so nobody is asked which board it is."""

    seconds: float | None = None
    since_boot: bool = False
    name: ClassVar[str] = "logs"
    writes: ClassVar[bool] = False

    @property
    def changes_boards(self) -> bool:
        """Whether boards are restarted."""
        return self.since_boot

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`: of images there is nothing to look up."""
        return [Target(desired=state) for state in with_known_boards(states, context)]

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "ok" of a board that was listened to until the end."""
        if self.since_boot:
            restart(device)

        def note(text: str) -> None:
            device.run.emit(Notice(device=device.desired.device, message=text))

        device.session.follow(device.printed, note, self.seconds, device.cancel.cancelled)
        return "ok"
