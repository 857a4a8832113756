"""What a device must be (desired) and what its board is (actual), in comparable terms.

Paths on a board are absolute POSIX paths without `.`, `..`, empty parts or a trailing slash.
Sizes are bytes; a sha256 is 64 lower-case hex digits; a MAC is six lower-case hex pairs joined
by colons, or eight where that is what a chip has to be told by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import field
from functools import cached_property
from types import MappingProxyType
from typing import Literal

from provision.model.board import BoardProfile
from provision.model.chip import Chip
from provision.model.language import record
from provision.model.unit_data import DesiredCertificate, NvsEntry

PortKind = Literal["path", "url", "serial", "location", "usb", "mac", "any"]


@record
class PortSelector:
    """How the manifest names a port: a path, a pyserial URL, or a property to look for."""

    kind: PortKind
    value: str

    def __str__(self) -> str:
        if self.kind == "any":
            return "any port"
        return self.value if self.kind in ("path", "url") else f"{self.kind} {self.value}"


@record(slots=False)
class Content:
    """The bytes of one file; `secrets` are the secret texts that went into them.

    A content made with secrets is `sensitive`: neither it nor its digest may be shown.
    """

    data: bytes = field(repr=False)
    secrets: frozenset[str] = field(default=frozenset(), repr=False)

    @property
    def sensitive(self) -> bool:
        return bool(self.secrets)

    @property
    def size(self) -> int:
        return len(self.data)

    @cached_property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


@record(slots=False)
class UnreadContent(Content):
    """What stays on the board as it is, and is known here by its size and digest alone: a key."""

    length: int
    digest: str = field(repr=False)

    def __post_init__(self) -> None:
        self.__dict__["sha256"] = self.digest

    @property
    def size(self) -> int:
        return self.length


@record
class DesiredFile:
    """One file the board must hold at `dest`; `source` is what the manifest calls it.

    With `create_only` the file is written when missing and never compared afterwards.
    """

    dest: str
    source: str
    content: Content
    create_only: bool = False
    template: bool = False


@record
class FirmwareIdentity:
    """What a MicroPython says of itself in its banner.

    `version` without the leading v ("1.24.1", "1.25.0-preview.31.g1234567"); `machine` is the
    banner's last part, the board and its chip; `date` as ISO 8601 or "".
    """

    version: str
    machine: str
    chip: Chip
    date: str = ""

    def agrees_with(self, other: FirmwareIdentity) -> bool:
        """Same version, board and chip; the build date is not compared."""
        return (self.version, self.machine, self.chip) == (other.version, other.machine, other.chip)


@record
class FirmwareSource:
    """Where the manifest says an image comes from: exactly one of file, url, version is set
    (a file or url may also declare the version and board it expects to find). `file` is
    relative to the manifest's folder; `version` may be "latest".
    """

    name: str  # the key in the firmware table, or the version for a bare one
    file: str | None = None  # as the manifest has it: relative to its directory
    url: str | None = None
    version: str | None = None
    board: str | None = None  # the board in a release's name
    variant: str | None = None
    preview: bool = False
    sha256: str | None = None


@record
class DesiredFirmware:
    """The firmware a board must run. `identity` is None until the image has been read.

    `erase`: "auto" erases the whole flash when what is on it is not MicroPython for this chip,
    "always" before every write, "never" not at all. `verify`: "banner" trusts what the running
    firmware says, "flash" also compares the flash's MD5 region by region.
    """

    source: FirmwareSource
    identity: FirmwareIdentity | None = None
    erase: Literal["auto", "always", "never"] = "auto"
    verify: Literal["banner", "flash"] = "banner"


@record
class Check:
    """Proof that the app runs: an expression that must be true, or with `min` or `max` a number
    within them; or a line on the console; or several of these, its `steps`, one after the other,
    each with its `name`."""

    expression: str | None = None
    console: str | None = None  # a regular expression searched in what the board prints
    timeout: float = 10.0  # seconds
    on_failure: Literal["keep", "rollback"] = "keep"  # what becomes of the files then
    name: str | None = None
    min: float | None = None
    max: float | None = None
    steps: tuple[Check, ...] = ()

    @property
    def parts(self) -> tuple[Check, ...]:
        """Its steps, or itself as the only one."""
        return self.steps or (self,)

    def fault(self, answer: str) -> str | None:
        """What is wrong with the value of the expression, told by its repr; None where nothing is:
        it is true, or the number that is asked for."""
        if self.min is None and self.max is None:
            return f"gave {answer}" if answer in _FALSE else None
        try:
            number = float(answer)
        except ValueError:
            return f"gave {answer}, which is no number"
        if self.min is not None and not number >= self.min:
            return f"gave {answer}, less than {self.min:g}"
        if self.max is not None and not number <= self.max:
            return f"gave {answer}, more than {self.max:g}"
        return None


_FALSE = frozenset({"False", "None", "0", "''", "[]", "()", "{}"})


@record
class StepResult:
    """What one step of a check gave: the `value` of its expression, as its repr and cut where it is
    long, or the line that its console printed; None where neither came. `name` is the step's, or
    what it `asked`: the expression, or the pattern."""

    name: str
    asked: str
    passed: bool
    value: str | None = None
    min: float | None = None
    max: float | None = None


CheckOutcome = Literal["begun", "passed", "failed"]


@record
class CheckRecord:
    """What is remembered of a board's last check: what came of it, and the digest of the state
    that it was run on (`planning.check_state`); "begun" of a run that never ended it."""

    outcome: CheckOutcome
    state: str = field(default="", repr=False)


@record
class BoardOwner:
    """Whose board a MAC is: declared in the manifest, else learned in the lock."""

    device: str
    declared: bool = False


Part = Literal["files", "firmware"]
"""What of a device a run may be for: its files, with what else goes over the REPL, or its
firmware."""


@record(slots=False)
class DesiredState:
    """What one device must be, everything resolved. `files` is sorted by dest, one each; `owners`
    are the boards that manifest and lock know, this device's and the others', by MAC. `directories`
    are to be there though nothing need lie in them. `nvs` is sorted by namespace and key. `origin`
    is what says so in place of the manifest, for people: "the backup". `fresh`: by this run,
    whatever no entry manages goes; `only`: nothing but this part of it is done. `transfer_baud` is
    the highest rate for sending files, 0 for none but `baud`, None where the board's profile says
    it."""

    device: str
    board: BoardProfile
    port: PortSelector | None
    host: str | None = None  # the computer that it hangs on, where the manifest says
    mac: str | None = None
    owners: Mapping[str, BoardOwner] = field(default_factory=lambda: MappingProxyType({}))
    firmware: DesiredFirmware | None = None
    files: tuple[DesiredFile, ...] = ()
    directories: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    prune: tuple[str, ...] = ()
    nvs: tuple[NvsEntry, ...] = ()
    certificate: DesiredCertificate | None = None
    check: Check | None = None
    baud: int = 115200
    transfer_baud: int | None = None
    groups: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()  # as asked for; what they hold is among the files
    origin: str | None = None
    fresh: bool = False
    only: Part | None = None
    variables: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    @property
    def pruned(self) -> tuple[str, ...]:
        """The folders below which what no entry manages goes."""
        return (*self.prune, "/") if self.fresh else self.prune

    @cached_property
    def files_by_dest(self) -> Mapping[str, DesiredFile]:
        return MappingProxyType({file.dest: file for file in self.files})


@record
class FileState:
    """One file on a board. `sha256` is None where it is there but its content is unknown."""

    size: int | None
    sha256: str | None


@record
class BoardEntry:
    """What has a name on a board. A "mount" is another filesystem, as a card's, on which nobody has
    looked. Bytes of a path that are not UTF-8 are surrogates (`path_of_bytes`)."""

    path: str
    kind: Literal["file", "directory", "mount"]
    size: int = 0
    sha256: str | None = None  # of a file, where that was asked for


@record
class Filesystem:
    """What was seen of a board's filesystem: files by path, directories (without "/"), room.

    Only what lies at or below the paths that were asked for is listed. `free` counts bytes in
    whole blocks of `block` bytes. `mounted` is False where MicroPython runs without a filesystem,
    having found none that it can read. `disabled` are those of the start-up files that an update
    which was interrupted keeps from starting: they are whole, under another name. `mounts` are the
    directories where something else is mounted, as a card: they cannot be removed.
    """

    files: Mapping[str, FileState]
    directories: frozenset[str] = frozenset()
    free: int | None = None
    block: int = 4096
    mounted: bool = True
    disabled: frozenset[str] = frozenset()
    mounts: frozenset[str] = frozenset()


@record
class FlashContents:
    """What the flash itself holds besides a firmware, in view of the firmware that is wanted.

    `filesystem`: "blank" where there is none, "readable" where every file is known, "opaque" where
    it is one that only a firmware can read (FAT), "damaged" where there is something that is no
    filesystem or not any more. `misfit` is why the wanted firmware would not find it, or not all
    of it, where it lies and as it is; `fits` whether its files have room where that firmware keeps
    its own. `spared` and `unspared` are what else is kept in flash ("NVS"): the first stays
    through an erase that is not asked to be whole, the second does not.
    """

    filesystem: Literal["blank", "readable", "opaque", "damaged"]
    misfit: str | None = None
    fits: bool = True
    spared: tuple[str, ...] = ()
    unspared: tuple[str, ...] = ()


@record(slots=False)
class ActualState:
    """What was read from a board, by its REPL, its flasher or both. None means that nobody could
    look, or that the board does not tell.

    `firmware` is None for a blank flash or anything that is not MicroPython; of a board whose REPL
    does not answer it is what its flash was compared with and holds. `filesystem` is None where
    it could be read neither by the REPL nor from the flash. A REPL cannot tell about secure
    boot: that a firmware of ours runs says that none stands in the way; the flasher is asked
    before a write.
    """

    chip: Chip | None = None
    mac: str | None = None
    flash_size: int | None = None
    description: str | None = None  # of the chip, as the flasher has it
    revision: int | None = None  # of the chip, major * 100 + minor, where it has one
    psram: int | None = (
        None  # bytes in the chip's package, as its eFuses say; beside it may be more
    )
    cores: int | None = None  # that run programs
    secured: str | None = None  # "secure boot", "flash encryption" or "secure download mode"
    firmware: FirmwareIdentity | None = None
    bytecode: int | None = None  # `sys.implementation._mpy`: which .mpy files the firmware takes
    filesystem: Filesystem | None = None
    flash: FlashContents | None = None  # where the flash was looked at, as before it is written
    repl_unresponsive: bool = False  # an image is there, but no REPL, even after a reset
    repl_error: str | None = None  # of one that has, and whose interpreter runs no program of ours
    interrupted_update: bool = False  # so since an update that kept the files was interrupted
    last_check: CheckRecord | None = None  # not read from the board: remembered of it
    nvs: tuple[NvsEntry, ...] | None = None  # of the namespaces that were asked for
    flash_differs: tuple[str, ...] = ()  # regions that differ from the image, with verify: flash
