"""Which runs a rehearsal has: from the seed of each, what the twins are before.

A run is one apply of the whole fleet onto twins of its boards. Its seed says what they hold before
and, with faults, what goes wrong with each: the same seed, the same run.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal, get_args

from provision.model.language import record

StartKind = Literal["blank", "locked", "older"]
KINDS: tuple[StartKind, ...] = get_args(StartKind)
"""A board out of its box; one that has what the manifest says now; one that has what the manifest
said at an earlier commit."""

DEVICES_AT_ONCE = 16
"""Twins of one process: some 40 MB each."""
_EACH_START = 2  # runs of each kind of start with faults, where nobody says how many
_COMMIT = re.compile(r"[0-9a-f]{4,64}")
_SHOWN = 10  # digits of a commit


@record
class Start:
    """What a twin holds before: see `KINDS`. `commit` is that of "older", None for the first that
    there is."""

    kind: StartKind
    commit: str | None = None

    def __str__(self) -> str:
        return f"{self.kind}:{self.commit[:_SHOWN]}" if self.commit else self.kind

    @property
    def told(self) -> str:
        """For people, after "from"."""
        match self.kind:
            case "blank":
                return "blank boards"
            case "locked":
                return "boards as they are locked"
            case "older":
                return f"boards as of {(self.commit or '')[:_SHOWN]}"

    @classmethod
    def from_text(cls, text: str) -> Start:
        """As `--start` takes it and `str` gives it; ValueError says what there is."""
        kind, colon, commit = text.partition(":")
        for known in KINDS:
            if kind != known or (colon and known != "older"):
                continue
            if colon and not _COMMIT.fullmatch(commit):
                raise ValueError(f"{commit!r} is no commit: write its first digits, as git does")
            return cls(kind=known, commit=commit or None)
        raise ValueError("a start is blank, locked, older or older:COMMIT")


@record
class PlannedRun:
    """One run of a rehearsal."""

    seed: int
    start: Start
    faults: bool = False


def draw_runs(
    seed: int,
    runs: int | None,
    *,
    faults: bool,
    commits: Sequence[str] = (),
    start: Start | None = None,
) -> tuple[PlannedRun, ...]:
    """The runs from this seed on, each with the next one; without a number of them, each start
    once, with faults twice. `commits` are those that "older" may be, the newest first; without any,
    there is none. `start` is asked for in place of what the seeds say."""
    if start is not None and start.commit is not None:
        commits = [start.commit]
    starts = [start.kind] if start is not None else [k for k in KINDS if k != "older" or commits]
    count = runs if runs is not None else len(starts) * (_EACH_START if faults else 1)
    planned = []
    for each in range(seed, seed + count):
        turn, place = divmod(each - 1, len(starts))
        kind = starts[place]
        commit = commits[turn % len(commits)] if kind == "older" and commits else None
        planned.append(PlannedRun(seed=each, start=Start(kind=kind, commit=commit), faults=faults))
    return tuple(planned)


def commits_wanted(runs: int | None, *, faults: bool) -> int:
    """How many earlier states there is a use for."""
    count = runs if runs is not None else len(KINDS) * (_EACH_START if faults else 1)
    return max(1, -(-count // len(KINDS)))


def in_groups(devices: Sequence[str]) -> tuple[tuple[str, ...], ...]:
    """The devices in groups of those whose twins one process has."""
    groups = -(-len(devices) // DEVICES_AT_ONCE)
    return tuple(tuple(devices[first::groups]) for first in range(groups))
