"""Files as this tool opens them: those of a project with bounds, shared ones atomically and locked.

A project may be somebody else's: `read_plain_file` is how its manifest, secrets, lock, sources and
images are read. fleet.lock, the cache and the ports are shared by processes and written here. A
lock is advisory, belongs to the open file and ends with the process, so that none is stale after a
kill.
"""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import secrets
import stat
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

import platformdirs

from provision.core.wording import memory_size
from provision.errors import Interrupted, UsageError

_MOST_LINKS = 40  # that lead from one to the next, as Linux has it
_POLL_INTERVAL = 0.01  # seconds between two attempts at a lock that another one holds
_LOCKED_BY_ANOTHER = (errno.EACCES, errno.EAGAIN, errno.EWOULDBLOCK)
# Seconds that Windows' virus scanner, an indexer or another run may have a file open.
_OPENED_ELSEWHERE = 3.0 if sys.platform == "win32" else 0.0


def project_root(folder: Path) -> Path:
    """What the files of a project lie in: the top of the git checkout that its folder is in, else
    the folder itself. Links are resolved."""
    folder = Path(os.path.realpath(folder))
    for above in (folder, *folder.parents):
        if os.path.lexists(above / ".git"):
            return above
    return folder


def plain_file(path: Path, *, root: Path | None) -> Path:
    """Where a path leads, links followed: to a regular file that lies in `root` (None: anywhere).

    OSError whose `strerror` says what is in the way, FileNotFoundError only where nothing is at
    all: a link to nothing is a link. Nothing is opened: to open a device or a pipe can wait for
    ever, and reset a board.
    """
    try:
        status = os.lstat(path)
        linked = stat.S_ISLNK(status.st_mode)
        place = Path(os.path.realpath(path, strict=True))
        status = os.lstat(place)
    except ValueError as error:  # a NUL in the path
        raise OSError(None, str(error)) from None
    except FileNotFoundError:
        if path.is_symlink():  # not `lexists`: another process may just have put a file there
            raise OSError(None, "it is a link to something that does not exist") from None
        raise
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise OSError(None, "it is a link that leads to itself") from None
        raise
    if root is not None and not place.is_relative_to(root):
        what = "it is a link that leads" if linked else "it lies"
        raise OSError(None, f"{what} outside of the project in {root}")
    _check_plain(status.st_mode)
    return place


def read_plain_file(path: Path, *, most: int, root: Path | None) -> bytes:
    """The bytes of a regular file, as `plain_file` finds it; OSError also for more than `most`."""
    place = plain_file(path, root=root)
    flags = os.O_RDONLY
    for name in ("O_CLOEXEC", "O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"):  # not every system has all
        flags |= getattr(os, name, 0)
    with os.fdopen(os.open(place, flags), "rb") as file:
        _check_plain(os.fstat(file.fileno()).st_mode)  # it may have been replaced meanwhile
        data = file.read(most + 1)
    if len(data) > most:
        raise OSError(None, f"it is larger than {memory_size(most)}")
    return data


