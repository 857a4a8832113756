"""The task `run`: run code on each board at its REPL, and let its app go on afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from provision.engine.context import DeviceContext, RunContext
from provision.engine.observe import needs_repl
from provision.engine.task import Target
from provision.engine.tasks.plan import with_known_boards
from provision.errors import CodeRaised, Interrupted, NoAnswer
from provision.model.event import ConsoleLine, Outcome
from provision.model.language import record
from provision.model.state import DesiredState


@record(slots=False)
class RunCodeTask:
    """`file` is what its code is called in tracebacks."""

    code: bytes
    file: str = "<stdin>"
    name: ClassVar[str] = "run"
    changes_boards: ClassVar[bool] = True  # whatever the code does
    writes: ClassVar[bool] = False

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`: of images there is nothing to look up."""
        return [Target(desired=state) for state in with_known_boards(states, context)]

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "ok" of code that came to its end; CodeRaised of other."""
        name, emit, session = device.desired.device, device.run.emit, device.session
        needs_repl(device)

        try:
            traceback = session.run_code(self.code, device.printed, device.cancel.cancelled)
        except NoAnswer:
            if device.cancel.cancelled() and session.can_reset:
                session.restart()  # the code heeds no Ctrl-C, and its app is to go on
                raise Interrupted("the run was cancelled") from None
            raise
        if not traceback:
            return "ok"
        lines = traceback.replace('File "<stdin>"', f'File "{self.file}"').splitlines()
        for line in lines:
            emit(ConsoleLine(device=name, text=line, traceback=True))
        raise CodeRaised(f"the code raised {lines[-1].strip() if lines else 'an exception'}")
