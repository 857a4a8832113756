"""What the tile of a device says: its state in a word, what it runs, when it was applied, and
whether it has drifted from the manifest.

It joins what the manifest says, what this computer remembers of applies, and what the runs of late
have told; no board is asked for it.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from provision.api import DeviceStatus, LastApply
from provision.api_runs import STAGE_TEXTS, RecordedRun
from provision.core.wording import plural
from provision.model.language import record
from provision.model.state import DesiredState
from provision.web.project import Project
from provision.web.run_view import BAD, Row, RunView

TELLING = ("plan", "apply", "check", "rollback")
"""The tasks whose outcome is how a board stands to the manifest; that of a reset, or of a look into
a board, is not."""
WORKING = ("waiting", "working", "asking")
FILTERS: Mapping[str, tuple[str, ...]] = {
    "well": ("ok", "changed"),
    "pending": ("pending",),
    "failed": tuple(sorted(BAD)),
    "working": WORKING,
    "never applied": ("new",),
}
"""The states that somebody looks for, and the words of tiles that are of each."""


@record
class Seen:
    """What a run has told of a device: `changes` as its plan counts them, None where it is not
    known how many."""

    run: str
    task: str
    outcome: str
    when: float
    changes: int | None = None
    error: str | None = None
    hint: str | None = None


@record
class Tile:
    """All that the page says of one device. Times are in seconds since the epoch."""

    device: str
    groups: tuple[str, ...]
    board: str
    wanted: str | None
    state: str
    what: str
    percent: int | None = None
    run: str | None = None  # the run that says so
    version: str | None = None
    applied: float | None = None
    drift: str = ""
    drifted: bool = False
    unplugged: bool = False
    error: str | None = None
    hint: str | None = None

    def matches(self, *, group: str, state: str, name: str) -> bool:
        """Whether a filter shows it; empty words leave nothing out."""
        return (
            (not group or group in self.groups)
            and (not state or self.state in FILTERS.get(state, ()))
            and name.lower() in self.device.lower()
        )


class Tiles:
    """The tiles of a fleet. Told of runs from any thread."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._lock = threading.Lock()
        self._seen: dict[str, Seen] = {}
        self._active: dict[str, tuple[str, Row]] = {}

    def remember(self, run: RecordedRun) -> None:
        """A run of an earlier day, the oldest first."""
        if run.task not in TELLING:
            return
        for device, outcome in run.outcomes.items():
            if outcome != "skipped":
                self._seen[device] = Seen(
                    run=run.id, task=run.task, outcome=outcome,
                    when=run.started + (run.seconds or 0.0),
                )  # fmt: skip

    def follow(self, view: RunView, devices: list[str], now: float) -> None:
        """These devices of a run have gone on."""
        with self._lock:
            for device in devices:
                row = view.rows.get(device)
                if row is None:
                    continue
                if row.finished is None and not row.cut and not view.over:
                    self._active[device] = (view.id, row)
                    continue
                self._active.pop(device, None)
                ended = row.finished
                if view.task not in TELLING:
                    continue
                if ended is not None and ended.outcome != "skipped":
                    self._seen[device] = Seen(
                        run=view.id, task=view.task, outcome=ended.outcome, when=now,
                        changes=row.plan.change_count if row.plan is not None else None,
                        error=ended.error, hint=ended.hint,
                    )  # fmt: skip
                elif row.cut and row.stage is not None:
                    self._seen[device] = Seen(
                        run=view.id, task=view.task, outcome="interrupted", when=now
                    )

    def tile(self, device: str) -> Tile | None:
        """The tile of a device; None where the manifest has none of that name any more."""
        state = self._project.devices.get(device)
        if state is None:
            return None
        return self._tile(state, self._project.status.get(device))

    def all(self) -> list[Tile]:
        """In manifest order."""
        status = self._project.status
        states = self._project.fleet.states
        return [self._tile(state, status.get(state.device)) for state in states]

    def _tile(self, desired: DesiredState, status: DeviceStatus | None) -> Tile:
        device = desired.device
        active = self._active.get(device)
        seen = self._seen.get(device)
        last = status.last if status is not None else None
        made = last.made if last is not None else None
        applied = seconds_of(made.time) if made is not None else None
        ended = seconds_of(last.time) if last is not None else None
        if seen is not None and ended is not None and last is not None and seen.when < ended - 1:
            seen = None  # the command line has been there since
        if active is not None:
            run, row = active
            word, what, percent = row.state, _doing(row), row.percent
        elif seen is not None:
            run, word, percent = seen.run, seen.outcome, None
            what = f"{seen.task}: {said(seen.outcome)}"
        elif last is not None:
            run, word, percent = None, last.outcome, None
            what = f"apply: {said(last.outcome)}"
        else:
            run, word, what, percent = None, "new", "never applied", None
        drift, drifted = self._drift(seen, made.commit if made is not None else None, applied)
        bad = active is None and word in BAD
        return Tile(
            device=device,
            groups=desired.groups,
            board=desired.board.name,
            wanted=desired.firmware.source.version if desired.firmware is not None else None,
            state=word,
            what=what,
            percent=percent,
            run=run,
            version=made.version if made is not None else None,
            applied=applied,
            drift=drift,
            drifted=drifted,
            unplugged=status is not None and status.plugged_in is False,
            error=_error(seen, last) if bad else None,
            hint=seen.hint if bad and seen is not None else None,
        )

    def _drift(
        self, seen: Seen | None, commit: str | None, applied: float | None
    ) -> tuple[str, bool]:
        """Whether the board is another than the manifest says, as far as anybody has looked."""
        if seen is not None and seen.outcome == "pending":
            number = plural(seen.changes, "change") if seen.changes else "changes"
            return f"{number} pending", True
        if seen is not None and seen.outcome in ("ok", "changed"):
            return "none", False
        if applied is None:
            return "", False
        if commit is not None and commit != self._project.commit:
            return "the manifest has changed since", True
        return "not looked at since", False


def summary(tiles: list[Tile]) -> dict[str, int]:
    """How many tiles each filter has, in the order of the filters."""
    counts = Counter(tile.state for tile in tiles)
    return {name: sum(counts[word] for word in words) for name, words in FILTERS.items()}


def said(outcome: str) -> str:
    """An outcome as the page has it: the words of the command line."""
    words = {"ok": "as the manifest says", "pending": "changes pending"}
    return words.get(outcome, outcome.replace("-", " "))


def _error(seen: Seen | None, last: LastApply | None) -> str | None:
    if seen is not None:
        return seen.error
    return last.error if last is not None else None


def _doing(row: Row) -> str:
    if row.stage is None:
        return "waiting"
    return f"{STAGE_TEXTS[row.stage]}" + (f" ({row.detail})" if row.detail else "")


def seconds_of(time: str) -> float | None:
    """A record's time in seconds since the epoch; None for what is none."""
    try:
        return datetime.fromisoformat(time).timestamp()
    except (ValueError, OverflowError, OSError):
        return None
