"""What came of the last check of each board: one small file a board, in the user's own directory.

The file says on which state of the board the check passed or failed, or that it was begun. It is
the board's, whichever manifest it is from: a board has one state. Whoever knows nothing of a board,
as on another computer, runs its check once. What a board said is not kept: it may hold a secret.
"""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from pathlib import Path
from typing import cast

from provision.atomic_files import private_directory, state_not_written, write_atomic
from provision.model.state import CheckOutcome, CheckRecord

_RECORD = re.compile(rb"(begun|passed|failed) ([0-9a-f]{64})?\n")
_MOST = 100  # bytes of a record


class CheckRecords:
    """Implements `interfaces.CheckRecords` in a directory of the user's own, for the runs of one
    `manifest`, an absolute path."""

    def __init__(self, directory: Path, manifest: Path) -> None:
        self._directory = directory
        self._manifest = manifest

    def last(self, mac: str | None, device: str) -> CheckRecord | None:
        """What is remembered; None where nothing is, or nothing that can be read."""
        try:
            with self._path(mac, device).open("rb") as file:
                found = _RECORD.fullmatch(file.read(_MOST))
        except OSError:
            return None
        if found is None:
            return None
        outcome = cast("CheckOutcome", found[1].decode())
        return CheckRecord(outcome=outcome, state=(found[2] or b"").decode())

    def begin(self, mac: str | None, device: str) -> None:
        """Keep that nothing is proved of this board until `end`; UsageError when that cannot be
        kept, since what was proved before would then be believed."""
        try:
            private_directory(self._directory)
            self._write(mac, device, "begun")
        except OSError as error:
            raise state_not_written(self._directory, error) from error

    def end(self, mac: str | None, device: str, state: str, *, passed: bool) -> None:
        """Keep what came of it; what cannot be kept only means that it runs once more."""
        with suppress(OSError):
            self._write(mac, device, "passed" if passed else "failed", state)

    def forget(self, mac: str | None, device: str) -> None:
        """Whatever was proved of this board is true no longer; UsageError as `begin`."""
        if self.last(mac, device) is not None:
            self.begin(mac, device)

    def _write(self, mac: str | None, device: str, outcome: CheckOutcome, state: str = "") -> None:
        write_atomic(self._path(mac, device), f"{outcome} {state}\n".encode(), mode=0o600)

    def _path(self, mac: str | None, device: str) -> Path:
        return self._directory / record_name(mac, self._manifest, device)


def record_name(mac: str | None, manifest: Path, device: str) -> str:
    """What a record of a board is called. Of one that does not tell its MAC, what is known is the
    device's."""
    if mac is not None:
        return mac.replace(":", "-")
    whose = hashlib.sha256(f"{manifest}\0{device}".encode()).hexdigest()[:16]
    return f"device-{whose}"
