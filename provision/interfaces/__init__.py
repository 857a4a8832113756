"""What the engine needs of the world, as small Protocols named by role.

`device/` implements them for real ports, `tests/fakes/` by hand; `app.py` builds the adapters.
Every method raises errors of `provision.errors` and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import field
from typing import Literal, Protocol

from provision.interfaces.certificates import CertificateAuthority as CertificateAuthority
from provision.interfaces.console import Say as Say
from provision.interfaces.console import Terminal as Terminal
from provision.interfaces.flasher import Flasher as Flasher
from provision.interfaces.flasher import IsBlank as IsBlank
from provision.interfaces.flasher import Operator as Operator
from provision.interfaces.flasher import Progress as Progress
from provision.interfaces.nvs import NvsAccess
from provision.interfaces.ports import Discovery as Discovery
from provision.interfaces.ports import PortInfo as PortInfo
from provision.interfaces.ports import Volume as Volume
from provision.interfaces.ports import VolumeKind as VolumeKind
from provision.interfaces.ports import Volumes as Volumes
from provision.interfaces.records import CheckRecords as CheckRecords
from provision.interfaces.records import Identities as Identities
from provision.interfaces.records import RollbackRecords as RollbackRecords
from provision.model.board import BoardProfile
from provision.model.endpoint import Capabilities, Endpoint
from provision.model.firmware import FilesystemPlace, Firmware, Region
from provision.model.kept import KnownImage
from provision.model.language import record
from provision.model.plan import FileAction
from provision.model.state import (
    ActualState,
    BoardEntry,
    Content,
    FileState,
    Filesystem,
    FirmwareSource,
)

FlashMode = Literal["erase", "rewrite", "keep"]
"""Whether a flash is erased first, with or without its files being put back, or its filesystem is
left alone."""

FlashRead = Callable[[int, int], bytes]
"""Offset and size in flash to the bytes there; raises an error of ours, never returns less."""


@record
class ScanRequest:
    """What to look at on a board's filesystem.

    `paths` are single files (or directories to know of), `trees` are walked whole. `expected`
    is how files should be, so that a board where all is as expected can say so in one byte. With
    none of them only the board itself is asked. `nvs` are namespaces whose entries are read.
    """

    paths: tuple[str, ...] = ()
    trees: tuple[str, ...] = ()
    expected: Mapping[str, FileState] = field(default_factory=dict)
    nvs: tuple[str, ...] = ()


class FileSink(Protocol):
    """Takes what is read off a board, in pieces."""

    def write(self, path: str, offset: int, data: bytes) -> None:
        """A piece of a file; what lay there before is replaced."""
        ...

    def finish(self, path: str, size: int, sha256: str) -> bool:
        """All has come: whether it is this. What is not will come again from its beginning."""
        ...


class Repl(NvsAccess, Protocol):
    """A board's MicroPython, stopped at its raw REPL."""

    def identify(self) -> ActualState:
        """Who the board is and what runs on it; nothing is said of its filesystem."""
        ...

    def observe(self, request: ScanRequest) -> ActualState:
        """`identify`, and the files that are asked for hashed on the board, in one round trip
        where all is as expected; changes nothing there."""
        ...

    def transfer(
        self, actions: Sequence[FileAction], contents: Mapping[str, Content], progress: Progress
    ) -> None:
        """Carry out the actions in order; `contents` holds what each file is to be, by path. A
        file is verified on the board by its sha256 (at least 8 bytes of it) and renamed into
        place, so that a path holds its old or its new content, nothing else."""
        ...

    def disable_startup(self) -> frozenset[str]:
        """Keep boot.py and main.py from starting until `restore_startup`, whatever resets the
        board; which of them are disabled then. None are where that could cost a file (FAT), or
        where secure boot or flash encryption is on: such a board is not touched."""
        ...

    def restore_startup(self) -> None:
        """Undo `disable_startup`, also one of a run before; nothing to undo is no error."""
        ...

    def read(self, path: str, limit: int) -> bytes:
        """The content of a file on the board, at most `limit` bytes of it."""
        ...

    def tree(self, path: str, *, deep: bool, hashed: bool) -> Sequence[BoardEntry]:
        """What lies at a path and below it, itself first, on its own filesystem: what is mounted
        below is named and not entered. BoardError where there is nothing. `deep`: not only what is
        directly in it; `hashed`: with the sha256 of each file."""
        ...

    def fetch(
        self,
        files: Sequence[BoardEntry],
        sink: FileSink,
        progress: Progress,
        stopping: Callable[[], bool],
    ) -> Sequence[str]:
        """Read files whole, each verified by the sha256 that the board has of it; returns the
        paths of those that are gone meanwhile. Interrupted once `stopping` says so."""
        ...

    def read_flash(self, offset: int, size: int) -> bytes | None:
        """Bytes of the flash as the running firmware reads them, whatever is mounted; None where
        it has no function for it. Slow: 4 KB take half a second of a line at 115200 baud."""
        ...

    def evaluate(self, expression: str, timeout: float, stopping: Callable[[], bool]) -> str:
        """The repr of an expression, stripped of control characters; BoardError if it raises,
        NoAnswer if it takes longer than `timeout` seconds or `stopping` says so."""
        ...

    def leave(self) -> None:
        """Back to the friendly REPL, without a reset."""
        ...


