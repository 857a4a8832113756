"""The part of the Python API that displays stand on: runs that are kept while they go on, those
that this computer remembers, whoever started them, and the words that events are told in.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import psutil

from provision.core.wording import Redact
from provision.model.event import Event, Outcome, RunFailed, RunFinished, RunStarted
from provision.output.fanout import Fanout, Output
from provision.output.results import erase_question
from provision.output.run_log import RunRecord, state_directory
from provision.output.saved.event_reader import read_events
from provision.output.text import (
    STAGE_TEXTS,
    action_text,
    done_text,
    duration,
    step_text,
)

__all__ = [
    "STAGE_TEXTS",
    "KeptRun",
    "RecordedRun",
    "action_text",
    "done_text",
    "duration",
    "erase_question",
    "keep_run",
    "read_run",
    "recorded_run",
    "recorded_runs",
    "step_text",
]

RunState = Literal["running", "finished", "failed", "interrupted"]

_NAME = re.compile(r"(\d{8}T\d{6}\.\d{6}Z)-(\d{1,10})")
_HEAD = 1 << 20  # bytes that a run has begun within: it names its devices
_TAIL = 1 << 20  # bytes that its end is within: it names them again
_CLOCK_STEP = 2.0  # seconds that the clocks of a process and of its record may differ


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedRun:
    """One run that this computer remembers. `started` is in seconds since the epoch; "failed" is
    one that ended before any board was touched, "interrupted" one whose process is gone without a
    word: its boards may be half updated, and `apply` again converges them."""

    id: str
    state: RunState
    started: float
    task: str
    devices: tuple[str, ...]
    seconds: float | None = None
    exit_code: int | None = None
    outcomes: Mapping[str, Outcome] = field(default_factory=lambda: MappingProxyType({}))
    error: str | None = None


class KeptRun:
    """A run whose events go to a record of its own and to a listener, from many threads, in one
    order; `id` finds the record again. Where none can be kept, `unkept` says why."""

    def __init__(self, listener: Callable[[Event], None], redact: Redact, suggest: Redact) -> None:
        self.unkept: str | None = None
        self.id = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S.%fZ}-{os.getpid()}"
        outputs: list[Output] = [_Listener(listener)]
        try:
            record = RunRecord(_runs())
        except OSError as error:
            self.unkept = error.strerror or str(error)
        else:
            self.id = record.path.stem
            outputs.append(record)
        self._fanout = Fanout(outputs, redact, suggest)

    def handle(self, event: Event) -> None:
        """Keep one event and tell it."""
        self._fanout.handle(event)

    def close(self) -> None:
        """The run is over."""
        self._fanout.close()


def keep_run(
    listener: Callable[[Event], None], *, redact: Redact = str, suggest: Redact = str
) -> KeptRun:
    """Begin the record of a run. `listener` gets every event after it was masked by `redact`, and
    with the commands that messages name completed by `suggest`."""
    return KeptRun(listener, redact, suggest)


def recorded_runs(manifest: Path) -> list[RecordedRun]:
    """The runs of a manifest that are remembered, the newest first."""
    found = (_summary(path, manifest) for path in sorted(_runs().glob("*.jsonl"), reverse=True))
    return [run for run in found if run is not None]


def recorded_run(run: str, manifest: Path) -> RecordedRun | None:
    """The run of that id; None where there is none of this manifest."""
    if not _NAME.fullmatch(run):
        return None
    return _summary(_runs() / f"{run}.jsonl", manifest)


def read_run(run: str) -> Iterator[tuple[float, Event]]:
    """What a remembered run told, each event with its time in seconds since the epoch; progress and
    what boards print are not kept. Nothing for an id that there is not."""
    if not _NAME.fullmatch(run):
        return
    with suppress(OSError), (_runs() / f"{run}.jsonl").open(encoding="utf-8") as lines:
        yield from read_events(lines)


def _runs() -> Path:
    return state_directory() / "runs"


@dataclass(frozen=True, slots=True)
class _Listener:
    """Implements `Output`."""

    listener: Callable[[Event], None]
    name = "the page"
    asked_for = False

    def handle(self, event: Event) -> None:
        self.listener(event)

    def close(self) -> None:
        """Nothing to finish."""


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
    if began is None:
        return None
    started, event = began
    if not isinstance(event, RunStarted) or event.manifest != str(manifest):
        return None
    ended = _find(reversed(_lines(tail)), RunFinished, RunFailed)
    run = RecordedRun(
        id=path.stem,
        state="running" if _alive(int(name[2]), started) else "interrupted",
        started=started,
        task=event.task,
        devices=event.devices,
    )
    return run if ended is None else _ended(run, *ended)


def _ended(run: RecordedRun, when: float, event: Event) -> RecordedRun:
    finished = isinstance(event, RunFinished)
    return RecordedRun(
        id=run.id,
        state="finished" if finished else "failed",
        started=run.started,
        task=run.task,
        devices=run.devices,
        seconds=event.seconds if isinstance(event, RunFinished) else when - run.started,
        exit_code=event.exit_code if isinstance(event, (RunFinished, RunFailed)) else None,
        outcomes=event.outcomes if isinstance(event, RunFinished) else {},
        error=event.error if isinstance(event, RunFailed) else None,
    )


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
