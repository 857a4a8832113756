"""What a run is given, and what a task has of one device.

`RunContext` is built once for a run, by `app.py` from real adapters and by tests from fakes.
`DeviceContext` is made of it for each device, and collects what the device's report is made of.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from types import MappingProxyType

from provision.engine.cancellation import Cancellation
from provision.engine.session import Session
from provision.interfaces import (
    CertificateAuthority,
    CheckRecords,
    Connector,
    Discovery,
    FilesystemStore,
    Identities,
    Images,
    Journal,
    RollbackRecords,
    StoredFilesystem,
)
from provision.model.event import ActionDone, Event, Printed
from provision.model.firmware import Firmware, Region
from provision.model.kept import KeptState
from provision.model.language import record
from provision.model.plan import Action, Plan, phase_of
from provision.model.state import ActualState, DesiredState, StepResult
from provision.model.unit_data import CertificateFacts, NvsEntry

MANUAL_TIMEOUT = 120.0  # seconds: to find the board, and its buttons


StateDigest = Callable[[DesiredState, Firmware | None], str]
"""What tells whether a device has to be the same in another run: see `desired_digest`."""

Confirm = Callable[[str, Plan], bool]
"""Asks whether a device's plan, which erases, may be carried out. Called from the device's own
thread; raises Interrupted when the run is cancelled while it waits for the answer."""


NvsMaker = Callable[[Sequence[NvsEntry], int], bytes]
"""Makes a partition of so many bytes that holds these entries; OutOfSpace where they do not fit."""


@record(slots=False)
class RunContext:
    """The adapters a run works with, and how it goes about them whatever its task.

    `operator` says whether somebody is there to press buttons, and is waited for
    `manual_timeout` seconds; `confirm` is None where nobody can be asked at all. `forks` is how
    many devices at once, 0 for all; with `fail_fast` no device is begun after one has failed.
    With `match_by_mac`, a device whose MAC is known is looked for on all ports of the run.
    `emit_printed` takes what boards print, as events of which many come at once.
    `declared_macs` are those of all devices of the manifest, also of those left out, by device.
    `state_digest` is told of devices that were left as they have to be, for later runs.
    """

    discovery: Discovery
    connector: Connector
    images: Images
    filesystems: FilesystemStore
    identities: Identities
    journal: Journal
    checks: CheckRecords
    rollbacks: RollbackRecords
    emit: Callable[[Event], None]
    emit_printed: Callable[[Printed], None]
    nvs_partition: NvsMaker
    certificates: CertificateAuthority
    declared_macs: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    match_by_mac: bool = False
    operator: bool = False
    manual_timeout: float = MANUAL_TIMEOUT
    confirm: Confirm | None = None
    forks: int = 0
    fail_fast: bool = False
    detailed_exit_code: bool = False  # pending changes have an exit code of their own
    state_digest: StateDigest | None = None
    clock: Callable[[], float] = time.monotonic


class RunTime:
    """How many `seconds` a run has worked: without those in which every device that had begun
    waited for a person."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self.clock = clock
        self._lock = threading.Lock()
        self._begun = clock()
        self._idle = 0.0
        self._idle_since: float | None = None
        self._devices = self._waiting = 0

    @property
    def seconds(self) -> float:
        with self._lock:
            now = self.clock()
            idle = 0.0 if self._idle_since is None else now - self._idle_since
            return now - self._begun - self._idle - idle

    def note(self, *, devices: int = 0, waiting: int = 0) -> None:
        """So many more devices, or fewer, have begun and not ended, and wait for a person."""
        with self._lock:
            now = self.clock()
            if self._idle_since is not None:
                self._idle += now - self._idle_since
            self._devices += devices
            self._waiting += waiting
            self._idle_since = now if 0 < self._devices == self._waiting else None


class DeviceTime:
    """The same of one device: `seconds` without those of its own waiting."""

    def __init__(self, run: RunTime) -> None:
        self._run = run
        self._begun = run.clock()
        self._waited = 0.0
        self._waiting_since: float | None = None
        run.note(devices=1)

    @property
    def seconds(self) -> float:
        now = self._run.clock()
        waiting = 0.0 if self._waiting_since is None else now - self._waiting_since
        return now - self._begun - self._waited - waiting

    def wait(self) -> None:
        """From here on, unless it is so already, a person is waited for."""
        if self._waiting_since is None:
            self._waiting_since = self._run.clock()
            self._run.note(waiting=1)

    def go_on(self) -> None:
        """The person, if one was waited for, has done what was to be done."""
        if self._waiting_since is not None:
            self._waited += self._run.clock() - self._waiting_since
            self._waiting_since = None
            self._run.note(waiting=-1)

    @contextmanager
    def waiting(self) -> Iterator[None]:
        """A person is waited for in this block."""
        self.wait()
        try:
            yield
        finally:
            self.go_on()

    def end(self) -> None:
        """The device is done."""
        self.go_on()
        self._run.note(devices=-1)


@dataclass(kw_only=True)
class DeviceContext:
    """One device in the hands of a task: what it works with, and what is known so far.

    `claim` takes a MAC for this device, and raises Refused when it is another's. `actual`, `plan`,
    `board_state` (what becomes of the board if the run ends here), how many `changes` are done and
    whether one is `underway`, of which nobody knows how far it came, are told also of a task that
    fails.
    """

    run: RunContext
    cancel: Cancellation
    desired: DesiredState
    firmware: Firmware | None
    session: Session
    time: DeviceTime
    claim: Callable[[str], None]
    actual: ActualState | None = None
    plan: Plan | None = None
    left: tuple[str, ...] = ()  # what a run that is for a part of it leaves undone
    board_state: str | None = None
    changes: int = 0
    underway: bool = False
    certificate: CertificateFacts | None = None  # what the board has, or is to get
    measured: list[StepResult] = field(default_factory=list)
    stored: StoredFilesystem | None = None  # in flash, where that was looked at
    kept: KeptState | None = None  # of what this run replaces, to go back to
    beside: tuple[Region, ...] = ()  # what is to lie beside the firmware where that is written
    flashed: bool = False  # whether this run has written the firmware, whole

    def done(self, action: Action) -> None:
        """Tell that an action of the plan is done."""
        if phase_of(action) != "finish":
            self.changes += 1
        self.run.emit(ActionDone(device=self.desired.device, action=action))

    def printed(self, lines: Sequence[str], ended: bool) -> None:
        """Tell what the board has printed: `interfaces.Say`."""
        said = Printed(device=self.desired.device, lines=tuple(lines), ended=ended)
        self.run.emit_printed(said)

    def note_state(self, board_state: str) -> None:
        """Set `board_state`, as a callback."""
        self.board_state = board_state