class Connection(Protocol):
    """One port, owned exclusively from opening to `close`; the board behind it may be running
    its app, at its REPL or in download mode, and these calls take it from one to another."""

    @property
    def capabilities(self) -> Capabilities:
        """What can be done over this link, with this board at its end."""
        ...

    @property
    def interrupted(self) -> bool:
        """Whether taking the REPL stopped an app that was running."""
        ...

    def repl(self, *, reset: bool) -> Repl:
        """Interrupt what runs and take the raw REPL; with `reset`, reset first and interrupt
        early. NoAnswer when no MicroPython answers."""
        ...

    def flasher(self, operator: Operator | None, timeout: float) -> Flasher:
        """Take the board to download mode and be ready to write its flash. A board that needs a
        person is waited for with `operator` for up to `timeout` seconds; without one
        ManualActionRequired is raised at once. NoAnswer over a link that cannot flash."""
        ...

    def restart(self, operator: Operator | None, timeout: float) -> None:
        """Reset into run mode by the lines or, where there are none, by what answers."""
        ...

    def await_prompt(self, timeout: float) -> bool:
        """Let a board boot undisturbed, as its first set-up needs; whether its prompt came."""
        ...

    def resume(self) -> None:
        """Let an app that `repl` interrupted run again, by a soft reset."""
        ...

    def console(self, pattern: str, timeout: float, stopping: Callable[[], bool]) -> str:
        """Wait for a line that the board prints and that `pattern`, a regular expression,
        is found in; returns it, or raises CheckFailed, or Interrupted once `stopping` says so."""
        ...

    def listen(self, seconds: float, stopping: Callable[[], bool]) -> str:
        """Let the app run for a while, or until `stopping` says so; returns what it printed,
        bounded and printable."""
        ...

    def run_code(self, code: bytes, say: Say, stopping: Callable[[], bool]) -> str:
        """Run code at the raw REPL, which has been taken; returns its traceback, "" where nothing
        was raised. BoardRestarted where the board does so before the code has ended. Once
        `stopping` says so it is interrupted: Interrupted, or NoAnswer where it heeds no Ctrl-C."""
        ...

    def interact(self, terminal: Terminal, stopping: Callable[[], bool]) -> bool:
        """Have the prompt of the board, whose REPL has been taken, on an open terminal until Ctrl-]
        is typed or `stopping` says so; whether the board waits at its prompt then."""
        ...

    def follow(
        self,
        say: Say,
        note: Callable[[str], None],
        seconds: float | None,
        stopping: Callable[[], bool],
    ) -> None:
        """Read what the board prints for `seconds` (None: for ever) or until `stopping` says so;
        not a byte is sent. A port that goes away is waited for, which `note` is told."""
        ...

    def hear(self, say: Say, stopping: Callable[[], bool], *, patience: float) -> None:
        """Read what the board prints until `stopping` says so, which is asked every `patience`
        seconds at least; Unreachable when the port goes away."""
        ...

    def reconnect(self, stopping: Callable[[], bool]) -> bool:
        """Wait for a port that went away, until `stopping` says so; whether it is open again.
        Nothing is known of the board on it."""
        ...

    def update(
        self,
        mac: str,
        actions: Sequence[FileAction],
        contents: Mapping[str, Content],
        progress: Progress,
    ) -> bool:
        """Carry out a few small actions at the raw REPL, which has been taken, of the board with
        this MAC, and read the files back from its flash: whether all is as `contents` has it.
        False where nobody knows, for whatever reason: look at the board, and write what differs."""
        ...

    def start_app(self) -> None:
        """Start boot.py and main.py anew, in a fresh interpreter; `hear` begins with their output.
        NoAnswer where the board does not say that it does so."""
        ...

    def close(self) -> None: ...


