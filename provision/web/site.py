"""What all pages stand on: the project, its jobs, what is live, and how a page is rendered. One
object, made when the server starts.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import takewhile
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from provision import api
from provision.api import Fleet, SavedBackup
from provision.api_files import backups_of
from provision.api_runs import RecordedRun, read_run, recorded_run, recorded_runs
from provision.api_station import StationManifest, open_station
from provision.core.wording import Redact
from provision.model.event import Event
from provision.station.ledger import Ledger
from provision.station.shift import ledger_of
from provision.web.boards.console import STATE, Consoles
from provision.web.boards.notes import BoardNotes, entry_id
from provision.web.device_pieces import FACTS, FILE, FILES, ROW, TILE, device_piece
from provision.web.guard import Rejected, session_of
from provision.web.jobs import Job, JobQueue
from provision.web.live import Streams, Topic
from provision.web.pieces import COUNTS, JOBS, fleet_piece, run_piece
from provision.web.project import Project
from provision.web.rendering import Templates
from provision.web.run_view import HEAD, RunView
from provision.web.station_desk import StationDesk
from provision.web.tiles import Tiles

STATION, VERDICTS = "station", "verdicts"  # the pieces of its page
REMEMBERED = 20  # runs of earlier days that tiles are made of


def _raise(error: Exception) -> None:
    raise error


class Site:
    """The pages' common ground. Its state is changed by the queue's threads, and read by pages."""

    def __init__(
        self,
        load: Callable[[], Fleet],
        *,
        load_station: Callable[[], StationManifest] = open_station,
        ledger: Path | None = None,
        allow_hooks: bool = False,
        backups: Path,
        suggest: Redact = str,
        tell_bug: Callable[[Exception], None] = _raise,
    ) -> None:
        """`ledger` is in place of the manifest's; `allow_hooks`: a station that is started here may
        run the manifest's programs. `tell_bug` is told of a mistake of this tool, which ends one
        request or one job."""
        self.ledger = ledger
        self.allow_hooks = allow_hooks
        self.tell_bug = tell_bug
        self.backups = backups
        self.notes = BoardNotes()
        self.templates = Templates()
        self.project = Project(load)
        self.tiles = Tiles(self.project)
        self.streams = Streams()
        self.fleet_topic = Topic(
            lambda key: fleet_piece(self.templates, self.tiles, self.queue, key)
        )
        self._run_topics: dict[str, Topic] = {}
        self._device_topics: dict[str, Topic] = {}
        self.station_topic = Topic(self._station_piece)
        self.desk = StationDesk(
            load_station,
            on_change=lambda: self.station_topic.touch([STATION, VERDICTS]),
            tell_bug=tell_bug,
        )
        self.consoles = Consoles(self._listen, self._console_piece, tell_bug=tell_bug)
        self.queue = JobQueue(
            self.project.reload,
            manifest=self.project.path,
            backups=backups,
            notes=self.notes,
            claim=self.consoles.held,
            on_change=self._changed,
            suggest=suggest,
            tell_bug=tell_bug,
        )
        recorded = self.recorded()
        self.not_started = [
            *takewhile(lambda run: run.state == "not-started", recorded)
        ]  # when the server before this one ended, and nothing was since
        for run in reversed(recorded[:REMEMBERED]):
            self.tiles.remember(run)

    def recorded(self) -> list[RecordedRun]:
        """The runs of this manifest that this computer remembers, the newest first."""
        return recorded_runs(self.project.path)

    def view(self, run: str) -> RunView | None:
        """A run, of this server or of its record; None where there is none of that id."""
        job = self.queue.job(run)
        if job is not None:
            return job.view
        found = recorded_run(run, self.project.path)
        if found is None:
            return None
        view = RunView(id=run, task=found.task, devices=found.devices, state="running")
        for when, event in read_run(run):
            view.handle(event, when)
        if found.state not in ("running", "queued"):
            view.end(found.state)
        return view

    def run_topic(self, job: Job) -> Topic:
        """What is live of a job's page."""
        topic = self._run_topics.get(job.id)
        if topic is None:
            topic = Topic(lambda key: run_piece(self.templates, job.view, job, key))
            topic = self._run_topics.setdefault(job.id, topic)
            known = {each.id for each in self.queue.jobs} | {job.id}
            for run in [run for run in self._run_topics if run not in known]:
                self._run_topics.pop(run).close()
        return topic

    def device_topic(self, device: str) -> Topic:
        """What is live of a device's page, and of the pages of its files."""
        topic = self._device_topics.get(device)
        if topic is None:
            topic = Topic(
                lambda key: device_piece(
                    device,
                    key,
                    templates=self.templates,
                    tiles=self.tiles,
                    notes=self.notes,
                    queue=self.queue,
                )
            )
            topic = self._device_topics.setdefault(device, topic)
        return topic

    @property
    def has_station(self) -> bool:
        """Whether the manifest has one."""
        return self.project.fleet.loaded.manifest.station is not None

    @contextmanager
    def open_ledger(self) -> Iterator[Ledger | None]:
        """The ledger of the station, None while there is none."""
        station = self.project.fleet.loaded.manifest.station
        settings = station.settings if station is not None else None
        path, root = ledger_of(self.project.path, settings, self.ledger)
        if not path.exists():
            yield None
            return
        with Ledger.open(path, root=root) as ledger:
            yield ledger

    def _station_piece(self, key: str) -> str:
        macro = "station" if key == STATION else "verdicts"
        return self.templates.piece("station_pieces.html", macro, self.desk)

    def backups_of(self, device: str) -> list[SavedBackup]:
        """Those of a device, the newest first."""
        return backups_of(self.backups, device)

    def restore_command(self, device: str, folder: Path) -> str:
        """How a backup is put back, to be typed."""
        words = ("provision", "restore", device, str(folder), "-m", str(self.project.path))
        return shlex.join(words)

    def _listen(
        self, device: str, cancel: api.Cancellation, heard: Callable[[Event], None]
    ) -> None:
        api.logs(self.project.fleet, limit=[device], on_event=heard, cancel=cancel)

    def _console_piece(self, device: str, key: str) -> str:
        assert key == STATE
        state = self.consoles.state(device)
        return self.templates.piece("device_pieces.html", "console", device, state)

    def _changed(self, job: Job, keys: Iterable[str]) -> None:
        keys = list(keys)
        devices = [key for key in keys if key in job.view.rows]
        if job.view.over:
            devices = list(job.devices)
        self.tiles.follow(job.view, devices, time.time())
        fleet = [f"tile {device}" for device in devices]
        if HEAD in keys or job.view.over:
            fleet += [JOBS, COUNTS]
        self.fleet_topic.touch(fleet)
        topic = self._run_topics.get(job.id)
        if topic is not None:
            topic.touch(keys)
        if job.looks:
            pieces = [TILE, FACTS, FILES, *([FILE + entry_id(job.path)] if job.path else [])]
        else:
            pieces = [TILE, ROW]
        for device in job.devices if HEAD in keys else devices:
            if device in self._device_topics:
                self._device_topics[device].touch(pieces)

    def close(self) -> None:
        """Nothing is live any more; jobs are asked to end."""
        self.queue.close()
        self.consoles.shut()
        self.desk.close()

    def close_streams(self) -> None:
        """Streams end, with what was the last to be told: what the station has begun is finished
        first."""
        self.desk.join()
        others = [*self._run_topics.values(), *self._device_topics.values()]
        for topic in (self.fleet_topic, self.station_topic, *others):
            topic.close()

    def stream(self, request: Request, topic: Topic) -> Response:
        """What is live of a topic, from where this browser has left off."""
        if self.streams.full:
            raise Rejected(
                503,
                f"{self.streams.most} pages are followed live already, and this one is not",
                "close some that nobody looks at; a page that is loaded anew shows what is known",
            )
        mark = request.headers.get("last-event-id") or request.query_params.get("since", "")
        return self.streams.answer(topic, mark)

    def page(
        self, request: Request, template: str, *, status: int = 200, **values: Any
    ) -> Response:
        """A whole page, as whoever asks may see it."""
        session = session_of(request)
        html = self.templates.render(
            template,
            site=self,
            session=session,
            here=request.url.path,
            csrf=session.csrf if session is not None else "",
            may_operate=session is not None and session.may_operate,
            **values,
        )
        return HTMLResponse(html, status)

    def rejected(self, request: Request, rejected: Rejected) -> Response:
        """The page that says why a request was not let in."""
        return self.page(request, "rejected.html", status=rejected.status, rejected=rejected)
