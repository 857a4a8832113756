"""Notifications of what happens to a file or in a folder, on systems that have them (Linux)."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from pathlib import Path

MODIFIED = 0x02
CLOSED_WRITTEN = 0x08
OPENED = 0x20
CLOSED = CLOSED_WRITTEN | 0x10  # written to or not
MOVED_IN = 0x80
REMOVED = 0x400

_EVENT = struct.Struct("iIII")


def watch(path: Path | str, events: int) -> int | None:
    """A descriptor that can be read when one of `events` happened; None where there is none."""
    if not sys.platform.startswith("linux"):
        return None
    library = ctypes.CDLL(None, use_errno=True)
    fd: int = library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
    if fd < 0:
        return None
    if library.inotify_add_watch(fd, os.fsencode(path), events) < 0:
        os.close(fd)
        return None
    return fd


def happened(fd: int) -> list[tuple[int, str]]:
    """The events since the last time, in order, each with the name of the file in a watched
    folder, or ""."""
    try:
        data = os.read(fd, 65536)
    except BlockingIOError:
        return []
    events = []
    offset = 0
    while offset < len(data):
        _, mask, _, length = _EVENT.unpack_from(data, offset)
        offset += _EVENT.size
        events.append((mask, os.fsdecode(data[offset : offset + length].rstrip(b"\0"))))
        offset += length
    return events
