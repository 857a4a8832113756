"""The file fleet.lock, committed beside the manifest: read, and changed as one step among all runs.

A lock that cannot be understood is an error with its line and is never overwritten; what can be
is replaced whole, under a lock between processes, so that two runs at once lose nothing.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from provision.atomic_files import (
    ChangedMeanwhile,
    locked,
    project_root,
    read_plain_file,
    stamp,
    sweep,
    write_atomic,
)
from provision.core.manifest.yaml_parser import MAX_CHARACTERS, NotText, decode
from provision.errors import LockError
from provision.lockfile.entries import Lock
from provision.lockfile.yaml_format import damaged, format_lock, parse_lock

MOST_EDITS = 20
"""How often another program may write the lock while it is written here."""


def read_lock(path: Path) -> Lock:
    """The lock at a path; an empty one where there is no file. LockError when it is damaged, or
    no regular file of the project that it lies in."""
    try:
        data = read_plain_file(path, most=MAX_CHARACTERS, root=project_root(path.parent))
    except FileNotFoundError:
        return Lock()
    except OSError as error:
        hint = "check its permissions"
        if error.errno is None:
            hint = f"put the file itself there, or remove {path.name} and run `provision lock`"
        raise LockError(f"{path} cannot be read: {error.strerror}", hint=hint) from error
    try:
        return parse_lock(decode(data, str(path)), str(path))
    except NotText as error:
        raise damaged(str(path), [error.problem]) from None


def update_lock(path: Path, change: Callable[[Lock], Lock]) -> Lock:
    """Read, change and write the lock as one step among all runs; returns what it holds now.

    `change` is given what the file holds at that moment, so that it adds to what others wrote. It
    is given it again where an editor or git, which know of no lock between processes, wrote the
    file meanwhile. Nothing is written when it changes nothing. LockError when the file is damaged
    or cannot be written; then it is as it was.
    """
    with locked("fleet", os.path.realpath(path)):
        for _ in range(MOST_EDITS):
            read_at = stamp(path)
            before = read_lock(path)
            after = change(before)
            if after == before:
                return after
            sweep(path)
            try:
                write_atomic(
                    path,
                    format_lock(after).encode(),
                    unchanged=partial(_is_as_read, path, read_at),
                )
            except ChangedMeanwhile:
                continue
            except OSError as error:
                raise LockError(
                    f"{path} cannot be written: {error.strerror}",
                    hint="check that its directory is writable and has room, then run again",
                ) from error
            return after
    raise LockError(
        f"{path} cannot be written: another program writes it again and again",
        hint="end that program, then run again",
    )


def _is_as_read(path: Path, read_at: tuple[int, int, int] | None) -> bool:
    return stamp(path) == read_at


class LearnedMacs:
    """Which board each device is, by the fleet.lock of one run: an `Identities`.

    Read when made; added to as devices are learned, from any thread, where it `learns` at all: the
    units of a station are another record's.
    """

    def __init__(self, path: Path, *, learns: bool = True) -> None:
        self._path = path
        self._learns = learns
        self._lock = read_lock(path)
        self._writing = threading.Lock()
        self._queue = threading.Lock()  # guards _unwritten
        self._unwritten: dict[str, str] = {}

    def known(self, device: str) -> str | None:
        """The MAC learned for a device, or None."""
        return self._lock.mac_of(device)

    @property
    def macs(self) -> Mapping[str, str]:
        """The MACs of all devices that are known, by device."""
        devices = self._lock.devices.items()
        return {device: entry.mac for device, entry in devices if entry.mac is not None}

    @property
    def waiting(self) -> tuple[str, ...]:
        """The devices whose MACs are learned and not written yet."""
        with self._queue:
            return tuple(self._unwritten)

    def learn(self, device: str, mac: str) -> None:
        """Keep a device's MAC, which is then no other's; durable when this returns.

        To read, write and flush the file takes longer the more devices it has, and a fleet's
        are done at about the same time: what has queued up meanwhile is written together.
        """
        if not self._learns or self._lock.with_macs({device: mac}) == self._lock:
            return
        with self._queue:
            self._unwritten[device] = mac
        batch: dict[str, str] = {}

        def add(lock: Lock) -> Lock:
            with self._queue:
                batch.update(self._unwritten)
                self._unwritten.clear()
            return lock.with_macs(batch)

        with self._writing:
            if not self.waiting:
                return  # written with the batch before
            try:
                self._lock = update_lock(self._path, add)
            except BaseException:
                with self._queue:  # each of the others is to try, and to fail, by itself
                    self._unwritten = batch | self._unwritten
                    self._unwritten.pop(device, None)
                raise
