"""Which boards are being flashed: one empty file a board, gone when its flash is whole.

What a killed run leaves here tells the next one why a board does not answer: the files on it were
to be erased, by a run that had been allowed to; or, by a file of another name, they were to be kept
and are there still. Empty files, since a full disk has room for those.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from provision.errors import UsageError
from provision.interfaces import FlashMode


class FlashJournal:
    """Implements `interfaces.Journal` in a directory of the user's own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def begin(self, mac: str, mode: FlashMode) -> None:
        """Keep that this board's flash is being written in this mode; UsageError when that cannot
        be kept."""
        mark, other = self._erasing(mac), self._keeping(mac)
        if mode == "keep":
            mark, other = other, mark
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            mark.touch()
            other.unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(
                f"the state directory {self._directory} cannot be written: {error.strerror}",
                hint="make room there, or name another directory with PROVISION_STATE_DIR",
            ) from error

    def end(self, mac: str) -> None:
        """Forget it; what cannot be removed only means one question less next time."""
        with suppress(OSError):
            self._erasing(mac).unlink(missing_ok=True)
            self._keeping(mac).unlink(missing_ok=True)

    def interrupted_mode(self, mac: str) -> FlashMode | None:
        """How a run that began on this board and never ended was flashing it."""
        if self._erasing(mac).exists():
            return "erase"
        return "keep" if self._keeping(mac).exists() else None

    def _erasing(self, mac: str) -> Path:
        return self._directory / mac.replace(":", "-")

    def _keeping(self, mac: str) -> Path:
        return self._directory / f"{mac.replace(':', '-')}.kept"
