"""The task `check`: restart each board and prove that its app runs; nothing is written.

What came of it is remembered where the board is as it must be. Of one that is not, the check still
says whether its app runs, but proves nothing of what the manifest wants.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from provision.engine.app_check import begin_check, prove_app, report_passed, run_check
from provision.engine.context import DeviceContext, RunContext
from provision.engine.task import Target
from provision.engine.tasks.last_apply import proved
from provision.engine.tasks.plan import look_and_compare, read_targets
from provision.model.event import Outcome
from provision.model.language import record
from provision.model.state import DesiredState

ASKED = "as was asked for"


@record(slots=False)
class CheckTask:
    """For devices with a check; those without one are "ok", untouched."""

    name: ClassVar[str] = "check"
    changes_boards: ClassVar[bool] = True  # it restarts them
    writes: ClassVar[bool] = False

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`."""
        return read_targets(states, context)

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "ok" of a board that is as it must be and whose check passed, "pending"
        where it passed and files or firmware are still to be written."""
        desired, session = device.desired, device.session
        if desired.check is None:
            return "ok"
        actual, plan = look_and_compare(device)
        device.cancel.check()
        as_wanted = plan.change_count == 0
        if as_wanted:
            begin_check(device, actual)
        session.stage("reset")
        session.restart()
        device.note_state("nothing was written; the board was restarted")
        if as_wanted:
            prove_app(device, actual, ASKED)
            proved(device, actual, None)
            return "ok"
        run_check(device, desired.check)
        report_passed(device, desired.check, ASKED)
        return "pending"
