"""What a page shows of one run at a moment: events go in, rows come out; the same of a run that
goes on and of one that a record tells of.

Rows are replaced, never changed, so that a page is rendered from them while the run goes on in
other threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from typing import Literal

from provision.api_runs import RunState
from provision.errors import Interrupted
from provision.model.event import (
    ActionDone,
    DeviceFinished,
    DevicePlanned,
    Event,
    FileDiffed,
    ManualActionNeeded,
    Notice,
    RunFailed,
    RunFinished,
    RunStarted,
    Stage,
    StageProgress,
    StageStarted,
    StepChecked,
)
from provision.model.language import record
from provision.model.plan import Action, Plan
from provision.model.state import StepResult

BAD: frozenset[str] = frozenset({"failed", "rolled-back", "refused", "unreachable", "interrupted"})
MOST_NOTICES = 50  # of a device, and of a run
HEAD, FAILURES = "head", "failures"  # the pieces of a page beside its rows

State = Literal["asking"] | RunState


@record
class Row:
    """One device in a run. `percent` is of the stage's bytes."""

    device: str
    stage: Stage | None = None
    detail: str = ""
    percent: int | None = None
    plan: Plan | None = None
    done: tuple[Action, ...] = ()
    steps: tuple[StepResult, ...] = ()
    notices: tuple[str, ...] = ()
    diffs: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    finished: DeviceFinished | None = None
    asked: bool = False  # somebody has to agree before it goes on
    cut: Literal["interrupted", "skipped"] | None = None  # the run ended without a word of it

    @property
    def state(self) -> str:
        """A word for what it is at: an outcome, "asking" a person, "working", "waiting"."""
        if self.finished is not None:
            return self.finished.outcome
        if self.cut is not None:
            return self.cut
        if self.asked or self.stage == "manual-action":
            return "asking"
        return "working" if self.stage is not None else "waiting"

    @property
    def bad(self) -> bool:
        return self.state in BAD


class RunView:
    """One run as far as a page needs it. `on_change` is told the keys of the pieces that have
    changed: HEAD, FAILURES, and the names of devices."""

    def __init__(
        self,
        *,
        id: str,
        task: str,
        devices: Sequence[str],
        state: State = "queued",
        on_change: Callable[[Iterable[str]], None] = lambda _keys: None,
    ) -> None:
        self.id = id
        self.task = task
        self.state: State = state
        self.rows: dict[str, Row] = {name: Row(device=name) for name in devices}
        self.notices: tuple[str, ...] = ()
        self.failed: RunFailed | None = None
        self.exit_code: int | None = None
        self.started: float | None = None
        self.seconds: float | None = None
        self._on_change = on_change
        self._lock = threading.Lock()

    @property
    def devices(self) -> tuple[str, ...]:
        return tuple(self.rows)

    @property
    def over(self) -> bool:
        return self.state not in ("queued", "running", "asking")

    @property
    def begun(self) -> bool:
        """Whether its turn has come: until then no board is touched."""
        return self.started is not None

    @property
    def failures(self) -> list[Row]:
        """The devices that did not do well, in manifest order."""
        return [row for row in list(self.rows.values()) if row.bad]

    def handle(self, event: Event, when: float | None = None) -> None:
        """Take in one event, which happened now or at so many seconds since the epoch."""
        when = time.time() if when is None else when
        with self._lock:
            keys = self._handle(event, when)
        if keys:
            self._on_change(keys)

    def ask(self, device: str, asked: bool) -> None:
        """A device waits for somebody's answer, or has it."""
        with self._lock:
            self._change(device, asked=asked)
            if not self.over:
                waits = any(row.asked for row in self.rows.values())
                self.state = "asking" if waits else "running"
        self._on_change([HEAD, device])

    def end(self, state: RunState) -> None:
        """Nothing more will be told; devices that have told no end are cut, or were skipped where
        the turn of the run never came."""
        with self._lock:
            if not self.over:
                self.state = "interrupted" if state == "running" else state
            left = [row for row in self.rows.values() if row.finished is None]
            for row in left:
                cut: Literal["interrupted", "skipped"] = "interrupted" if self.begun else "skipped"
                self.rows[row.device] = replace(row, cut=cut, asked=False)
        self._on_change([HEAD, FAILURES, *(row.device for row in left)])

    def _handle(self, event: Event, when: float) -> list[str]:
        match event:
            case RunStarted():
                self.started = when
                self.state = "running"
                known = self.rows
                self.rows = {name: known.get(name, Row(device=name)) for name in event.devices}
                return [HEAD]
            case RunFinished():
                cut = event.exit_code == Interrupted.exit_code
                self.state = "cancelled" if cut else "finished"
                self.seconds = event.seconds if self.begun else None
                self.exit_code = event.exit_code
                return [HEAD]
            case RunFailed():
                self.state, self.failed, self.exit_code = "failed", event, event.exit_code
                self.seconds = when - self.started if self.started is not None else None
                return [HEAD, *self.rows]
            case Notice(device=None):
                self.notices = (*self.notices, event.message)[-MOST_NOTICES:]
                return [HEAD]
            case DeviceFinished():
                self._change(event.device, finished=event)
                return [HEAD, event.device, *([FAILURES] if event.outcome in BAD else [])]
            case StageStarted():
                return self._change(
                    event.device, stage=event.stage, detail=event.detail, percent=None
                )
            case StageProgress():
                percent = 100 * event.done // event.total if event.total else None
                row = self.rows.get(event.device)
                if row is not None and (row.stage, row.percent) == (event.stage, percent):
                    return []
                return self._change(event.device, stage=event.stage, percent=percent)
            case ManualActionNeeded():
                return self._change(
                    event.device,
                    stage="manual-action",
                    detail=event.instructions,
                    percent=None,
                )
            case DevicePlanned():
                return self._change(event.device, plan=event.plan)
            case FileDiffed():
                diffs = {**self._row(event.device).diffs, event.path: event.lines}
                return self._change(event.device, diffs=diffs)
            case ActionDone():
                done = (*self._row(event.device).done, event.action)
                return self._change(event.device, done=done)
            case StepChecked():
                steps = (*self._row(event.device).steps, event.result)
                return self._change(event.device, steps=steps)
            case Notice(device=str(device)):
                notices = (*self._row(device).notices, event.message)[-MOST_NOTICES:]
                return self._change(device, notices=notices)
            case _:
                return []

    def _row(self, device: str) -> Row:
        return self.rows.get(device) or Row(device=device)

    def _change(self, device: str, **changes: object) -> list[str]:
        # mypy cannot tell names that come by `**`: every caller is above, and names Row's own.
        self.rows[device] = replace(self._row(device), **changes)  # type: ignore[arg-type]
        return [device]
