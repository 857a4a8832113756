"""The files of this computer that a manifest names, read from disk.

Every file is looked at and read once, whatever the number of devices that share it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from provision.atomic_files import project_root, read_plain_file
from provision.core.manifest.resolve.file_placement import Kind
from provision.core.wording import memory_size
from provision.model.state import Content

MAX_FILE = 32 * 1024 * 1024
"""Bytes; larger than the flash of any board."""

MAX_READ = 512 * 1024 * 1024
"""Bytes of all sources of a manifest together, for they are kept."""

MAX_FILES = 20_000
"""In one folder; a board has not as many, a mistyped `src: /` has."""


class SourceFolder:
    """Implements `Sources` of `core.manifest.resolve` below the manifest's folder.

    A manifest from elsewhere must not carry off what else this user can read: a source, links
    followed, lies below the manifest's folder or, in a git checkout, below that one's top.
    """

    def __init__(self, folder: Path, *, most: int = MAX_READ) -> None:
        self.folder = folder
        self._most = self._left = most
        self._kinds: dict[str, Kind] = {}
        self._contents: dict[str, Content] = {}
        self._listings: dict[str, Sequence[str]] = {}

    @cached_property
    def root(self) -> Path:
        """What no source lies outside of."""
        return project_root(self.folder)

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
            data = read_plain_file(self.folder / path, most=MAX_FILE, root=self.root)
            if len(data) > self._left:
                raise OSError(
                    None, f"all sources together are larger than {memory_size(self._most)}"
                )
            self._left -= len(data)
            known = self._contents[path] = Content(data=data)
        return known

    def locate(self, path: str) -> str:
        return str(self.folder / path)

    def _kind_of(self, path: str) -> Kind:
        try:
            mode = (self.folder / path).stat().st_mode
            if not self._inside(self.folder / path):
                return "outside"
            if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
                return "other"
        except (OSError, ValueError):  # ValueError: a NUL in the path
            return "missing"
        return "file" if stat.S_ISREG(mode) else "folder"

    def _inside(self, path: Path) -> bool:
        return Path(os.path.realpath(path)).is_relative_to(self.root)

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
