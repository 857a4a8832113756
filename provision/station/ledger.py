"""The ledger of a station: which board has which number, and what became of it.

A number is reserved before the first write to a board, committed once the board has passed, and
released where nothing was written. Each step is one transaction; whatever is killed between two of
them leaves a row that says so, and the board gets its number again when it comes back.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Literal
from uuid import uuid4

from provision.core.wording import did_you_mean, harmless_line, quoted
from provision.errors import LedgerError
from provision.model.language import record
from provision.station.ledger_file import connect, failure, transaction
from provision.station.numbers import Counter, Numbers, exhausted
from provision.station.records import Attempt, AttemptOutcome, Evidence, Unit, UnitResult
from provision.station.rows import attempt_of, evidence_columns, unit_of

_NOTHING = Evidence()
_MOST_TEXT = 2000  # characters of a reason, which a board may have had a say in


@record
class Visit:
    """Who is at which socket: what every attempt has in common."""

    mac: str
    station: str
    socket: str
    operator: str


@record
class Reservation:
    """A board's number, and the attempt that was begun. `known`: it had it before."""

    unit: Unit
    attempt: str
    known: bool


@record
class Totals:
    """Of a whole ledger: units by state, attempts by kind and outcome, and the seconds that those
    took which made a unit."""

    units: Mapping[str, int]
    attempts: Mapping[tuple[str, str], int]
    seconds: float

    @property
    def yield_ratio(self) -> float | None:
        """Of the attempts to make a unit that came to an end, those that passed; None before."""
        passed = self.attempts.get(("make", "passed"), 0)
        failed = sum(self.attempts.get(("make", each), 0) for each in ("failed", "released"))
        return passed / (passed + failed) if passed + failed else None


