"""The live pieces of a device's page, as `pieces.py` has those of the others."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from provision.api_runs import RecordedRun
from provision.web.boards.notes import BoardNotes
from provision.web.jobs import Job, JobQueue
from provision.web.rendering import Templates
from provision.web.run_view import Row, RunView
from provision.web.tiles import TELLING, Tiles

TILE, ROW, FACTS, FILES = "tile", "row", "facts", "files"
FILE = "file "  # and the id of one


def device_piece(
    device: str,
    key: str,
    *,
    templates: Templates,
    tiles: Tiles,
    notes: BoardNotes,
    queue: JobQueue,
) -> str:
    """A piece of the page of a device, or of one of its files."""
    if key == TILE:
        tile = tiles.tile(device)
        return templates.piece("fleet_pieces.html", "tile", tile) if tile is not None else ""
    if key == ROW:
        row, _ = last_row(queue, device)
        return templates.piece("run_pieces.html", "row", row) if row is not None else ""
    look = last_look(queue, device)
    if key == FACTS:
        return templates.piece("device_pieces.html", "facts", notes.facts(device), look)
    if key == FILES:
        return templates.piece("device_pieces.html", "files", notes.listing(device), look)
    id = key.removeprefix(FILE)
    return templates.piece("device_pieces.html", "file", device, id, notes.file(device, id), look)


def last_look(queue: JobQueue, device: str) -> Job | None:
    """The last time that somebody has looked something up of a board."""
    return next((job for job in queue.jobs if job.looks and device in job.devices), None)


def last_row(
    queue: JobQueue,
    device: str,
    recorded: Sequence[RecordedRun] = (),
    view: Callable[[str], RunView | None] = lambda _run: None,
) -> tuple[Row | None, str | None]:
    """What the last run with a plan told of a device, and which run that was: a job, or one of
    these, as `view` reads them."""
    for job in queue.jobs:
        if _plans(job.action, job.devices, device) and _tells(job.view, device):
            return job.view.rows[device], job.id
    for run in recorded:
        if _plans(run.task, run.devices, device):
            found = view(run.id)
            if found is not None and _tells(found, device):
                return found.rows[device], run.id
    return None, None


def _tells(view: RunView, device: str) -> bool:
    """Whether a run has something to tell of a device, or will have: not one that ended before its
    turn came."""
    return device in view.rows and (view.begun or not view.over)


def _plans(task: str, devices: Sequence[str], device: str) -> bool:
    return task in TELLING and device in devices
