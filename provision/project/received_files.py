"""Files of a board as they come to this computer's disk: beside, verified, renamed, and never
anywhere but in the folder that they are for.

A board names its files as it likes: `..`, `C:\\x`, `NUL`, bytes that are no text, `a` and `A` that
are one file on this disk. What is no plain name on every system is written with percent signs, as
in URLs, and what a name is taken for already gets another one.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from provision.atomic_files import rename
from provision.core.file_names import plain_name
from provision.core.wording import printable
from provision.errors import BoardError, UsageError


class ReceivedFiles:
    """Implements `FileSink` for one device. `places` says for each path on the board which names
    its file has below `root`; with `private` nobody else can read what is made, and with `verbatim`
    the names are those that a user gave."""

    def __init__(
        self,
        root: Path,
        places: Mapping[str, tuple[str, ...]],
        *,
        private: bool = False,
        verbatim: bool = False,
    ) -> None:
        self.root = root
        self.stored: dict[str, Path] = {}
        self._places = places
        self._private = private
        self._plain = str if verbatim else plain_name
        self._beside: dict[str, Path] = {}
        self._made: set[tuple[int, int]] = set()

    def write(self, path: str, offset: int, data: bytes) -> None:
        with self._errors(), self._temporary(path).open("r+b") as file:
            file.seek(offset)
            file.write(data)

    def finish(self, path: str, size: int, sha256: str) -> bool:
        with self._errors():
            beside = self._temporary(path)
            with beside.open("r+b") as file:
                file.truncate(size)
                file.seek(0)
                hasher = hashlib.sha256()
                while piece := file.read(1 << 20):
                    hasher.update(piece)
                if hasher.hexdigest() != sha256:
                    return False
                os.fsync(file.fileno())
            target = self._free_name(beside.parent, self._plain(self._places[path][-1]))
            rename(beside, target)
            status = target.lstat()
            self._made.add((status.st_dev, status.st_ino))
            del self._beside[path]
            self.stored[path] = target
        return True

    def directory(self, *names: str) -> Path:
        """A folder below `root`, made where it is missing; BoardError where it would be another
        place: a link is followed by none of these names."""
        with self._errors():
            folder = self.root
            folder.mkdir(mode=0o700 if self._private else 0o777, parents=True, exist_ok=True)
            for name in names:
                folder /= self._plain(name)
                if folder.is_symlink() or (folder.exists() and not folder.is_dir()):
                    raise BoardError(
                        f"{folder} is no folder of {self.root}: nothing is written through it",
                        hint="remove it, or copy to another folder",
                    )
                folder.mkdir(mode=0o700 if self._private else 0o777, exist_ok=True)
        return folder

    def renamed(self) -> list[str]:
        """Which files have other names here than on the board, in words."""
        return [
            f"{printable(path)} has the name {printable(str(target))} here"
            for path, target in sorted(self.stored.items())
            if target.parts[len(self.root.parts) :] != self._places[path]
        ]

    def close(self) -> None:
        """Remove what has not come whole."""
        for beside in self._beside.values():
            with suppress(OSError):
                beside.unlink()
        self._beside.clear()

    def _temporary(self, path: str) -> Path:
        beside = self._beside.get(path)
        if beside is None:
            folder = self.directory(*self._places[path][:-1])
            beside = folder / f".provision-{secrets.token_hex(8)}.tmp"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
            os.close(os.open(beside, flags, 0o600 if self._private else 0o666))
            self._beside[path] = beside
        return beside

    def _free_name(self, folder: Path, name: str) -> Path:
        """Not that of a file that was received before it, as `A` on a disk that has an `a`."""
        for number in range(1, 1000):
            target = folder / (name if number == 1 else f"{name}%~{number}")
            try:
                status = target.lstat()
            except FileNotFoundError:
                return target
            if target.is_dir() and not target.is_symlink():
                if number == 1:
                    raise BoardError(
                        f"{target} is a folder, and a file of the board has this name",
                        hint="copy to another folder",
                    )
                continue
            if (status.st_dev, status.st_ino) not in self._made:
                return target
        raise BoardError(f"too many files are called {name} in {folder}")

    def _errors(self) -> _DiskErrors:
        return _DiskErrors(self.root)


class _DiskErrors:
    """What the disk says, as an error of ours; it is this computer's, so a usage error."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __enter__(self) -> None:
        pass

    def __exit__(self, _type: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, OSError):
            raise UsageError(
                f"{printable(str(self._root))} cannot be written: {error.strerror or error}",
                hint="make room there, or name another folder",
            ) from error