_KINDS = (
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def _check_plain(mode: int) -> None:
    if not stat.S_ISREG(mode):
        kind = next((name for test, name in _KINDS if test(mode)), "something else")
        raise OSError(None, f"it is {kind}, not a file")


def private_directory(path: Path) -> None:
    """Make a directory that only this user can enter, and all above it that is missing, whatever
    the umask; one that is there is left as it is. OSError when that cannot be."""
    for folder in (*reversed(path.parents), path):
        if not folder.is_dir():
            folder.mkdir(exist_ok=True, mode=0o700)


def state_not_written(directory: Path, error: OSError) -> UsageError:
    """What a run ends by that cannot keep there what later ones have to know."""
    return UsageError(
        f"the state directory {directory} cannot be written: {error.strerror}",
        hint="make room there, or name another directory with PROVISION_STATE_DIR",
    )


def runtime_directory() -> Path:
    """This user's private directory for lock files, created when missing.

    `PROVISION_RUNTIME_DIR` names another one. UsageError when it cannot be created or
    belongs to another user, who could then hold our locks.
    """
    named = os.environ.get("PROVISION_RUNTIME_DIR")
    path = Path(named) if named else _runtime_path()
    try:
        private_directory(path)
        owner = path.stat().st_uid
    except OSError as error:
        raise UsageError(
            f"the directory for lock files, {path}, cannot be created: {error.strerror}",
            hint="set PROVISION_RUNTIME_DIR to a directory of yours",
        ) from error
    if not named and sys.platform != "win32" and owner != os.geteuid():
        raise UsageError(
            f"the directory for lock files, {path}, belongs to another user",
            hint="set PROVISION_RUNTIME_DIR to a directory of yours",
        )
    return path


@lru_cache(maxsize=1)
def _runtime_path() -> Path:
    """The system's; without a login session platformdirs warns and names one in /tmp, which will
    do for locks and needs no warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return platformdirs.user_runtime_path("provision")


def lock_path(kind: str, name: str) -> Path:
    """The lock file of one named thing, for instance `port` and "/dev/ttyUSB0"."""
    return runtime_directory() / f"{kind}-{hashlib.sha256(name.encode()).hexdigest()[:20]}.lock"


def take_lock(path: Path, *, wait: bool) -> BinaryIO | None:
    """Lock a file, created when missing, until the returned file is closed or the process ends.

    None when another process, or another caller in this one, holds it and `wait` is false. The
    file stays where it is: removing it would let two callers lock two files of one name. Its
    content is the holder's to write; on Windows nobody else can read the first byte.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    file = os.fdopen(descriptor, "r+b", buffering=0)
    try:
        if _lock(descriptor, wait):
            return file
    except BaseException:
        file.close()
        raise
    file.close()
    return None


def _lock(descriptor: int, wait: bool) -> bool:
    if sys.platform == "win32":
        from filelock import lock_descriptor

        return lock_descriptor(descriptor, blocking=wait, poll_interval=_POLL_INTERVAL)
    # What filelock does there as well, whose import takes as long as a look at a board. Nor does it
    # wait within the call, which some network filesystems refuse.
    import fcntl

    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in _LOCKED_BY_ANOTHER:
                raise
        else:
            return True
        if not wait:
            return False
        time.sleep(_POLL_INTERVAL)


@contextmanager
def locked(kind: str, name: str, stopping: Callable[[], bool] | None = None) -> Iterator[None]:
    """Hold the lock of one named thing, waiting until it is free; Interrupted once `stopping` says
    so meanwhile."""
    path = lock_path(kind, name)
    file = take_lock(path, wait=stopping is None)
    while file is None and stopping is not None:
        if stopping():
            raise Interrupted("the run was cancelled")
        time.sleep(_POLL_INTERVAL)  # no system has an event for a lock that is given up
        file = take_lock(path, wait=False)
    try:
        yield
    finally:
        if file is not None:
            file.close()


class ChangedMeanwhile(Exception):
    """A file is not any more what it was when it was read."""


def stamp(path: Path) -> tuple[int, int, int] | None:
    """What tells whether a file was written to or replaced; None where there is none to be had."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def write_atomic(
    path: Path,
    data: bytes,
    *,
    mode: int | None = None,
    unchanged: Callable[[], bool] | None = None,
) -> None:
    """Replace a file's content so that readers, also after a kill, find the old or the new, whole.

    Written beside, flushed to the disk, renamed. Permission bits are `mode`, else those of the
    file replaced, else what the umask leaves. A symbolic link stays one: its target is
    replaced. A device or a pipe (`/dev/stdout`) is no file to be replaced, and is written to.
    Raises OSError, and ChangedMeanwhile where the file is not `unchanged`, which is asked last;
    then the file is as it was.
    """
    with suppress(FileNotFoundError):
        found = path.stat().st_mode
        if _is_stream(path, found):
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_APPEND), "wb") as stream:
                stream.write(data)
            return
        mode = stat.S_IMODE(found) if mode is None else mode
    path = Path(os.path.realpath(path))
    beside = path.with_name(f".{path.name}.{secrets.token_hex(6)}.tmp")
    descriptor = os.open(
        beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if mode is None else 0o600
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            if mode is not None and sys.platform != "win32":
                os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
        if unchanged is not None and not unchanged():
            raise ChangedMeanwhile
        rename(beside, path)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
    sync_directory(path.parent)


def rename(source: Path, target: Path, *, patience: float = _OPENED_ELSEWHERE) -> None:
    """Give a file or folder another name; a file that has this name is replaced.

    Windows refuses that while any program has either of them open, unlike other systems: then it is
    tried again, for `patience` seconds. OSError.
    """
    until = time.monotonic() + patience
    while True:
        try:
            source.replace(target)
            return
        except PermissionError:
            if time.monotonic() >= until:
                raise
        time.sleep(_POLL_INTERVAL)  # no event tells that a file is not open any more


def _is_stream(path: Path, mode: int) -> bool:
    """Whether something stands behind a path that other programs hold open: a device, a pipe, or
    an open file of a process, as `/dev/stdout` is, which may well be a regular one."""
    if not stat.S_ISREG(mode):
        return not stat.S_ISDIR(mode)
    for _ in range(_MOST_LINKS):
        folder = os.path.realpath(path.parent)
        if folder.startswith("/proc/") and folder.endswith("/fd"):
            return True
        if not path.is_symlink():
            return False
        path = Path(folder, path.readlink())
    return False


def sweep(path: Path) -> None:
    """Remove the temporary files of killed writers; call it only while nobody writes the file."""
    path = Path(os.path.realpath(path))
    for stale in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
        with suppress(OSError):
            stale.unlink()


def sync_directory(path: Path) -> None:
    """Flush a rename to the disk, where the filesystem supports it."""
    if sys.platform == "win32":
        return
    with suppress(OSError):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