class Ledger:
    """One open ledger. Its methods may be called from any thread; LedgerError when the file cannot
    be used."""

    def __init__(self, path: Path, connection: sqlite3.Connection) -> None:
        self.path = path
        self._connection = connection
        self._connection.row_factory = sqlite3.Row
        self._using = threading.RLock()  # a merge looks while it changes

    @classmethod
    def open(
        cls, path: Path, *, root: Path | None = None, create: bool = False, check: bool = False
    ) -> Ledger:
        """As `ledger_file.connect`."""
        return cls(path, connect(path, root=root, create=create, check=check))

    def close(self) -> None:
        with self._using:
            self._connection.close()

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def using(self) -> Iterator[sqlite3.Connection]:
        """The connection, for this thread alone."""
        with self._using:
            yield self._connection

    # -- a board's way ---------------------------------------------------------------------------

    def known(self, mac: str) -> Unit | None:
        """The unit that a board is, or None."""
        rows = self._rows(
            "SELECT * FROM unit WHERE mac = ? AND state IN ('reserved', 'done')", (mac,)
        )
        return unit_of(rows[0]) if rows else None

    def next_number(self, numbers: Numbers) -> str | None:
        """What the next board would get; nothing is reserved."""
        with self._using, transaction(self._connection, self.path) as at:
            found = _next(at, numbers)
        return found[0] if found is not None else None

    def reserve(self, visit: Visit, numbers: Numbers, *, rework: bool = False) -> Reservation:
        """Begin an attempt: a board has the number that it has, else the next one is its own.

        A unit that is done is only looked at, and stays done, unless this is a `rework`: then it
        is so no more until it has passed again. LedgerError when there is no further number.
        """
        attempt = uuid4().hex
        with self._using, transaction(self._connection, self.path) as at:
            row = at.execute(
                "SELECT * FROM unit WHERE mac = ? AND state IN ('reserved', 'done')", (visit.mac,)
            ).fetchone()
            known = row is not None
            if row is not None:
                number = row["number"]
            else:
                found = _next(at, numbers)
                if found is None:
                    raise LedgerError(
                        exhausted(numbers),
                        hint="give the station more numbers in the manifest; "
                        "`provision ledger list` shows what became of these",
                    )
                number, counter = found
                at.execute(
                    "INSERT INTO unit (number, counter, state, changed, mac) "
                    "VALUES (?, ?, 'reserved', ?, ?) ON CONFLICT (number) DO UPDATE SET "
                    "state = 'reserved', changed = excluded.changed, mac = excluded.mac",
                    (number, counter, _now(), visit.mac),
                )
            look = known and row["state"] == "done" and not rework
            if not look:
                at.execute(
                    "UPDATE unit SET state = 'reserved', changed = ?, station = ?, socket = ?, "
                    "operator = ? WHERE number = ?",
                    (_now(), visit.station, visit.socket, visit.operator, number),
                )
            _end_working(at, "number = ?", (number,), "killed", "the station ended amid it")
            at.execute(
                "INSERT INTO attempt (id, number, mac, kind, outcome, started, station, socket, "
                "operator, reserved) VALUES (?, ?, ?, ?, 'working', ?, ?, ?, ?, ?)",
                (attempt, number, visit.mac, "look" if look else "make", _now(), visit.station,
                 visit.socket, visit.operator, int(not known)),
            )  # fmt: skip
            unit = unit_of(at.execute("SELECT * FROM unit WHERE number = ?", (number,)).fetchone())
        return Reservation(unit=unit, attempt=attempt, known=known)

    def commit(self, attempt: str, result: UnitResult, *, name: str, seconds: float) -> Unit:
        """The board has passed: its unit is done, with all that is kept of it."""
        with self._using, transaction(self._connection, self.path) as at:
            row = self._working(at, attempt)
            at.execute(
                "UPDATE unit SET state = 'done', changed = ?, name = ?, seconds = ?, "
                '"commit" = ?, firmware_version = ?, firmware_sha256 = ?, files = ?, checks = ?, '
                "certificate = ? WHERE number = ?",
                (_now(), name, seconds, result.commit, result.firmware_version,
                 result.firmware_sha256, json.dumps(dict(result.files), sort_keys=True),
                 *evidence_columns(result.evidence), row["number"]),
            )  # fmt: skip
            _end(at, attempt, "passed", None, seconds, evidence=result.evidence)
            return self._reread(at, row["number"])

    def looked(self, attempt: str, *, passed: bool, reason: str | None, seconds: float) -> None:
        """A unit that is done was looked at; it stays done."""
        with self._using, transaction(self._connection, self.path) as at:
            self._working(at, attempt)
            _end(at, attempt, "passed" if passed else "failed", reason, seconds)

    def fail(
        self,
        attempt: str,
        reason: str,
        *,
        seconds: float,
        interrupted: bool = False,
        evidence: Evidence = _NOTHING,
    ) -> None:
        """Something may have been written: the number stays this board's, for its next attempt."""
        with self._using, transaction(self._connection, self.path) as at:
            self._working(at, attempt)
            outcome: AttemptOutcome = "interrupted" if interrupted else "failed"
            _end(at, attempt, outcome, reason, seconds, evidence=evidence)

    def release(
        self, attempt: str, reason: str, *, seconds: float, evidence: Evidence = _NOTHING
    ) -> None:
        """Nothing was written: a number that this very attempt had reserved is free again. One that
        was the board's before stays its own: an earlier attempt may have written."""
        with self._using, transaction(self._connection, self.path) as at:
            row = self._working(at, attempt)
            if row["reserved"]:
                at.execute(
                    "UPDATE unit SET state = 'free', changed = ?, mac = NULL, station = NULL, "
                    "socket = NULL, operator = NULL WHERE number = ? AND state = 'reserved'",
                    (_now(), row["number"]),
                )
            _end(at, attempt, "released", reason, seconds, evidence=evidence)

    def note(self, attempt: str, reason: str) -> None:
        """What went wrong after the board had passed, such as a label that was not printed."""
        with self._using, transaction(self._connection, self.path) as at:
            at.execute("UPDATE attempt SET reason = ? WHERE id = ?", (_text(reason), attempt))

    def close_attempts_of(self, station: str) -> list[Unit]:
        """What this station, when it was killed, left amid the work; the numbers stay reserved for
        their boards. Only for a station of which no other process is at work."""
        with self._using, transaction(self._connection, self.path) as at:
            rows = at.execute(
                "SELECT unit.* FROM unit JOIN attempt USING (number) "
                "WHERE attempt.outcome = 'working' AND attempt.station = ? ORDER BY number",
                (station,),
            ).fetchall()
            _end_working(at, "station = ?", (station,), "killed", "the station ended amid it")
        return [unit_of(row) for row in rows]

    def scrap(self, number: str, reason: str) -> Unit:
        """Never give this number again; its board, if it comes back, gets another one. An attempt
        that is at work on it ends with this: it can no longer pass."""
        with self._using, transaction(self._connection, self.path) as at:
            row = at.execute("SELECT * FROM unit WHERE number = ?", (number,)).fetchone()
            if row is None:
                raise self._unknown(at, number)
            if row["state"] == "scrapped":
                raise LedgerError(
                    f"{number} is scrapped already: {row['reason']}", hint="nothing was changed"
                )
            at.execute(
                "UPDATE unit SET state = 'scrapped', changed = ?, reason = ? WHERE number = ?",
                (_now(), _text(reason), number),
            )
            why = _text(f"its number was scrapped: {reason}")
            _end_working(at, "number = ?", (number,), "failed", why)
            return self._reread(at, number)

    # -- looking ---------------------------------------------------------------------------------

    def units(self, states: Sequence[str] = ()) -> list[Unit]:
        """All units, or those in these states, in the order of their numbers."""
        rows = self._rows("SELECT * FROM unit ORDER BY counter IS NULL, counter, number")
        return [unit_of(row) for row in rows if not states or row["state"] in states]

    def unit(self, number: str) -> Unit:
        """One unit by its number, or by its board's MAC; LedgerError for one that is not there."""
        rows = self._rows("SELECT * FROM unit WHERE number = ?", (number,)) or self._rows(
            "SELECT * FROM unit WHERE mac = ? ORDER BY state = 'scrapped'", (number.lower(),)
        )
        if not rows:
            with self._using:
                raise self._unknown(self._connection, number)
        return unit_of(rows[0])

    def attempts(self, number: str | None = None) -> list[Attempt]:
        """The attempts of a unit, or all, the eldest first; of one moment, by number, so that
        ledgers that were merged tell them in one order."""
        where, values = ("WHERE number = ?", (number,)) if number is not None else ("", ())
        statement = f"SELECT * FROM attempt {where} ORDER BY started, number, rowid"
        return [attempt_of(row) for row in self._rows(statement, values)]

    def totals(self) -> Totals:
        """How many there are of what."""
        units = self._rows("SELECT state, count(*) FROM unit GROUP BY state")
        attempts = self._rows(
            "SELECT kind, outcome, count(*), total(seconds) FROM attempt GROUP BY kind, outcome"
        )
        return Totals(
            units=dict(tuple(row) for row in units),
            attempts={(row[0], row[1]): row[2] for row in attempts},
            seconds=sum(row[3] for row in attempts if (row[0], row[1]) == ("make", "passed")),
        )

    # -- within a transaction --------------------------------------------------------------------

    def _working(self, at: sqlite3.Connection, attempt: str) -> sqlite3.Row:
        row: sqlite3.Row | None = at.execute(
            "SELECT attempt.*, unit.state, unit.reason AS scrapped_for FROM attempt "
            "JOIN unit USING (number) WHERE attempt.id = ?", (attempt,)
        ).fetchone()  # fmt: skip
        if row is not None and row["state"] == "scrapped":
            raise LedgerError(
                f"{row['number']} was scrapped while its board was at work: {row['scrapped_for']}",
                hint="plug the board in again: it gets another number",
            )
        if row is None or row["outcome"] != "working":
            what = row["outcome"] if row is not None else "not there"
            raise LedgerError(
                f"the attempt that ends here is {what} in {self.path}",
                hint="is another station of the same name at work? give each a --station of its "
                "own; then plug the board in again",
            )
        return row

    def _reread(self, at: sqlite3.Connection, number: str) -> Unit:
        return unit_of(at.execute("SELECT * FROM unit WHERE number = ?", (number,)).fetchone())

    def _unknown(self, at: sqlite3.Connection, number: str) -> LedgerError:
        known = [row[0] for row in at.execute("SELECT number FROM unit LIMIT 10000")]
        near = did_you_mean(number, known)
        return LedgerError(
            f"there is no {quoted(number)} in {self.path}{near}", hint="`provision ledger list`"
        )

    def _rows(self, statement: str, values: Sequence[object] = ()) -> list[sqlite3.Row]:
        try:
            with self._using:
                return self._connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise failure(self.path, error) from error


