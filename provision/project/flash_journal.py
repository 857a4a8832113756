"""Which boards are being flashed: one empty file a board, gone when its flash is whole.

What a killed run leaves here tells the next one why a board is silent: the files on it were to be
erased, by a run that had been allowed to; or, by a file of another name, they were to be kept and
are there still. Empty files, since a full disk has room for those.
"""

from __future__ import annotations

from pathlib import Path

from provision.errors import UsageError


class FlashJournal:
    """Implements `interfaces.Journal` in a directory of the user's own."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def begin(self, mac: str, *, keeping: bool) -> None:
        """Keep that this board's flash is being written, its files `keeping` or not; UsageError
        when that cannot be kept."""
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            if keeping:
                self._kept(mac).touch()
                self._file(mac).unlink(missing_ok=True)
            else:
                self._file(mac).touch()
                self._kept(mac).unlink(missing_ok=True)
        except OSError as error:
            raise UsageError(
                f"the state directory {self._directory} cannot be written: {error.strerror}",
                hint="make room there, or name another directory with PROVISION_STATE_DIR",
            ) from error

    def end(self, mac: str) -> None:
        """Forget it; what cannot be removed only means one question less next time."""
        try:
            self._file(mac).unlink(missing_ok=True)
            self._kept(mac).unlink(missing_ok=True)
        except OSError:
            return

    def was_cut(self, mac: str) -> bool:
        """Whether a run began on this board and never ended."""
        return self._file(mac).exists() or self._kept(mac).exists()

    def was_keeping(self, mac: str) -> bool:
        """Whether that run kept the board's files."""
        return self._kept(mac).exists() and not self._file(mac).exists()

    def _file(self, mac: str) -> Path:
        return self._directory / mac.replace(":", "-")

    def _kept(self, mac: str) -> Path:
        return self._directory / f"{mac.replace(':', '-')}.kept"
