"""Desired against actual: the plan that turns one into the other, or why there is none.

Pure, and the same plan every time. What is on a board but not in the manifest stays there,
unless an `absent` or `prune` entry covers it. boot.py and main.py come last, so that an
interrupted update starts the old app or none.

After an erase the firmware makes a new filesystem; a boot.py of its own is taken to be the only
file in it, of unknown content. Where nobody could look at the files, each is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from provision.core.planning.check_state import why_check
from provision.core.planning.safety import UNMOUNTABLE, refusals, unmountable
from provision.model.board_path import STARTUP_FILES, ancestors, at_or_below, below, depth
from provision.model.plan import (
    Action,
    DeleteFile,
    EraseFlash,
    FileAction,
    MakeDirectory,
    Plan,
    RemoveDirectory,
    Reset,
    RestoreFile,
    RunCheck,
    WriteFile,
    WriteFirmware,
)
from provision.model.state import (
    ActualState,
    DesiredFile,
    DesiredFirmware,
    DesiredState,
    FileState,
    Filesystem,
    FirmwareIdentity,
)

ERASED = Filesystem(files={"/boot.py": FileState(size=None, sha256=None)})
"""The filesystem that a firmware makes on an erased flash."""


def diff(desired: DesiredState, actual: ActualState) -> Plan:
    """The actions that make a board what it must be, in order, each with its reason.

    With a refusal there are none. No actions and no refusal: the board is as it must be, and its
    check, if there is one, has passed on this very state.
    """
    flashing = list(_flashing(desired, actual))
    erased = any(isinstance(action, EraseFlash) for action in flashing)
    files = FileDiff(desired, ERASED if erased else actual.filesystem, fresh=erased)
    actions: list[Action] = [*flashing]
    if flashing or actual.firmware is not None:  # else nothing could keep files
        actions += files.actions()
    if actions:
        actions.append(Reset(reason="run what is there now"))
        if desired.check is not None:
            actions.append(RunCheck(check=desired.check, reason="the board was changed"))
    elif desired.check is not None and (why := why_check(desired, actual)) is not None:
        actions.append(Reset(reason="the check begins where the app does"))
        actions.append(RunCheck(check=desired.check, reason=why))
    refused = tuple(refusals(desired, actual, actions, files.in_the_way()))
    return Plan(device=desired.device, actions=() if refused else tuple(actions), refusals=refused)


def _flashing(desired: DesiredState, actual: ActualState) -> Iterator[Action]:
    firmware = desired.firmware
    if firmware is None:
        return
    reason = _why_flash(firmware, desired, actual)
    if reason is None:
        return
    chip = desired.board.chip
    if firmware.erase == "always":
        yield EraseFlash(reason="the manifest says erase: always")
    elif firmware.erase == "auto" and unmountable(desired, actual):
        yield EraseFlash(reason=UNMOUNTABLE)
    elif firmware.erase == "auto" and actual.firmware is None and not actual.interrupted_update:
        yield EraseFlash(
            reason="what is on the flash does not answer, even after a reset"
            if actual.repl_unresponsive
            else "no MicroPython answers"
        )
    elif firmware.erase == "auto" and actual.firmware and actual.firmware.chip != chip:
        yield EraseFlash(
            reason=f"what is on the flash is for the {actual.firmware.chip.label}, "
            f"this is an {chip.label}"
        )
    yield WriteFirmware(identity=_wanted(firmware, desired), reason=reason)


def _wanted(firmware: DesiredFirmware, desired: DesiredState) -> FirmwareIdentity:
    """The identity of the image, or what is declared of it while nobody has read it."""
    return firmware.identity or FirmwareIdentity(
        version=(firmware.source.version or "").removeprefix("v"),
        machine="",
        chip=desired.board.chip,
    )


def _why_flash(firmware: DesiredFirmware, desired: DesiredState, actual: ActualState) -> str | None:
    """Why the firmware must be written; None when it is current."""
    wanted, found = _wanted(firmware, desired), actual.firmware
    name = wanted.version or firmware.source.name
    if found is None and actual.interrupted_update:
        return (
            f"finish the update to {name} that was interrupted; files kept, compared after flashing"
        )
    if found is None:
        return f"no MicroPython answers, {name} is wanted"
    if found.chip != wanted.chip:
        return f"a build for {found.chip.label} is on the board, {name} is wanted"
    if firmware.identity is None:
        same = not wanted.version or _same_version(found.version, wanted.version)
    else:
        same = found.version == wanted.version
    if not same:
        return f"{found.version} is on the board, {wanted.version} is wanted"
    if firmware.identity is not None and not found.agrees_with(firmware.identity):
        return f"a build for '{found.machine}' is on the board, '{wanted.machine}' is wanted"
    if unmountable(desired, actual) and firmware.erase != "never":
        return UNMOUNTABLE
    if actual.flash_differs:
        return f"the flash differs from the image: {', '.join(actual.flash_differs)}"
    return None


def _same_version(one: str, other: str) -> bool:
    """1.20 is 1.20.0, as MicroPython has written it both ways."""
    return one.removesuffix(".0") == other.removesuffix(".0")


class FileDiff:
    """The files' part of a plan. `fresh`: the filesystem is new, so that whatever is there
    already is the firmware's own."""

    def __init__(self, desired: DesiredState, seen: Filesystem | None, *, fresh: bool) -> None:
        self.desired = desired
        self.fresh = fresh
        self.seen = seen
        self.files = dict(seen.files) if seen else {}
        self.directories = set(seen.directories) if seen else set()
        self.directories |= _parents(self.files)
        self.managed = desired.files_by_dest
        self.needed = _parents(self.managed)

    def actions(self) -> list[RestoreFile | FileAction]:
        """Disabled start-up files restored, deletes, directories removed and made, writes; of the
        last four, what concerns startup files after everything."""
        writes = list(self._writes())
        ordered: list[RestoreFile | FileAction] = [
            *self._deletes(),
            *self._removed_directories(),
            *self._made_directories(action.path for action in writes),
            *writes,
        ]
        for startup in STARTUP_FILES:  # a stable sort: what concerns it moves behind the rest
            ordered.sort(key=lambda action, last=startup: at_or_below(action.path, last))  # type: ignore[misc]
        return [*self._restores({action.path for action in ordered}), *ordered]

    def in_the_way(self) -> Iterator[tuple[str, str, str]]:
        """Kind of what stands there, where it stands, and the file that cannot be written."""
        for dest in self.managed:
            if dest in self.directories and dest not in self._removable():
                yield ("directory", dest, dest)
            for parent in ancestors(dest):
                if parent in self.files and self._unwanted(parent) is None:
                    yield ("file", parent, dest)

    def _restores(self, replaced: set[str]) -> Iterator[RestoreFile]:
        for path in sorted(self.seen.disabled if self.seen else ()):
            if path not in replaced:
                yield RestoreFile(path=path, reason="an interrupted update kept it from starting")

    def _writes(self) -> Iterator[WriteFile]:
        for dest in sorted(self.managed):
            file = self.managed[dest]
            reason = self._why_write(file)
            if reason is not None:
                content = file.content
                yield WriteFile(
                    path=dest, size=content.size, sensitive=content.sensitive, reason=reason
                )

    def _why_write(self, file: DesiredFile) -> str | None:
        if self.fresh:
            return "the flash is erased"
        if self.seen is None:
            return "what is on the board is not known"
        found, content = self.files.get(file.dest), file.content
        if found is None:
            return "it is missing"
        if file.create_only:
            return None
        if found.size is not None and found.size != content.size:
            return f"it has {found.size} bytes, {content.size} are wanted"
        if found.sha256 is None:
            return "its content is not known"
        return None if found.sha256 == content.sha256 else "its content differs"

    def _deletes(self) -> Iterator[DeleteFile]:
        if self.seen is None:
            for path in sorted(set(self.desired.absent)):
                if path not in self.managed and path not in self.needed:
                    yield DeleteFile(path=path, reason="the manifest says absent")
        for path in sorted(self.files):
            reason = self._unwanted(path)
            if reason is not None:
                yield DeleteFile(path=path, reason=reason)

    def _unwanted(self, path: str) -> str | None:
        """Why a file that is on the board must go; None when it may stay."""
        if path in self.managed:
            return None
        if any(at_or_below(path, absent) for absent in self.desired.absent):
            return "the manifest says absent"
        for root in self.desired.prune:
            if below(path, root):
                return f"the manifest prunes {root}, and manages no such file"
        return None

    def _removable(self) -> set[str]:
        """The directories to remove: in reach of absent or prune, and empty of what stays."""
        return {
            path
            for path in self.directories
            if path not in self.needed
            and (
                any(at_or_below(path, absent) for absent in self.desired.absent)
                or any(below(path, root) for root in self.desired.prune)
            )
        }

    def _removed_directories(self) -> Iterator[RemoveDirectory]:
        for path in sorted(self._removable(), key=lambda path: (-depth(path), path)):
            yield RemoveDirectory(path=path, reason="nothing in it is wanted")

    def _made_directories(self, written: Iterable[str]) -> Iterator[MakeDirectory]:
        missing = _parents(written) - self.directories
        for path in sorted(missing, key=lambda path: (depth(path), path)):
            yield MakeDirectory(path=path, reason="files go into it")


def _parents(paths: Iterable[str]) -> set[str]:
    return {parent for path in paths for parent in ancestors(path)}
