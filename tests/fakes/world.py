"""A world in memory: boards that keep files and firmware, and the adapters that reach them.

The boards follow the rules that the engine relies on and no more: a REPL only where MicroPython
runs and lets itself be interrupted, a bootloader that proves chip and MAC, a flash that is blank
after an erase. Every call that could change a board is written down in its `log`.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from posixpath import dirname

from provision.core.chips.esp.boot import Bootable, boot_of
from provision.core.chips.esp.chips import ESP32
from provision.core.chips.esp.image import SECTOR
from provision.device.flashing.nvs_image import nvs_partition
from provision.engine.context import RunContext
from provision.errors import (
    BoardError,
    CheckFailed,
    FlashFailed,
    ManualActionRequired,
    NoAnswer,
    OutOfSpace,
    PortLost,
    PortNotFound,
    ProvisionError,
)
from provision.interfaces import (
    FileSink,
    FlashMode,
    FlashRead,
    Operator,
    PortInfo,
    SavedFlash,
    Say,
    ScanRequest,
    StoredContents,
    Terminal,
)
from provision.model.board import BoardProfile, ResetWiring
from provision.model.board_path import STARTUP_FILES, ancestors, at_or_below, disabled_name
from provision.model.chip import Chip
from provision.model.endpoint import Capabilities, Endpoint
from provision.model.event import Event
from provision.model.firmware import FilesystemPlace, Firmware, Region
from provision.model.kept import KeptState, KnownImage
from provision.model.language import assert_never
from provision.model.plan import DeleteFile, FileAction, MakeDirectory, RemoveDirectory, WriteFile
from provision.model.state import (
    ActualState,
    BoardEntry,
    CheckOutcome,
    CheckRecord,
    Content,
    FileState,
    Filesystem,
    FirmwareIdentity,
    FirmwareSource,
    PortSelector,
)
from provision.model.unit_data import NvsEntry
from provision.sources.certificates import FileAuthority

APP = 0x10000  # where it begins in flash
FILESYSTEM = 0x200000
_MARK = b"a filesystem in memory: "
DEFAULT_BOOT = b"# This file is executed on every boot\n"
Progress = Callable[[int, int], None]


def packed(files: Mapping[str, bytes]) -> bytes:
    """A filesystem as bytes of flash, which `FakeFilesystems` reads."""
    data = _MARK + repr(sorted(files.items())).encode() + b"\n"
    return data + b"\xff" * (-len(data) % SECTOR)


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
    spoilt: bool = False  # its boot.py leaves no memory to any program
    hogged: bool = False  # its app keeps the REPL away, but not after a reset
    dead: bool = False  # nothing answers at all
    worn: bool = False  # what is written over the REPL does not stick
    nameless: bool = False  # only its boot ROM tells its MAC
    damaged: bool = False  # its filesystem can be read by nobody but its firmware
    unverified: bool = False  # what is written to its flash does not read back
    answers: list[str] = field(default_factory=lambda: ["True"])
    prints: str | None = "ready: kitchen"  # None: what its main.py holds
    at_prompt: bool = True  # when its prompt is left
    raises: str = ""  # the traceback of code that is run
    failures: list[ProvisionError] = field(default_factory=list)  # of its next transfers
    cut_after: int | None = None  # actions of its next transfer after which its port is lost
    runs: Callable[[], None] | None = None  # what its app does when it starts
    disabled: set[str] = field(default_factory=set)  # start-up files that are kept from starting
    tells_flash: bool = True  # whether its firmware can read the flash
    writable: bool = True  # whether its link lets a flasher speak
    log: list[str] = field(default_factory=list)
    amid: Callable[[], None] | None = None  # what happens while it takes the next files
    takes: bool = True  # whether small files go onto it in one program
    gone: str | None = None  # why its port is lost when it is listened to
    # While its app is listened to: until it is asked to stop.
    listens: Callable[[Callable[[], bool]], None] = lambda _stopping: None
    open: bool = False
    exchanged: tuple[int, str] | None = None  # before which of its starts, for one with which MAC
    flash: dict[int, bytes] | None = None  # by offset, of one that starts what lies in its flash
    nvs: dict[tuple[str, str], NvsEntry] = field(default_factory=dict)
    write_only: bool = False  # whether its flasher cannot read it back
    # What is waited for before its flash is written: until the run is to stop.
    turn: Callable[[Callable[[], bool]], None] = lambda _stopping: None
    cut_flash: bool = False  # whether its port is lost when the flash is written next

    def flash_at(self, offset: int, size: int) -> bytes:
        if offset >= FILESYSTEM and self.damaged:
            return b"\x00" * size
        if offset >= FILESYSTEM and self.files:
            return packed(self.files).ljust(size, b"\xff")
        if self.flash is not None:
            return self._flash_at(self.flash, offset, size)
        return b"\xff" * size if self.firmware is None else b"\xe9" * size

    @staticmethod
    def _flash_at(flash: Mapping[int, bytes], offset: int, size: int) -> bytes:
        end = offset + size
        found = bytearray(b"\xff" * size)
        for place, data in flash.items():
            if place < end and offset < place + len(data):
                start = max(place, offset)
                piece = data[start - place : end - place]
                found[start - offset : start - offset + len(piece)] = piece
        return bytes(found)

    @property
    def printed(self) -> str:
        if self.prints is None:
            return self.files.get("/main.py", b"").decode()
        return self.prints

    def start(self) -> None:
        """It was reset, into whatever mode."""
        if self.exchanged is not None:
            left, mac = self.exchanged
            self.exchanged = (left - 1, mac)
            if left == 1:
                self.mac = mac
                self.log.append("exchanged")


def seen_of(
    files: Mapping[str, bytes], directories: Iterable[str], request: ScanRequest
) -> Filesystem:
    """What a look finds of these files, of all it was asked for."""

    def walked(path: str) -> bool:
        return any(at_or_below(path, tree) for tree in request.trees)

    seen = {
        path: FileState(
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest() if path in request.expected else None,
        )
        for path, data in files.items()
        if path in request.paths or walked(path)
    }
    above = {parent for path in seen for parent in ancestors(path)}
    return Filesystem(
        files=seen,
        directories=frozenset(
            path for path in directories if path in above or path in request.paths or walked(path)
        ),
    )


class FakeRepl:
    def __init__(self, board: FakeBoard) -> None:
        self.board = board

    def identify(self) -> ActualState:
        assert self.board.firmware is not None
        return ActualState(
            chip=self.board.firmware.chip,
            mac=None if self.board.nameless else self.board.mac,
            flash_size=self.board.flash_size,
            firmware=self.board.firmware,
        )

    def observe(self, request: ScanRequest) -> ActualState:
        seen = seen_of(self.board.files, self.board.directories, request)
        disabled = frozenset(self.board.disabled & self.board.files.keys())
        seen = replace(seen, free=self.board.free, disabled=disabled)
        nvs = self.nvs(request.nvs, ()) if request.nvs else None
        return replace(self.identify(), filesystem=seen, nvs=nvs)

    def nvs(
        self, wanted: Collection[str] | None, hidden: Collection[str]
    ) -> tuple[NvsEntry, ...] | None:
        found = [one for _, one in sorted(self.board.nvs.items())]
        shown = [one for one in found if wanted is None or one.namespace in wanted]
        return tuple(replace(one, data=None) if one.namespace in hidden else one for one in shown)

    def set_nvs(self, entry: NvsEntry, *, replaces: bool) -> None:
        self.board.log.append(f"set {entry.name}")
        there = self.board.nvs.get(entry.place)
        assert replaces == (there is not None and there.type != entry.type)
        if not self.board.worn:
            self.board.nvs[entry.place] = replace(entry, secrets=frozenset())

    def transfer(
        self, actions: Sequence[FileAction], contents: Mapping[str, Content], progress: Progress
    ) -> None:
        amid, self.board.amid = self.board.amid, None
        if amid is not None:
            amid()
        for number, action in enumerate(actions, 1):
            self.board.log.append(f"{action.kind} {action.path}")
            if self.board.cut_after is not None and number > self.board.cut_after:
                self.board.cut_after = None
                raise PortLost("unplugged")
            if self.board.failures:
                raise self.board.failures.pop(0)
            if not self.board.worn:
                self._carry_out(action, contents)
            progress(number, len(actions))

    def _carry_out(self, action: FileAction, contents: Mapping[str, Content]) -> None:
        files, directories = self.board.files, self.board.directories
        match action:
            case WriteFile():
                parent = dirname(action.path)
                if parent != "/" and parent not in directories:
                    raise BoardError(f"no directory {parent}")
                files[action.path] = contents[action.path].data
            case DeleteFile():
                files.pop(action.path, None)
            case MakeDirectory():
                directories.add(action.path)
            case RemoveDirectory():
                directories.discard(action.path)
            case _:
                assert_never(action)

    def fetch(
        self,
        files: Sequence[BoardEntry],
        sink: FileSink,
        progress: Progress,
        stopping: Callable[[], bool],
    ) -> Sequence[str]:
        gone = [entry.path for entry in files if entry.path not in self.board.files]
        for entry in files:
            if entry.path not in gone:
                data = self.board.files[entry.path]
                sink.write(entry.path, 0, data)
                assert sink.finish(entry.path, len(data), hashlib.sha256(data).hexdigest())
        return gone

    def disable_startup(self) -> frozenset[str]:
        self.board.log.append("disable startup")
        self.board.disabled |= self.board.files.keys() & set(STARTUP_FILES)
        return frozenset(self.board.disabled)

    def restore_startup(self) -> None:
        self.board.log.append("restore startup")
        self.board.disabled.clear()

    def read_flash(self, offset: int, size: int) -> bytes | None:
        return self.board.flash_at(offset, size) if self.board.tells_flash else None

    def evaluate(self, expression: str, timeout: float, stopping: Callable[[], bool]) -> str:
        self.board.log.append(f"evaluate {expression}")
        return self.board.answers.pop(0) if self.board.answers else "False"

    def leave(self) -> None:
        self.board.log.append("leave")


class FakeFlasher:
    def __init__(self, board: FakeBoard, world: FakeWorld) -> None:
        self.board = board
        self.world = world

    def identify(self) -> ActualState:
        return ActualState(
            chip=self.board.chip,
            description=self.board.chip.label,
            mac=self.board.mac,
            flash_size=self.board.flash_size,
            secured=self.board.secured,
        )

    def turn(self, stopping: Callable[[], bool]) -> AbstractContextManager[None]:
        self.board.turn(stopping)
        return nullcontext()

    def erase(self, leaving: Sequence[Region] | None, progress: Progress) -> None:
        self.board.log.append("erase" if leaving is not None else "erase the chip")
        self.board.silent = self.board.damaged = False
        self.board.firmware = None
        if self.board.flash is not None:
            self.board.flash.clear()
        self.board.files.clear()
        self.board.directories.clear()

    def differs(self, regions: Sequence[Region]) -> tuple[str, ...]:
        if self.board.flash is not None:
            held = self.board.flash_at
            return tuple(one.name for one in regions if held(one.offset, len(one.data)) != one.data)
        current = self.board.firmware is not None and self.board.firmware == self.world.boots
        return () if current else tuple(region.name for region in regions)

    def read(self, offset: int, size: int) -> bytes | None:
        return None if self.board.write_only else self.board.flash_at(offset, size)

    def is_blank(self, offset: int, size: int) -> bool:
        return not self.board.flash_at(offset, size).strip(b"\xff")

    def write(self, regions: Sequence[Region], progress: Progress) -> None:
        self.board.log.append("flash " + " ".join(region.name for region in regions))
        if self.board.cut_flash:
            self.board.cut_flash, self.board.firmware = False, None
            if self.board.flash is not None:  # its app is erased, to be written
                self.board.flash.pop(APP, None)
            raise PortLost("unplugged")
        if any(region.name != "filesystem" for region in regions):
            self.board.firmware = self.world.boots
        if self.board.flash is not None:
            self.board.flash |= {
                region.offset: region.data for region in regions if region.name != "filesystem"
            }
            boots = boot_of(self.board.flash_at(0, FILESYSTEM), self.board.chip)
            self.board.firmware = boots.identity if isinstance(boots, Bootable) else None
        for region in regions:
            if region.name == "filesystem":
                self._fill(self.world.filesystems.built[region.data])
        if self.board.unverified:
            raise FlashFailed("it does not read back as it was written", hint="a shorter cable")
        progress(1, 1)

    def _fill(self, files: Mapping[str, bytes]) -> None:
        disabled = {disabled_name(path): path for path in STARTUP_FILES}
        self.board.disabled |= {disabled[path] for path in files if path in disabled}
        self.board.files.update({disabled.get(path, path): files[path] for path in files})
        self.board.silent = self.board.silent and not self.board.disabled
        for path in files:
            self.board.directories.update(ancestors(path))


class FakeConnection:
    def __init__(self, board: FakeBoard, profile: BoardProfile, world: FakeWorld) -> None:
        self.board = board
        self.profile = profile
        self.world = world
        self.interrupted = world.interrupts

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            resets=self.profile.reset is not ResetWiring.NONE,
            lossless=False,
            flashes=self.board.writable,
        )

    def repl(self, *, reset: bool) -> FakeRepl:
        board = self.board
        if reset:
            board.start()
            board.log.append("reset")
        if board.spoilt:
            raise NoAnswer("no memory, from a fresh interpreter too") from BoardError("no memory")
        if board.dead or board.silent or board.firmware is None or (board.hogged and not reset):
            raise NoAnswer("no MicroPython answers")
        return FakeRepl(board)

    def flasher(self, operator: Operator | None, timeout: float) -> FakeFlasher:
        self.board.start()
        if self.board.dead:
            raise NoAnswer("the boot ROM does not answer")
        if self.profile.reset is ResetWiring.NONE and (
            operator is None or not operator(self.profile.download, timeout)
        ):
            raise ManualActionRequired(self.profile.download)
        self.board.log.append("bootloader")
        return FakeFlasher(self.board, self.world)

    def restart(self, operator: Operator | None, timeout: float) -> None:
        self.board.start()
        self.board.log.append("restart")
        if self.board.firmware is not None and not self.board.files:
            self.board.files["/boot.py"] = DEFAULT_BOOT
        if self.board.runs is not None:
            self.board.runs()

    def await_prompt(self, timeout: float) -> bool:
        self.board.log.append("first boot")
        return True

    def resume(self) -> None:
        self.board.log.append("resume")

    def console(self, pattern: str, timeout: float, stopping: Callable[[], bool]) -> str:
        if pattern not in self.board.printed:
            raise CheckFailed(f"no line with {pattern!r} in {timeout:g} s")
        return self.board.printed

    def listen(self, seconds: float, stopping: Callable[[], bool]) -> str:
        return self.board.printed

    def interact(self, terminal: Terminal, stopping: Callable[[], bool]) -> bool:
        self.board.log.append("interact")
        if self.board.failures:
            raise self.board.failures.pop(0)
        return self.board.at_prompt

    def follow(
        self,
        say: Say,
        note: Callable[[str], None],
        seconds: float | None,
        stopping: Callable[[], bool],
    ) -> None:
        self.board.log.append("follow")
        for line in self.board.prints.splitlines():
            say([line], True)

    def hear(self, say: Say, stopping: Callable[[], bool], *, patience: float) -> None:
        if stopping():
            return
        for line in self.board.printed.splitlines():
            say([line], True)
        self.board.listens(stopping)
        if self.board.gone is not None:
            raise PortLost(self.board.gone)

    def reconnect(self, stopping: Callable[[], bool]) -> bool:
        self.board.log.append("reconnect")
        self.board.gone = None
        return not stopping()

    def update(
        self,
        mac: str,
        actions: Sequence[FileAction],
        contents: Mapping[str, Content],
        progress: Progress,
    ) -> bool:
        self.board.log.append("update")
        if not self.board.takes or mac != self.board.mac:
            return False
        try:
            FakeRepl(self.board).transfer(actions, contents, progress)
        except BoardError:
            return False
        return all(
            self.board.files.get(action.path) == contents[action.path].data
            for action in actions
            if isinstance(action, WriteFile)
        )

    def start_app(self) -> None:
        self.board.log.append("start app")
        self.interrupted = self.world.interrupts

    def run_code(self, code: bytes, say: Say, stopping: Callable[[], bool]) -> str:
        self.board.log.append(f"run {code.decode()}")
        for line in self.board.printed.splitlines():
            say([line], True)
        if self.board.failures:
            raise self.board.failures.pop(0)
        return self.board.raises

    def close(self) -> None:
        assert self.board.open, "closed twice"
        self.board.open = False


class FakeImages:
    """Images by the name of their source."""

    def __init__(self, images: Mapping[str, Firmware]) -> None:
        self._images = images

    def firmware(self, source: FirmwareSource) -> Firmware:
        return self._images[source.name]

    def known(self, image: KnownImage) -> Firmware | None:
        found = (each for each in self._images.values() if each.sha256 == image.sha256)
        return next(found, None)


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
        return self._region(files)

    def rebuild(
        self, place: FilesystemPlace, contents: StoredContents, disk_version: int
    ) -> Sequence[Region]:
        if sum(map(len, contents.files.values())) > self.room:
            raise OutOfSpace("the files do not fit")
        return self._region(contents.files)

    def _region(self, files: Mapping[str, bytes]) -> Sequence[Region]:
        data = packed(files)
        self.built[data] = dict(files)
        return [Region(name="filesystem", offset=FILESYSTEM, data=data)]

    def read(self, read: FlashRead, place: FilesystemPlace) -> FakeStored | None:
        data = read(place.offset, 1 << 16)
        if not data.startswith(_MARK):
            return None
        files = dict(ast.literal_eval(data[len(_MARK) : data.index(b"\n")].decode()))
        return FakeStored(files, place, self)


class FakeStored:
    """A filesystem that was read from the flash of a board in memory."""

    disk_version = 0x00020000

    def __init__(
        self, files: Mapping[str, bytes], place: FilesystemPlace, world: FakeFilesystems
    ) -> None:
        self.files = files
        self.place = place
        self._filesystems = world

    def observe(self, request: ScanRequest) -> Filesystem:
        return seen_of(self.files, self.contents().directories, request)

    def contents(self) -> StoredContents:
        directories = {parent for path in self.files for parent in ancestors(path)}
        return StoredContents(files=self.files, directories=frozenset(directories))

    def startup_disabled(self, names: Sequence[str]) -> Sequence[Region]:
        files = {disabled_name(p) if p in names else p: self.files[p] for p in self.files}
        return self._filesystems.rebuild(self.place, StoredContents(files=files), self.disk_version)


class FakeIdentities:
    def __init__(self) -> None:
        self.macs: dict[str, str] = {}

    def known(self, device: str) -> str | None:
        return self.macs.get(device)

    def learn(self, device: str, mac: str) -> None:
        for other in [other for other, known in self.macs.items() if known == mac]:
            del self.macs[other]
        self.macs[device] = mac


class FakeJournal:
    def __init__(self) -> None:
        self.open: dict[str, tuple[str, FlashMode]] = {}
        self.kept: dict[str, SavedFlash] = {}
        self.aside: list[SavedFlash] = []

    def begin(
        self, mac: str, device: str, mode: FlashMode, saved: SavedFlash | None = None
    ) -> None:
        self.end(mac)
        self.open[mac] = (device, mode)
        if saved is not None:
            self.kept[mac] = saved

    def saved(self, mac: str) -> SavedFlash | None:
        return self.kept.get(mac)

    def set_aside(self, mac: str) -> str | None:
        saved = self.kept.get(mac)
        self.end(mac)
        if saved is None:
            return None
        self.aside.append(saved)
        return "a file"

    def end(self, mac: str) -> None:
        self.open.pop(mac, None)
        self.kept.pop(mac, None)

    def interrupted_mode(self, mac: str) -> FlashMode | None:
        return self.open[mac][1] if mac in self.open else None

    def may_erase(self, mac: str, device: str) -> bool:
        return self.open.get(mac) == (device, "erase")


class FakeChecks:
    def __init__(self) -> None:
        self.records: dict[str, CheckRecord] = {}

    def last(self, mac: str | None, device: str) -> CheckRecord | None:
        return self.records.get(mac or device)

    def begin(self, mac: str | None, device: str) -> None:
        self.records[mac or device] = CheckRecord(outcome="begun")

    def end(self, mac: str | None, device: str, state: str, *, passed: bool) -> None:
        outcome: CheckOutcome = "passed" if passed else "failed"
        self.records[mac or device] = CheckRecord(outcome=outcome, state=state)

    def forget(self, mac: str | None, device: str) -> None:
        if (mac or device) in self.records:
            self.begin(mac, device)


class FakeRollbacks:
    def __init__(self) -> None:
        self.kept: dict[str, KeptState] = {}

    def last(self, mac: str | None, device: str) -> KeptState | None:
        return self.kept.get(mac or device)

    def keep(self, mac: str | None, device: str, kept: KeptState) -> None:
        self.kept[mac or device] = kept

    def forget(self, mac: str | None, device: str) -> None:
        self.kept.pop(mac or device, None)


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
        self.checks = FakeChecks()
        self.rollbacks = FakeRollbacks()
        self.events: list[Event] = []
        self.interrupts = False  # whether taking a REPL stops an app

    def ports(self) -> Sequence[PortInfo]:
        return [PortInfo(path=address, usb_id="10c4:ea60") for address in self.boards]

    def resolve(
        self, selector: PortSelector, listed: Callable[[], Sequence[PortInfo]] | None = None
    ) -> str:
        if selector.value not in self.boards:
            raise PortNotFound(f"no port {selector.value}")
        return selector.value

    def connect(
        self,
        endpoint: Endpoint,
        board: BoardProfile,
        *,
        device: str,
        trace: Callable[[int, str], None],
    ) -> FakeConnection:
        self.boards[endpoint.address].open = True
        return FakeConnection(self.boards[endpoint.address], board, self)

    def context(self, **changes: object) -> RunContext:
        settings: dict[str, object] = {
            "discovery": self,
            "connector": self,
            "images": self.images,
            "filesystems": self.filesystems,
            "nvs_partition": nvs_partition,
            "certificates": FileAuthority(),
            "identities": self.identities,
            "journal": self.journal,
            "checks": self.checks,
            "rollbacks": self.rollbacks,
            "emit": self.events.append,
            "emit_printed": lambda said: self.events.extend(said.each()),
        }
        return RunContext(**{**settings, **changes})  # type: ignore[arg-type]
