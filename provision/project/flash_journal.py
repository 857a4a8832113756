"""Which boards are being flashed: one empty file a board, gone when its flash is whole.

What a killed run leaves here tells the next one why a board does not answer: the files on it were
to be erased, by a run that had been allowed to; or they were to be kept and are there still; or
they are in a file beside, with what else was saved of the board. What the flash went through is
true of the board whoever asks; the consent to erase it was given for one device of one manifest,
and is no other's. Empty files, since a full disk has room for those.
"""

from __future__ import annotations

import hashlib
import secrets
from contextlib import suppress
from pathlib import Path

from provision.atomic_files import (
    private_directory,
    rename,
    state_not_written,
    sync_directory,
    write_atomic,
)
from provision.interfaces import FlashMode, SavedFlash
from provision.project.saved_flash import read_saved, saved_bytes

_SAVED = ".saved"


class FlashJournal:
    """Implements `interfaces.Journal` in a directory of the user's own, for the runs of one
    `manifest`, an absolute path."""

    def __init__(self, directory: Path, manifest: Path) -> None:
        self._directory = directory
        self._manifest = manifest

    def begin(
        self, mac: str, device: str, mode: FlashMode, saved: SavedFlash | None = None
    ) -> None:
        """Keep that this board's flash is being written for this device in this mode, with what
        was saved of it, and forget what was before; UsageError when that cannot be kept."""
        entry = self._entry(mac, device, mode)
        beside = self._directory / f"{_plain(mac)}{_SAVED}"
        kept = {entry}
        try:
            private_directory(self._directory)
            if saved is not None:
                write_atomic(beside, saved_bytes(saved), mode=0o600)
                kept.add(beside)
            entry.touch()
            sync_directory(self._directory)
            for other in self._entries(mac):
                if other not in kept:
                    other.unlink(missing_ok=True)
        except OSError as error:
            raise state_not_written(self._directory, error) from error

    def end(self, mac: str) -> None:
        """Forget it; what cannot be removed only means one question less next time."""
        with suppress(OSError):
            for entry in self._entries(mac):
                entry.unlink(missing_ok=True)

    def saved(self, mac: str) -> SavedFlash | None:
        """What a run that never ended had saved of this board."""
        try:
            data = (self._directory / f"{_plain(mac)}{_SAVED}").read_bytes()
        except OSError:
            return None
        return read_saved(data)

    def set_aside(self, mac: str) -> str | None:
        """Forget the run that never ended, and keep what it had saved under another name."""
        beside = self._directory / f"{_plain(mac)}{_SAVED}"
        aside = self._directory / f"saved-{_plain(mac)}-{secrets.token_hex(4)}.json"
        try:
            rename(beside, aside)
        except OSError:
            self.end(mac)
            return None
        self.end(mac)
        return str(aside)

    def interrupted_mode(self, mac: str) -> FlashMode | None:
        """How a run that began on this board and never ended was flashing it."""
        modes = {entry.suffix for entry in self._entries(mac)}
        if ".erase" in modes:
            return "erase"
        if ".rewrite" in modes:
            return "rewrite"
        return "keep" if ".keep" in modes else None

    def may_erase(self, mac: str, device: str) -> bool:
        """Whether a run that never ended was erasing this board for this device of this
        manifest."""
        return self._entry(mac, device, "erase").exists()

    def _entries(self, mac: str) -> list[Path]:
        try:
            names = [path.name for path in self._directory.iterdir()]
        except OSError:  # none was ever written
            return []
        return [self._directory / name for name in names if name.startswith(_plain(mac))]

    def _entry(self, mac: str, device: str, mode: FlashMode) -> Path:
        whose = hashlib.sha256(f"{self._manifest}\0{device}".encode()).hexdigest()[:16]
        return self._directory / f"{_plain(mac)}.{whose}.{mode}"


def _plain(mac: str) -> str:
    return mac.replace(":", "-")
