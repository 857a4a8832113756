"""The part of the Python API that is about files on boards, whatever the manifest says of them:
looked at, copied, backed up, restored and rolled back. `api.py` has it with the rest.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field
from functools import partial
from pathlib import Path
from posixpath import basename

from provision.app import run_task
from provision.core.chips.registry import read_firmware
from provision.core.file_names import plain_name
from provision.core.wording import printable
from provision.engine.cancellation import Cancellation
from provision.engine.context import MANUAL_TIMEOUT, Confirm
from provision.engine.event_stream import OnEvent
from provision.engine.tasks.backup import BackupTask
from provision.engine.tasks.files import CatTask, FetchTask, ListTask
from provision.engine.tasks.restore import RestoreTask
from provision.engine.tasks.rollback import RollbackTask
from provision.engine.tasks.send import SendTask
from provision.errors import UsageError
from provision.interfaces import FileSink
from provision.model.language import record
from provision.model.report import RunReport
from provision.model.state import BoardEntry
from provision.output.scrub import scrub
from provision.project.backups import NewBackup, SavedBackup, saved_backups
from provision.project.fleet import Fleet
from provision.project.received_files import ReceivedFiles


@record
class ShownFile:
    """A file of a board with the manifest's secrets in it `masked`, if there were any."""

    data: bytes = field(repr=False)
    masked: bool


def ls(
    fleet: Fleet,
    paths: Mapping[str, Sequence[str]],
    *,
    recursive: bool = False,
    hashed: bool = False,
    forks: int = 0,
    on_event: OnEvent | None = None,
    cancel: Cancellation | None = None,
) -> tuple[RunReport, Mapping[str, tuple[BoardEntry, ...]]]:
    """What lies at and below `paths` of each device that is a key of it, by device; sorted by path.
    With `hashed` files have their sha256."""
    task = ListTask(paths=lambda device: paths[device], deep=recursive, hashed=hashed)
    report = run_task(
        fleet,
        task,
        cancel,
        limit=list(paths),
        on_event=on_event,
        forks=forks,
    )
    return report, scrub(task.found, fleet.masked)


def cat(
    fleet: Fleet,
    paths: Mapping[str, Sequence[str]],
    *,
    forks: int = 0,
    on_event: OnEvent | None = None,
    cancel: Cancellation | None = None,
) -> tuple[RunReport, dict[str, dict[str, ShownFile]]]:
    """The files at `paths` of each device that is a key of it, by device and path, to be shown."""
    task = CatTask(paths=lambda device: paths[device])
    report = run_task(
        fleet,
        task,
        cancel,
        limit=list(paths),
        on_event=on_event,
        forks=forks,
    )
    return report, {
        device: {path: _shown(fleet, data) for path, data in files.items()}
        for device, files in task.found.items()
    }


def _shown(fleet: Fleet, data: bytes) -> ShownFile:
    text = data.decode("utf-8", "surrogateescape")
    masked = fleet.masked(text)
    if masked == text:
        return ShownFile(data=data, masked=False)
    return ShownFile(data=masked.encode("utf-8", "surrogateescape"), masked=True)


def fetch(
    fleet: Fleet,
    paths: Mapping[str, Sequence[str]],
    target: Path,
    *,
    into: bool = False,
    forks: int = 0,
    on_event: OnEvent | None = None,
    cancel: Cancellation | None = None,
) -> RunReport:
    """Copy what lies at `paths` of each device that is a key of it to this computer, folders whole.

    One path of one device becomes `target`, or goes into it where that is a folder or `into` says
    so; several go into it, and those of several devices into a folder each. Each file is written
    beside, verified by its sha256 and renamed.
    """
    several = len(paths) > 1 or any(len(each) > 1 for each in paths.values())
    if several and target.exists() and not target.is_dir():
        raise UsageError(
            f"{printable(str(target))} is no folder, and several things are to be copied there",
            hint="name a folder",
        )
    task = FetchTask(
        paths=lambda device: paths[device],
        destination=_Target(
            target, inside=into or several or target.is_dir(), by_device=len(paths) > 1
        ),
    )
    return run_task(
        fleet,
        task,
        cancel,
        limit=list(paths),
        on_event=on_event,
        forks=forks,
    )


