"""Outputs that keep a run: a log file for people, and the record that every run leaves.

The log is appended to and has everything that -vv shows, with times. Records are JSON lines in the
user's state directory, private, the last hundred of them: what happened to a board last week can
be looked up there, though nobody asked for a log at the time.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import TextIO

import platformdirs

from provision.atomic_files import locked, private_directory, read_plain_file, write_atomic
from provision.errors import UsageError
from provision.model.event import ConsoleLine, Event, Printed, StageProgress
from provision.output.jsonlines import JsonLines
from provision.output.plain import Plain

RECORDS_KEPT = 100
_KEY_BYTES = 32
_EVERYTHING = 2


class LogFile:
    """Appends what -vv shows, each line with its local time, to one file."""

    asked_for = True

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        """Open the file; OSError when it cannot be opened."""
        self.name = f"the log file {path}"
        self._file = path.open("a", encoding="utf-8", errors="backslashreplace")
        self._plain = Plain(self._file, verbosity=_EVERYTHING, console=True)
        self._clock = clock

    def handle(self, event: Event) -> None:
        """Append the event's lines."""
        lines = self._plain.lines(event)
        if not lines:
            return
        now = local_time(self._clock())
        self._file.write("".join(f"{now} {line}\n" for line in lines))
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def local_time(seconds: float) -> str:
    """A time since the epoch as logs have it: this computer's own, with its distance from UTC."""
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="milliseconds")


def state_directory(environment: Mapping[str, str] = os.environ) -> Path:
    """Where this user's records are kept; `PROVISION_STATE_DIR` names another place."""
    named = environment.get("PROVISION_STATE_DIR")
    return Path(named) if named else platformdirs.user_state_path("provision")


def user_key() -> bytes:
    """32 random bytes of this user's on this computer, made when they are first asked for: what is
    digested with them tells nobody else anything. New ones each time where none can be kept."""
    path = state_directory() / "key"
    try:
        found = _kept_key(path)
        if found is None:
            with locked("key", str(path)):  # of two that make one, the second takes the first's
                found = _kept_key(path)
                if found is None:
                    private_directory(path.parent)
                    write_atomic(path, os.urandom(_KEY_BYTES), mode=0o600)
                    found = _kept_key(path)
    except (OSError, UsageError):
        found = None
    return found or os.urandom(_KEY_BYTES)


def _kept_key(path: Path) -> bytes | None:
    """None where there is none, or as a full disk leaves it."""
    if not path.exists() or path.stat().st_size != _KEY_BYTES:
        return None
    found = read_plain_file(path, most=_KEY_BYTES, root=None)
    return found if len(found) == _KEY_BYTES else None


class RunRecord:
    """Keeps a run's events, all but progress, as JSON lines in a private file of their own."""

    asked_for = False

    def __init__(
        self,
        directory: Path,
        *,
        kept: int = RECORDS_KEPT,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Create the record, and remove the oldest above `kept`; OSError when that fails."""
        private_directory(directory)
        started = datetime.fromtimestamp(clock(), timezone.utc)
        name = f"{started:%Y%m%dT%H%M%S.%fZ}-{os.getpid()}.jsonl"
        self.path = directory / name
        self.name = f"the record {self.path}"
        self._file = _open_private(self.path)
        self._lines = JsonLines(self._file, verbosity=1, clock=clock)
        _prune(self.path, kept)

    def handle(self, event: Event) -> None:
        """Keep one event. Pieces of conversation at level 2, and what boards print, would make
        records too large."""
        if not isinstance(event, (StageProgress, ConsoleLine)):
            self._lines.handle(event)

    def handle_printed(self, said: Printed) -> None:
        """Of what boards print nothing is kept."""

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _open_private(path: Path) -> TextIO:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    return os.fdopen(descriptor, "w", encoding="utf-8")


def _prune(newest: Path, kept: int) -> None:
    """Remove the oldest records beside this one, which is the newest even where a clock that was
    set back makes its name, by which they sort, the smallest. Two runs may prune at once, so that
    one is gone already is no error."""
    records = sorted(each for each in newest.parent.glob("*.jsonl") if each != newest)
    for old in records[: max(len(records) + 1 - kept, 0)]:
        old.unlink(missing_ok=True)
