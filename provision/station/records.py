"""What the ledger knows: a row for each number that was ever given, a row for each attempt.

A unit's `state` is what became of its number: "free" was given back because nothing had been
written, and is given again; "reserved" is a board's, on which something may have been written;
"done" passed; "scrapped" is never given again. Times are ISO 8601, UTC.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import field, fields
from io import StringIO
from types import MappingProxyType
from typing import Any, Literal

from provision.model.language import record

UnitState = Literal["free", "reserved", "done", "scrapped"]
AttemptOutcome = Literal["working", "passed", "failed", "released", "interrupted", "killed"]
"""`released`: it failed before anything was written; `killed`: the station ended amid it."""


@record
class Evidence:
    """What is kept of the board itself: what the steps of its `check` gave, up to the one that
    failed, and what may be told of the certificate that it was given (`CertificateFacts`)."""

    checks: Sequence[Mapping[str, Any]] = ()
    certificate: Mapping[str, str] | None = None


@record
class Attempt:
    """One visit of a board to a socket. `kind`: whether it was to be made, or only looked at."""

    id: str
    number: str
    mac: str
    kind: Literal["make", "look"]
    outcome: AttemptOutcome
    started: str
    station: str
    socket: str
    operator: str
    seconds: float | None = None
    reason: str | None = None
    evidence: Evidence = field(default_factory=Evidence)


@record
class UnitResult:
    """What is kept of a board that passed. `files` are the sha256 of its files by path, without
    those that hold secrets."""

    commit: str | None = None
    firmware_version: str | None = None
    firmware_sha256: str | None = None
    files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    evidence: Evidence = field(default_factory=Evidence)


@record
class Unit:
    """One number. `counter` is the number that it was made of, None of one from a table; `reason`
    is why it was scrapped."""

    number: str
    counter: int | None
    state: UnitState
    changed: str
    name: str | None = None
    mac: str | None = None
    station: str | None = None
    socket: str | None = None
    operator: str | None = None
    seconds: float | None = None
    reason: str | None = None
    result: UnitResult = field(default_factory=UnitResult)


def unit_data(unit: Unit, attempts: Sequence[Attempt] | None = None) -> dict[str, Any]:
    """A unit as JSON has it, in the export, for hooks and for programs."""
    data = {each.name: getattr(unit, each.name) for each in fields(unit)}
    del data["result"]
    data["commit"] = unit.result.commit
    data["firmware_version"] = unit.result.firmware_version
    data["firmware_sha256"] = unit.result.firmware_sha256
    data["files"] = dict(unit.result.files)
    data.update(_evidence_data(unit.result.evidence))
    if attempts is not None:
        data["attempts"] = [attempt_data(attempt) for attempt in attempts]
    return data


def attempt_data(attempt: Attempt) -> dict[str, Any]:
    """An attempt as JSON has it."""
    data = {each.name: getattr(attempt, each.name) for each in fields(attempt)}
    del data["evidence"]
    return {**data, **_evidence_data(attempt.evidence)}


def _evidence_data(evidence: Evidence) -> dict[str, Any]:
    certificate = evidence.certificate
    return {
        "checks": [dict(check) for check in evidence.checks],
        "certificate": dict(certificate) if certificate is not None else None,
    }


_COLUMNS = (
    "number", "state", "changed", "name", "mac", "station", "socket", "operator", "seconds",
    "reason", "commit", "firmware_version", "firmware_sha256", "files", "checks",
    "certificate",
)  # fmt: skip


def units_csv(units: Sequence[Unit]) -> str:
    """All units as CSV, for a spreadsheet."""
    lines = StringIO()
    writer = csv.writer(lines, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for unit in units:
        data = unit_data(unit)
        writer.writerow([_cell(data[name]) for name in _COLUMNS])
    return lines.getvalue()


def _cell(value: Any) -> str:
    """No text may be a formula to the spreadsheet that opens it: a board has a say in some."""
    if value is None:
        return ""
    if isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True) if value else ""
    text = str(value)
    return f"'{text}" if text[:1] in "=+-@\t\r" and text else text


def ledger_json(units: Sequence[Unit], attempts: Sequence[Attempt]) -> str:
    """All units and attempts as one JSON document."""
    data = {
        "version": 1,
        "units": [unit_data(unit) for unit in units],
        "attempts": [attempt_data(attempt) for attempt in attempts],
    }
    return json.dumps(data, indent=2) + "\n"
