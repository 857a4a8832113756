"""Events: what happens during a run, as it happens. `output/` renders them.

Their JSON form, one object a line, is `schemas/event.schema.json`, whose version is
EVENT_VERSION: it grows by new optional keys; anything else raises it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import field
from typing import ClassVar, Literal

from provision.errors import ManifestError, ProvisionError
from provision.model.chip import Chip
from provision.model.language import record
from provision.model.plan import Action, Batches, Plan
from provision.model.state import FirmwareIdentity, StepResult

EVENT_VERSION = 2

Stage = Literal[
    "connect",
    "observe",
    "manual-action",
    "erase",
    "flash",
    "verify-flash",
    "read-flash",
    "boot",
    "nvs",
    "files",
    "read-files",
    "reset",
    "check",
    "verify-files",
]
Outcome = Literal[
    "ok",
    "changed",
    "pending",
    "failed",
    "rolled-back",
    "refused",
    "unreachable",
    "interrupted",
    "skipped",
]


@record
class RunStarted:
    """`manifest` is an absolute path; `commit` what its git checkout was at, where it is in one;
    `host` the computer that the run is on; `rollout` has the batches that the devices are begun in,
    None where all are at once; `resumes` is the id of the run that this one goes on with."""

    kind: ClassVar[str] = "run-started"
    task: str  # the name of the task: plan, apply, rollback, run, logs, …
    changes_boards: bool  # whether the task may leave a board other than it was
    fleet: str
    devices: tuple[str, ...]
    manifest: str | None = None
    commit: str | None = None
    host: str | None = None
    rollout: Batches | None = None
    resumes: str | None = None


@record
class RunQueued:
    """A run waits for its turn in the queue of `provision serve`: in its record alone, which has
    `RunStarted` once it has begun. The rest as there."""

    kind: ClassVar[str] = "run-queued"
    task: str
    devices: tuple[str, ...]
    manifest: str


@record
class BatchStarted:
    """The devices of a batch are about to begin; it is number `number`, from 1, `of` so many."""

    kind: ClassVar[str] = "batch-started"
    number: int
    of: int
    devices: tuple[str, ...]


@record
class StageStarted:
    kind: ClassVar[str] = "stage-started"
    device: str
    stage: Stage
    detail: str = ""


@record
class StageProgress:
    """`done` of `total` bytes over the wire."""

    kind: ClassVar[str] = "stage-progress"
    device: str
    stage: Stage
    done: int
    total: int


@record
class ManualActionNeeded:
    """A person must act: `instructions` from the board profile, seconds left to do it."""

    kind: ClassVar[str] = "manual-action-needed"
    device: str
    instructions: str
    seconds: float


@record
class DevicePlanned:
    kind: ClassVar[str] = "device-planned"
    device: str
    plan: Plan


@record
class FileDiffed:
    """How one file would change: the lines of a unified diff, without secrets."""

    kind: ClassVar[str] = "file-diffed"
    device: str
    path: str
    lines: tuple[str, ...]


@record
class ActionDone:
    kind: ClassVar[str] = "action-done"
    device: str
    action: Action


@record
class StepChecked:
    """One step of a check has come to its end, passed or not."""

    kind: ClassVar[str] = "step-checked"
    device: str
    result: StepResult


@record
class Notice:
    """Something worth knowing that is no failure; `device` is None for the whole run."""

    kind: ClassVar[str] = "notice"
    message: str
    device: str | None = None


@record
class Trace:
    """One piece of the conversation with a board, for -v (level 1) and -vv (level 2)."""

    kind: ClassVar[str] = "trace"
    device: str
    level: int
    text: str


@record
class SeenBoard:
    """Which board a device was, as it was last observed in a run; None for what it did not tell."""

    mac: str | None = None
    chip: Chip | None = None
    firmware: FirmwareIdentity | None = None


@record
class ConsoleLine:
    """What a board has printed: a line, or where that has not `ended` a piece of one. Bytes that
    are no text are written `\\xff`. `traceback`: MicroPython has said it of code that was run."""

    kind: ClassVar[str] = "console-line"
    device: str
    text: str
    ended: bool = True
    traceback: bool = False


@record
class Printed:
    """Lines that a board has printed, those that were read at once: no event, but many, which need
    not be dealt with one by one. All have ended but for the last, which may not have."""

    device: str
    lines: tuple[str, ...]
    ended: bool = True

    def each(self) -> Iterator[ConsoleLine]:
        """The same as events."""
        last = len(self.lines) - 1
        for number, text in enumerate(self.lines):
            yield ConsoleLine(device=self.device, text=text, ended=self.ended or number < last)


@record
class DeviceUpdated:
    """A board follows an edit of the project, amid a run that goes on: `paths` are the files that
    were written or deleted, `seconds` since the edit was noticed. With an `error` it does not
    follow yet; `hint` and `code` as of `DeviceFinished`."""

    kind: ClassVar[str] = "device-updated"
    device: str
    paths: tuple[str, ...]
    seconds: float
    restarted: bool = True  # whether its app was started anew
    error: str | None = None
    hint: str | None = None
    code: str | None = None


@record
class DeviceFinished:
    """`error` is what the user reads, `code` its stable word, `board_state` what
    becomes of the board as it was left. `changes` are those that were made, also before an error;
    `partly`: another was begun, and nobody saw how far it came. `board` is None of one that nobody
    saw. `state` tells whether what the device had to be is the same as in another run; `left` what
    a run for a part of it has left undone."""

    kind: ClassVar[str] = "device-finished"
    device: str
    outcome: Outcome
    seconds: float
    error: str | None = None
    hint: str | None = None
    code: str | None = None
    board_state: str | None = None
    changes: int = 0
    partly: bool = False
    board: SeenBoard | None = None
    state: str | None = None
    left: tuple[str, ...] = ()


@record
class RolloutStopped:
    """Devices that failed in the batch of this number, from 1, kept others from beginning:
    `message` says why, and `not_started` which those are."""

    kind: ClassVar[str] = "rollout-stopped"
    batch: int
    of: int
    message: str
    not_started: tuple[str, ...]
    hint: str = (
        "mend what failed, then go on with `provision apply --resume last`; devices that are done "
        "are not done again"
    )


@record
class RunFinished:
    """`macs` are the boards of the run's devices by fleet.lock as it is now."""

    kind: ClassVar[str] = "run-finished"
    seconds: float
    exit_code: int
    outcomes: dict[str, Outcome] = field(default_factory=dict)
    macs: dict[str, str] = field(default_factory=dict)


