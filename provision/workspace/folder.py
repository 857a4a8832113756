"""The files of this computer that a manifest names, read from disk.

Every file is looked at and read once, whatever the number of devices that share it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from provision.core.desired_files import Kind
from provision.model.state import Content

MAX_FILE = 32 * 1024 * 1024
"""Bytes; larger than the flash of any board."""

MAX_FILES = 20_000
"""In one folder; a board has not as many, a mistyped `src: /` has."""


class Folder:
    """Implements `core.desired_files.Sources` below the folder that holds the manifest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._kinds: dict[str, Kind] = {}
        self._contents: dict[str, Content] = {}
        self._listings: dict[str, Sequence[str]] = {}

    def kind(self, path: str) -> Kind:
        known = self._kinds.get(path)
        if known is None:
            known = self._kinds[path] = self._look(path)
        return known

    def files(self, folder: str) -> Sequence[str]:
        known = self._listings.get(folder)
        if known is None:
            known = self._listings[folder] = tuple(self._walk(folder))
        return known

    def read(self, path: str) -> Content:
        known = self._contents.get(path)
        if known is None:
            known = self._contents[path] = Content(data=read_bounded(self.folder / path))
        return known

    def locate(self, path: str) -> str:
        return str(self.folder / path)

    def _look(self, path: str) -> Kind:
        try:
            mode = (self.folder / path).stat().st_mode
        except (OSError, ValueError):  # ValueError: a NUL in the path
            return "missing"
        if stat.S_ISREG(mode):
            return "file"
        return "folder" if stat.S_ISDIR(mode) else "other"

    def _walk(self, folder: str) -> list[str]:
        """Files below, sorted; links to files are followed, links to folders are not."""
        top = self.folder / folder
        found: list[str] = []

        def fail(error: OSError) -> None:
            raise error

        for where, folders, names in os.walk(top, onerror=fail):
            folders[:] = sorted(name for name in folders if name not in (".git", "__pycache__"))
            below = Path(where).relative_to(top)
            found += [(below / name).as_posix() for name in names]
            if len(found) > MAX_FILES:
                raise OSError(None, f"more than {MAX_FILES:,} files below it")
        return sorted(found)


def read_bounded(path: Path) -> bytes:
    """A regular file's bytes; OSError also for one that is too large to be meant."""
    with path.open("rb") as stream:
        data = stream.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise OSError(None, f"larger than {MAX_FILE // (1024 * 1024)} MiB")
    return data
