"""A JUnit report for CI systems: each device is one test case.

Unreachable, refused and interrupted devices are errors (nothing was proved), failed ones failures.
Devices that were announced and never finished are errors too: a report must not look green because
a run was cut off. A run that failed as a whole, for an invalid manifest, is a case of its own.
"""

from __future__ import annotations

import re
from pathlib import Path
from xml.etree import ElementTree

from provision.atomic_files import write_atomic
from provision.core.wording import one_line
from provision.model.event import (
    DeviceFinished,
    DevicePlanned,
    Event,
    RolloutStopped,
    RunFailed,
    RunFinished,
    RunStarted,
)
from provision.output.text import action_text, error_lines, outcome_line

# What XML 1.0 cannot hold, not even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class JUnit:
    """Collects a run and writes the report once, whole, at `close`."""

    asked_for = True

    def __init__(self, path: Path) -> None:
        self.name = f"the JUnit report {path}"
        self._path = path
        self._fleet = "fleet"
        self._task = "provision"
        self._order: tuple[str, ...] = ()
        self._plans: dict[str, str] = {}
        self._finished: dict[str, DeviceFinished] = {}
        self._seconds: float | None = None
        self._failed: RunFailed | None = None
        self._stopped: RolloutStopped | None = None

    def handle(self, event: Event) -> None:
        """Collect what belongs in the report."""
        match event:
            case RunStarted():
                self._fleet, self._task = event.fleet, event.task
                self._order = event.devices
            case DevicePlanned():
                lines = [f"{action_text(each)}: {each.reason}" for each in event.plan.actions]
                self._plans[event.device] = "\n".join(lines)
            case DeviceFinished():
                self._finished[event.device] = event
            case RolloutStopped():
                self._stopped = event
            case RunFinished():
                self._seconds = event.seconds
            case RunFailed():
                self._failed = event
            case _:
                pass

    def close(self) -> None:
        """Write the report; OSError when it cannot be."""
        devices = dict.fromkeys([*self._order, *self._finished])
        cases = [self._case(device) for device in devices]
        if self._failed is not None:
            cases.insert(0, self._run_case(self._failed))
        seconds = self._seconds
        if seconds is None:
            seconds = max((one.seconds for one in self._finished.values()), default=0.0)
        suite = ElementTree.Element(
            "testsuite",
            name=xml_text(f"{self._task} {self._fleet}"),
            tests=str(len(cases)),
            failures=str(sum(case.find("failure") is not None for case in cases)),
            errors=str(sum(case.find("error") is not None for case in cases)),
            skipped=str(sum(case.find("skipped") is not None for case in cases)),
            time=f"{seconds:.3f}",
        )
        suite.extend(cases)
        root = ElementTree.Element("testsuites")
        root.append(suite)
        ElementTree.indent(root)
        data = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
        write_atomic(self._path, data + b"\n")

    def _run_case(self, failed: RunFailed) -> ElementTree.Element:
        case = ElementTree.Element(
            "testcase", classname=xml_text(self._fleet), name="the run", time="0.000"
        )
        mistakes = [
            f"{each.file}:{each.line}:{each.column}: {each.path}{': ' * bool(each.path)}"
            f"{one_line(each.message)}"
            for each in failed.problems
        ]
        hint = [f"hint: {one_line(failed.hint)}"] if failed.hint else []
        failed_case(case, "error", failed.code, one_line(failed.error), [*mistakes, *hint])
        return case

    def _case(self, device: str) -> ElementTree.Element:
        finished = self._finished.get(device)
        case = ElementTree.Element(
            "testcase",
            classname=xml_text(self._fleet),
            name=xml_text(device),
            time=f"{finished.seconds if finished else 0.0:.3f}",
        )
        if finished is None:
            failed_case(case, "error", "unfinished", "the run ended before this device did")
            return case
        kind = _KINDS.get(finished.outcome)
        if kind is not None:
            message = finished.error or finished.outcome
            failed_case(
                case, kind, finished.code or finished.outcome, message, error_lines(finished)
            )
        elif finished.outcome == "skipped":
            skipped = ElementTree.SubElement(case, "skipped")
            if self._stopped is not None:
                skipped.set("message", xml_text(f"not started: {one_line(self._stopped.message)}"))
        told = outcome_line(finished)
        if self._plans.get(device):
            told += "\n" + self._plans[device]
        ElementTree.SubElement(case, "system-out").text = xml_text(told)
        return case


_KINDS = {
    "failed": "failure",
    "rolled-back": "failure",
    "refused": "error",
    "unreachable": "error",
    "interrupted": "error",
}


def failed_case(
    case: ElementTree.Element, tag: str, kind: str, message: str, more: list[str] | None = None
) -> None:
    """Have a case tell of a "failure" or an "error"."""
    element = ElementTree.SubElement(case, tag, type=xml_text(kind), message=xml_text(message))
    element.text = xml_text("\n".join([message, *(more or [])]))


def xml_text(text: str) -> str:
    """A text as XML can hold it."""
    return _NOT_XML.sub("�", text)
