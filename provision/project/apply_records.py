"""What each device's last apply came to: one small file a device, in the user's own directory.

The records of runs are the last hundred, whatever they did; this is what `provision status` tells
months later. It is made of a run's events, which are masked, and holds nothing that these do not.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, replace
from datetime import datetime, timezone
from pathlib import Path

from provision.atomic_files import private_directory, read_plain_file, write_atomic
from provision.model.event import DeviceFinished, Event, RunStarted
from provision.model.language import record

_VERSION = 1
_MOST = 64 * 1024  # bytes of a record
_ERROR_MOST = 4000  # characters of an error: in JSON, each is at most twelve bytes
_MADE = ("ok", "changed")  # the outcomes of a board that is as the manifest says


@record
class Applied:
    """When an apply left a device as the manifest said, at which commit, and on which board.

    `time` is ISO 8601, UTC; `chip` is named as flashing tools do, `version` and `machine` are what
    the firmware says of itself. None for what is not known.
    """

    time: str
    commit: str | None = None
    mac: str | None = None
    chip: str | None = None
    version: str | None = None
    machine: str | None = None


@record
class LastApply:
    """A device's last apply: when it ended, with which outcome, and the error if there was one;
    `mac` is that of the board on its port, the device's own or not.
    `made` is the last that left the device as the manifest said, which may be this very one."""

    time: str
    outcome: str
    changes: int = 0
    error: str | None = None
    code: str | None = None
    commit: str | None = None
    mac: str | None = None
    made: Applied | None = None


class ApplyRecords:
    """Keeps and finds what the runs of one `manifest`, an absolute path, came to."""

    def __init__(
        self, directory: Path, manifest: Path, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._directory = directory
        self._manifest = manifest
        self._clock = clock
        self._lock = threading.Lock()
        self._started: RunStarted | None = None

    def handle(self, event: Event) -> None:
        """Keep what is worth it, of events that are masked. What cannot be kept is no failure."""
        match event:
            case RunStarted():
                self._started = event
            case DeviceFinished() if event.outcome != "skipped":
                started = self._started
                if started is None:
                    return
                with self._lock, suppress(OSError):
                    if started.task == "apply":
                        self._keep(event, started.commit)
                    elif started.task == "rollback" and event.outcome in _MADE:
                        self._undo(event.device)

    def last(self, device: str) -> LastApply | None:
        """What is remembered; None where nothing is, or nothing that can be read."""
        try:
            data = json.loads(read_plain_file(self._path(device), most=_MOST, root=None))
        except (OSError, ValueError, RecursionError):
            return None
        if not isinstance(data, dict) or data.get("version") != _VERSION:
            return None
        texts, changes = _texts(data), data.get("changes")
        if texts["time"] is None or texts["outcome"] is None:
            return None
        return LastApply(
            time=texts["time"],
            outcome=texts["outcome"],
            changes=changes if isinstance(changes, int) else 0,
            error=texts["error"],
            code=texts["code"],
            commit=texts["commit"],
            mac=texts["mac"],
            made=_made(data.get("made")),
        )

    def _keep(self, event: DeviceFinished, commit: str | None) -> None:
        now = self._now()
        board = event.board
        if event.outcome not in _MADE or event.left or board is None:
            before = self.last(event.device)
            made = before.made if before is not None else None
        else:
            made = Applied(
                time=now,
                commit=commit,
                mac=board.mac,
                chip=board.chip.name if board.chip is not None else None,
                version=board.firmware.version if board.firmware is not None else None,
                machine=board.firmware.machine if board.firmware is not None else None,
            )
        record = LastApply(
            time=now,
            outcome=event.outcome,
            changes=event.changes,
            error=event.error[:_ERROR_MOST] if event.error is not None else None,
            code=event.code,
            commit=commit,
            mac=board.mac if board is not None else None,
            made=made,
        )
        self._write(event.device, record)

    def _undo(self, device: str) -> None:
        """A last apply that was taken back by hand; how, its own end has told otherwise."""
        last = self.last(device)
        if last is not None and last.outcome != "rolled-back":
            undone = replace(
                last,
                time=self._now(),
                outcome="rolled-back",
                changes=0,
                error="by `provision rollback`",
                code=None,
            )
            self._write(device, undone)

    def _now(self) -> str:
        return datetime.fromtimestamp(self._clock(), timezone.utc).isoformat(timespec="seconds")

    def _write(self, device: str, record: LastApply) -> None:
        head = {"version": _VERSION, "manifest": str(self._manifest), "device": device}
        private_directory(self._directory)
        write_atomic(
            self._path(device), json.dumps({**head, **asdict(record)}).encode(), mode=0o600
        )

    def _path(self, device: str) -> Path:
        whose = hashlib.sha256(f"{self._manifest}\0{device}".encode()).hexdigest()[:16]
        return self._directory / f"{whose}.json"


def _made(data: object) -> Applied | None:
    if not isinstance(data, dict):
        return None
    texts = _texts(data)
    if texts["time"] is None:
        return None
    return Applied(
        time=texts["time"],
        commit=texts["commit"],
        mac=texts["mac"],
        chip=texts["chip"],
        version=texts["version"],
        machine=texts["machine"],
    )


def _texts(data: dict[str, object]) -> defaultdict[str, str | None]:
    """What is a text in a record, which may hold anything; None for what is not there."""
    found: defaultdict[str, str | None] = defaultdict(lambda: None)
    found.update({name: value for name, value in data.items() if isinstance(value, str)})
    return found
