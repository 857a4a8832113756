"""The runs that this computer remembers, whoever started them, and what each of them told."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import psutil

from provision.errors import Interrupted
from provision.model.event import Event, Outcome, RunFailed, RunFinished, RunQueued, RunStarted
from provision.model.language import record
from provision.output.run_log import state_directory
from provision.output.saved.event_reader import read_events

RunState = Literal[
    "queued", "running", "finished", "cancelled", "failed", "interrupted", "not-started"
]

_NAME = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)-(\d{1,10})")
_HEAD = 1 << 20  # bytes that a run has begun within: it names its devices
_TAIL = 1 << 20  # bytes that its end is within: it names them again
_CLOCK_STEP = 2.0  # seconds that the clocks of a process and of its record may differ


@record
class RecordedRun:
    """One run that this computer remembers. `started` is in seconds since the epoch, of one that
    never began since when it waited; "failed" is one that ended before any board was touched,
    "cancelled" one that somebody has ended early, "interrupted" one whose process is gone without a
    word: its boards may be half updated, and `apply` again converges them. "not-started" is one
    whose turn had not come when its process ended: no board was touched."""

    id: str
    state: RunState
    started: float
    task: str
    devices: tuple[str, ...]
    seconds: float | None = None
    exit_code: int | None = None
    outcomes: Mapping[str, Outcome] = field(default_factory=lambda: MappingProxyType({}))
    error: str | None = None


def recorded_runs(manifest: Path) -> list[RecordedRun]:
    """The runs of a manifest that are remembered, the newest first."""
    paths = sorted(runs_directory().glob("*.jsonl"), reverse=True)
    found = (_summary(path, manifest) for path in paths)
    return [run for run in found if run is not None]


def recorded_run(run: str, manifest: Path) -> RecordedRun | None:
    """The run of that id; None where there is none of this manifest."""
    if not _NAME.fullmatch(run):
        return None
    return _summary(runs_directory() / f"{run}.jsonl", manifest)


def read_run(run: str) -> Iterator[tuple[float, Event]]:
    """What a remembered run told, each event with its time in seconds since the epoch; progress and
    what boards print are not kept. Nothing for an id that there is not."""
    if not _NAME.fullmatch(run):
        return
    path = runs_directory() / f"{run}.jsonl"
    with suppress(OSError), path.open(encoding="utf-8", errors="replace") as lines:
        yield from read_events(lines)


def runs_directory() -> Path:
    """Where the records are."""
    return state_directory() / "runs"


def _summary(path: Path, manifest: Path) -> RecordedRun | None:
    name = _NAME.fullmatch(path.stem)
    if name is None:
        return None
    try:
        with path.open("rb") as file:
            head = file.read(_HEAD)
            size = os.fstat(file.fileno()).st_size
            file.seek(max(0, size - _TAIL))
            tail = file.read(_TAIL)
    except OSError:
        return None
    began = _find(_lines(head), RunStarted)
    queued = _find(_lines(head), RunQueued) if began is None else None
    when, event = began or queued or (0.0, None)
    if not isinstance(event, (RunStarted, RunQueued)) or event.manifest != str(manifest):
        return None
    ended = _find(reversed(_lines(tail)), RunFinished, RunFailed)
    state: RunState = "interrupted" if queued is None else "not-started"
    if _alive(int(name[2]), when):
        state = "running" if queued is None else "queued"
    run = RecordedRun(
        id=path.stem, state=state, started=when, task=event.task, devices=event.devices
    )
    if ended is not None:
        run = _ended(run, *ended)
    return run if queued is None else replace(run, seconds=None)


def _ended(run: RecordedRun, when: float, event: Event) -> RecordedRun:
    match event:
        case RunFinished():
            return replace(
                run,
                state="cancelled" if event.exit_code == Interrupted.exit_code else "finished",
                seconds=event.seconds,
                exit_code=event.exit_code,
                outcomes=event.outcomes,
            )
        case RunFailed():
            return replace(
                run,
                state="failed",
                seconds=when - run.started,
                exit_code=event.exit_code,
                error=event.error,
            )
        case _:
            return run


def _lines(data: bytes) -> list[str]:
    return data.decode("utf-8", "replace").splitlines()


def _find(lines: Iterable[str], *kinds: type[Event]) -> tuple[float, Event] | None:
    """The first event of these kinds. Most lines are of others, and are not read for it."""
    marks = [f'"kind": "{kind.kind}"' for kind in kinds]
    wanted = (line for line in lines if any(mark in line[:200] for mark in marks))
    return next((found for found in read_events(wanted) if isinstance(found[1], kinds)), None)


def _alive(pid: int, started: float) -> bool:
    """Whether the process that began a run then is still there; one that is younger has its
    number by chance."""
    with suppress(psutil.Error, OSError):
        return psutil.Process(pid).create_time() <= started + _CLOCK_STEP
    return False
