"""Which boards are being flashed: one empty file a board, gone when its flash is whole.

What a killed run leaves here tells the next one that a silent board lost nothing by its hand: the
files on it were to be erased, by a run that had been allowed to.
"""

from __future__ import annotations

from pathlib import Path

from provision.errors import UsageError


class FlashJournal:
    """Implements `interfaces.Journal` in a directory of the user's own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def begin(self, mac: str) -> None:
        """Keep that this board's flash is being written; UsageError when that cannot be kept."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file(mac).touch()
        except OSError as error:
            raise UsageError(
                f"the state directory {self._directory} cannot be written: {error.strerror}",
                hint="make room there, or name another directory with PROVISION_STATE_DIR",
            ) from error

    def end(self, mac: str) -> None:
        """Forget it; what cannot be removed only means one question less next time."""
        try:
            self._file(mac).unlink(missing_ok=True)
        except OSError:
            return

    def was_cut(self, mac: str) -> bool:
        """Whether a run began on this board and never ended."""
        return self._file(mac).exists()

    def _file(self, mac: str) -> Path:
        return self._directory / mac.replace(":", "-")
