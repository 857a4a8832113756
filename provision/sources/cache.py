"""The cache of one user: downloads and compiled files, by sha256.

An object's name is the sha256 of its content and every read checks it: what is damaged is removed
and counts as absent. Objects appear by renaming a finished file, so any number of processes may
share a cache; only of two that download the same URL, the second waits and then finds it done.

Layout below the root: `objects/ab/abcd…` (content), `objects/ab/abcd….json` (where it came from,
for people), `partial/` (downloads under way, each with the lock of its URL), `compiled/` (which
object a source compiles to).
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import time
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import platformdirs

from provision.atomic_files import (
    project_root,
    read_plain_file,
    rename,
    sync_directory,
    take_lock,
    write_atomic,
)
from provision.errors import SourceError, UsageError
from provision.model.language import record

_DIGEST = re.compile(r"[0-9a-f]{64}")
_DAY = 86400.0

VENDORED = 32 * 1024 * 1024
"""Bytes of one vendored object at most: no image and no file of a package is larger."""


def user_cache() -> Path:
    """This user's cache directory; `PROVISION_CACHE_DIR` names another one."""
    named = os.environ.get("PROVISION_CACHE_DIR")
    return Path(named) if named else platformdirs.user_cache_path("provision")


@record
class CacheEntry:
    """One object of a cache; `used` is when it was last read, in seconds since 1970."""

    sha256: str
    size: int
    used: float
    name: str = ""
    url: str = ""


@record
class PartialDownload:
    """A download under way: its file, and a note beside it on where the bytes come from."""

    path: Path
    note: Path

    def start(self, note: dict[str, str]) -> None:
        """Discard earlier bytes, and note where the next ones come from."""
        self.discard()
        write_atomic(self.note, json.dumps(note).encode())

    def resumable(self) -> tuple[int, dict[str, str]]:
        """The number of bytes received and their note; (0, {}) if either is missing."""
        try:
            note = json.loads(self.note.read_bytes())
            size = self.path.stat().st_size
        except (OSError, ValueError):
            return 0, {}
        if not isinstance(note, dict):
            return 0, {}
        return size, {str(key): str(value) for key, value in note.items()}

    def discard(self) -> None:
        self.note.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)


