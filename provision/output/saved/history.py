"""Runs that are over, as their records tell: which devices they were about, in which batches, and
how each fared. `apply --resume` goes on from there, and `--limit @failed` takes what failed.

Records are this user's own; one that was cut short or damaged is read as far as it goes.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from provision.model.event import DeviceFinished, Event, RunStarted
from provision.model.language import record
from provision.model.plan import Batches
from provision.output.saved.event_reader import read_events

LAST = "last"
_ID = re.compile(r"[0-9A-Za-z][0-9A-Za-z.-]{0,79}", re.ASCII)
_DONE = frozenset({"ok", "changed"})
_NOT_BEGUN = "skipped"


@record
class PastRun:
    """One run. `outcomes` are those of the devices that ended; `states` tell, where a device was
    left as it had to be, what that was (`DeviceFinished.state`). `resumes` is the id of the run
    that it went on with."""

    id: str
    task: str
    manifest: str | None
    devices: tuple[str, ...]
    batches: Batches | None
    resumes: str | None
    outcomes: Mapping[str, str]
    states: Mapping[str, str]

    @property
    def failed(self) -> tuple[str, ...]:
        """The devices that it began and did not leave as they had to be."""
        return tuple(
            device
            for device in self.devices
            if self.outcomes.get(device, "unfinished") not in {*_DONE, _NOT_BEGUN}
        )

    def after(self, earlier: PastRun) -> PastRun:
        """Both as one run, of which this was the later part."""
        return replace(
            self,
            devices=tuple(dict.fromkeys([*earlier.devices, *self.devices])),
            outcomes={**earlier.outcomes, **self.outcomes},
            states={**earlier.states, **self.states},
            batches=self.batches or earlier.batches,
        )

    def left(self, states: Mapping[str, str]) -> tuple[str, ...]:
        """The devices that are still to be done, of those whose `states` are known: what each has
        to be now. One that was done and has to be something else since is among them."""
        return tuple(
            device
            for device in self.devices
            if device in states
            and (
                self.outcomes.get(device) not in _DONE or self.states.get(device) != states[device]
            )
        )


class RunHistory:
    """Finds the runs of which there are records in a directory."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def last(self, manifest: Path, tasks: Collection[str] = ("apply",)) -> PastRun | None:
        """The last run of a manifest, an absolute path, that did one of these tasks."""
        for path in sorted(self.directory.glob("*.jsonl"), reverse=True):
            started = _started(path)
            if started is not None and started.manifest == str(manifest) and started.task in tasks:
                return self.named(path.stem)
        return None

    def named(self, run: str) -> PastRun | None:
        """The run with this id, its record's name, together with those that it went on with; None
        where there is no such record."""
        path = self.directory / f"{run}.jsonl"
        found = _read(path) if _ID.fullmatch(run) else None
        earlier, met = found, {run}
        while found is not None and earlier is not None and earlier.resumes is not None:
            if earlier.resumes in met or not _ID.fullmatch(earlier.resumes):
                break
            met.add(earlier.resumes)
            earlier = _read(self.directory / f"{earlier.resumes}.jsonl")
            found = found.after(earlier) if earlier is not None else found
        return found


def _started(path: Path) -> RunStarted | None:
    return next((event for event in _events(path) if isinstance(event, RunStarted)), None)


def _read(path: Path) -> PastRun | None:
    found: PastRun | None = None
    outcomes: dict[str, str] = {}
    states: dict[str, str] = {}
    for event in _events(path):
        match event:
            case RunStarted() if found is None:
                found = PastRun(
                    id=path.stem,
                    task=event.task,
                    manifest=event.manifest,
                    devices=event.devices,
                    batches=event.rollout,
                    resumes=event.resumes,
                    outcomes=outcomes,
                    states=states,
                )
            case DeviceFinished():
                outcomes[event.device] = event.outcome
                if event.state is not None:
                    states[event.device] = event.state
            case _:
                pass
    return found


def _events(path: Path) -> Iterator[Event]:
    """The events of a record, as many as can be read."""
    try:
        with path.open(encoding="utf-8", errors="replace") as lines:
            for _, event in read_events(lines):
                yield event
    except OSError:
        return  # there is no such record any more
