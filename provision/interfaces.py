"""What the engine needs of the world, as small Protocols named by role.

`device/` implements them for real ports, `tests/fakes/` by hand; `cli/wiring.py` builds them.
Every method raises errors of `provision.errors` and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from provision.model.board import BoardProfile
from provision.model.chip import Chip
from provision.model.firmware import Firmware, Region
from provision.model.state import (
    FileState,
    Filesystem,
    FirmwareIdentity,
    FirmwareSource,
    PortSelector,
)

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all; both count what goes over the wire."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PortInfo:
    """One serial port that is plugged in, as the operating system tells."""

    path: str
    description: str = ""
    usb_id: str | None = None  # "10c4:ea60"
    serial_number: str | None = None
    location: str | None = None  # "1-1.4"
    links: tuple[str, ...] = ()  # by-id and by-path names


class Discovery(Protocol):
    """Finds ports."""

    def ports(self) -> Sequence[PortInfo]:
        """All serial ports plugged in now."""
        ...

    def resolve(self, selector: PortSelector) -> str:
        """The path or URL for a selector of any kind but `mac`; PortNotFound when nothing,
        UsageError when more than one port matches."""
        ...


@dataclass(frozen=True, kw_only=True, slots=True)
class ScanRequest:
    """What to look at on a board's filesystem.

    `paths` are single files (or directories to know of), `trees` are walked whole. `expected`
    are the files hoped for, so that a board where all is as it should be can say so in one byte.
    """

    paths: tuple[str, ...]
    trees: tuple[str, ...] = ()
    expected: Mapping[str, FileState]


@dataclass(frozen=True, kw_only=True, slots=True)
class ReplFacts:
    """What a running MicroPython tells of itself; `bytecode` is `sys.implementation._mpy`."""

    firmware: FirmwareIdentity
    mac: str | None
    flash_size: int | None
    bytecode: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class BootloaderFacts:
    chip: Chip
    description: str  # as its flasher words it, with its revision
    mac: str
    flash_size: int | None
    secured: str | None  # "secure boot", "flash encryption", "secure download mode" or None
    revision: int | None = None  # of the chip, major * 100 + minor


@dataclass(frozen=True, kw_only=True, slots=True)
class Put:
    """Write a file whole, atomically."""

    path: str
    data: bytes
    sha256: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Remove:
    """Remove a file; one that is gone already is no error."""

    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class MakeDir:
    """Make one directory; its parent exists. One that is there already is no error."""

    path: str


@dataclass(frozen=True, kw_only=True, slots=True)
class RemoveDir:
    """Remove a directory if it is empty."""

    path: str


FileOperation = Put | Remove | MakeDir | RemoveDir


class Repl(Protocol):
    """A board's MicroPython, held at its raw REPL."""

    def facts(self) -> ReplFacts: ...

    def scan(self, request: ScanRequest) -> Filesystem:
        """Hash what is asked for, in one round trip; changes nothing on the board."""
        ...

    def observe(self, request: ScanRequest) -> tuple[ReplFacts, Filesystem]:
        """`facts` and `scan` in one round trip."""
        ...

    def transfer(self, operations: Sequence[FileOperation], progress: Progress) -> None:
        """Carry out the operations in order; each Put is verified on the board by its
        sha256 (at least 8 bytes of it) and renamed into place, so that a path holds its old or
        its new content, nothing else."""
        ...

    def hold(self) -> frozenset[str]:
        """Keep boot.py and main.py from starting until `release`, whatever resets the board;
        which of them are held then. None are where that could cost a file (FAT), or where secure
        boot or flash encryption is on: such a board is not touched."""
        ...

    def release(self) -> None:
        """Undo `hold`, also one of a run before; nothing held is no error."""
        ...

    def read(self, path: str, limit: int) -> bytes:
        """The content of a file on the board, at most `limit` bytes of it."""
        ...

    def evaluate(self, expression: str, timeout: float, stopping: Callable[[], bool]) -> str:
        """The repr of an expression, stripped of control characters; BoardError if it raises,
        NoAnswer if it takes longer than `timeout` seconds or `stopping` says so."""
        ...

    def leave(self) -> None:
        """Back to the friendly REPL, without a reset."""
        ...


