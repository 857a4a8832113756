"""Backups on disk: a folder for each, for its owner alone.

    backups/kitchen/20261129-064312/
        backup.json     what it is; schemas/backup.schema.json
        files/          every file, by its name where that is a plain one
        firmware.bin    the image of its firmware, where this computer had it
        flash.bin       the whole flash, where that was asked for

It has a name that begins with a dot until all of it is on disk, and is never written again.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timezone
from itertools import count
from pathlib import Path
from typing import Any

from provision._version import __version__
from provision.atomic_files import private_directory, read_plain_file, rename, sync_directory
from provision.core.chips.registry import chip_named
from provision.core.file_names import plain_name
from provision.core.wording import printable
from provision.errors import UsageError
from provision.interfaces import FileSink
from provision.model.backup import BACKUP_VERSION, BackedUpFile, Backup
from provision.model.firmware import FlashPart
from provision.model.state import BoardEntry, FirmwareIdentity
from provision.project.received_files import ReceivedFiles

FILES = "files"
RECORD = "backup.json"
_MOST = 256 << 20  # bytes of one file of a backup
_UNFINISHED = ".partial"


class NewBackup:
    """Implements `BackupInProgress`: one below `folder`/`device`."""

    def __init__(self, folder: Path, device: str) -> None:
        parent = folder / plain_name(device)
        stamp = datetime.now(timezone.utc).strftime("%Y%m%d-%H%M%S")
        try:
            private_directory(parent)
            for number in count(1):
                name = stamp if number == 1 else f"{stamp}-{number}"
                self._work = parent / f".{name}{_UNFINISHED}"
                self._final = parent / name
                if not self._final.exists():
                    with suppress(FileExistsError):
                        self._work.mkdir(mode=0o700)
                        break
        except OSError as error:
            raise UsageError(
                f"{printable(str(parent))} cannot be written: {error.strerror}",
                hint="name another folder with --to DIR",
            ) from error
        self._received: ReceivedFiles | None = None
        self._files: dict[str, BoardEntry] = {}
        self._digests: dict[str, tuple[int, str]] = {}

    def sink(self, files: Sequence[BoardEntry]) -> FileSink:
        places = {entry.path: tuple(entry.path[1:].split("/")) for entry in files}
        received = ReceivedFiles(self._work / FILES, places, private=True)
        received.directory()
        self._received = received
        return received

    def received(self) -> tuple[BackedUpFile, ...]:
        if self._received is None:
            return ()
        found = []
        for path, place in sorted(self._received.stored.items()):
            size, digest = _digest(place)
            found.append(
                BackedUpFile(
                    path=path,
                    file=place.relative_to(self._work).as_posix(),
                    size=size,
                    sha256=digest,
                )
            )
        return tuple(found)

    def add(self, name: str, pieces: Iterator[bytes]) -> BackedUpFile:
        hasher = hashlib.sha256()
        size = 0
        place = self._work / name
        try:
            descriptor = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                for piece in pieces:
                    hasher.update(piece)
                    size += len(piece)
                    file.write(piece)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise _unwritable(place, error) from error
        return BackedUpFile(path="", file=name, size=size, sha256=hasher.hexdigest())

    def finish(self, backup: Backup) -> str:
        data = json.dumps(record(backup), indent=2).encode() + b"\n"
        self.add(RECORD, iter([data]))
        try:
            sync_directory(self._work)
            rename(self._work, self._final)
            sync_directory(self._final.parent)
        except OSError as error:
            raise _unwritable(self._final, error) from error
        return str(self._final)

    def abandon(self) -> None:
        if self._received is not None:
            self._received.close()
        shutil.rmtree(self._work, ignore_errors=True)


def _unwritable(place: Path, error: OSError) -> UsageError:
    return UsageError(
        f"{printable(str(place))} cannot be written: {error.strerror or error}",
        hint="make room there, or name another folder with --to DIR",
    )


def _digest(place: Path) -> tuple[int, str]:
    data = place.read_bytes()
    return len(data), hashlib.sha256(data).hexdigest()


def record(backup: Backup) -> dict[str, Any]:
    """The content of a backup.json."""
    data = asdict(backup)
    if backup.firmware is not None:
        data["firmware"]["chip"] = str(backup.firmware.chip)
    for name in ("image", "flash"):
        if data[name] is not None:
            del data[name]["path"]
    return {"version": BACKUP_VERSION, "tool": f"provision {__version__}", **data}


class SavedBackup:
    """A backup that was read from a folder, all of it verified; UsageError where it is none, was
    interrupted, or is not what it was."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backup = _read_record(folder)

    def contents(self) -> Mapping[str, bytes]:
        """The files by their paths on the board."""
        return {each.path: self.bytes_of(each) for each in self.backup.files}

    def bytes_of(self, file: BackedUpFile) -> bytes:
        try:
            data = read_plain_file(
                self.folder / file.file, most=_MOST, root=Path(os.path.realpath(self.folder))
            )
        except OSError as error:
            raise UsageError(
                f"{printable(file.file)} of the backup {printable(str(self.folder))} cannot be "
                f"read: {error.strerror}",
                hint="use another backup",
            ) from error
        if len(data) != file.size or hashlib.sha256(data).hexdigest() != file.sha256:
            raise UsageError(
                f"{printable(file.file)} of the backup {printable(str(self.folder))} is not what "
                "was backed up: its sha256 differs",
                hint="use another backup",
            )
        return data


