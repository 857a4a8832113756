"""The task `backup`: every file of each board, verified, and what is known of the board.

A backup is one once all of it is there: until then it has another name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import field, replace
from datetime import datetime, timezone
from typing import ClassVar, Protocol

from provision.core.chips.registry import family_of
from provision.core.wording import byte_size, plural
from provision.engine.context import DeviceContext, RunContext
from provision.engine.files.source import StoredFiles, board_files, fetch, known_contents
from provision.engine.flash.survey import flash_reader
from provision.engine.observe import over_repl
from provision.engine.task import Target
from provision.engine.tasks.files import tell_left_out
from provision.engine.tasks.plan import read_targets, with_known_boards
from provision.errors import BoardError, NoAnswer, ProvisionError, SourceError
from provision.interfaces import FileSink
from provision.model.backup import BackedUpFile, Backup
from provision.model.event import Notice, Outcome
from provision.model.firmware import Firmware, FlashPart
from provision.model.language import record
from provision.model.state import ActualState, BoardEntry, DesiredState

_PIECE = 64 << 10  # bytes of flash at a time: a run that is cancelled ends after one
IMAGE, FLASH = "firmware.bin", "flash.bin"


class BackupInProgress(Protocol):
    """One backup that is being made."""

    def sink(self, files: Sequence[BoardEntry]) -> FileSink:
        """Takes these files."""
        ...

    def received(self) -> tuple[BackedUpFile, ...]:
        """Those that have come, by path."""
        ...

    def add(self, name: str, pieces: Iterator[bytes]) -> BackedUpFile:
        """Keep something else beside them."""
        ...

    def finish(self, backup: Backup) -> str:
        """All of it is here; where, for people."""
        ...

    def abandon(self) -> None:
        """Remove what is there, unless it is finished."""
        ...


@record(slots=False)
class BackupTask:
    """`begin` begins one for a device; with `flash` the whole flash goes along. `made` is where
    each is that was finished, by device."""

    begin: Callable[[str], BackupInProgress]
    flash: bool = False
    made: dict[str, str] = field(default_factory=dict)
    name: ClassVar[str] = "backup"
    changes_boards: ClassVar[bool] = False
    writes: ClassVar[bool] = False

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`. An image that cannot be had is no reason to have no backup."""
        try:
            return read_targets(states, context)
        except SourceError as error:
            context.emit(Notice(message=f"no firmware image goes along: {error.message}"))
            return [Target(desired=state) for state in with_known_boards(states, context)]

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "ok"."""
        name, desired = device.desired.device, device.desired
        backup = self.begin(name)
        try:
            source = board_files(device)
            entries = source.tree("/", deep=True, hashed=bool(desired.files))
            files = [entry for entry in entries if entry.kind == "file"]
            gone = fetch(device, source, files, backup.sink(files), known_contents(desired))
            tell_left_out(device, entries, gone)
            stored = isinstance(source, StoredFiles)
            actual = device.actual
            assert actual is not None
            partitions = _partitions(device, actual, stored=stored)
            image = _image_of(device, actual)
            if self.flash:
                actual = _with_flash_size(device, actual)
            made = Backup(
                device=name,
                taken=datetime.now(timezone.utc).replace(microsecond=0).isoformat(),
                board=desired.board.name,
                chip=str(actual.chip) if actual.chip is not None else None,
                mac=actual.mac,
                flash_size=actual.flash_size,
                firmware=actual.firmware,
                through="bootloader" if stored else "repl",
                files=backup.received(),
                directories=tuple(
                    sorted(
                        entry.path
                        for entry in entries
                        if entry.kind == "directory" and entry.path != "/"
                    )
                ),
                left_out=tuple(entry.path for entry in entries if entry.kind == "mount"),
                gone=tuple(gone),
                partitions=partitions,
                image=backup.add(IMAGE, iter([image.file])) if image is not None else None,
                flash=backup.add(FLASH, _whole_flash(device, actual)) if self.flash else None,
            )
            where = backup.finish(made)
        finally:
            backup.abandon()
        self.made[name] = where
        size = byte_size(sum(file.size for file in made.files))
        device.run.emit(
            Notice(device=name, message=f"{plural(len(made.files), 'file')} ({size}) in {where}")
        )
        return "ok"


def _image_of(device: DeviceContext, actual: ActualState) -> Firmware | None:
    """The image of what runs on the board, where this computer has it."""
    image, runs = device.firmware, actual.firmware
    same = image is not None and runs is not None and runs.agrees_with(image.identity)
    return image if same else None


def _partitions(
    device: DeviceContext, actual: ActualState, *, stored: bool
) -> tuple[FlashPart, ...]:
    """The board's partition table, where it can be read without a reset."""
    chip = actual.chip
    flash_size = actual.flash_size or device.desired.board.flash_size
    if chip is None or flash_size is None:
        return ()
    read = flash_reader(device.session) if stored else over_repl(device.session.repl())
    try:
        return family_of(chip).partitions(chip, read, flash_size)
    except ProvisionError as error:
        device.session.note(f"its partition table cannot be read: {error.message}")
        return ()


def _with_flash_size(device: DeviceContext, actual: ActualState) -> ActualState:
    """The same, with the size of the flash as the chip itself has it; the board is in download mode
    then."""
    proved = device.session.flasher().identify()
    if proved.secured is not None:
        raise BoardError(
            f"{proved.secured} is on: its flash cannot be read as it is",
            hint="leave out --flash",
        )
    size = proved.flash_size or actual.flash_size or device.desired.board.flash_size
    if size is None:
        raise BoardError("nobody tells how large its flash is", hint="leave out --flash")
    return replace(actual, flash_size=size)


def _whole_flash(device: DeviceContext, actual: ActualState) -> Iterator[bytes]:
    session, size = device.session, actual.flash_size or 0
    session.stage("read-flash", "the whole of it")
    report = session.progress("read-flash")
    for start in range(0, size, _PIECE):
        device.cancel.check()
        data = session.flasher().read(start, min(_PIECE, size - start))
        if data is None:
            raise NoAnswer("the flash of this board cannot be read back", hint="leave out --flash")
        yield data
        report(start + len(data), size)
