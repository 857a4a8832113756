"""The processes that do the runs of a rehearsal: as many at once as there are processors, each with
the twins of some devices, and ended with whoever started them.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from provision.core.rehearsal.report import BROKE_OFF, Finding, RunResult, TwinReport
from provision.core.rehearsal.schedule import PlannedRun, in_groups
from provision.core.wording import printable
from provision.errors import UsageError
from provision.model.language import record
from provision.rehearsal.twin_fleet import Options
from provision.rehearsal.worker import NO_ROOM_HINT, Job, twin_report

_ENDING = 30.0  # seconds for a worker to stop its boards
_HERE = str(Path(__file__).parents[2])
WORKER = (
    "import sys; sys.path[:] = filter(None, sys.path); "
    "from provision.rehearsal.worker import main; sys.exit(main())"
)
CLEANER = WORKER.replace("worker import main", "twins import remove_all as main")
"""`python -m` would take modules from the folder that the user is in, where a project for boards
may well have a `secrets.py` or a `json.py` of its own."""


@contextlib.contextmanager
def room_for_twins() -> Iterator[None]:
    """While a rehearsal writes to its own folder; UsageError where that cannot be."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"no room for the twins in {tempfile.gettempdir()}: {error.strerror or error}",
            hint="make room there, or have it elsewhere: `TMPDIR=/var/tmp provision rehearse`",
        ) from error


@record(kw_only=False)
class _Part:
    """What a worker has answered, and how long it took."""

    job: Job
    answer: Mapping[str, Any]
    seconds: float


@dataclass(kw_only=True)
class Workers:
    """`older` are the manifests of earlier commits, `folder` is where each has its own; `forks` is
    how many at once, 0 for one a processor."""

    manifest: Path
    devices: Sequence[str]
    older: Mapping[str, Path]
    options: Options
    folder: Path
    forks: int = 0
    _processes: list[subprocess.Popen[str]] = field(default_factory=list)
    _stopping: bool = False

    def carry_out(self, planned: Sequence[PlannedRun]) -> Iterator[RunResult]:
        """The runs, as they end."""
        groups = in_groups(self.devices)
        parts: dict[PlannedRun, list[_Part]] = {run: [] for run in planned}
        with ThreadPoolExecutor(self.forks or os.cpu_count() or 1) as pool:
            pending: set[Future[_Part]] = {
                pool.submit(self._do, self._job(run, number, group))
                for run in planned
                for number, group in enumerate(groups)
            }
            try:
                while pending:
                    done, pending = wait(pending, return_when=FIRST_COMPLETED)
                    for part in (future.result() for future in done):
                        run = part.job.run
                        parts[run].append(part)
                        if len(parts[run]) == len(groups):
                            yield self._joined(run, parts[run])
            finally:
                for future in pending:
                    future.cancel()
                self.stop()

    def stop(self) -> None:
        """End them all, and wait until their boards are gone."""
        self._stopping = True
        running = [process for process in self._processes if process.returncode is None]
        for process in running:
            process.terminate()
        for process in running:
            try:
                process.wait(_ENDING)
            except subprocess.TimeoutExpired:
                process.kill()

    def _job(self, run: PlannedRun, number: int, devices: tuple[str, ...]) -> Job:
        return Job(
            manifest=self.manifest.absolute(),
            devices=devices,
            run=run,
            options=self.options,
            folder=self.folder / f"{run.seed}-{number}",
            older=self.older[run.start.commit] if run.start.commit is not None else None,
        )

    def _do(self, job: Job) -> _Part:
        began = time.monotonic()
        if self._stopping:  # and nobody waits for what comes of it
            return _Part(job, {"error": "stopped", "hint": "", "code": BROKE_OFF}, 0.0)
        log = job.folder.with_suffix(".log")
        with room_for_twins():
            job.folder.mkdir(mode=0o700)
            log.touch()
        known = os.environ.get("PYTHONPATH", "")
        path = os.pathsep.join(filter(None, (_HERE, known)))
        with (
            log.open("w", encoding="utf-8") as said,
            subprocess.Popen(
                [sys.executable, "-c", WORKER],
                env={**os.environ, **job.environment, "PYTHONPATH": path},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=said,
                text=True,
                start_new_session=True,
            ) as process,
        ):
            self._processes.append(process)
            if self._stopping:
                process.terminate()
            assert process.stdin is not None
            assert process.stdout is not None
            with contextlib.suppress(BrokenPipeError):  # its log says what it ended of
                process.stdin.write(job.to_json() + "\n")
                process.stdin.flush()  # and left open: the worker ends when it is closed
            line = process.stdout.readline()
        if not line:  # killed, as by a system without memory: its boards run on
            subprocess.run(
                [sys.executable, "-c", CLEANER],
                env={**os.environ, **job.environment, "PYTHONPATH": path},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        return _Part(job, _answer(line, log, process), time.monotonic() - began)

    def _joined(self, run: PlannedRun, parts: Sequence[_Part]) -> RunResult:
        """One run, of what each group of its devices came to."""
        twins: dict[str, TwinReport] = {}
        notes: dict[str, None] = {}
        for part in parts:
            if "error" in part.answer:
                finding = Finding(
                    code=part.answer["code"],
                    message=part.answer["error"],
                    hint=part.answer["hint"],
                )
                twins |= {
                    device: TwinReport(device=device, seconds=part.seconds, findings=(finding,))
                    for device in part.job.devices
                }
                continue
            twins |= {each["device"]: twin_report(each) for each in part.answer["twins"]}
            notes.update(dict.fromkeys(part.answer["notes"]))
        return RunResult(
            run=run,
            twins=tuple(twins[device] for device in self.devices),
            seconds=max(part.seconds for part in parts),
            notes=tuple(notes),
        )


def _answer(line: str, log: Path, process: subprocess.Popen[str]) -> Mapping[str, Any]:
    try:
        answer: Mapping[str, Any] = json.loads(line)
    except ValueError:
        last = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
        why = last[-1] if last else f"exit code {process.returncode}"
        return {
            "error": f"its process ended without a result: {printable(why)}",
            "hint": NO_ROOM_HINT,
            "code": BROKE_OFF,
        }
    return answer
