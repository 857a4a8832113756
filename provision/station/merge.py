"""Two ledgers into one: those of stations that worked apart, each with a range of its own.

All of it or nothing: a number that is two boards', or a board that has two numbers, is told and
nothing is merged. To merge the same ledger again changes nothing.

Of one number the later word stands, by the stations' own clocks: a unit that was done, and failed
when it was made again elsewhere, is done no more. But what is scrapped stays so, and a number is
free only where each attempt that either ledger knows of ended before anything was written.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from provision.core.wording import listed
from provision.errors import LedgerError
from provision.model.language import record
from provision.station.ledger import Ledger
from provision.station.ledger_file import transaction
from provision.station.records import Attempt, Unit
from provision.station.rows import evidence_columns

_RANK = {"free": 0, "reserved": 1, "done": 1, "scrapped": 2}
_OWNED = ("reserved", "done")


@record
class Merged:
    """How many numbers were new here, how many went further there, how many attempts came."""

    added: int
    updated: int
    attempts: int


def conflicts(here: Sequence[Unit], there: Sequence[Unit]) -> list[str]:
    """What cannot both be true, in words."""
    known = {unit.number: unit for unit in here}
    counters = {unit.counter: unit for unit in here if unit.counter is not None}
    numbers = {unit.mac: unit.number for unit in here if unit.state in _OWNED}
    found = []
    for unit in there:
        mine = known.get(unit.number)
        if mine is not None and mine.mac and unit.mac and mine.mac != unit.mac:
            found.append(f"{unit.number} is {mine.mac} here and {unit.mac} there")
        same = counters.get(unit.counter) if unit.counter is not None else None
        if same is not None and same.number != unit.number:
            found.append(f"{unit.counter} is written {same.number} here and {unit.number} there")
        owns = unit.state in _OWNED and (mine is None or mine.state != "scrapped")
        elsewhere = numbers.get(unit.mac) if owns else None
        if elsewhere is not None and elsewhere != unit.number and not _gone(there, elsewhere):
            found.append(f"{unit.mac} is {elsewhere} here and {unit.number} there")
    return found


def _gone(there: Sequence[Unit], number: str) -> bool:
    """Whether the other ledger knows that a number is its board's no more."""
    return any(unit.number == number and unit.state == "scrapped" for unit in there)


def newer(mine: Unit, other: Unit) -> Unit:
    """Which of two settled rows of one number stands; at one and the same time, what is done."""
    return max(
        mine, other, key=lambda unit: (_RANK[unit.state], unit.changed, unit.state == "done")
    )


def settled(unit: Unit, attempts: Collection[Attempt]) -> Unit:
    """A row as it is once the attempts of both ledgers are known: a number that was in work at the
    last merge was given back since, where all that its board came to was to be released."""
    tried = [one.outcome for one in attempts if (one.number, one.mac) == (unit.number, unit.mac)]
    if unit.state != "reserved" or not tried or set(tried) != {"released"}:
        return unit
    return replace(unit, state="free", mac=None, station=None, socket=None, operator=None)


def _by_number(attempts: Sequence[Attempt]) -> Mapping[str, list[Attempt]]:
    found: defaultdict[str, list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        found[attempt.number].append(attempt)
    return found


def merge(ledger: Ledger, other: Ledger) -> Merged:
    """Take over what the other ledger knows; LedgerError when they contradict each other. What the
    other one has still in work is taken over as reserved."""
    theirs, attempts = other.units(), other.attempts()
    with ledger.using() as connection, transaction(connection, ledger.path) as at:
        stored = {unit.number: unit for unit in ledger.units()}
        have = {attempt.id: attempt for attempt in ledger.attempts()}
        new = [
            one for one in attempts
            if one.id not in have or have[one.id].outcome == "working" != one.outcome
        ]  # fmt: skip
        tried = _by_number([*{**have, **{one.id: one for one in new}}.values()])
        theirs = [settled(unit, tried[unit.number]) for unit in theirs]
        mine = {number: settled(unit, tried[number]) for number, unit in stored.items()}
        wrong = conflicts(list(mine.values()), theirs)
        if wrong:
            raise LedgerError(
                f"{other.path} and {ledger.path} contradict each other: {listed(wrong)}",
                hint="nothing was merged; `provision ledger scrap NUMBER --reason …` the wrong "
                "ones in the ledger where they are, then merge again",
            )
        standing = [newer(mine.get(unit.number, unit), unit) for unit in theirs]
        chosen = [unit for unit in standing if unit != stored.get(unit.number)]
        # What is some board's no longer first, so that its new number finds the MAC unused.
        at.executemany(_LET_GO, [(unit.number,) for unit in chosen])
        at.executemany(_PUT, list(map(_values, chosen)))
        at.executemany(_PUT_ATTEMPT, [_attempt_values(attempt) for attempt in new])
    added = sum(unit.number not in stored for unit in chosen)
    return Merged(added=added, updated=len(chosen) - added, attempts=len(new))


_LET_GO = "UPDATE unit SET state = 'free', mac = NULL WHERE number = ?"
_PUT = (
    "INSERT INTO unit (number, counter, state, changed, name, mac, station, socket, operator, "
    'seconds, reason, "commit", firmware_version, firmware_sha256, files, checks, '
    "certificate) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (number) DO UPDATE SET "
    "state = excluded.state, changed = excluded.changed, name = excluded.name, mac = excluded.mac, "
    "station = excluded.station, socket = excluded.socket, operator = excluded.operator, "
    'seconds = excluded.seconds, reason = excluded.reason, "commit" = excluded."commit", '
    "firmware_version = excluded.firmware_version, firmware_sha256 = excluded.firmware_sha256, "
    "files = excluded.files, checks = excluded.checks, certificate = excluded.certificate"
)
_PUT_ATTEMPT = (
    "INSERT INTO attempt (id, number, mac, kind, outcome, started, station, socket, operator, "
    "seconds, reason, checks, certificate) "
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET "
    "outcome = excluded.outcome, seconds = excluded.seconds, reason = excluded.reason, "
    "checks = excluded.checks, certificate = excluded.certificate"
)


def _values(unit: Unit) -> tuple[object, ...]:
    result = unit.result
    return (
        unit.number, unit.counter, unit.state, unit.changed, unit.name, unit.mac, unit.station,
        unit.socket, unit.operator, unit.seconds, unit.reason, result.commit,
        result.firmware_version, result.firmware_sha256,
        json.dumps(dict(result.files), sort_keys=True),
        *evidence_columns(result.evidence),
    )  # fmt: skip


def _attempt_values(attempt: Attempt) -> tuple[object, ...]:
    return (
        attempt.id, attempt.number, attempt.mac, attempt.kind, attempt.outcome, attempt.started,
        attempt.station, attempt.socket, attempt.operator, attempt.seconds, attempt.reason,
        *evidence_columns(attempt.evidence),
    )  # fmt: skip
