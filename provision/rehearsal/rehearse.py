"""`api.rehearse`: draws the runs, has them done by processes of their own, and sums up."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from provision.core.rehearsal.report import Rehearsal, RunResult
from provision.core.rehearsal.schedule import Start, commits_wanted, draw_runs
from provision.core.wording import listed, printable
from provision.errors import UsageError
from provision.project.fleet import Fleet
from provision.project.parts.main_file import DEFAULT_NAME, STDIN
from provision.rehearsal.earlier import EarlierStates
from provision.rehearsal.twin_fleet import Options, fetch_images, open_for_twins, placeholders
from provision.rehearsal.workers import Workers, room_for_twins
from provision.sim.app.interpreter import find_library

__all__ = ["Rehearsal", "Start", "rehearse"]


def rehearse(
    manifest: str | Path | None = None,
    *,
    limit: Sequence[str] = (),
    faults: bool = False,
    runs: int | None = None,
    seed: int = 1,
    start: Start | None = None,
    secrets: Path | None = None,
    offline: bool = False,
    yes: bool = False,
    stand_in_firmware: bool = False,
    checks: bool = True,
    allow: Collection[str] = (),
    forks: int = 0,
    command: Sequence[str] = ("provision", "rehearse"),
    on_begin: Callable[[Rehearsal], None] | None = None,
    on_run: Callable[[RunResult], None] | None = None,
) -> Rehearsal:
    """Apply a manifest to virtual twins of its boards; no real port is opened.

    The runs, `runs` of them with the seeds from `seed` on, begin with blank boards, with boards as
    the manifest has them now, and with boards as an earlier commit had them; or all as `start`
    says. With `faults`, cables are pulled and the power is cut. `allow` are the codes of findings
    that are told and do not fail it, `forks` how many processes at once, 0 for one a processor.
    `limit`, `secrets`, `offline` and `yes` are those of `load` and `apply`; with
    `stand_in_firmware`, firmware that cannot be had is stood in for; without `checks`, the
    manifest's are not run. ManifestError, SourceError and UsageError as `load` and `apply`;
    SimulatorError without the virtual boards.
    """
    path = _manifest(manifest)
    find_library()  # SimulatorError where there is none
    with room_for_twins():
        folder = Path(tempfile.mkdtemp(prefix="rehearsal-"))
    began = time.monotonic()
    try:
        options = Options(
            secrets=secrets.absolute() if secrets is not None else None,
            offline=offline,
            yes=yes,
            stand_in_firmware=stand_in_firmware,
            checks=checks,
            allow=tuple(allow),
        )
        fleet = open_for_twins(path, options, limit=limit)
        notes = [*placeholders(fleet), *fetch_images(fleet, options), *_left_out(fleet)]
        states = EarlierStates(manifest=path, fleet=fleet, options=options, folder=folder / "older")
        with room_for_twins():
            older = states.find(commits_wanted(runs, faults=faults), start, notes)
        if start is not None and start.commit is not None:
            start = replace(start, commit=next(iter(older)))  # all its digits
        planned = draw_runs(seed, runs, faults=faults, commits=[*older], start=start)
        rehearsal = Rehearsal(
            fleet=fleet.masked(fleet.name),
            manifest=str(path),
            devices=fleet.devices,
            runs=(),
            seconds=0.0,
            command=tuple(command),
            limits=tuple(limit),
            notes=tuple(notes),
            planned=len(planned),
        )
        if on_begin is not None:
            on_begin(rehearsal)
        workers = Workers(
            manifest=path,
            devices=fleet.devices,
            older=older,
            options=options,
            folder=folder,
            forks=forks,
        )
        results: list[RunResult] = []
        told = {*notes}
        interrupted = False
        try:
            for result in workers.carry_out(planned):
                news = tuple(note for note in result.notes if note not in told)
                told.update(news)
                results.append(replace(result.allowing(frozenset(allow)), notes=news))
                if on_run is not None:
                    on_run(results[-1])
        except KeyboardInterrupt:
            interrupted = True
            workers.stop()
        return replace(
            rehearsal,
            runs=tuple(sorted(results, key=lambda result: result.run.seed)),
            seconds=time.monotonic() - began,
            interrupted=interrupted,
        )
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _manifest(named: str | Path | None) -> Path:
    if str(named) == STDIN:
        raise UsageError(
            "each process of a rehearsal reads the manifest anew, and standard input cannot be "
            "read twice",
            hint="name the file",
        )
    path = Path(DEFAULT_NAME if named is None else named)
    return path / DEFAULT_NAME if path.is_dir() else path


def _left_out(fleet: Fleet) -> Iterator[str]:
    """What of the manifest no twin can have."""
    bare = [state.device for state in fleet.states if state.firmware is None]
    if bare:
        who = printable(listed(bare))
        yield f"the manifest names no firmware for {who}: a twin comes with MicroPython"
    if fleet.loaded.manifest.station is not None:
        yield "the station, its template and its hooks are not rehearsed"
