"""Desired against actual: the plan that turns one into the other, or why there is none.

Pure, and the same plan every time. What is on a board but not in the manifest stays there,
unless an `absent` or `prune` entry covers it. boot.py and main.py come last, so that an
interrupted update starts the old app or none.

After an erase the firmware makes a new filesystem; a boot.py of its own is taken to be the only
file in it, of unknown content. Where nobody could look at the files, each is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from provision.core.planning.check_state import why_check
from provision.core.planning.flash_plan import flash_actions
from provision.core.planning.nvs_plan import nvs_actions, nvs_refusals
from provision.core.planning.safety import refusals
from provision.core.wording import plural, printable
from provision.model.board_path import STARTUP_FILES, ancestors, at_or_below, below, depth
from provision.model.language import assert_never
from provision.model.plan import (
    Action,
    DeleteFile,
    EraseFlash,
    FileAction,
    MakeDirectory,
    Plan,
    Refusal,
    RemoveDirectory,
    Reset,
    RestoreFile,
    RunCheck,
    WriteFile,
    WriteFirmware,
    WriteNvs,
    phase_of,
)
from provision.model.state import (
    ActualState,
    DesiredFile,
    DesiredState,
    FileState,
    Filesystem,
)

ERASED = Filesystem(files={"/boot.py": FileState(size=None, sha256=None)})
"""The filesystem that a firmware makes on an erased flash."""


def diff(desired: DesiredState, actual: ActualState) -> Plan:
    """The actions that make a board what it must be, in order, each with its reason.

    With a refusal there are none. No actions and no refusal: the board is as it must be, and its
    check, if there is one, has passed on this very state; or it is so in what `desired.only` names,
    and the rest is `left_undone`.
    """
    plan = whole_diff(desired, actual)
    if plan.refusals or not left_undone(desired, plan):
        return plan
    refused = tuple(_needs_firmware(desired, actual, plan)) if desired.only == "files" else ()
    if refused:
        return Plan(device=desired.device, refusals=refused)
    return whole_diff(part_alone(desired), actual)


def whole_diff(desired: DesiredState, actual: ActualState) -> Plan:
    """The same for all of it, whatever the run is for."""
    flashing = flash_actions(desired, actual)
    erased = any(isinstance(action, EraseFlash) for action in flashing)
    files = FileDiff(desired, ERASED if erased else actual.filesystem, fresh=erased)
    actions: list[Action] = [*flashing]
    settings: tuple[WriteNvs, ...] = ()
    if flashing or actual.firmware is not None:  # else nothing could keep files
        settings = nvs_actions(desired, actual, flashing)
        actions += [*settings, *files.actions()]
    if actions:
        actions.append(Reset(reason="run what is there now"))
        if desired.check is not None:
            actions.append(RunCheck(check=desired.check, reason="the board was changed"))
    elif desired.check is not None and (why := why_check(desired, actual)) is not None:
        actions.append(Reset(reason="the check begins where the app does"))
        actions.append(RunCheck(check=desired.check, reason=why))
    refused = (
        *refusals(desired, actual, actions, files.in_the_way()),
        *nvs_refusals(actual, flashing, settings),
    )
    return Plan(device=desired.device, actions=() if refused else tuple(actions), refusals=refused)


def left_undone(desired: DesiredState, whole: Plan) -> tuple[str, ...]:
    """What of the whole plan a run leaves undone that is for a part of it, in words; nothing where
    that part is all there is to do."""
    match desired.only:
        case None:
            return ()
        case "files":
            return tuple(
                action.reason for action in whole.actions if isinstance(action, WriteFirmware)
            )
        case "firmware":
            left = sum(
                phase_of(action) in ("nvs", "files") and not isinstance(action, RestoreFile)
                for action in whole.actions
            )
            return (f"{plural(left, 'change')} to its files",) if left else ()
        case _:
            return assert_never(desired.only)


def part_alone(desired: DesiredState) -> DesiredState:
    """What a run is for, where something else is left undone: without the check, which is of all of
    it."""
    if desired.only == "files":
        return replace(desired, only=None, firmware=None, check=None)
    return replace(
        desired,
        only=None,
        check=None,
        files=(),
        directories=(),
        absent=(),
        prune=(),
        fresh=False,
        nvs=(),
        certificate=None,
    )


def _needs_firmware(desired: DesiredState, actual: ActualState, whole: Plan) -> Iterator[Refusal]:
    """Why files must not go onto the firmware that is there, which is to be another one."""
    found, seen = actual.firmware, actual.filesystem
    foreign = [
        file.dest
        for file in desired.files
        if file.dest.endswith(".mpy") and not _imports(actual, file.content.data, whole)
    ]
    why = None
    if found is None or found.chip != desired.board.chip or seen is None or not seen.mounted:
        why = next(iter(left_undone(desired, whole)))
    elif foreign:
        why = f"{printable(foreign[0])} is bytecode that {found.version} may not import"
    if why is not None:
        yield Refusal(
            kind="needs-firmware",
            message=f"its files cannot go onto it before its firmware does: {why}",
            hint="run `provision apply` without `--only`",
        )


def _imports(actual: ActualState, data: bytes, whole: Plan) -> bool:
    """Whether the firmware that is on the board surely imports a `.mpy` that is for the one which
    the plan writes: by what it says of itself (`sys.implementation._mpy`, in the bits of a file's
    header), else as one of the same version."""
    if actual.bytecode is None or data[:1] != b"M" or len(data) < 4:
        wanted = {one.identity.version for one in whole.actions if isinstance(one, WriteFirmware)}
        return actual.firmware is not None and actual.firmware.version in wanted
    version, flags = data[1], data[2] & 0x3F
    native = flags >> 2 != 0
    return version == actual.bytecode & 0xFF and (
        not native or flags == actual.bytecode >> 8 & 0x3F
    )


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
        self.mounts = seen.mounts if seen else frozenset()
        self.managed = desired.files_by_dest
        self.wanted_directories = {*desired.directories, *_parents(desired.directories)}
        self.needed = _parents(self.managed) | self.wanted_directories

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
                    yield DeleteFile(path=path, reason=self._not_wanted("the manifest says absent"))
        for path in sorted(self.files):
            reason = self._unwanted(path)
            if reason is not None:
                yield DeleteFile(path=path, reason=reason)

    def _unwanted(self, path: str) -> str | None:
        """Why a file that is on the board must go; None when it may stay."""
        if path in self.managed:
            return None
        if any(at_or_below(path, absent) for absent in self.desired.absent):
            return self._not_wanted("the manifest says absent")
        for root in self.desired.pruned:
            if below(path, root):
                if root not in self.desired.prune:
                    return self._not_wanted("the manifest has no such file")
                return self._not_wanted(f"the manifest prunes {root}, and manages no such file")
        return None

    def _not_wanted(self, by_manifest: str) -> str:
        origin = self.desired.origin
        return by_manifest if origin is None else f"{origin} has no such file"

    def _removable(self) -> set[str]:
        """The directories to remove: in reach of absent or prune, and empty of what stays."""
        return {
            path
            for path in self.directories
            if path not in self.needed
            and path not in self.mounts
            and (
                any(at_or_below(path, absent) for absent in self.desired.absent)
                or any(below(path, root) for root in self.desired.pruned)
            )
        }

    def _removed_directories(self) -> Iterator[RemoveDirectory]:
        for path in sorted(self._removable(), key=lambda path: (-depth(path), path)):
            yield RemoveDirectory(path=path, reason="nothing in it is wanted")

    def _made_directories(self, written: Iterable[str]) -> Iterator[MakeDirectory]:
        missing = (_parents(written) | self.wanted_directories) - self.directories
        for path in sorted(missing, key=lambda path: (depth(path), path)):
            why = "it is missing" if path in self.wanted_directories else "files go into it"
            yield MakeDirectory(path=path, reason=why)


def _parents(paths: Iterable[str]) -> set[str]:
    return {parent for path in paths for parent in ancestors(path)}
