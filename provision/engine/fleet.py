"""Fleet: every device of a run at once, each on a thread of its own.

A board is wire-bound, so a fleet takes as long as its slowest board; one device's failure
neither stops, slows nor hides another's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from provision.core.diff import diff
from provision.core.file_diff import MAX_BYTES, file_diff
from provision.core.firmware_image import Firmware
from provision.engine.execute import Tools, execute, refuse
from provision.engine.locate import Located, locate
from provision.engine.observe import observe
from provision.engine.session import Session
from provision.engine.turns import Stop, run_all
from provision.errors import (
    Interrupted,
    ProvisionError,
    Refused,
    Unreachable,
)
from provision.interfaces import (
    Connector,
    Discovery,
    FilesystemBuilder,
    Identities,
    Images,
)
from provision.model.event import (
    DeviceFinished,
    DevicePlanned,
    Event,
    FileDiffed,
    HandsNeeded,
    Notice,
    Outcome,
    RunFinished,
    RunStarted,
    Trace,
)
from provision.model.plan import Plan, WriteFile
from provision.model.report import DeviceReport, RunReport
from provision.model.state import (
    ActualState,
    DesiredFirmware,
    DesiredState,
    FirmwareSource,
    PortSelector,
)

Confirm = Callable[[str, Plan, Callable[[], bool]], bool]
"""Asks whether a device's plan, which erases, may be carried out; while it waits for the answer
it looks at whether the user has stopped the run, and raises Interrupted then."""


@dataclass(frozen=True, kw_only=True)
class World:
    """The adapters a run works with. `hands` is None where nobody can be asked to press a
    button, `confirm` where nobody can be asked at all."""

    discovery: Discovery
    connector: Connector
    images: Images
    filesystems: FilesystemBuilder
    identities: Identities
    emit: Callable[[Event], None]
    hands: bool = False
    confirm: Confirm | None = None
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How a run goes. `forks` 0 means all devices at once; `change` False only plans."""

    change: bool
    yes: bool = False
    forks: int = 0
    fail_fast: bool = False
    accept_new: frozenset[str] = frozenset()
    contents: bool = False  # tell how the files that are written would change
    hands_timeout: float = 120.0  # seconds a person is given to press a button
    detailed: bool = False  # pending changes are an exit code of their own


def run(
    states: Sequence[DesiredState],
    world: World,
    options: Options,
    *,
    command: str,
    fleet: str,
    owned: Sequence[PortSelector] = (),
) -> RunReport:
    """Observe, plan and, with `change`, execute on every device; returns in manifest order.

    Errors of one device are in its report; errors of the inputs (an image that cannot be read)
    are raised before any board is touched. The first KeyboardInterrupt lets what may not be
    cut finish; the second is passed on. `owned` are the ports of the manifest's other devices.
    """
    started = world.clock()
    world.emit(
        RunStarted(command=command, fleet=fleet, devices=tuple(state.device for state in states))
    )
    images = read_images(states, world.images)
    located = locate(
        states,
        world.discovery,
        world.connector,
        owned=[*owned, *(state.port for state in states if state.port)],
    )
    stop = Stop()
    claims = Claims()
    jobs = [
        Job(
            desired=with_identity(state, images, world.identities, options),
            located=located[state.device],
            firmware=images.get(state.firmware.source) if state.firmware else None,
            world=world,
            options=options,
            stop=stop,
            claims=claims,
        )
        for state in states
    ]
    run_all(jobs, options.forks or len(jobs), stop, lambda text: world.emit(Notice(message=text)))
    report = RunReport(
        devices=tuple(job.report for job in jobs if job.report is not None),
        seconds=world.clock() - started,
        interrupted=stop.by_user(),
    )
    world.emit(
        RunFinished(
            seconds=report.seconds,
            exit_code=report.exit_code(detailed=options.detailed),
            outcomes={item.device: item.outcome for item in report.devices},
        )
    )
    return report


def read_images(states: Sequence[DesiredState], images: Images) -> dict[FirmwareSource, Firmware]:
    """Each distinct image, read once, before any board is touched."""
    sources = dict.fromkeys(state.firmware.source for state in states if state.firmware)
    return {source: images.firmware(source) for source in sources}


def with_identity(
    state: DesiredState,
    images: dict[FirmwareSource, Firmware],
    identities: Identities,
    options: Options,
) -> DesiredState:
    """The state with what its image and the lock know filled in."""
    firmware: DesiredFirmware | None = state.firmware
    if firmware is not None:
        firmware = replace(firmware, identity=images[firmware.source].identity)
    mac = state.mac
    if mac is None and state.device not in options.accept_new:
        mac = identities.known(state.device)
    return replace(state, firmware=firmware, mac=mac)


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
                changes=len(self._plan.actions) if self._plan and outcome == "changed" else 0,
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
            self._actual = observe(session, self._firmware).actual
            if self._actual.mac is not None:
                self._claims.claim(self._actual.mac, desired.device)
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
                    emit=world.emit,
                    stopping=self._stop.by_user,
                    stands=self._note_standing,
                )
                self._actual = execute(session, plan, self._actual, tools)
            if self._options.change and self._actual.mac is not None:
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
            if known is not None and not plan.erases and not new.sensitive:
                old = session.repl().read(action.path, MAX_BYTES + 1)
            self._world.emit(
                FileDiffed(
                    device=self.desired.device,
                    path=action.path,
                    lines=file_diff(action.path, old, new),
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
        """DESIGN's rule 2: erasing a board that no run before has learned needs a yes."""
        device = self.desired.device
        if not plan.erases or self._options.yes or self._world.identities.known(device):
            return
        if self._world.confirm is None:
            raise Refused(
                "its board would be erased and is not in fleet.lock yet",
                hint="look at `provision plan`, then say `provision apply --yes`",
            )
        if not self._world.confirm(device, plan, self._stop.by_user):
            raise Refused("erasing its board was declined", hint="nothing was written")


def _outcome_of(error: ProvisionError) -> Outcome:
    if isinstance(error, Interrupted):
        return "interrupted"
    if isinstance(error, Unreachable):
        return "unreachable"
    if isinstance(error, Refused):
        return "refused"
    return "failed"
