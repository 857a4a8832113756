"""`python -m provision.rehearsal.worker`: the twins of one run, from their start to the verdict.

One line of JSON comes on standard input, the job; one goes to standard output, its result. Records,
locks and boards of this process are its own (`job.environment`); it ends when its starter does.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from provision.app import run_task
from provision.core.rehearsal.faults import draw_board_faults
from provision.core.rehearsal.report import BROKE_OFF, Finding, TwinReport
from provision.core.rehearsal.schedule import PlannedRun, Start
from provision.core.rehearsal.verdict import Files, lost_files, sample_path, unstable, wrong_files
from provision.core.wording import listed, one_line
from provision.engine.cancellation import Cancellation
from provision.engine.task import Task
from provision.engine.tasks.apply import ApplyTask
from provision.errors import Interrupted, ProvisionError, SimulatorError
from provision.model.event import Event, ManualActionNeeded
from provision.model.language import record
from provision.model.plan import Plan, phase_of
from provision.model.report import DeviceReport
from provision.model.state import DesiredState
from provision.output.text import action_text
from provision.project.fleet import Fleet
from provision.rehearsal.findings import finding_of, repl_kept_away
from provision.rehearsal.prompt_task import PromptTask
from provision.rehearsal.twin_fleet import (
    Options,
    TwinFleet,
    for_earlier,
    make_twins,
    on_twins,
    open_for_twins,
)
from provision.rehearsal.twins import Twin, mend, remove, start_all

RUN_IN = 1.0
"""Seconds for which apps run before their boards are looked at, as they would in the field."""
_RUN_IN_EACH = 0.05  # and more for each twin, which share a computer
_MANUAL_TIMEOUT = 60.0
_USB_UP = 10.0
_POLL = 0.05  # no virtual board tells of its port by itself
_PRESSED_AGAIN = 5  # calls for a person, one a second
NO_ROOM_HINT = "see that the computer has memory and disk left, then run again"
_SAMPLE = b"what a board has made itself\n" * 8


@record(slots=False)
class Job:
    """`older` is the manifest as it was at the commit of the run's start. `folder` is this job's
    own; it is removed in the end."""

    manifest: Path
    devices: tuple[str, ...]
    run: PlannedRun
    options: Options
    folder: Path
    older: Path | None = None

    @property
    def environment(self) -> dict[str, str]:
        """Where a process that does this keeps what is its own."""
        return {
            "PROVISION_SIM_HOME": str(self.folder / "boards"),
            "PROVISION_STATE_DIR": str(self.folder / "state"),
            "PROVISION_RUNTIME_DIR": str(self.folder / "run"),
        }

    def to_json(self) -> str:
        run = {"seed": self.run.seed, "start": asdict(self.run.start), "faults": self.run.faults}
        return json.dumps(
            {
                "manifest": str(self.manifest),
                "devices": self.devices,
                "run": run,
                "options": self.options.as_json(),
                "folder": str(self.folder),
                "older": str(self.older) if self.older is not None else None,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Job:
        data = json.loads(text)
        run = data["run"]
        return cls(
            manifest=Path(data["manifest"]),
            devices=tuple(data["devices"]),
            run=PlannedRun(seed=run["seed"], start=Start(**run["start"]), faults=run["faults"]),
            options=Options.from_json(data["options"]),
            folder=Path(data["folder"]),
            older=Path(data["older"]) if data["older"] is not None else None,
        )


class Rehearser:
    """One job. A device that is found wanting is left out of what comes after."""

    def __init__(self, job: Job, cancel: Cancellation, stopped: threading.Event) -> None:
        self._job = job
        self._cancel = cancel
        self._stopped = stopped
        self._began = time.monotonic()
        self._notes: list[str] = []
        self._findings: dict[str, list[Finding]] = {name: [] for name in job.devices}
        self._ended: dict[str, float] = {}
        self._plans: dict[str, list[Plan]] = {name: [] for name in job.devices}
        self._named: dict[str, set[str]] = {name: set() for name in job.devices}
        self._faults: dict[str, tuple[str, ...]] = {}
        self._struck: set[str] = set()
        self._twins: Mapping[str, Twin] = {}
        self._new = {*job.devices}  # their twins hold nothing that could be lost

    def rehearse(self) -> Mapping[str, Any]:
        """The result, as JSON has it."""
        job = self._job
        loaded = open_for_twins(job.manifest, job.options, limit=job.devices)
        self._twins = make_twins(loaded, job.folder)
        try:
            start_all(self._twins.values())
            now = on_twins(loaded, self._twins, job.folder / "fleet.lock", job.options)
            self._prepare(now)
            before = self._look(now)
            if job.run.faults:
                self._disturb(now)
            self._apply(now, plans=self._plans)
            self._run_in()
            self._judge_prompts(now)
            self._judge_convergence(now)
            self._judge_files(now, before)
        finally:
            remove(self._twins.values())
        return self._result()

    # The way through

    def _prepare(self, now: TwinFleet) -> None:
        """Bring the twins to where the run starts from."""
        start = self._job.run.start
        if start.kind == "locked":
            self._apply(now)
            self._new.clear()
        elif start.kind == "older" and self._job.older is not None:
            options = for_earlier(self._job.manifest, self._job.options)
            then = on_twins(
                open_for_twins(self._job.older, options),
                self._twins,
                self._job.folder / "fleet.lock",
                options,
                only=self._job.devices,
            )
            if then.states:
                self._note_names(then.fleet.states)
                failed = self._apply_quietly(then)
                self._new -= {state.device for state in then.fleet.states}
                if failed:
                    self._notes.append(
                        f"{start}: {listed(failed)} did not converge to that state itself, and was "
                        "rehearsed from what it left"
                    )
            self._notes += then.notes
        self._note_names(now.fleet.states)

    def _note_names(self, states: Iterable[DesiredState]) -> None:
        for state in states:
            self._named[state.device].update(file.dest for file in state.files)

    def _look(self, now: TwinFleet) -> Mapping[str, Files]:
        """What is on each twin once its app has run, and a file of the kind that apps make."""
        found: dict[str, Files] = {}
        devices = [device for device in self._well() if device not in self._new]
        if devices:
            self._run_in()
        for device in devices:
            twin = self._twins[device]
            twin.power(False)
            path = sample_path(now.states[device])
            if path is not None:
                twin.put(path, _SAMPLE)
            found[device] = twin.files()
            twin.power(True)
        self._await_ports()
        return found

    def _disturb(self, now: TwinFleet) -> None:
        """An apply in which cables are pulled and the power is cut, and a hand that mends it."""
        for device in self._well():
            drawn = draw_board_faults(self._job.run.seed, device)
            self._faults[device] = tuple(map(str, drawn))
            for fault in drawn:
                self._twins[device].order(fault)
        for report in self._run(now, ApplyTask(yes=self._job.options.yes), self._well()):
            if report.outcome not in ("ok", "changed"):
                self._struck.add(report.device)
            if report.plan is not None:
                self._plans[report.device].append(report.plan)
        for device in self._well():
            mend(self._twins[device].name)
            self._twins[device].power(True)
        self._await_ports()

    def _apply(self, fleet: TwinFleet, plans: Mapping[str, list[Plan]] | None = None) -> None:
        """An apply that has to end well; what does not is a finding."""
        for report in self._run(fleet, ApplyTask(yes=self._job.options.yes), self._well()):
            if report.plan is not None and plans is not None:
                plans[report.device].append(report.plan)
            if report.error is not None:
                self._failed(report.device, report.error, fleet)

    def _apply_quietly(self, fleet: TwinFleet) -> tuple[str, ...]:
        """An apply of a state that is none of today's: the devices that it did not bring there."""
        devices = [name for name in self._well() if name in fleet.states]
        reports = self._run(fleet, ApplyTask(yes=self._job.options.yes), devices)
        return tuple(each.device for each in reports if each.error is not None)

    def _judge_prompts(self, now: TwinFleet) -> None:
        """Of an app that sleeps deeply, or restarts its board, nobody expects a prompt: whether
        apply gets at that board all the same is seen next."""
        starts = {device: self._twins[device].starts for device in self._well()}
        for report in self._run(now, PromptTask(), self._well()):
            device, twin = report.device, self._twins[report.device]
            if report.error is not None and twin.runs and twin.starts == starts[device]:
                self._find(device, repl_kept_away(report.error, now.states[device]))

    def _judge_convergence(self, now: TwinFleet) -> None:
        """A second apply has nothing to do."""
        self._run_in()
        for report in self._run(now, ApplyTask(yes=self._job.options.yes), self._well()):
            if report.error is not None:
                self._failed(report.device, report.error, now)
            elif report.plan is not None and report.outcome != "ok":
                changes = [each for each in report.plan.actions if phase_of(each) != "finish"]
                texts = [one_line(f"{action_text(each)} ({each.reason})") for each in changes]
                state, named = now.states[report.device], self._named[report.device]
                self._find(report.device, unstable(state, report.plan, named=named, texts=texts))

    def _judge_files(self, now: TwinFleet, before: Mapping[str, Files]) -> None:
        for device in self._well():
            self._twins[device].power(False)
            state, after = now.states[device], self._twins[device].files()
            found = [
                *wrong_files(state, after),
                *lost_files(
                    state,
                    before.get(device, {}),
                    after,
                    named=self._named[device],
                    plans=self._plans[device],
                ),
            ]
            for finding in found:
                self._find(device, finding)

    # What it takes

    def _well(self) -> tuple[str, ...]:
        """The devices of which nothing was found yet that may not be."""
        allowed = self._job.options.allow
        return tuple(
            name
            for name, found in self._findings.items()
            if all(finding.code in allowed for finding in found)
        )

    def _failed(self, device: str, error: ProvisionError, fleet: TwinFleet) -> None:
        runs = self._twins[device].runs
        self._find(device, finding_of(error, fleet.states[device], runs=runs))

    def _find(self, device: str, finding: Finding) -> None:
        if finding not in self._findings[device]:
            self._findings[device].append(finding)
        self._ended.setdefault(device, time.monotonic())

    def _run_in(self) -> None:
        if self._stopped.wait(RUN_IN + _RUN_IN_EACH * len(self._twins)):
            raise Interrupted("the rehearsal was stopped")

    def _await_ports(self) -> None:
        """A port that is the program's own comes when that has its USB up; one that does not come
        is for apply to tell of."""
        end = time.monotonic() + _USB_UP
        missing = [self._twins[device] for device in self._well()]
        while missing and time.monotonic() < end:
            missing = [twin for twin in missing if not twin.reachable]
            if missing and self._stopped.wait(_POLL):
                raise Interrupted("the rehearsal was stopped")

    def _run(
        self, fleet: TwinFleet, task: Task, devices: Collection[str]
    ) -> Sequence[DeviceReport]:
        if not devices:
            return ()
        states = tuple(state for state in fleet.fleet.states if state.device in devices)
        some: Fleet = replace(fleet.fleet, states=states)
        twins = {twin.address for twin in self._twins.values()}
        if not {state.port.value for state in states if state.port is not None} <= twins:
            raise RuntimeError("a rehearsal was about to open a port that is no twin's")
        report = run_task(
            some,
            task,
            self._cancel,
            limit=(),
            on_event=self._hands(fleet),
            operator=True,
            manual_timeout=_MANUAL_TIMEOUT,
            confirm=lambda device, _: device in self._new,
        )
        if report.interrupted:
            raise Interrupted("the rehearsal was stopped")
        return report.devices

    def _hands(self, fleet: TwinFleet) -> Callable[[Event], None]:
        """Does to a twin what a person is asked to do to its board."""
        asked: dict[tuple[str, str], int] = {}

        def on_event(event: Event) -> None:
            if not isinstance(event, ManualActionNeeded):
                return
            key = event.device, event.instructions
            asked[key] = asked.get(key, -1) + 1
            if asked[key] % _PRESSED_AGAIN == 0:
                download = event.instructions == fleet.states[event.device].board.download
                self._twins[event.device].press(download=download)

        return on_event

    def _result(self) -> Mapping[str, Any]:
        ended = time.monotonic()
        twins = [
            TwinReport(
                device=device,
                seconds=round(self._ended.get(device, ended) - self._began, 3),
                findings=tuple(found),
                faults=self._faults.get(device, ()),
                struck=device in self._struck,
            )
            for device, found in self._findings.items()
        ]
        return {"twins": [asdict(each) for each in twins], "notes": self._notes}