@record
class Mistake:
    """One located mistake in a manifest, a template or a lock; `path` is its dotted key path."""

    file: str
    line: int
    column: int
    path: str
    message: str


@record
class RunFailed:
    """The run ended before any board was touched, by what is no device's: an invalid manifest, an
    image that cannot be had. `problems` are the located mistakes, where there are some."""

    kind: ClassVar[str] = "run-failed"
    error: str
    hint: str
    code: str
    exit_code: int
    problems: tuple[Mistake, ...] = ()

    @classmethod
    def of(cls, error: ProvisionError) -> RunFailed:
        return cls(
            error=error.message,
            hint=error.hint,
            code=error.code,
            exit_code=error.exit_code,
            problems=_mistakes(error),
        )


@record
class EditFailed:
    """An edit left the project invalid, amid a run that goes on with what it was before; the rest
    as of `RunFailed`."""

    kind: ClassVar[str] = "edit-failed"
    error: str
    hint: str
    code: str
    problems: tuple[Mistake, ...] = ()

    @classmethod
    def of(cls, error: ProvisionError) -> EditFailed:
        return cls(error=error.message, hint=error.hint, code=error.code, problems=_mistakes(error))


def _mistakes(error: ProvisionError) -> tuple[Mistake, ...]:
    problems = error.problems if isinstance(error, ManifestError) else ()
    return tuple(
        Mistake(
            file=each.place.file,
            line=each.place.line,
            column=each.place.column,
            path=each.path,
            message=each.message,
        )
        for each in problems
    )


Event = (
    RunStarted
    | RunQueued
    | BatchStarted
    | StageStarted
    | StageProgress
    | ManualActionNeeded
    | DevicePlanned
    | FileDiffed
    | ActionDone
    | StepChecked
    | Notice
    | Trace
    | ConsoleLine
    | DeviceUpdated
    | DeviceFinished
    | RolloutStopped
    | RunFinished
    | RunFailed
    | EditFailed
)
