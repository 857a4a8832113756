"""What is started on a page: jobs, and the one queue of them that owns the ports.

One job at a time, its devices in parallel, as on a command line: two jobs never wait for each
other's ports. A job is a run; what it tells goes to the run's record (`api_runs`) as it happens, so
that the page may be closed and the server killed: what is known of the run is found again.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal, TypedDict, get_args

from provision import api
from provision.api_runs import KeptRun, RunState, keep_run
from provision.core.wording import Redact
from provision.errors import Interrupted, ProvisionError, UsageError
from provision.model.event import Notice, RunFailed, RunFinished, RunQueued
from provision.web.boards.notes import BoardNotes
from provision.web.questions import Question, Questions
from provision.web.run_view import HEAD, RunView

Action = Literal["plan", "apply", "check", "reset", "backup"]
ACTIONS: tuple[Action, ...] = get_args(Action)
Look = Literal["facts", "ls", "cp"]
"""What is looked up of one board, for its page: what it is, what lies on it, one file of it."""

MOST_WAITING = 20
KEPT_IN_MEMORY = 20  # jobs that are over; what older ones told is in their records

OnJob = Callable[["Job", Iterable[str]], None]


class _Told(TypedDict):
    limit: Sequence[str]
    on_event: Callable[[api.Event], None]
    cancel: api.Cancellation


class Job:
    """One run that somebody has asked for, from then on until it is over."""

    def __init__(
        self,
        action: Action | Look,
        devices: Sequence[str],
        *,
        path: str | None = None,
        on_change: OnJob,
        suggest: Redact,
    ) -> None:
        """`path` is that of the file which "cp" reads."""
        self.action = action
        self.path = path
        self.cancel = api.Cancellation()
        self.questions = Questions(self.cancel, self._asked)
        self._on_change = on_change
        self._kept: KeptRun = keep_run(self._handle, suggest=suggest)
        self.view = RunView(id=self._kept.id, task=action, devices=devices, on_change=self._changed)
        if self._kept.unkept is not None:
            self.tell(f"no record of this run is kept: {self._kept.unkept}")

    @property
    def id(self) -> str:
        return self.view.id

    @property
    def devices(self) -> tuple[str, ...]:
        return self.view.devices

    @property
    def looks(self) -> bool:
        """Whether something is looked up of a board, and no more."""
        return self.action in get_args(Look)

    def stop(self) -> None:
        """Ask it to end; writes in progress are finished first."""
        self.cancel.cancel()
        self.questions.give_up()
        self._changed([HEAD])

    def queued(self, manifest: Path) -> None:
        """It waits for its turn: said in its record, so that it is found again there."""
        if not self.looks:
            self._kept.handle(
                RunQueued(task=self.action, devices=self.devices, manifest=str(manifest))
            )

    def leave(self, *, cancelled: bool) -> None:
        """Its turn does not come: somebody has `cancelled` it, or the server ends."""
        if cancelled:
            self._kept.handle(RunFinished(seconds=0.0, exit_code=Interrupted.exit_code))
        self.view.end("cancelled" if cancelled else "not-started")
        self._kept.close()

    def answer(self, ids: Iterable[str], agreed: bool) -> tuple[Question, ...]:
        """Answer questions of it; which of them were still open."""
        answered = self.questions.answer(ids, agreed)
        for question in answered:
            said = "agreed to" if agreed else "declined"
            self.tell(f"{said} on the page: {question.text}", question.device)
        return answered

    def tell(self, message: str, device: str | None = None) -> None:
        """Say something in its record, and on its page."""
        self._kept.handle(Notice(message=message, device=device))

    def run(
        self,
        load: Callable[[], api.Fleet],
        backups: Path,
        notes: BoardNotes,
        tell_bug: Callable[[Exception], None],
    ) -> None:
        """Do it, on the thread of the queue. Never raises: what went wrong is told."""
        if self.cancel.cancelled():
            self.leave(cancelled=True)
            return
        state: RunState = "failed"
        try:
            fleet = load()
            for warning in fleet.warnings:
                self.tell(f"warning: {fleet.masked(warning)}")
            report = self._report(fleet, backups, notes)
            state = "cancelled" if report.interrupted else "finished"
        except ProvisionError as error:
            self._kept.handle(RunFailed.of(error))
        except Exception as error:  # noqa: BLE001 - a bug; the other jobs go on
            tell_bug(error)
            self._kept.handle(RunFailed.of(ProvisionError(f"{type(error).__name__}: {error}")))
        finally:
            self.view.end(state)
            self._kept.close()

    def _report(self, fleet: api.Fleet, backups: Path, notes: BoardNotes) -> api.RunReport:
        devices = list(self.devices)
        told, cancel = self._kept.handle, self.cancel
        together: _Told = {"limit": devices, "on_event": told, "cancel": cancel}
        match self.action:
            case "plan":
                return api.plan(fleet, diff=True, operator=True, **together)
            case "apply":
                return api.apply(
                    fleet, diff=True, operator=True, confirm=self.questions, **together
                )
            case "check":
                return api.check(fleet, operator=True, **together)
            case "reset":
                return api.reset(fleet, operator=True, **together)
            case "backup":
                report, where = api.backup(fleet, backups, **together)
                for device, path in where.items():
                    self.tell(f"backup in {path}", device)
                return report
            case "facts":
                report = api.facts(fleet, **together)
                for item in report.devices:
                    if item.actual is not None and item.error is None:
                        notes.observed(item.device, item.actual)
                return report
            case "ls":
                report, found = api.ls(
                    fleet, dict.fromkeys(devices, ("/",)), recursive=True, on_event=told,
                    cancel=cancel,
                )  # fmt: skip
                for device, entries in found.items():
                    notes.listed(device, entries)
                return report
            case "cp":
                (device,), path = devices, str(self.path)
                with TemporaryDirectory() as folder:
                    target = Path(folder) / "file"
                    report = api.fetch(
                        fleet, {device: [path]}, target, on_event=told, cancel=cancel
                    )
                    if target.is_file():
                        notes.read(device, path, target.read_bytes(), fleet.masked)
                return report

    def _handle(self, event: api.Event) -> None:
        self.view.handle(event)

    def _asked(self, device: str, waits: bool) -> None:
        self.view.ask(device, waits)

    def _changed(self, keys: Iterable[str]) -> None:
        self._on_change(self, keys)


class JobQueue:
    """The jobs of one server, in the order they were asked for, and a thread that does them."""

    def __init__(
        self,
        load: Callable[[], api.Fleet],
        *,
        manifest: Path,
        backups: Path,
        notes: BoardNotes,
        claim: Callable[[Sequence[str]], AbstractContextManager[None]],
        on_change: OnJob,
        suggest: Redact,
        tell_bug: Callable[[Exception], None],
    ) -> None:
        """`load` reads the fleet anew before each job; `claim` has the ports of devices free while
        it lasts; `on_change` is told which pieces of which job have changed, from any thread."""
        self._load = load
        self._manifest = manifest
        self._backups = backups
        self._notes = notes
        self._claim = claim
        self._on_change = on_change
        self._suggest = suggest
        self._tell_bug = tell_bug
        self._changed = threading.Condition()
        self._waiting: deque[Job] = deque()
        self._running: Job | None = None
        self._over: deque[Job] = deque(maxlen=KEPT_IN_MEMORY)
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="provision-jobs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def running(self) -> Job | None:
        return self._running

    @property
    def jobs(self) -> tuple[Job, ...]:
        """Those that wait, the last first, the one that runs, and those that are over, the last
        first."""
        with self._changed:
            running = [self._running] if self._running is not None else []
            return (*reversed(self._waiting), *running, *reversed(self._over))

    def job(self, run: str) -> Job | None:
        """The job of that id, while it is remembered here."""
        return next((job for job in self.jobs if job.id == run), None)

    def submit(
        self, action: Action | Look, devices: Sequence[str], *, path: str | None = None
    ) -> Job:
        """Queue a job, or give the same one that waits already, as for a button that is pressed
        twice; UsageError for one too many."""
        with self._changed:
            if self._closed:
                raise UsageError("this server is stopping", hint="start it again, and try again")
            if len(self._waiting) >= MOST_WAITING:
                raise UsageError(
                    f"{MOST_WAITING} jobs wait already", hint="wait for one to end, or cancel one"
                )
            same = [
                job
                for job in self._waiting
                if (job.action, job.path) == (action, path) and set(job.devices) == set(devices)
            ]
            if same:
                return same[0]
            job = Job(action, devices, path=path, on_change=self._on_change, suggest=self._suggest)
            job.queued(self._manifest)
            self._waiting.append(job)
            self._changed.notify_all()
        self._on_change(job, [HEAD])
        return job

    def stop(self, job: Job) -> None:
        """Ask a job to end; one that waits is over at once."""
        if self._withdraw(job):
            job.leave(cancelled=True)
        else:
            job.stop()

    def _withdraw(self, job: Job) -> bool:
        """Take a job out that waits; whether it did."""
        with self._changed:
            waits = job in self._waiting
            if waits:
                self._waiting.remove(job)
                self._over.append(job)
            return waits

    def close(self) -> None:
        """No job is begun any more, and the one that runs is asked to end. Of those that wait the
        records tell the next server that they were not started."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            waiting, running = list(self._waiting), self._running
        for job in waiting:
            if self._withdraw(job):
                job.leave(cancelled=False)
        if running is not None:
            running.stop()

    def join(self) -> None:
        """Wait until the last job has ended, once the queue is closed."""
        self._thread.join()

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                job = self._running = self._waiting.popleft()
            with self._claim(job.devices):
                job.run(self._load, self._backups, self._notes, self._tell_bug)
            with self._changed:
                self._running = None
                self._over.append(job)
            self._on_change(job, [HEAD])
