"""What a rehearsal came to: for each run what each device's twin came to, and the verdict."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import field, replace

from provision.core.rehearsal.schedule import PlannedRun
from provision.core.wording import listed
from provision.model.language import record

FAILED = 4
INTERRUPTED = 130
INTERNAL = 1
BROKE_OFF = "internal"
"""The code of what is no fault of the manifest: the rehearsal itself did not come to its end."""


@record
class Finding:
    """Something that is not as it has to be: a `code`, what happened and why, what to do next.
    `detail` is what else there is to it, and another each time; `allowed`: the user has said that
    it may be so."""

    code: str
    message: str
    hint: str
    detail: str = field(default="", compare=False)
    allowed: bool = False

    @property
    def whole(self) -> str:
        return f"{self.message}; {self.detail}" if self.detail else self.message


@record
class TwinReport:
    """How the twin of one device fared; `faults` are what was ordered to go wrong, and `struck` is
    whether the apply that they were meant for ended in any other way than well."""

    device: str
    seconds: float
    findings: tuple[Finding, ...] = ()
    faults: tuple[str, ...] = ()
    struck: bool = False

    @property
    def failed(self) -> bool:
        return any(not finding.allowed for finding in self.findings)


@record
class RunResult:
    """One run: its twins in the manifest's order, and what is to be known of it besides."""

    run: PlannedRun
    twins: tuple[TwinReport, ...]
    seconds: float
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> tuple[str, ...]:
        return tuple(twin.device for twin in self.twins if twin.failed)

    def allowing(self, codes: frozenset[str]) -> RunResult:
        """The same, with findings of these codes allowed."""
        twins = [
            replace(
                twin,
                findings=tuple(replace(each, allowed=each.code in codes) for each in twin.findings),
            )
            for twin in self.twins
        ]
        return replace(self, twins=tuple(twins))


@record
class Told:
    """One finding, and all the runs that came to it, each with the devices: for people, once."""

    finding: Finding
    devices: tuple[str, ...]
    runs: tuple[PlannedRun, ...]


@record(slots=False)
class Rehearsal:
    """The whole: `notes` are what a rehearsal of this manifest could not do, or did in another way
    than `apply` does. `command` repeats it, without seed and runs, and without what had `limits`
    select the devices."""

    fleet: str
    manifest: str
    devices: tuple[str, ...]
    runs: tuple[RunResult, ...]
    seconds: float
    command: tuple[str, ...]
    limits: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    interrupted: bool = False
    planned: int = field(default=0)

    @property
    def failed(self) -> tuple[str, ...]:
        """The devices that failed in any run."""
        failed = {device for result in self.runs for device in result.failed}
        return tuple(device for device in self.devices if device in failed)

    @property
    def exit_code(self) -> int:
        """DESIGN's exit codes."""
        found = [each for run in self.runs for twin in run.twins for each in twin.findings]
        if self.interrupted:
            return INTERRUPTED
        if any(each.code == BROKE_OFF for each in found):
            return INTERNAL
        return FAILED if self.failed else 0

    @property
    def told(self) -> tuple[Told, ...]:
        """The findings, those that are alike together, in the order in which they came."""
        found: dict[Finding, tuple[dict[str, None], dict[PlannedRun, None]]] = {}
        for result in self.runs:
            for twin in result.twins:
                for finding in twin.findings:
                    devices, runs = found.setdefault(finding, ({}, {}))
                    devices[twin.device] = None
                    runs[result.run] = None
        return tuple(
            Told(finding=finding, devices=tuple(devices), runs=tuple(runs))
            for finding, (devices, runs) in found.items()
        )

    def repeat(self, run: PlannedRun, devices: Sequence[str] = ()) -> str:
        """The command for one run again, of these devices only."""
        words = [*self.command, "--seed", str(run.seed), "--runs", "1", "--start", str(run.start)]
        if run.faults:
            words.append("--faults")
        limits = self.limits
        if devices and len(devices) < len(self.devices):
            limits = (",".join(devices),)
        words += [word for limit in limits for word in ("--limit", limit)]
        return shlex.join(words)

    @property
    def verdict(self) -> str:
        """The last line."""
        done, devices = len(self.runs), len(self.devices)
        runs = f"{done} run" + "s" * (done != 1)
        if self.interrupted:
            return f"interrupted after {done} of {self.planned} runs: nothing is proved"
        if not self.failed:
            return f"passed: {devices} device{'s' * (devices != 1)} in {runs}"
        bad, failed = sum(bool(result.failed) for result in self.runs), self.failed
        return f"failed: {listed(failed)} ({len(failed)} of {devices}), in {bad} of {runs}"
