"""The files of this computer that a manifest names, read from disk.

Every file is looked at and read once, whatever the number of devices that share it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from pathlib import Path

from provision.core.manifest.resolve.file_placement import Kind
from provision.model.state import Content

MAX_FILE = 32 * 1024 * 1024
"""Bytes; larger than the flash of any board."""

MAX_FILES = 20_000
"""In one folder; a board has not as many, a mistyped `src: /` has."""


class SourceFolder:
    """Implements `Sources` of `core.manifest.resolve` below the manifest's folder.

    A manifest from elsewhere must not carry off what else this user can read: a source, links
    followed, lies below the manifest's folder or, in a git checkout, below that one's top.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._root: Path | None = None
        self._kinds: dict[str, Kind] = {}
        self._contents: dict[str, Content] = {}
        self._listings: dict[str, Sequence[str]] = {}

    def kind(self, path: str) -> Kind:
        known = self._kinds.get(path)
        if known is None:
            known = self._kinds[path] = self._kind_of(path)
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

    def _kind_of(self, path: str) -> Kind:
        try:
            mode = (self.folder / path).stat().st_mode
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                return "other"
            if not self._inside(self.folder / path):
                return "outside"
        except (OSError, ValueError):  # ValueError: a NUL in the path
            return "missing"
        return "file" if stat.S_ISREG(mode) else "folder"

    def _inside(self, path: Path) -> bool:
        if self._root is None:
            self._root = _checkout_root(self.folder.resolve())
        return path.resolve().is_relative_to(self._root)

    def _walk(self, folder: str) -> list[str]:
        """Files below, sorted; links to files are followed, links to folders are not."""
        top = self.folder / folder
        found: list[str] = []

        def fail(error: OSError) -> None:
            raise error

        for where, folders, names in os.walk(top, onerror=fail):
            folders[:] = sorted(name for name in folders if name not in (".git", "__pycache__"))
            below = Path(where).relative_to(top)
            for name in names:
                place = Path(where, name)
                if place.is_symlink() and not self._inside(place):
                    raise OSError(None, f"{(below / name).as_posix()} is a link that leads outside")
            found += [(below / name).as_posix() for name in names]
            if len(found) > MAX_FILES:
                raise OSError(None, f"more than {MAX_FILES:,} files below it")
        return sorted(found)


def _checkout_root(folder: Path) -> Path:
    """The top of the git checkout that a folder is in, else the folder itself."""
    for above in (folder, *folder.parents):
        if (above / ".git").exists():
            return above
    return folder


def read_bounded(path: Path) -> bytes:
    """A regular file's bytes; OSError also for one that is too large to be meant."""
    with path.open("rb") as stream:
        data = stream.read(MAX_FILE + 1)
    if len(data) > MAX_FILE:
        raise OSError(None, f"larger than {MAX_FILE // (1024 * 1024)} MiB")
    return data
