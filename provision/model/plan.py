"""The plan: ordered actions that turn actual into desired, each with its reason; and in which
batches of devices plans are carried out."""

from __future__ import annotations

import re
from typing import ClassVar, Literal

from provision.model.language import assert_never, record
from provision.model.state import Check, FirmwareIdentity
from provision.model.unit_data import NvsType


@record
class EraseFlash:
    """Erase the flash, but for what it `spares`; `losses` is what goes and nothing brings back,
    in words: files that no entry manages, NVS, a filesystem that cannot be read."""

    kind: ClassVar[str] = "erase-flash"
    reason: str
    losses: tuple[str, ...] = ()
    spares: tuple[str, ...] = ()


@record
class RewriteFilesystem:
    """Read the filesystem, and write it anew where and as the new firmware reads it: all its
    `files` are kept, and what lies beside it in flash. `losses` as of EraseFlash."""

    kind: ClassVar[str] = "rewrite-filesystem"
    reason: str
    files: int
    losses: tuple[str, ...] = ()


@record
class WriteFirmware:
    kind: ClassVar[str] = "write-firmware"
    identity: FirmwareIdentity
    reason: str


@record
class RestoreFile:
    """Give a start-up file its name back, which an interrupted update had taken from it."""

    kind: ClassVar[str] = "restore-file"
    path: str
    reason: str


@record
class DeleteFile:
    """Delete a file; one that is gone already is no error."""

    kind: ClassVar[str] = "delete-file"
    path: str
    reason: str


@record
class RemoveDirectory:
    """Remove a directory that this plan leaves empty; one that is not is left alone."""

    kind: ClassVar[str] = "remove-directory"
    path: str
    reason: str


@record
class MakeDirectory:
    """Make one directory; its parent exists. One that is there already is no error."""

    kind: ClassVar[str] = "make-directory"
    path: str
    reason: str


@record
class WriteFile:
    """Write one file whole; of one that is `sensitive` no content and no digest is ever shown."""

    kind: ClassVar[str] = "write-file"
    path: str
    size: int
    sensitive: bool
    reason: str


@record
class WriteNvs:
    """Set one entry of NVS, whose value of `size` bytes is never shown where it is `sensitive`.
    `replaces`: one of another type has its name and goes before."""

    kind: ClassVar[str] = "write-nvs"
    namespace: str
    key: str
    type: NvsType
    size: int
    sensitive: bool
    reason: str
    replaces: bool = False

    @property
    def place(self) -> tuple[str, str]:
        """Which entry it is."""
        return self.namespace, self.key


@record
class Reset:
    kind: ClassVar[str] = "reset"
    reason: str


@record
class RunCheck:
    kind: ClassVar[str] = "check"
    check: Check
    reason: str


FileAction = DeleteFile | RemoveDirectory | MakeDirectory | WriteFile
"""What is done to the files over the REPL, in one transfer."""

FlashAction = EraseFlash | RewriteFilesystem | WriteFirmware
"""What is done to the flash in download mode, in one visit."""

Action = FlashAction | RestoreFile | WriteNvs | FileAction | Reset | RunCheck

Phase = Literal["flash", "nvs", "files", "finish"]


def phase_of(action: Action) -> Phase:
    """Which part of carrying out a plan an action belongs to; those that finish it change
    nothing that is kept."""
    match action:
        case EraseFlash() | RewriteFilesystem() | WriteFirmware():
            return "flash"
        case WriteNvs():
            return "nvs"
        case RestoreFile() | DeleteFile() | RemoveDirectory() | MakeDirectory() | WriteFile():
            return "files"
        case Reset() | RunCheck():
            return "finish"
        case _:
            return assert_never(action)


@record
class Refusal:
    """Why a board must not be touched: `kind` is a stable word, `message` for people."""

    kind: str
    message: str
    hint: str


@record
class Plan:
    """Actions in the order they are carried out. With any refusal there are no actions."""

    device: str
    actions: tuple[Action, ...] = ()
    refusals: tuple[Refusal, ...] = ()

    @property
    def changes(self) -> bool:
        """Whether there is anything to do, be it only a check that has not passed."""
        return bool(self.actions)

    @property
    def change_count(self) -> int:
        """How many things change; the reset and the check that follow are not counted."""
        return sum(phase_of(action) != "finish" for action in self.actions)

    @property
    def erases(self) -> bool:
        return any(isinstance(action, EraseFlash) for action in self.actions)

    @property
    def rewrites(self) -> bool:
        """Whether the filesystem is read, and written anew with all its files."""
        return any(isinstance(action, RewriteFilesystem) for action in self.actions)

    @property
    def losses(self) -> tuple[str, ...]:
        """What carrying it out loses, in words."""
        return tuple(
            loss
            for action in self.actions
            if isinstance(action, (EraseFlash, RewriteFilesystem))
            for loss in action.losses
        )

    @property
    def deleted(self) -> tuple[str, ...]:
        """The files that go."""
        return tuple(action.path for action in self.actions if isinstance(action, DeleteFile))

    @property
    def flashes(self) -> bool:
        return any(phase_of(action) == "flash" for action in self.actions)


SAVED_PLAN = "provision plan"
"""How a file begins that holds a plan; its version follows."""

_SHARE = re.compile(r"([0-9]{1,6})(%?)", re.ASCII)


@record
class Share:
    """So many devices of a run, or so many percent of them."""

    number: int
    percent: bool = False

    @classmethod
    def from_text(cls, text: str, *, least: int = 0) -> Share:
        """As it is written, `5` or `10%`; ValueError says what is wrong with it."""
        match = _SHARE.fullmatch(text.strip())
        if match is None:
            raise ValueError("expected a number of devices, as 5, or a part of them, as 10%")
        share = cls(number=int(match[1]), percent=bool(match[2]))
        if share.percent and share.number > 100:
            raise ValueError("more than 100%")
        if share.number < least:
            raise ValueError(f"the least is {least}")
        return share

    def of(self, total: int) -> int:
        """How many of so many devices that is, rounded down."""
        return total * self.number // 100 if self.percent else self.number


@record
class Rollout:
    """How a run goes from a few devices to all: the sizes of its batches, the last of which goes on
    until no device is left, and how many devices may fail before no further one is begun."""

    batches: tuple[Share, ...] = (Share(number=100, percent=True),)
    max_failures: Share = Share(number=0)


@record
class Batches:
    """The devices of a run in the batches that they are begun in. `proving` says that the first of
    them is that of the whole rollout, which has to converge whole before any other is begun."""

    devices: tuple[tuple[str, ...], ...]
    max_failures: int = 0
    proving: bool = True

    def may_fail(self, number: int) -> int:
        """How many devices of the run may have failed while the batch of this number, from 0, is at
        work, and before the next one begins."""
        return 0 if self.proves(number) else self.max_failures

    def proves(self, number: int) -> bool:
        """Whether that is the batch that the change is proved on for the others."""
        return self.proving and number == 0 and len(self.devices) > 1
