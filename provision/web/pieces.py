"""The live pieces of the pages: what a stream sends when something has changed. They are the same
for everybody who looks, so that each is rendered once: who may press a button says the page around
it.
"""

from __future__ import annotations

from provision.web.jobs import Job, JobQueue
from provision.web.rendering import Templates
from provision.web.run_view import FAILURES, HEAD, RunView
from provision.web.tiles import Tiles, summary

JOBS, COUNTS = "jobs", "counts"  # of the fleet, beside its tiles


def active_jobs(queue: JobQueue) -> list[Job]:
    """Those that wait or run."""
    return [job for job in queue.jobs if not job.view.over]


def fleet_piece(templates: Templates, tiles: Tiles, queue: JobQueue, key: str) -> str:
    """A piece of the fleet's page: the tile of a device, or one of those above."""
    if key == JOBS:
        return templates.piece("fleet_pieces.html", "jobs", active_jobs(queue))
    if key == COUNTS:
        return templates.piece("fleet_pieces.html", "live_counts", summary(tiles.all()))
    tile = tiles.tile(key.removeprefix("tile "))
    return templates.piece("fleet_pieces.html", "tile", tile) if tile is not None else ""


def run_piece(templates: Templates, view: RunView, job: Job | None, key: str) -> str:
    """A piece of a run's page: its head, its failures, or the row of a device."""
    if key == HEAD:
        return templates.piece("run_pieces.html", "live_head", view, job)
    if key == FAILURES:
        return templates.piece("run_pieces.html", "failures", view)
    row = view.rows.get(key)
    return templates.piece("run_pieces.html", "row", row) if row is not None else ""