class Cache:
    """A content-addressed directory; those in `vendored` are read as well, never written."""

    def __init__(self, root: Path, *, vendored: Sequence[Path] = ()) -> None:
        self.root = root
        self._vendored = tuple(vendored)

    def get(self, sha256: str) -> bytes | None:
        """The content with this sha256, or None; damaged content counts as absent."""
        for root in (*self._vendored, self.root):
            data = self._read(root, sha256)
            if data is not None:
                if root == self.root:
                    with suppress(OSError):  # a read-only disk keeps its times
                        os.utime(object_path(root, sha256))
                return data
        return None

    def add(self, data: bytes, *, name: str, url: str = "") -> str:
        """Store content; returns its sha256. SourceError when the disk is full or read-only."""
        sha256 = hashlib.sha256(data).hexdigest()
        path = object_path(self.root, sha256)
        with self.translating_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            # Also when it exists: it may be damaged.
            write_atomic(path, data)
            self._annotate(path, name, url)
        return sha256

    def complete(self, partial: PartialDownload, sha256: str, *, name: str, url: str) -> None:
        """Add a finished and checked download as an object."""
        path = object_path(self.root, sha256)
        with self.translating_errors():
            path.parent.mkdir(parents=True, exist_ok=True)
            rename(partial.path, path)
            sync_directory(path.parent)
            self._annotate(path, name, url)
            partial.note.unlink(missing_ok=True)

    @contextmanager
    def partial(self, url: str) -> Iterator[PartialDownload]:
        """The download of one URL, locked for this block; bytes that remain at its end can be
        resumed from later."""
        key = hashlib.sha256(url.encode()).hexdigest()[:32]
        directory = self.root / "partial"
        with self.translating_errors():
            directory.mkdir(parents=True, exist_ok=True)
            lock = take_lock(directory / f"{key}.lock", wait=True)
        try:
            yield PartialDownload(path=directory / f"{key}.part", note=directory / f"{key}.json")
        finally:
            if lock is not None:
                lock.close()

    def compiled(self, key: str) -> bytes | None:
        """The bytecode of the source with this key, or None."""
        try:
            sha256 = (self.root / "compiled" / key).read_text("ascii").strip()
        except (OSError, ValueError):
            return None
        return self.get(sha256) if _DIGEST.fullmatch(sha256) else None

    def add_compiled(self, key: str, data: bytes, *, name: str) -> None:
        sha256 = self.add(data, name=name)
        directory = self.root / "compiled"
        with self.translating_errors():
            directory.mkdir(parents=True, exist_ok=True)
            write_atomic(directory / key, sha256.encode())

    def entries(self) -> list[CacheEntry]:
        """All objects, the most recently used first."""
        found = []
        for path in self._objects():
            with suppress(FileNotFoundError):
                status = path.stat()
                note = _read_note(path)
                found.append(
                    CacheEntry(
                        sha256=path.name,
                        size=status.st_size,
                        used=status.st_mtime,
                        name=note.get("name", ""),
                        url=note.get("url", ""),
                    )
                )
        return sorted(found, key=lambda entry: (-entry.used, entry.sha256))

    def verify(self) -> tuple[int, list[CacheEntry]]:
        """Read every object; returns how many are intact, and the damaged ones, now removed."""
        damaged = []
        intact = 0
        for entry in self.entries():
            if self._read(self.root, entry.sha256) is not None:
                intact += 1
            elif object_path(self.root, entry.sha256).exists():
                raise SourceError(
                    f"the damaged file {object_path(self.root, entry.sha256)} cannot be removed",
                    hint="check who owns the cache directory",
                )
            else:
                damaged.append(entry)
        return intact, damaged

    def prune(self, *, days: float) -> tuple[int, int]:
        """Remove objects not used, and downloads left unfinished, for this many days.

        Returns how many files and bytes. The locks of downloads stay: without, two processes
        could write one file.
        """
        limit = time.time() - days * _DAY
        files = size = 0
        with self.translating_errors():
            for path in self._expired(limit):
                with suppress(FileNotFoundError):
                    size += path.stat().st_size
                    path.unlink()
                    files += 1
            compiled = self.root / "compiled"
            for path in compiled.iterdir() if compiled.is_dir() else ():
                if self.compiled(path.name) is None:
                    path.unlink(missing_ok=True)
        return files, size

    def keep_only(self, wanted: Collection[str]) -> int:
        """Remove every object but these; returns how many were removed."""
        stale = [path for path in self._objects() if path.name not in wanted]
        with self.translating_errors():
            for path in stale:
                path.unlink(missing_ok=True)
                path.with_name(f"{path.name}.json").unlink(missing_ok=True)
        return len(stale)

    def write_sums(self) -> None:
        """Write a SHA256SUMS for `sha256sum -c`."""
        lines = [
            f"{path.name}  {path.relative_to(self.root).as_posix()}" for path in self._objects()
        ]
        with self.translating_errors():
            self.root.mkdir(parents=True, exist_ok=True)
            write_atomic(self.root / "SHA256SUMS", "".join(f"{line}\n" for line in lines).encode())

    def _error(self, error: OSError, path: Path | None = None) -> SourceError:
        """The error for a cache that cannot be read or written."""
        where = path or self.root
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            return SourceError(
                f"no space left for the cache in {self.root}: {error.strerror}",
                hint="free some space, run `provision cache prune`, or set PROVISION_CACHE_DIR "
                "to a directory on another disk",
            )
        return SourceError(
            f"the cache cannot be used: {where}: {error.strerror or error}",
            hint="check who owns the directory, or set PROVISION_CACHE_DIR to one of yours",
        )

    @contextmanager
    def translating_errors(self) -> Iterator[None]:
        """Turn an OSError of the block into a SourceError."""
        try:
            yield
        except OSError as error:
            raise self._error(error) from error

    def _objects(self) -> list[Path]:
        directory = self.root / "objects"
        try:
            shards = sorted(path for path in directory.iterdir() if path.is_dir())
        except FileNotFoundError:
            return []
        except OSError as error:
            raise self._error(error) from error
        return [
            path
            for shard in shards
            for path in sorted(shard.iterdir())
            if _DIGEST.fullmatch(path.name)
        ]

    def _read(self, root: Path, sha256: str) -> bytes | None:
        path = object_path(root, sha256)
        try:
            if root == self.root:
                data = path.read_bytes()
            else:  # a project's own
                data = read_plain_file(path, most=VENDORED, root=project_root(root.parent))
        except FileNotFoundError:
            return None
        except OSError as error:
            raise self._error(error, path) from error
        if hashlib.sha256(data).hexdigest() == sha256:
            return data
        if root == self.root:
            with suppress(OSError):
                path.unlink()
        return None

    def _expired(self, limit: float) -> Iterator[Path]:
        """Files older than the limit; those of a download only while its lock is held."""
        for path in self._objects():
            if _older(path, limit):
                yield path
                yield path.with_name(f"{path.name}.json")
        # Temporary files of killed writers; one in use is younger than a day.
        for path in sorted(self.root.glob("*/**/.*.tmp")):
            if _older(path, min(limit, time.time() - _DAY)):
                yield path
        directory = self.root / "partial"
        for path in sorted(directory.glob("*.part")) if directory.is_dir() else ():
            lock = take_lock(path.with_suffix(".lock"), wait=False)
            if lock is None:
                continue
            with lock:
                if _older(path, limit):
                    yield path
                    yield path.with_suffix(".json")

    def _annotate(self, path: Path, name: str, url: str) -> None:
        note = path.with_name(f"{path.name}.json")
        write_atomic(note, json.dumps({"name": name, "url": url}).encode())


def object_path(root: Path, sha256: str) -> Path:
    """Where a cache keeps the content with this sha256; UsageError when it is malformed."""
    if _DIGEST.fullmatch(sha256) is None:
        raise UsageError(f"{sha256!r} is not a sha256: 64 lower-case hex digits")
    return root / "objects" / sha256[:2] / sha256


def _read_note(path: Path) -> dict[str, str]:
    try:
        note = json.loads(path.with_name(f"{path.name}.json").read_bytes())
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in note.items()} if isinstance(note, dict) else {}


def _older(path: Path, limit: float) -> bool:
    try:
        return path.stat().st_mtime <= limit
    except FileNotFoundError:
        return False