def saved_backups(folder: Path) -> list[SavedBackup]:
    """Those in a folder that can be read, the newest first."""
    found = []
    for path in sorted(folder.glob(f"[!.]*/{RECORD}"), reverse=True):
        with suppress(UsageError):
            found.append(SavedBackup(path.parent))
    return found


def _read_record(folder: Path) -> Backup:
    shown = printable(str(folder))
    if folder.name.startswith(".") and folder.name.endswith(_UNFINISHED):
        raise UsageError(
            f"{shown} was interrupted: it is no whole backup", hint="use another backup"
        )
    try:
        data = read_plain_file(folder / RECORD, most=_MOST, root=None)
    except OSError as error:
        found = sorted(each.parent for each in folder.glob(f"[!.]*/{RECORD}"))
        hint = f"the newest below it is {printable(str(found[-1]))}" if found else (
            "name the folder of one backup, as in `provision restore kitchen "
            "backups/kitchen/20261129-064312`"
        )  # fmt: skip
        raise UsageError(f"there is no backup in {shown}: {error.strerror}", hint=hint) from error
    try:
        return _backup(json.loads(data))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UsageError(
            f"{RECORD} of {shown} cannot be read: {error}",
            hint="use another backup, or the version of provision that made it",
        ) from error


def _backup(data: dict[str, Any]) -> Backup:
    if data["version"] != BACKUP_VERSION:
        raise ValueError(f"its version is {data['version']!r}, this provision reads 1")
    firmware = data["firmware"]
    chip = chip_named(firmware["chip"]) if firmware is not None else None
    return Backup(
        device=str(data["device"]),
        taken=str(data["taken"]),
        board=str(data["board"]),
        chip=data["chip"],
        mac=data["mac"],
        flash_size=data["flash_size"],
        firmware=FirmwareIdentity(
            version=str(firmware["version"]),
            machine=str(firmware["machine"]),
            chip=chip,
            date=str(firmware["date"]),
        )
        if firmware is not None and chip is not None
        else None,
        through=data["through"],
        files=tuple(_file(each, _board_path(each["path"])) for each in data["files"]),
        directories=tuple(_board_path(each) for each in data["directories"]),
        left_out=tuple(map(str, data["left_out"])),
        gone=tuple(map(str, data["gone"])),
        partitions=tuple(FlashPart(**each) for each in data["partitions"]),
        image=_file(data["image"], "") if data["image"] is not None else None,
        flash=_file(data["flash"], "") if data["flash"] is not None else None,
    )


def _file(data: dict[str, Any], path: str) -> BackedUpFile:
    return BackedUpFile(
        path=path, file=str(data["file"]), size=int(data["size"]), sha256=str(data["sha256"])
    )


def _board_path(path: str) -> str:
    parts = path[1:].split("/")
    if path[:1] != "/" or {"", ".", ".."} & set(parts) or "\0" in path:
        raise ValueError(f"{printable(path)!r} is no path on a board")
    return path