class Connector(Protocol):
    """Opens ports."""

    def connect(
        self,
        endpoint: Endpoint,
        board: BoardProfile,
        *,
        device: str,
        trace: Callable[[int, str], None],
    ) -> Connection:
        """Open and lock the port at a path or URL; nothing is sent to the board."""
        ...


class Images(Protocol):
    """Where firmware images come from."""

    def firmware(self, source: FirmwareSource) -> Firmware:
        """The image that a source names, read and checked against what the source declares;
        SourceError or ImageError when it cannot be had."""
        ...

    def known(self, image: KnownImage) -> Firmware | None:
        """An image that a board was proved to run earlier, where this computer still has it,
        without a network; None where it has not."""
        ...


@record
class StoredContents:
    """All that a filesystem holds: the bytes of each file by path, and every directory but "/".

    Bytes of a name that are not UTF-8 are surrogates of such (`surrogateescape`), here and
    wherever a filesystem is read from outside: `printable` before they are shown.
    """

    files: Mapping[str, bytes] = field(repr=False)
    directories: frozenset[str] = frozenset()


class StoredFilesystem(Protocol):
    """A filesystem as it lies in flash, read without the firmware that uses it. Damage that is
    met on the way is a BoardError; whatever reading the flash raises goes through."""

    @property
    def place(self) -> FilesystemPlace:
        """Where it was looked for; it may be smaller, never larger."""
        ...

    @property
    def disk_version(self) -> int:
        """Of its format: 0x00020001 is 2.1."""
        ...

    def observe(self, request: ScanRequest) -> Filesystem:
        """What a scan through the REPL would say, sizes and `free` always known (MicroPython's
        statvfs counts the blocks of directories twice; here they count once). A file that is asked
        for and cannot be read has no sha256."""
        ...

    def contents(self) -> StoredContents:
        """Everything; BoardError naming the first file that cannot be read."""
        ...

    def startup_disabled(self, paths: Sequence[str]) -> tuple[Region, ...]:
        """What must be written, in order, so that those of these files of the root directory that
        are there have their `disabled_name`; nothing where that is so. Wherever the writing is
        cut, all files are there, each under one name or the other. OutOfSpace where the
        directory has no room for the longer names."""
        ...


class FilesystemStore(Protocol):
    """Filesystems of boards, built on the host and read as they lie in flash."""

    def build(
        self, firmware: Firmware, board: BoardProfile, flash_size: int, files: Mapping[str, bytes]
    ) -> Sequence[Region] | None:
        """The used blocks of a fresh filesystem that holds the files, as flash regions; None
        where it cannot be built on the host (FAT, no known place): go through the REPL."""
        ...

    def read(self, read: FlashRead, place: FilesystemPlace) -> StoredFilesystem | None:
        """The filesystem at a place, read as far as is needed and when it is; None where there is
        none that a driver of today would mount."""
        ...

    def rebuild(
        self, place: FilesystemPlace, contents: StoredContents, disk_version: int
    ) -> Sequence[Region]:
        """The used blocks of a fresh filesystem with these contents in that version of the format;
        OutOfSpace where it does not fit."""
        ...


@record
class SavedFlash:
    """What was read off a board before its flash is erased, to be written back: every file, with
    start-up files under their own names, and regions beside firmware and filesystem (NVS)."""

    contents: StoredContents | None = None
    regions: tuple[Region, ...] = ()


class Journal(Protocol):
    """Which boards a run was in the middle of flashing, so that the next one knows when a board
    does not answer because a run was interrupted, and has what was saved of it."""

    def begin(
        self, mac: str, device: str, mode: FlashMode, saved: SavedFlash | None = None
    ) -> None:
        """The flash of this board is about to be written for this device; durable when this
        returns, with what was saved of it."""
        ...

    def saved(self, mac: str) -> SavedFlash | None:
        """What a run that never ended had saved of this board; None where nothing was, or nothing
        that can be read."""
        ...

    def set_aside(self, mac: str) -> str | None:
        """The board answers, though the run that was rewriting it never ended: forget that run,
        and keep what it had saved; where that is now, for people, or None."""
        ...

    def end(self, mac: str) -> None:
        """It has been written whole, or answers again: whatever was begun on it is over."""
        ...

    def interrupted_mode(self, mac: str) -> FlashMode | None:
        """How some run that began on this board and never ended was flashing it; None when no
        such run is known."""
        ...

    def may_erase(self, mac: str, device: str) -> bool:
        """Whether a run of this manifest that never ended was erasing this board for this device,
        and so had been allowed to."""
        ...
