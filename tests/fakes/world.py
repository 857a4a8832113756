"""A world in memory: boards that keep files and firmware, and the adapters that reach them.

The boards follow the rules that the engine relies on and no more: a REPL only where MicroPython
runs and lets itself be interrupted, a bootloader that proves chip and MAC, a flash that is blank
after an erase. Every call that could change a board is written down in its `log`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from posixpath import dirname

from provision.core.chips.esp.chips import ESP32
from provision.core.chips.esp.image import SECTOR
from provision.core.planning.diff import STARTUP_FILES
from provision.engine.context import RunContext
from provision.errors import (
    BoardError,
    CheckFailed,
    NeedsHands,
    NoAnswer,
    OutOfSpace,
    PortNotFound,
    ProvisionError,
)
from provision.interfaces import (
    BootloaderFacts,
    FileOperation,
    Hands,
    MakeDir,
    PortInfo,
    Put,
    Remove,
    RemoveDir,
    ReplFacts,
    ScanRequest,
)
from provision.model.board import BoardProfile, ResetWiring
from provision.model.chip import Chip
from provision.model.event import Event
from provision.model.firmware import Firmware, Region
from provision.model.state import (
    FileState,
    Filesystem,
    FirmwareIdentity,
    FirmwareSource,
    PortSelector,
)

DEFAULT_BOOT = b"# This file is executed on every boot\n"
Progress = Callable[[int, int], None]


@dataclass
class FakeBoard:
    chip: Chip = ESP32
    mac: str = "24:6f:28:00:00:01"
    flash_size: int = 4 << 20
    secured: str | None = None
    firmware: FirmwareIdentity | None = None
    files: dict[str, bytes] = field(default_factory=dict)
    directories: set[str] = field(default_factory=set)
    free: int = 1 << 20
    silent: bool = False  # its app keeps the REPL away for good
    hogged: bool = False  # its app keeps the REPL away, but not after a reset
    dead: bool = False  # nothing answers at all
    worn: bool = False  # what is written over the REPL does not stick
    answers: list[str] = field(default_factory=lambda: ["True"])
    prints: str = "ready: kitchen"
    failures: list[ProvisionError] = field(default_factory=list)  # of its next transfers
    held: set[str] = field(default_factory=set)  # start-up files that are kept from starting
    log: list[str] = field(default_factory=list)
    open: bool = False


class FakeRepl:
    def __init__(self, board: FakeBoard) -> None:
        self.board = board

    def facts(self) -> ReplFacts:
        assert self.board.firmware is not None
        return ReplFacts(
            firmware=self.board.firmware,
            mac=self.board.mac,
            flash_size=self.board.flash_size,
            bytecode=None,
        )

    def scan(self, request: ScanRequest) -> Filesystem:
        def asked(path: str) -> bool:
            return path in request.paths or any(
                path == tree or path.startswith(tree.rstrip("/") + "/") for tree in request.trees
            )

        return Filesystem(
            files={
                path: FileState(size=len(data), sha256=hashlib.sha256(data).hexdigest())
                for path, data in self.board.files.items()
                if asked(path)
            },
            directories=frozenset(path for path in self.board.directories if asked(path)),
            free=self.board.free,
            held=frozenset(self.board.held & self.board.files.keys()),
        )

    def observe(self, request: ScanRequest) -> tuple[ReplFacts, Filesystem]:
        return self.facts(), self.scan(request)

    def transfer(self, operations: Sequence[FileOperation], progress: Progress) -> None:
        for number, operation in enumerate(operations, 1):
            self.board.log.append(f"{type(operation).__name__.lower()} {operation.path}")
            if self.board.failures:
                raise self.board.failures.pop(0)
            if not self.board.worn:
                self._carry_out(operation)
            progress(number, len(operations))

    def _carry_out(self, operation: FileOperation) -> None:
        files, directories = self.board.files, self.board.directories
        match operation:
            case Put():
                parent = dirname(operation.path)
                if parent != "/" and parent not in directories:
                    raise BoardError(f"no directory {parent}")
                files[operation.path] = operation.data
            case Remove():
                files.pop(operation.path, None)
            case MakeDir():
                directories.add(operation.path)
            case RemoveDir():
                directories.discard(operation.path)

    def hold(self) -> frozenset[str]:
        self.board.log.append("hold")
        self.board.held |= self.board.files.keys() & set(STARTUP_FILES)
        return frozenset(self.board.held)

    def release(self) -> None:
        self.board.log.append("release")
        self.board.held.clear()

    def evaluate(self, expression: str, timeout: float, stopping: Callable[[], bool]) -> str:
        self.board.log.append(f"evaluate {expression}")
        return self.board.answers.pop(0) if self.board.answers else "False"

    def leave(self) -> None:
        self.board.log.append("leave")


class FakeBootloader:
    def __init__(self, board: FakeBoard, world: FakeWorld) -> None:
        self.board = board
        self.world = world

    def facts(self) -> BootloaderFacts:
        return BootloaderFacts(
            chip=self.board.chip,
            description=self.board.chip.label,
            mac=self.board.mac,
            flash_size=self.board.flash_size,
            secured=self.board.secured,
        )

    def erase(self, leaving: Sequence[Region] | None, progress: Progress) -> None:
        self.board.log.append("erase" if leaving is not None else "erase the chip")
        self.board.silent = False
        self.board.firmware = None
        self.board.files.clear()
        self.board.directories.clear()

    def md5(self, offset: int, size: int) -> str:
        return ""

    def read(self, offset: int, size: int) -> bytes:
        return b"\xff" * size if self.board.firmware is None else b"\xe9" * size

    def write(self, regions: Sequence[Region], progress: Progress) -> None:
        self.board.log.append("flash " + " ".join(region.name for region in regions))
        self.board.firmware = self.world.boots
        for region in regions:
            if region.name == "filesystem":
                self._fill(self.world.filesystems.built[region.data])
        progress(1, 1)

    def _fill(self, files: Mapping[str, bytes]) -> None:
        self.board.files.update(files)
        for path in files:
            parent = dirname(path)
            while parent != "/":
                self.board.directories.add(parent)
                parent = dirname(parent)


class FakeConnection:
    def __init__(self, board: FakeBoard, profile: BoardProfile, world: FakeWorld) -> None:
        self.board = board
        self.profile = profile
        self.world = world
        self.interrupted = world.interrupts

    def repl(self, *, reset: bool) -> FakeRepl:
        board = self.board
        if reset:
            board.log.append("reset")
        if board.dead or board.silent or board.firmware is None or (board.hogged and not reset):
            raise NoAnswer("no MicroPython answers")
        return FakeRepl(board)

    def bootloader(self, hands: Hands | None, timeout: float) -> FakeBootloader:
        if self.board.dead:
            raise NoAnswer("the boot ROM does not answer")
        if self.profile.reset is ResetWiring.NONE and (
            hands is None or not hands(self.profile.download, timeout)
        ):
            raise NeedsHands(self.profile.download)
        self.board.log.append("bootloader")
        return FakeBootloader(self.board, self.world)

    def restart(self, hands: Hands | None, timeout: float) -> None:
        self.board.log.append("restart")
        if self.board.firmware is not None and not self.board.files:
            self.board.files["/boot.py"] = DEFAULT_BOOT

    def await_prompt(self, timeout: float) -> bool:
        self.board.log.append("first boot")
        return True

    def resume(self) -> None:
        self.board.log.append("resume")

    def console(self, pattern: str, timeout: float, stopping: Callable[[], bool]) -> str:
        if pattern not in self.board.prints:
            raise CheckFailed(f"no line with {pattern!r} in {timeout:g} s")
        return self.board.prints

    def listen(self, seconds: float, stopping: Callable[[], bool]) -> str:
        return self.board.prints

    def close(self) -> None:
        assert self.board.open, "closed twice"
        self.board.open = False


class FakeImages:
    """Images by the name of their source."""

    def __init__(self, images: Mapping[str, Firmware]) -> None:
        self._images = images

    def firmware(self, source: FirmwareSource) -> Firmware:
        return self._images[source.name]


class FakeFilesystems:
    """Images that are known again by their bytes; with `buildable` False there are none."""

    def __init__(self) -> None:
        self.buildable = True
        self.room = 1 << 20
        self.built: dict[bytes, dict[str, bytes]] = {}

    def build(
        self, firmware: Firmware, board: BoardProfile, flash_size: int, files: Mapping[str, bytes]
    ) -> Sequence[Region] | None:
        if not self.buildable:
            return None
        if sum(map(len, files.values())) > self.room:
            raise OutOfSpace("the files do not fit")
        data = repr(sorted(files.items())).encode()
        data += b"\xff" * (-len(data) % SECTOR)
        self.built[data] = dict(files)
        return [Region(name="filesystem", offset=0x200000, data=data)]


class FakeIdentities:
    def __init__(self) -> None:
        self.macs: dict[str, str] = {}

    def known(self, device: str) -> str | None:
        return self.macs.get(device)

    def learn(self, device: str, mac: str) -> None:
        self.macs[device] = mac


class FakeJournal:
    def __init__(self) -> None:
        self.open: set[str] = set()
        self.keeping: set[str] = set()

    def begin(self, mac: str, *, keeping: bool) -> None:
        self.open.add(mac)
        (self.keeping.add if keeping else self.keeping.discard)(mac)

    def end(self, mac: str) -> None:
        self.open.discard(mac)

    def was_cut(self, mac: str) -> bool:
        return mac in self.open

    def was_keeping(self, mac: str) -> bool:
        return mac in self.open & self.keeping


class FakeWorld:
    """Boards by address, and everything a run needs around them.

    `boots` is what a board says of itself after anything was flashed.
    """

    def __init__(
        self,
        boards: Mapping[str, FakeBoard],
        images: Mapping[str, Firmware] | None = None,
        boots: FirmwareIdentity | None = None,
    ) -> None:
        self.boards = dict(boards)
        self.images = FakeImages(images or {})
        first = next(iter((images or {}).values()), None)
        self.boots = boots or (first.identity if first else None)
        self.filesystems = FakeFilesystems()
        self.identities = FakeIdentities()
        self.journal = FakeJournal()
        self.events: list[Event] = []
        self.interrupts = False  # whether taking a REPL stops an app

    def ports(self) -> Sequence[PortInfo]:
        return [PortInfo(path=address, usb_id="10c4:ea60") for address in self.boards]

    def resolve(self, selector: PortSelector) -> str:
        if selector.value not in self.boards:
            raise PortNotFound(f"no port {selector.value}")
        return selector.value

    def connect(
        self,
        address: str,
        board: BoardProfile,
        *,
        device: str,
        baud: int,
        trace: Callable[[int, str], None],
    ) -> FakeConnection:
        self.boards[address].open = True
        return FakeConnection(self.boards[address], board, self)

    def context(self, **changes: object) -> RunContext:
        settings: dict[str, object] = {
            "discovery": self,
            "connector": self,
            "images": self.images,
            "filesystems": self.filesystems,
            "identities": self.identities,
            "journal": self.journal,
            "emit": self.events.append,
        }
        return RunContext(**{**settings, **changes})  # type: ignore[arg-type]
