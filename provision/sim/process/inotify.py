"""Notifications of what happens to a file, on systems that have them (Linux)."""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from pathlib import Path

OPENED = 0x20
CLOSED = 0x08 | 0x10  # written to or not
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


def happened(fd: int) -> list[int]:
    """The events since the last time, in order."""
    data = os.read(fd, 65536)
    masks = []
    offset = 0
    while offset < len(data):
        _, mask, _, length = _EVENT.unpack_from(data, offset)
        masks.append(mask)
        offset += _EVENT.size + length
    return masks