class _Target:
    """Implements `Destination`: a place on this computer."""

    def __init__(self, target: Path, *, inside: bool, by_device: bool) -> None:
        self._target = target
        self._inside = inside
        self._by_device = by_device
        self._received: dict[str, list[ReceivedFiles]] = {}

    def sink(self, device: str, path: str, entries: Sequence[BoardEntry]) -> FileSink:
        root = self._target
        prefix: tuple[str, ...] = ()
        if self._by_device:
            root /= plain_name(device)
        single = len(entries) == 1 and entries[0].kind == "file"
        if self._inside and path != "/":
            prefix = (basename(path),)
        elif single:  # it becomes the target
            prefix, root = (root.name,), root.parent
        places = {}
        for entry in entries:
            below = entry.path[len(path) :].strip("/") if entry.path != path else ""
            places[entry.path] = (*prefix, *filter(None, below.split("/")))
        received = ReceivedFiles(root, places, verbatim=single and not self._inside)
        self._received.setdefault(device, []).append(received)
        for entry in entries:
            if entry.kind == "directory":
                received.directory(*places[entry.path])
        return received

    def close(self, device: str) -> Sequence[str]:
        notes = []
        for received in self._received.pop(device, ()):
            received.close()
            notes += received.renamed()
        return notes


def send(
    fleet: Fleet,
    contents: Mapping[str, Mapping[str, bytes]],
    *,
    operator: bool = False,
    forks: int = 0,
    on_event: OnEvent | None = None,
    cancel: Cancellation | None = None,
) -> RunReport:
    """Write files to boards, by device and path: those that are not there already, each verified
    and renamed into place, and restart the boards that have changed. An event tells which of them
    the next `apply` undoes."""
    return run_task(
        fleet,
        SendTask(contents=contents),
        cancel,
        limit=list(contents),
        on_event=on_event,
        operator=operator,
        forks=forks,
    )


def backup(
    fleet: Fleet,
    folder: Path,
    *,
    limit: Sequence[str] = (),
    flash: bool = False,
    forks: int = 0,
    on_event: OnEvent | None = None,
    cancel: Cancellation | None = None,
) -> tuple[RunReport, dict[str, str]]:
    """Copy everything that is on the boards into `folder`/DEVICE/TIME, with `flash` the whole flash
    as well; where each is, by device. One that is interrupted leaves nothing."""
    task = BackupTask(begin=partial(NewBackup, folder), flash=flash)
    report = run_task(
        fleet,
        task,
        cancel,
        limit=limit,
        on_event=on_event,
        forks=forks,
    )
    return report, {name: task.made[name] for name in fleet.devices if name in task.made}


def read_backup(folder: Path) -> SavedBackup:
    """A backup that `backup` made; UsageError where that is none, or not whole."""
    return SavedBackup(folder)


def backups_of(folder: Path, device: str) -> list[SavedBackup]:
    """The backups that `backup` has made of a device in `folder`, the newest first; what is none is
    left out."""
    return saved_backups(folder / plain_name(device))


def restore(
    fleet: Fleet,
    saved: SavedBackup,
    *,
    new_board: bool = False,
    yes: bool = False,
    operator: bool = False,
    confirm: Confirm | None = None,
    on_event: OnEvent | None = None,
    cancel: Cancellation | None = None,
) -> RunReport:
    """Make the board of a fleet of one device hold what a backup has, and nothing else, each file
    verified before and after; with `new_board` it may be another than the backup was made of, and
    a blank one. Refused unless `yes`, or `confirm(device, plan)` says so."""
    with fleet.redactor.errors():
        image = saved.backup.image
        task = RestoreTask(
            backup=saved.backup,
            contents=saved.contents(),
            image=read_firmware(saved.bytes_of(image), image.file) if image is not None else None,
            new_board=new_board,
            yes=yes,
        )
    return run_task(
        fleet,
        task,
        cancel,
        limit=(),
        on_event=on_event,
        operator=operator,
        confirm=confirm,
    )


def rollback(
    fleet: Fleet,
    *,
    limit: Sequence[str] = (),
    yes: bool = False,
    forks: int = 0,
    match_by_mac: bool = False,
    operator: bool = False,
    manual_timeout: float = MANUAL_TIMEOUT,
    on_event: OnEvent | None = None,
    cancel: Cancellation | None = None,
) -> RunReport:
    """Put back the files that the last apply of each board replaced, where its device's check says
    `on_failure: rollback`, and run the check that it had passed with them. With `yes` also those
    that changed on the board since. The other arguments are those of `plan`."""
    return run_task(
        fleet,
        RollbackTask(yes=yes),
        cancel,
        limit=limit,
        on_event=on_event,
        operator=operator,
        manual_timeout=manual_timeout,
        match_by_mac=match_by_mac,
        forks=forks,
    )
