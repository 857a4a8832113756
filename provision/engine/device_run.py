"""One device's way through a run: its port is opened, the task does its work, and whatever comes
of that, an error of ours included, ends in one report and one event.
"""

from __future__ import annotations

import threading

from provision.core.planning.nvs_plan import without_secrets
from provision.core.planning.safety import board_taken
from provision.engine.cancellation import Cancellation
from provision.engine.context import DeviceContext, DeviceTime, RunContext, RunTime
from provision.engine.locate import Located
from provision.engine.refusal import refused
from provision.engine.session import Session
from provision.engine.task import Target, Task
from provision.errors import Interrupted, ProvisionError, Refused, RolledBack, Unreachable
from provision.model.endpoint import Endpoint
from provision.model.event import (
    DeviceFinished,
    Event,
    ManualActionNeeded,
    Outcome,
    SeenBoard,
    StageStarted,
    Trace,
)
from provision.model.report import DeviceReport


class Claims:
    """Which board each device turned out to be, so that no board is taken for two."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owners: dict[str, str] = {}

    def claim(self, mac: str, device: str) -> None:
        """Refused when the board with this MAC is another device's already."""
        with self._lock:
            owner = self._owners.setdefault(mac, device)
        if owner != device:
            raise refused(board_taken(mac, owner))


class DeviceRun:
    """Implements `scheduler.Job` for one device; `report` is set when it has ended."""

    def __init__(
        self,
        target: Target,
        located: Located,
        *,
        task: Task,
        context: RunContext,
        cancel: Cancellation,
        claims: Claims,
        run_time: RunTime,
    ) -> None:
        self.report: DeviceReport | None = None
        self._target = target
        self._located = located
        self._task = task
        self._context = context
        self._cancel = cancel
        self._claims = claims
        self._run_time = run_time
        self._device: DeviceContext | None = None

    @property
    def name(self) -> str:
        return self._target.desired.device

    @property
    def located(self) -> bool:
        """Whether there is a port that takes time."""
        return isinstance(self._located, str)

    @property
    def failed(self) -> bool:
        return self.report is not None and self.report.error is not None

    def run(self) -> None:
        """Go all the way; never raises."""
        time = DeviceTime(self._run_time)
        error: ProvisionError | None = None
        outcome: Outcome
        try:
            outcome = self._work(time)
        except ProvisionError as caught:
            error, outcome = caught, outcome_of(caught)
        except Exception as caught:  # noqa: BLE001 - one device's bug must not take the others down
            error = ProvisionError(f"internal: {type(caught).__name__}: {caught}")
            error.__cause__ = caught
            outcome = "failed"
        if error is not None:
            error.on(self.name)
        time.end()
        seconds = time.seconds
        device = self._device
        plan = device.plan if device is not None else None
        actual = device.actual if device is not None else None
        changes = device.changes if device is not None else 0
        left = device.left if device is not None and error is None else ()
        if outcome == "changed" and plan is not None:
            changes = plan.change_count  # what it had been announced to be
        self.report = DeviceReport(
            device=self.name,
            outcome=outcome,
            seconds=seconds,
            address=self._located if isinstance(self._located, str) else None,
            plan=plan,
            actual=without_secrets(self._target.desired, actual) if actual is not None else None,
            measured=tuple(device.measured) if device is not None else (),
            certificate=device.certificate if device is not None else None,
            error=error,
        )
        self._context.emit(
            DeviceFinished(
                device=self.name,
                outcome=outcome,
                seconds=seconds,
                error=error.message if error else None,
                hint=error.hint if error else None,
                code=error.code if error else None,
                board_state=device.board_state if error and device is not None else None,
                changes=changes,
                partly=error is not None and device is not None and device.underway,
                board=None
                if actual is None
                else SeenBoard(mac=actual.mac, chip=actual.chip, firmware=actual.firmware),
                state=self._state() if outcome in ("ok", "changed") and not left else None,
                left=left,
            )
        )

    def _state(self) -> str | None:
        digest = self._context.state_digest
        return digest(self._target.desired, self._target.firmware) if digest is not None else None

    def skip(self) -> None:
        """End without having begun: the run ended before this device's turn."""
        self.report = DeviceReport(device=self.name, outcome="skipped", seconds=0.0)
        self._context.emit(DeviceFinished(device=self.name, outcome="skipped", seconds=0.0))

    def _work(self, time: DeviceTime) -> Outcome:
        if isinstance(self._located, ProvisionError):
            raise self._located
        session = self._open(self._located, time)
        try:
            self._device = DeviceContext(
                run=self._context,
                cancel=self._cancel,
                desired=self._target.desired,
                firmware=self._target.firmware,
                session=session,
                time=time,
                claim=lambda mac: self._claims.claim(mac, self.name),
            )
            return self._task.run(self._device)
        finally:
            session.close()

    def _open(self, address: str, time: DeviceTime) -> Session:
        context, desired = self._context, self._target.desired

        def trace(level: int, text: str) -> None:
            context.emit(Trace(device=desired.device, level=level, text=text))

        def emit(event: Event) -> None:
            if isinstance(event, StageStarted):
                time.go_on()
            context.emit(event)

        def ask(instructions: str, seconds_left: float) -> bool:
            self._cancel.check()
            time.wait()
            context.emit(
                ManualActionNeeded(
                    device=desired.device, instructions=instructions, seconds=seconds_left
                )
            )
            return True

        connection = context.connector.connect(
            Endpoint(address=address, baud=desired.baud, transfer_baud=desired.transfer_baud),
            desired.board,
            device=desired.device,
            trace=trace,
        )
        return Session(
            desired=desired,
            address=address,
            connection=connection,
            operator=ask if context.operator else None,
            operator_timeout=context.manual_timeout,
            emit=emit,
        )


def outcome_of(error: ProvisionError) -> Outcome:
    """How a device is said to have fared whose task raised this."""
    match error:
        case Interrupted():
            return "interrupted"
        case Unreachable():
            return "unreachable"
        case RolledBack():
            return "rolled-back"
        case Refused():
            return "refused"
        case _:
            return "failed"