class Bootloader(Protocol):
    """A board in download mode, its flasher stub running."""

    def facts(self) -> BootloaderFacts: ...

    def erase(self, leaving: Sequence[Region] | None, progress: Progress) -> None:
        """Erase the whole flash; what `leaving`, which is to be written next, will fill may be
        left to the writing, and what reads as blank. With None nothing is left. From its
        beginning on nothing boots."""
        ...

    def md5(self, offset: int, size: int) -> str:
        """MD5 of a part of the flash, as 32 hex digits, computed on the board."""
        ...

    def read(self, offset: int, size: int) -> bytes: ...

    def write(self, regions: Sequence[Region], progress: Progress) -> None:
        """Write and verify the regions as they are."""
        ...


class Hands(Protocol):
    """Asks a person to do something to a board."""

    def __call__(self, instructions: str, seconds_left: float) -> bool:
        """Called about every second while waiting; False gives up at once."""
        ...


class Connection(Protocol):
    """One port, owned exclusively from opening to `close`; the board behind it may be running
    its app, at its REPL or in download mode, and these calls take it from one to another."""

    @property
    def interrupted(self) -> bool:
        """Whether taking the REPL stopped an app that was running."""
        ...

    def repl(self, *, reset: bool) -> Repl:
        """Interrupt what runs and take the raw REPL; with `reset`, reset first and interrupt
        early. NoAnswer when no MicroPython answers."""
        ...

    def bootloader(self, hands: Hands | None, timeout: float) -> Bootloader:
        """Enter download mode and start the stub. A board that needs a person is waited for
        with `hands` for up to `timeout` seconds; without it NeedsHands is raised at once."""
        ...

    def restart(self, hands: Hands | None, timeout: float) -> None:
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

    def close(self) -> None: ...


class Connector(Protocol):
    """Opens ports."""

    def connect(
        self,
        address: str,
        board: BoardProfile,
        *,
        device: str,
        baud: int,
        trace: Callable[[int, str], None],
    ) -> Connection:
        """Open and lock the port at a path or pyserial URL; nothing is sent to the board."""
        ...


class Images(Protocol):
    """Where firmware images come from."""

    def firmware(self, source: FirmwareSource) -> Firmware:
        """The image that a source names, read and checked against what the source declares;
        SourceError or ImageError when it cannot be had."""
        ...


class FilesystemBuilder(Protocol):
    """Builds filesystem images on the host."""

    def build(
        self,
        firmware: Firmware,
        board: BoardProfile,
        flash_size: int,
        files: Mapping[str, bytes],
    ) -> Sequence[Region] | None:
        """The used blocks of a fresh filesystem that holds the files, as flash regions; None
        where it cannot be built on the host (FAT, no known place): go through the REPL."""
        ...


class Journal(Protocol):
    """Which boards a run was in the middle of flashing, so that the next one knows when a board
    does not answer because a run was cut short."""

    def begin(self, mac: str, *, keeping: bool) -> None:
        """The flash of this board is about to be written, its filesystem left alone if `keeping`;
        durable when this returns."""
        ...

    def end(self, mac: str) -> None:
        """It has been written whole."""
        ...

    def was_cut(self, mac: str) -> bool:
        """Whether some run began on this board and never ended."""
        ...

    def was_keeping(self, mac: str) -> bool:
        """Whether that run left the board's filesystem alone."""
        ...


class Identities(Protocol):
    """Which board each device was, as far as runs before this one have learned."""

    def known(self, device: str) -> str | None:
        """The MAC learned for a device, or None."""
        ...

    def learn(self, device: str, mac: str) -> None:
        """Keep a device's MAC; durable when this returns."""
        ...