def twin_report(data: Mapping[str, Any]) -> TwinReport:
    """One of a result, out of JSON."""
    findings = tuple(Finding(**each) for each in data["findings"])
    return TwinReport(**{**data, "findings": findings, "faults": tuple(data["faults"])})


def remove_if_last(folder: Path) -> None:
    """Remove a rehearsal's folder whose starter is no more, unless another job is in it yet, which
    then does."""
    if not any(each.is_dir() for each in folder.glob("*-*")):
        shutil.rmtree(folder, ignore_errors=True)


def main() -> int:
    """The process: 0, and what came of the job on standard output."""
    cancel, stopped, orphaned = Cancellation(), threading.Event(), threading.Event()

    def stop(*_: object) -> None:
        cancel.cancel()
        stopped.set()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this one decides
    job = Job.from_json(sys.stdin.readline())

    def end_with_starter() -> None:
        sys.stdin.read()
        orphaned.set()
        stop()

    threading.Thread(target=end_with_starter, daemon=True).start()
    answer: Mapping[str, Any]
    try:
        answer = Rehearser(job, cancel, stopped).rehearse()
    except SimulatorError as error:  # its hint names a folder of this job, which is removed
        answer = {"error": error.message, "hint": NO_ROOM_HINT, "code": BROKE_OFF}
    except ProvisionError as error:
        answer = {"error": error.message, "hint": error.hint, "code": error.code}
    except Exception as error:
        if os.environ.get("PROVISION_REHEARSAL_DEBUG"):
            raise
        told = f"{type(error).__name__}: {error}"
        hint = NO_ROOM_HINT if isinstance(error, OSError) else "report it, with the command below"
        answer = {"error": told, "hint": hint, "code": BROKE_OFF}
    finally:
        shutil.rmtree(job.folder, ignore_errors=True)
        if orphaned.is_set():
            remove_if_last(job.folder.parent)
    sys.stdout.write(json.dumps(answer) + "\n")
    sys.stdout.flush()
    return 0


if __name__ == "__main__":
    sys.exit(main())