def _next(at: sqlite3.Connection, numbers: Numbers) -> tuple[str, int | None] | None:
    """The number to be given, with the counter that it is made of: one that was released before
    one that was never given."""
    if not isinstance(numbers, Counter):
        taken = {row[0] for row in at.execute("SELECT number FROM unit WHERE state <> 'free'")}
        found = next((number for number in numbers.rows if number not in taken), None)
        return (found, None) if found is not None else None
    end = numbers.end if numbers.end is not None else (1 << 63) - 1
    for free in at.execute(
        "SELECT number, counter FROM unit WHERE state = 'free' AND counter BETWEEN ? AND ? "
        "ORDER BY counter",
        (numbers.start, end),
    ):
        if free["number"] == numbers.written(free["counter"]):  # else it was of another format
            return free["number"], free["counter"]
    highest = at.execute(
        "SELECT max(counter) FROM unit WHERE counter BETWEEN ? AND ?", (numbers.start, end)
    ).fetchone()[0]
    value = numbers.start if highest is None else highest + 1
    while value <= end:
        written = numbers.written(value)
        if not at.execute("SELECT 1 FROM unit WHERE number = ?", (written,)).fetchone():
            return written, value
        value += 1
    return None


def _end_working(
    at: sqlite3.Connection,
    whose: Literal["number = ?", "station = ?"],
    values: tuple[str],
    outcome: AttemptOutcome,
    reason: str,
) -> None:
    at.execute(
        f"UPDATE attempt SET outcome = ?, reason = ? WHERE outcome = 'working' AND {whose}",
        (outcome, reason, *values),
    )


def _end(
    at: sqlite3.Connection,
    attempt: str,
    outcome: AttemptOutcome,
    reason: str | None,
    seconds: float,
    *,
    evidence: Evidence = _NOTHING,
) -> None:
    at.execute(
        "UPDATE attempt SET outcome = ?, reason = ?, seconds = ?, checks = ?, certificate = ? "
        "WHERE id = ?",
        (outcome, _text(reason) if reason is not None else None, seconds,
         *evidence_columns(evidence), attempt),
    )  # fmt: skip


def _text(text: str) -> str:
    return harmless_line(text)[:_MOST_TEXT]


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec="microseconds")
