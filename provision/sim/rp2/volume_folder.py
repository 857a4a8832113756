"""A folder that stands for a chip's volume: every sector that a host writes into its files.

On the chip that is a FAT file system in a drive, and sectors come as the host's system flushes
them: some time after a program has written them, at the latest when the file is synchronised or the
volume unmounted. Here they are seen as soon as they are written. Also otherwise than on the chip:

- The host is never held back: it can have written a whole file while the chip works at its first
  sectors. Nor does writing fail when the volume goes away: what was open goes on into nowhere.
- A program that writes parts of a file again, or not in order, is followed by comparing the file
  with what it was until the program closes it: their order is that of their places in the file,
  and what is written again with the same contents does not come twice.
- Files in folders of the volume are not looked at, nor is a file beyond the volume's 128 MB.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from provision.sim import inotify
from provision.sim.event_loop import EventLoop, Timer

SECTOR = 512
_VOLUME_SIZE = 128 << 20
_MOST_FILES = 512  # entries of the root directory
_CHUNK = 1 << 16
_LOOK_AGAIN = 0.05  # seconds, where the system does not tell


class VolumeFolder:
    """Made with these files, which a host can read; gone after `close`. `on_write` is called when
    there may be something new; then `sectors` has it. Where the system does not notify of what
    happens in a folder, it is looked at again and again, and a file that is copied over itself is
    not seen to be."""

    def __init__(
        self,
        path: Path,
        files: Mapping[str, bytes],
        *,
        loop: EventLoop,
        on_write: Callable[[], None],
        notified: bool = sys.platform == "linux",
    ) -> None:
        self.path = path
        self._loop = loop
        self._on_write = on_write
        self._files: dict[int, _File] = {}  # by inode, whatever a file's name becomes
        self._timer: Timer | None = None
        remove(path)
        path.mkdir(parents=True, mode=0o700)
        for name, data in files.items():
            (path / name).write_bytes(data)
            (path / name).chmod(0o444)
        for file in self._look().values():
            file.take_as_read()
        events = inotify.MODIFIED | inotify.CLOSED_WRITTEN | inotify.MOVED_IN
        self._watcher = inotify.watch(path, events) if notified else None
        if self._watcher is not None:
            loop.watch(self._watcher, self._happened)
        else:
            self._timer = loop.after(_LOOK_AGAIN, self._again)

    def sectors(self) -> Iterator[bytes]:
        """Whole sectors that are new or changed since they were last asked for."""
        for file in list(self._files.values()):
            yield from file.sectors()

    def close(self) -> None:
        if self._watcher is not None:
            self._loop.unwatch(self._watcher)
            os.close(self._watcher)
            self._watcher = None
        if self._timer:
            self._timer.cancel()
        for file in self._files.values():
            file.close()
        self._files.clear()
        remove(self.path)

    def _look(self) -> dict[str, _File]:
        """The files that are there, by name. Those that are not any longer are let go of once all
        of them was read."""
        named: dict[str, _File] = {}
        with contextlib.suppress(OSError), os.scandir(self.path) as entries:
            for entry in entries:
                inode = entry.inode()
                with contextlib.suppress(OSError):
                    if inode not in self._files and len(self._files) < _MOST_FILES:
                        self._files[inode] = _File(Path(entry.path))
                if inode in self._files:
                    named[entry.name] = self._files[inode]
        there = {id(file) for file in named.values()}
        for inode, file in list(self._files.items()):
            if id(file) not in there and file.read:
                file.close()
                del self._files[inode]
        return named

    def _happened(self) -> None:
        assert self._watcher is not None
        events = inotify.happened(self._watcher)
        named = self._look()
        for mask, name in events:
            if name in named:
                named[name].touched(closed=bool(mask & inotify.CLOSED_WRITTEN))
        self._on_write()

    def _again(self) -> None:
        self._timer = self._loop.after(_LOOK_AGAIN, self._again)
        for file in self._look().values():
            file.touched(closed=False)
        self._on_write()


class _File:
    """One file of the volume; OSError for what is none, such as a link."""

    def __init__(self, path: Path) -> None:
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        self._fd = os.open(path, flags)
        self._seen = bytearray()
        self._closed = False
        self._touches = 1
        self._read = 0
        if not stat.S_ISREG(os.fstat(self._fd).st_mode):
            self.close()
            raise OSError("not a file")

    @property
    def read(self) -> bool:
        """Whether nothing of it is left to be told."""
        return self._read == self._touches

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def take_as_read(self) -> None:
        """What is in it now did not come from the host."""
        self._seen += os.pread(self._fd, _CHUNK, 0)
        self._read = self._touches

    def touched(self, *, closed: bool) -> None:
        """It was written to, or `closed` by who has written to it: whatever is written to it from
        then on comes again, the same or not."""
        if closed:
            self._closed = True
        else:
            self._touches += 1

    def sectors(self) -> Iterator[bytes]:
        if self.read and not self._closed:
            return
        touches, offset = self._touches, 0
        while self._fd >= 0:
            data = os.pread(self._fd, _CHUNK, offset)
            data = data[: len(data) // SECTOR * SECTOR]
            if not data or offset >= _VOLUME_SIZE:
                del self._seen[offset:]
                break
            if self._seen[offset : offset + len(data)] != data:
                for start in range(0, len(data), SECTOR):
                    place = slice(offset + start, offset + start + SECTOR)
                    sector = data[start : start + SECTOR]
                    if self._seen[place] != sector:
                        self._seen[place] = sector
                        yield sector
            offset += len(data)
        self._read = touches
        if self._closed and self.read:
            self._closed = False
            self._seen.clear()


def remove(path: Path) -> None:
    """A volume's folder with all that is in it; one that is not there is no error."""
    shutil.rmtree(path, ignore_errors=True)
