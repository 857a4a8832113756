"""What a backup of one board says of it; `schemas/backup.schema.json` is its form on disk."""

from __future__ import annotations

from typing import Literal

from provision.model.firmware import FlashPart
from provision.model.language import record
from provision.model.state import FirmwareIdentity

BACKUP_VERSION = 1


@record
class BackedUpFile:
    """Bytes of a board, or about it: `file` is where they are, relative to the backup, with
    forward slashes; `path` is where they were on the board, "" for what is no file there."""

    path: str
    file: str
    size: int
    sha256: str


@record
class Backup:
    """`through` says how its files were read. `image` is the firmware's image, where this computer
    had it, `flash` the whole flash, where that was asked for. `left_out` are other filesystems, and
    `gone` what vanished while it was read. `taken` is a UTC time in ISO 8601."""

    device: str
    taken: str
    board: str
    chip: str | None
    mac: str | None
    flash_size: int | None
    firmware: FirmwareIdentity | None
    through: Literal["repl", "bootloader"]
    files: tuple[BackedUpFile, ...]
    directories: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    gone: tuple[str, ...] = ()
    partitions: tuple[FlashPart, ...] = ()
    image: BackedUpFile | None = None
    flash: BackedUpFile | None = None
