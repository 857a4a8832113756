"""The rows of a ledger as records, and back."""

from __future__ import annotations

import json
import sqlite3
from types import MappingProxyType
from typing import Any

from provision.station.records import Attempt, Evidence, Unit, UnitResult


def unit_of(row: sqlite3.Row) -> Unit:
    files: Any = json.loads(row["files"])
    return Unit(
        number=row["number"],
        counter=row["counter"],
        state=row["state"],
        changed=row["changed"],
        name=row["name"],
        mac=row["mac"],
        station=row["station"],
        socket=row["socket"],
        operator=row["operator"],
        seconds=row["seconds"],
        reason=row["reason"],
        result=UnitResult(
            commit=row["commit"],
            firmware_version=row["firmware_version"],
            firmware_sha256=row["firmware_sha256"],
            files=MappingProxyType(files),
            evidence=_evidence(row),
        ),
    )


def attempt_of(row: sqlite3.Row) -> Attempt:
    return Attempt(
        id=row["id"],
        number=row["number"],
        mac=row["mac"],
        kind=row["kind"],
        outcome=row["outcome"],
        started=row["started"],
        station=row["station"],
        socket=row["socket"],
        operator=row["operator"],
        seconds=row["seconds"],
        reason=row["reason"],
        evidence=_evidence(row),
    )


def evidence_columns(evidence: Evidence) -> tuple[str, str | None]:
    """Evidence as its two columns have it, `checks` and `certificate`."""
    certificate = evidence.certificate
    return (
        json.dumps([dict(check) for check in evidence.checks]),
        json.dumps(dict(certificate)) if certificate is not None else None,
    )


def _evidence(row: sqlite3.Row) -> Evidence:
    certificate = row["certificate"]
    return Evidence(
        checks=tuple(json.loads(row["checks"])),
        certificate=json.loads(certificate) if certificate is not None else None,
    )
