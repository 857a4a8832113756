"""A rehearsal for people, for programs and for CI systems: text, JSON, JUnit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from provision.atomic_files import write_atomic
from provision.core.rehearsal.report import Rehearsal, RunResult, TwinReport
from provision.core.wording import harmless_line, listed, plural
from provision.output.reports.junit import failed_case, xml_text
from provision.output.text import duration

_MOST_RUNS = 6
_MOST_DEVICES = 8


def opening_lines(rehearsal: Rehearsal) -> Iterator[str]:
    """What is about to happen, and what a twin is not."""
    devices, runs = len(rehearsal.devices), rehearsal.planned
    yield (
        f"rehearsing {harmless_line(rehearsal.fleet)}: {plural(devices, 'device')} on virtual "
        f"twins, {plural(runs, 'run')}"
    )
    for note in rehearsal.notes:
        yield f"note: {harmless_line(note)}"


def run_lines(result: RunResult) -> Iterator[str]:
    """One run."""
    struck = sum(twin.struck for twin in result.twins)
    faults = sum(bool(twin.faults) for twin in result.twins)
    met = f", {struck} of {plural(faults, 'apply', 'applies')} cut short" if faults else ""
    failed = result.failed
    told = f"failed: {listed(failed, _MOST_DEVICES)}" if failed else "all converged"
    yield (
        f"seed {result.run.seed}, from {result.run.start.told}: {told}{met} "
        f"({duration(result.seconds)})"
    )
    for note in result.notes:
        yield f"  note: {harmless_line(note)}"


def verdict_lines(rehearsal: Rehearsal) -> Iterator[str]:
    """Each finding once, with what to do next and the command that shows it again; the verdict."""
    for told in rehearsal.told:
        finding = told.finding
        word = "allowed" if finding.allowed else "FAILED"
        who, what = listed(told.devices, _MOST_DEVICES), harmless_line(finding.whole)
        yield f"{word} {who}: {finding.code}: {what}"
        starts = list(dict.fromkeys(f"from {run.start.told}" for run in told.runs))
        yield f"  when: {listed(starts)}"
        yield f"  hint: {harmless_line(finding.hint)}"
        yield f"  again: {rehearsal.repeat(told.runs[0], told.devices)}"
    yield rehearsal.verdict


def as_data(rehearsal: Rehearsal) -> dict[str, Any]:
    """The whole as one JSON document."""
    return {
        "fleet": rehearsal.fleet,
        "manifest": rehearsal.manifest,
        "passed": rehearsal.exit_code == 0,
        "exit_code": rehearsal.exit_code,
        "interrupted": rehearsal.interrupted,
        "seconds": round(rehearsal.seconds, 3),
        "devices": list(rehearsal.devices),
        "failed": list(rehearsal.failed),
        "notes": list(rehearsal.notes),
        "runs": [_run_data(rehearsal, result) for result in rehearsal.runs],
    }


def _run_data(rehearsal: Rehearsal, result: RunResult) -> dict[str, Any]:
    return {
        "seed": result.run.seed,
        "start": result.run.start.kind,
        "commit": result.run.start.commit,
        "faults": result.run.faults,
        "seconds": round(result.seconds, 3),
        "notes": list(result.notes),
        "devices": [
            {
                "device": twin.device,
                "outcome": "failed" if twin.failed else "ok",
                "seconds": twin.seconds,
                "faults": list(twin.faults),
                "cut_short": twin.struck,
                "findings": [
                    {
                        "code": finding.code,
                        "message": finding.whole,
                        "hint": finding.hint,
                        "allowed": finding.allowed,
                        "repeat": rehearsal.repeat(result.run, [twin.device]),
                    }
                    for finding in twin.findings
                ],
            }
            for twin in result.twins
        ],
    }


def write_junit(rehearsal: Rehearsal, path: Path) -> None:
    """A suite for each run, a case for each device; OSError where it cannot be written."""
    root = ElementTree.Element("testsuites")
    for result in rehearsal.runs:
        cases = [_case(rehearsal, result, twin) for twin in result.twins]
        suite = ElementTree.SubElement(
            root,
            "testsuite",
            name=xml_text(f"rehearse {rehearsal.fleet} seed {result.run.seed}"),
            tests=str(len(cases)),
            failures=str(sum(case.find("failure") is not None for case in cases)),
            errors=str(sum(case.find("error") is not None for case in cases)),
            skipped="0",
            time=f"{result.seconds:.3f}",
        )
        suite.extend(cases)
    if rehearsal.interrupted:
        case = ElementTree.Element("testcase", classname=xml_text(rehearsal.fleet), name="the run")
        failed_case(case, "error", "interrupted", rehearsal.verdict)
        suite = ElementTree.SubElement(
            root, "testsuite", name="interrupted", tests="1", failures="0", errors="1", skipped="0"
        )
        suite.append(case)
    ElementTree.indent(root)
    data = ElementTree.tostring(root, encoding="utf-8", xml_declaration=True)
    write_atomic(path, data + b"\n")


def _case(rehearsal: Rehearsal, result: RunResult, twin: TwinReport) -> ElementTree.Element:
    case = ElementTree.Element(
        "testcase",
        classname=xml_text(f"{rehearsal.fleet}.{result.run.start.kind}"),
        name=xml_text(twin.device),
        time=f"{twin.seconds:.3f}",
    )
    again = f"again: {rehearsal.repeat(result.run, [twin.device])}"
    bad = [finding for finding in twin.findings if not finding.allowed]
    if bad:
        more = [f"hint: {bad[0].hint}"]
        for finding in bad[1:]:
            more += [f"{finding.code}: {finding.whole}", f"hint: {finding.hint}"]
        failed_case(case, "failure", bad[0].code, bad[0].whole, [*more, again])
    told = [f"seed {result.run.seed}, from {result.run.start.told}", *twin.faults]
    told += [f"allowed: {each.code}: {each.whole}" for each in twin.findings if each.allowed]
    ElementTree.SubElement(case, "system-out").text = xml_text("\n".join(told))
    return case
