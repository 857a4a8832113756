"""The ledger as a file: opened, made, its schema, and how a transaction waits for another.

SQLite in WAL mode, so that who lists is in nobody's way, and with synchronous=FULL: a number that
was given is on the disk before a board hears of it, also when the power of the computer fails. The
file is opened with the manners of this tool: a link out of the project, a pipe or a device is none.
"""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from provision.atomic_files import locked, plain_file, sync_directory
from provision.errors import LedgerError

APPLICATION = 0x50764C67  # "PvLg", in the file's header
VERSION = 2
PATIENCE = 120.0  # seconds to wait for other stations, which hold the ledger for milliseconds
_BUSY, _LOCKED, _FULL = 5, 6, 13  # SQLite's own numbers, which Python names since 3.11

_SCHEMA = """
CREATE TABLE unit (
    number TEXT PRIMARY KEY NOT NULL,
    counter INTEGER,
    state TEXT NOT NULL CHECK (state IN ('free', 'reserved', 'done', 'scrapped')),
    changed TEXT NOT NULL,
    name TEXT, mac TEXT, station TEXT, socket TEXT, operator TEXT, seconds REAL, reason TEXT,
    "commit" TEXT, firmware_version TEXT, firmware_sha256 TEXT,
    files TEXT NOT NULL DEFAULT '{}', checks TEXT NOT NULL DEFAULT '[]', certificate TEXT,
    CHECK (state NOT IN ('reserved', 'done') OR mac IS NOT NULL)
);
CREATE UNIQUE INDEX unit_mac ON unit (mac) WHERE state IN ('reserved', 'done');
CREATE UNIQUE INDEX unit_counter ON unit (counter);
CREATE TABLE attempt (
    id TEXT PRIMARY KEY NOT NULL,
    number TEXT NOT NULL REFERENCES unit (number),
    mac TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('make', 'look')),
    outcome TEXT NOT NULL,
    started TEXT NOT NULL,
    station TEXT NOT NULL, socket TEXT NOT NULL, operator TEXT NOT NULL,
    seconds REAL, reason TEXT,
    reserved INTEGER NOT NULL DEFAULT 0,
    checks TEXT NOT NULL DEFAULT '[]', certificate TEXT
);
CREATE INDEX attempt_number ON attempt (number);
CREATE INDEX attempt_working ON attempt (station) WHERE outcome = 'working';
"""

_FROM_VERSION_1 = """
ALTER TABLE unit ADD COLUMN certificate TEXT;
ALTER TABLE attempt ADD COLUMN checks TEXT NOT NULL DEFAULT '[]';
ALTER TABLE attempt ADD COLUMN certificate TEXT;
"""


def connect(
    path: Path, *, root: Path | None, create: bool, check: bool = False
) -> sqlite3.Connection:
    """Open a ledger, made where there is none and `create` says so; LedgerError when it cannot be
    used. `root` is what it must lie in; with `check`, its pages are looked at as well."""
    place = _place(path, root=root, create=create)
    try:
        with locked("ledger", str(place)):  # no two processes make it, or turn it to WAL, at once
            connection = sqlite3.connect(
                place, timeout=PATIENCE, isolation_level=None, check_same_thread=False
            )
            try:
                _prepare(connection, path)
                if check:
                    _check(connection, path)
            except BaseException:
                connection.close()
                raise
        sync_directory(place.parent)
    except sqlite3.Error as error:
        raise failure(path, error) from error
    return connection


@contextmanager
def transaction(connection: sqlite3.Connection, path: Path) -> Iterator[sqlite3.Connection]:
    """All of it, or nothing: it has the ledger for itself from its first line on, and is on the
    disk when this ends. Waits for other processes."""
    try:
        _begin(connection)
        try:
            yield connection
        except BaseException:
            with suppress(sqlite3.Error):
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        with suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise failure(path, error) from error


def failure(path: Path, error: sqlite3.Error) -> LedgerError:
    """What SQLite said, as what a person can do."""
    if _is_busy(error):
        return LedgerError(
            f"{path} has been held by another program for {PATIENCE:.0f} seconds",
            hint="close the program that has it open, a database browser with unsaved changes "
            "perhaps, then go on",
        )
    if getattr(error, "sqlite_errorcode", 0) == _FULL or "full" in str(error):
        return LedgerError(
            f"{path} cannot be written: the disk is full",
            hint="make room on its disk, then plug the board in again: it keeps its number",
        )
    if isinstance(error, sqlite3.OperationalError) and (
        "readonly" in str(error) or "unable to open" in str(error)
    ):
        return LedgerError(
            f"{path} cannot be written, or its folder cannot: SQLite keeps a log beside it",
            hint="see to the permissions of both; to look at one in a read-only place, copy it to "
            "another folder and name the copy with --ledger",
        )
    return LedgerError(f"{path} cannot be used: {error}")


