"""Places: the files and folders that a project hangs on, and what tells that one of them changed.

Paths are compared by the real place of their folder and their own name, so that a link is a place
of its own beside what it leads to.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from functools import cached_property
from pathlib import Path

from provision.model.language import record

Stamp = tuple[int, ...]
"""What differs between a file, or a folder, before and after a change; () where there is none."""


@record(kw_only=False, slots=False)
class Places:
    """`files` may be missing, and matter when they come; of `folders` any entry matters."""

    files: frozenset[Path]
    folders: frozenset[Path]

    def __or__(self, other: Places) -> Places:
        return Places(self.files | other.files, self.folders | other.folders)

    @property
    def directories(self) -> tuple[str, ...]:
        """The directories that there are now whose entries are to be watched, each by itself: of a
        file that is missing, the one that would lead to it."""
        found = {_existing(path) for path in self.folders}
        for path in self.files:
            found.add(_existing(path.parent))
            if path.is_symlink():
                found.add(_existing(Path(os.path.realpath(path)).parent))
        return tuple(sorted(found))

    def concern(self, paths: Iterable[str]) -> bool:
        """Whether a change at one of these paths matters, or may matter."""
        return any(
            key in self._names or os.path.dirname(key) in self._walked  # noqa: PTH120
            for key in map(_key, paths)
        )

    def stamps(self) -> Mapping[str, Stamp]:
        """The state of all places."""
        return {path: stamp(path) for path in self._stamped}

    @cached_property
    def _names(self) -> frozenset[str]:
        keys = {_key(path) for path in self.files | self.folders}
        # A folder on the way to a file that is missing, and what a link leads to.
        keys |= {
            _key(parent) for path in self.files if not path.exists() for parent in path.parents
        }
        return frozenset(keys | {os.path.realpath(path) for path in self.files})

    @cached_property
    def _walked(self) -> frozenset[str]:
        return frozenset(os.path.realpath(path) for path in self.folders)

    @cached_property
    def _stamped(self) -> tuple[str, ...]:
        return tuple(sorted({str(path) for path in self.files | self.folders}))


def unsettled(before: Mapping[str, Stamp], now: Mapping[str, Stamp]) -> bool:
    """Whether a file has just become empty, or is gone: an editor may be in the midst of a save
    that empties it first, or removes it."""
    for path, earlier in before.items():
        later = now.get(path, earlier)
        if later != earlier and _size(earlier) and not _size(later):
            return True
    return False


def _size(state: Stamp) -> int:
    return state[1] if state else 0


def _existing(path: Path) -> str:
    while not path.is_dir() and path != path.parent:
        path = path.parent
    return os.path.abspath(path)  # noqa: PTH100 - links stay


def _key(path: str | Path) -> str:
    folder, name = os.path.split(os.path.abspath(path))  # noqa: PTH100
    return os.path.join(os.path.realpath(folder), name)  # noqa: PTH118


def stamp(path: str | Path) -> Stamp:
    """The state of one place."""
    try:
        status = os.stat(path)  # noqa: PTH116
    except (OSError, ValueError):
        return ()
    return (status.st_mtime_ns, status.st_size, status.st_ino, status.st_ctime_ns, status.st_mode)
