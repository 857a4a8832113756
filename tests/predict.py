"""What a board will be once a plan is carried out: the other half of `diff`.

`diff(desired, predict(desired, actual, diff(desired, actual)))` has no actions; that is a
property test, and what `apply` proves on the board itself. Only tests predict.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from provision.core.planning.check_state import state_digest
from provision.core.planning.diff import ERASED
from provision.model.board_path import ancestors
from provision.model.plan import (
    DeleteFile,
    EraseFlash,
    MakeDirectory,
    Plan,
    RemoveDirectory,
    Reset,
    RestoreFile,
    RewriteFilesystem,
    RunCheck,
    WriteFile,
    WriteFirmware,
    WriteNvs,
)
from provision.model.state import ActualState, CheckRecord, DesiredState, FileState, Filesystem
from provision.model.unit_data import NVS_NAME


def predict(desired: DesiredState, actual: ActualState, plan: Plan) -> ActualState:
    """The actual state after every action of `plan`; `actual` itself for an empty one.

    `plan` is one that `diff` made of the same two states. How much room is left on the
    filesystem is not predicted.
    """
    state, seen = actual, actual.filesystem
    files, directories = _unfold(seen)
    for action in plan.actions:
        match action:
            case EraseFlash():
                state = replace(state, firmware=None, flash=None, flash_differs=())
                if NVS_NAME not in action.spares:
                    state = replace(state, nvs=())
                seen = ERASED
                files, directories = _unfold(seen)
            case RewriteFilesystem():
                misfit = replace(state.flash, misfit=None) if state.flash is not None else None
                state = replace(state, flash=misfit)
                if seen is not None:
                    seen = replace(seen, mounted=True)
            case WriteFirmware():
                state = replace(state, firmware=action.identity, flash_differs=())
            case WriteNvs():
                wanted = next(one for one in desired.nvs if one.place == action.place)
                others = [one for one in state.nvs or () if one.place != action.place]
                state = replace(state, nvs=(*others, replace(wanted, secrets=frozenset())))
            case RestoreFile() | Reset():
                pass
            case RunCheck():
                proved = state_digest(desired, state)
                state = replace(state, last_check=CheckRecord(outcome="passed", state=proved))
            case DeleteFile():
                files.pop(action.path, None)
            case RemoveDirectory():
                directories.discard(action.path)
            case MakeDirectory():
                directories.add(action.path)
            case WriteFile():
                content = desired.files_by_dest[action.path].content
                files[action.path] = FileState(size=content.size, sha256=content.sha256)
        if isinstance(action, (DeleteFile, RemoveDirectory, MakeDirectory, WriteFile)):
            seen = Filesystem(files=files, directories=frozenset(directories))
    if not plan.actions:
        return actual
    if seen is not None:
        block = actual.filesystem.block if actual.filesystem else Filesystem(files={}).block
        mounts = actual.filesystem.mounts if actual.filesystem else frozenset()
        seen = Filesystem(
            files=files, directories=frozenset(directories), block=block, mounts=mounts
        )
    return replace(state, filesystem=seen)


def _unfold(seen: Filesystem | None) -> tuple[dict[str, FileState], set[str]]:
    known: Mapping[str, FileState] = seen.files if seen is not None else {}
    directories = {parent for path in known for parent in ancestors(path)}
    return dict(known), directories | (seen.directories if seen is not None else frozenset())