def _begin(connection: sqlite3.Connection) -> None:
    """SQLite waits by itself, but for some moments of its own (a log that is being recovered) in
    which it gives up at once."""
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            if not _is_busy(error) or time.monotonic() >= deadline:
                raise
            time.sleep(0.01)  # between two attempts at what tells of no end
        else:
            return


def _is_busy(error: sqlite3.Error) -> bool:
    code = getattr(error, "sqlite_errorcode", None)  # since Python 3.11
    if code is not None:
        return code & 0xFF in (_BUSY, _LOCKED)
    return "locked" in str(error) or "busy" in str(error)


def _place(path: Path, *, root: Path | None, create: bool) -> Path:
    """The regular file that a path leads to, and no links or pipes beside it either."""
    try:
        place = plain_file(path, root=root)
    except FileNotFoundError:
        if not create:
            raise LedgerError(
                f"there is no ledger {path}",
                hint="`provision station` makes it; `--ledger FILE` names another one",
            ) from None
        place = _parent(path, root) / path.name
    except OSError as error:
        raise _unusable(path, error) from error
    for suffix in ("-wal", "-shm", "-journal"):
        beside = place.with_name(place.name + suffix)
        with suppress(FileNotFoundError):
            try:
                plain_file(beside, root=place.parent)
            except FileNotFoundError:
                raise
            except OSError as error:
                raise _unusable(beside, error) from error
    return place


def _parent(path: Path, root: Path | None) -> Path:
    folder = Path(os.path.realpath(path.parent))
    if not folder.is_dir():
        raise LedgerError(f"there is no folder {path.parent}", hint="make it, or name another one")
    if root is not None and not folder.is_relative_to(root):
        reason = f"it lies outside of the project in {root}"
        raise LedgerError(f"{path} cannot be used: {reason}", hint="name it with --ledger")
    return folder


def _unusable(path: Path, error: OSError) -> LedgerError:
    return LedgerError(
        f"{path} cannot be used: {error.strerror or error}",
        hint="a ledger is a file of its own; name another one with --ledger",
    )


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA trusted_schema = OFF")
    application = _value(connection, "PRAGMA application_id")
    version = _value(connection, "PRAGMA user_version")
    tables = _value(connection, "SELECT count(*) FROM sqlite_master")
    if not tables and not application and not version:
        with closing(connection.cursor()) as cursor:
            cursor.execute("PRAGMA journal_mode = WAL")
            cursor.execute("PRAGMA synchronous = FULL")
            cursor.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA application_id = {APPLICATION}; "
                f"PRAGMA user_version = {VERSION}; COMMIT;"
            )
        application, version = APPLICATION, VERSION
    if application == APPLICATION and version == 1:
        with closing(connection.cursor()) as cursor:
            cursor.executescript(
                f"BEGIN IMMEDIATE; {_FROM_VERSION_1} PRAGMA user_version = {VERSION}; COMMIT;"
            )
        version = VERSION
    if application != APPLICATION:
        raise LedgerError(
            f"{path} is a database of another program",
            hint="a ledger is a file of its own; name another one with --ledger",
        )
    if version != VERSION:
        raise LedgerError(
            f"{path} is a ledger of version {version}, and this provision knows version {VERSION}",
            hint="use the provision that made it, or a newer one; nothing was changed",
        )
    mode = _value(connection, "PRAGMA journal_mode = WAL")
    if mode != "wal":
        raise LedgerError(
            f"{path} cannot be shared: its filesystem does not let SQLite keep a log beside it",
            hint="put the ledger on a disk of this computer",
        )
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("PRAGMA foreign_keys = ON")


def _check(connection: sqlite3.Connection, path: Path) -> None:
    said = _value(connection, "PRAGMA integrity_check(1)")
    if said != "ok":
        raise LedgerError(f"{path} is damaged: {said}")


def _value(connection: sqlite3.Connection, statement: str) -> object:
    row = connection.execute(statement).fetchone()
    return row[0] if row is not None else None
