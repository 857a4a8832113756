"""Job: one device's way through a run, from opening its port to the lock that learns its board."""

from __future__ import annotations

import threading
from dataclasses import replace

from provision.core.chips.esp.firmware import Firmware
from provision.core.planning.diff import diff
from provision.core.planning.text_diff import MAX_BYTES, file_diff
from provision.engine.context import Options, World
from provision.engine.execute import Tools, execute, refuse
from provision.engine.locate import Located
from provision.engine.observe import observe
from provision.engine.scheduler import Stop
from provision.engine.session import Session
from provision.errors import (
    Interrupted,
    ProvisionError,
    Refused,
    Unreachable,
)
from provision.model.event import (
    DeviceFinished,
    DevicePlanned,
    FileDiffed,
    HandsNeeded,
    Outcome,
    Trace,
)
from provision.model.plan import Plan, WriteFile
from provision.model.report import DeviceReport
from provision.model.state import (
    ActualState,
    DesiredState,
)


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
            raise Refused(
                f"the board with the MAC {mac} answers on its port and on that of {owner}",
                hint="one board must be reached by one port only; check the ports of both",
            )


class Job:
    """One device's way through a run; `report` is set when it has ended."""

    def __init__(
        self,
        *,
        desired: DesiredState,
        located: Located,
        firmware: Firmware | None,
        world: World,
        options: Options,
        stop: Stop,
        claims: Claims,
    ) -> None:
        self.desired = desired
        self.report: DeviceReport | None = None
        self._located = located
        self._firmware = firmware
        self._world = world
        self._options = options
        self._stop = stop
        self._claims = claims
        self._plan: Plan | None = None
        self._actual: ActualState | None = None
        self._stands: str | None = None

    def run(self) -> None:
        """Go all the way; never raises."""
        started = self._world.clock()
        error: ProvisionError | None = None
        outcome: Outcome
        try:
            outcome = self._work()
        except ProvisionError as caught:
            error, outcome = caught, _outcome_of(caught)
        except Exception as caught:  # noqa: BLE001 - one device's bug must not take the others down
            error = ProvisionError(f"internal: {type(caught).__name__}: {caught}")
            error.__cause__ = caught
            outcome = "failed"
        if error is not None:
            error.on(self.desired.device)
        seconds = self._world.clock() - started
        self.report = DeviceReport(
            device=self.desired.device,
            outcome=outcome,
            seconds=seconds,
            address=self._located if isinstance(self._located, str) else None,
            plan=self._plan,
            actual=self._actual,
            error=error,
        )
        self._world.emit(
            DeviceFinished(
                device=self.desired.device,
                outcome=outcome,
                seconds=seconds,
                error=error.message if error else None,
                hint=error.hint if error else None,
                code=error.code if error else None,
                stands=self._stands if error else None,
                changes=self._plan.change_count if self._plan and outcome == "changed" else 0,
            )
        )

    def skip(self) -> None:
        """End without having started: the run was stopped before this device's turn."""
        self.report = DeviceReport(device=self.desired.device, outcome="skipped", seconds=0.0)
        self._world.emit(DeviceFinished(device=self.desired.device, outcome="skipped", seconds=0.0))

    def _note_standing(self, where: str) -> None:
        self._stands = where

    @property
    def failed_fast(self) -> bool:
        """Whether this device's failure shall stop the others."""
        return self._options.fail_fast and self.report is not None and self.report.error is not None

    def _work(self) -> Outcome:
        if isinstance(self._located, ProvisionError):
            raise self._located
        desired, world = self.desired, self._world
        session = self._open(self._located)
        try:
            session.stage("observe")
            self._actual = actual = observe(session, self._firmware).actual
            if actual.mac is not None:
                self._claims.claim(actual.mac, desired.device)
                if actual.firmware is None and world.journal.was_keeping(actual.mac):
                    self._actual = replace(actual, cut=True)
            self._plan = plan = diff(desired, self._actual)
            world.emit(DevicePlanned(device=desired.device, plan=plan))
            refuse(plan)
            if self._options.contents:
                self._show_contents(session, plan)
            if plan.changes and not self._options.change:
                return "pending"
            if plan.changes:
                self._stands = "nothing was changed"
                self._confirm(plan)
                tools = Tools(
                    firmware=self._firmware,
                    filesystems=world.filesystems,
                    journal=world.journal,
                    emit=world.emit,
                    stopping=self._stop.by_user,
                    stands=self._note_standing,
                )
                self._actual = execute(session, plan, self._actual, tools)
            if self._options.change and self._actual.mac is not None:
                world.journal.end(self._actual.mac)  # also of a run that was cut at its very end
                world.identities.learn(desired.device, self._actual.mac)
            return "changed" if plan.changes else "ok"
        finally:
            session.close()

    def _show_contents(self, session: Session, plan: Plan) -> None:
        """Tell how each file that the plan writes would change, before anything does."""
        for action in plan.actions:
            if not isinstance(action, WriteFile):
                continue
            new = self.desired.files_by_dest[action.path].content
            old: bytes | None = None
            filesystem = self._actual.filesystem if self._actual else None
            known = filesystem.files.get(action.path) if filesystem is not None else None
            if plan.erases:
                known = None
            if known is not None and not new.sensitive:
                old = session.repl().read(action.path, MAX_BYTES + 1)
            self._world.emit(
                FileDiffed(
                    device=self.desired.device,
                    path=action.path,
                    lines=file_diff(action.path, old, new, held=known.size if known else None),
                )
            )

    def _open(self, address: str) -> Session:
        world, desired = self._world, self.desired

        def trace(level: int, text: str) -> None:
            world.emit(Trace(device=desired.device, level=level, text=text))

        connection = world.connector.connect(
            address,
            desired.board,
            device=desired.device,
            baud=desired.baud,
            trace=trace,
        )
        return Session(
            desired=desired,
            address=address,
            connection=connection,
            hands=self._ask_hands if world.hands else None,
            hands_timeout=self._options.hands_timeout,
            emit=world.emit,
        )

    def _ask_hands(self, instructions: str, seconds_left: float) -> bool:
        if self._stop.by_user():
            raise Interrupted("stopped by the user")
        self._world.emit(
            HandsNeeded(device=self.desired.device, instructions=instructions, seconds=seconds_left)
        )
        return True

    def _confirm(self, plan: Plan) -> None:
        """DESIGN's rule 2: erasing a board that no run before has learned needs a yes; and so
        does one whose files nobody could look at. A board on which a run of ours was cut short
        has had its yes."""
        device, world = self.desired.device, self._world
        if not plan.erases or self._options.yes:
            return
        actual = self._actual
        cut = actual is not None and actual.mac is not None and world.journal.was_cut(actual.mac)
        silent = actual is not None and actual.silent
        if cut or (world.identities.known(device) and not silent):
            return
        if world.confirm is None:
            what = (
                "does not answer, and its files would be lost"
                if silent
                else "is not in fleet.lock yet"
            )
            raise Refused(
                f"its board would be erased and {what}",
                hint="look at `provision plan`, then say `provision apply --yes`",
            )
        if not world.confirm(device, plan, self._stop.by_user):
            raise Refused("erasing its board was declined", hint="nothing was written")


def _outcome_of(error: ProvisionError) -> Outcome:
    if isinstance(error, Interrupted):
        return "interrupted"
    if isinstance(error, Unreachable):
        return "unreachable"
    if isinstance(error, Refused):
        return "refused"
    return "failed"
