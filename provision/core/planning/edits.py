"""What an edit of the project means for a board that is kept in step with it (`provision watch`).

Files follow at once. What an `apply` would have to flash, erase or look for elsewhere is never done
along the way: it is said, with the command that does it, and the files go on where that is safe.
Pure.
"""

from __future__ import annotations

from dataclasses import replace

from provision.core.planning.diff import diff
from provision.core.planning.flash_plan import flash_actions
from provision.model.language import record
from provision.model.plan import DeleteFile, MakeDirectory, Plan, Reset, RestoreFile, WriteFile
from provision.model.state import ActualState, DesiredState, FileState

BYTECODE = ".mpy"
MOST_AT_ONCE = 8 * 1024
"""Bytes of new content that go in one program together with the proof of what they became. More
takes the line longer than a look at the whole board does, and may go at a raised rate."""


@record
class Meaning:
    """`files` is what the board can be kept at meanwhile: the manifest's files on the firmware that
    it has. `flash` is why firmware or NVS is to be written, which only `apply` does; `waits` why
    files must not be written before something else is done. None where that is not so."""

    files: DesiredState
    flash: str | None = None
    waits: str | None = None


def files_only(wanted: DesiredState) -> DesiredState:
    """What is kept up between two applies: the files, and neither firmware, NVS nor check."""
    return replace(wanted, firmware=None, nvs=(), check=None)


def moved(begun: DesiredState, wanted: DesiredState) -> str | None:
    """Why a board that was reached as `begun` says is not reached as `wanted` says: its port is
    open since, and another one is not looked for."""
    for what, before, after in (
        ("port", begun.port, wanted.port),
        ("board", begun.board.name, wanted.board.name),
        ("MAC", _declared(begun), _declared(wanted)),
        ("baud", begun.baud, wanted.baud),
    ):
        if before != after:
            return f"the manifest has another {what} for it now: {after}, not {before}"
    return None


def _declared(state: DesiredState) -> str | None:
    """The MAC that the manifest declares; one that the lock has learned is no edit."""
    owner = state.owners.get(state.mac) if state.mac is not None else None
    return state.mac if owner is not None and owner.declared else None


def meaning(wanted: DesiredState, actual: ActualState, begun: DesiredState) -> Meaning:
    """What `wanted` means for a board that was seen as `actual`; `begun` is what it had to be when
    the watch began, whose NVS nobody looks at along the way."""
    files = files_only(wanted)
    flashing = flash_actions(wanted, actual)
    if not flashing:
        other = "the manifest has other entries for its NVS" if wanted.nvs != begun.nvs else None
        return Meaning(files=files, flash=other)
    flash = flashing[-1].reason
    waits = None
    if actual.firmware is None:
        waits = "there is no MicroPython on the board that could take files"
    elif any(file.dest.endswith(BYTECODE) for file in wanted.files):
        waits = "its files include bytecode, which is made for the firmware that is wanted"
    return Meaning(files=files, flash=flash, waits=waits)


def same_files(one: DesiredState, other: DesiredState) -> bool:
    """Whether two states want the same of a board's files."""
    return _of_files(one) == _of_files(other)


def _elsewhere(state: DesiredState) -> tuple[object, ...]:
    return state.directories, state.absent, state.prune, state.certificate


def _of_files(state: DesiredState) -> tuple[object, ...]:
    files = {(file.dest, file.content.sha256, file.create_only) for file in state.files}
    return files, _elsewhere(state)


def small_plan(files: DesiredState, known: ActualState, looked: DesiredState) -> Plan | None:
    """What is to be done where a board is still as it was `known` when it was looked at for what
    `looked` asks, if it is no more than to write a few small files; None where the board must be
    looked at first."""
    seen = known.filesystem
    if seen is None or not seen.mounted or seen.disabled or seen.mounts:
        return None
    if _elsewhere(files) != _elsewhere(looked):
        return None  # nobody has seen yet what lies there
    if any(one.create_only and one.dest not in looked.files_by_dest for one in files.files):
        return None  # it may be there, and is not to be written then
    plan = diff(files, known)
    if plan.refusals:
        return None
    written = 0
    for action in plan.actions:
        match action:
            case WriteFile():
                written += action.size
            case MakeDirectory() | Reset():
                pass
            case _:
                return None
    return plan if written <= MOST_AT_ONCE else None


def settled(files: DesiredState, known: ActualState, plan: Plan) -> ActualState:
    """What a board is that was `known`, once the files of a small plan were proved on it. How much
    room is left nobody has asked."""
    assert known.filesystem is not None
    written = {action.path for action in plan.actions if isinstance(action, WriteFile)}
    made = {action.path for action in plan.actions if isinstance(action, MakeDirectory)}
    state_of = {
        file.dest: FileState(size=file.content.size, sha256=file.content.sha256)
        for file in files.files
        if file.dest in written
    }
    seen = replace(
        known.filesystem,
        files={**known.filesystem.files, **state_of},
        directories=known.filesystem.directories | made,
        free=None,
    )
    return replace(known, filesystem=seen)


def changed_paths(plan: Plan) -> tuple[str, ...]:
    """The files that a plan writes, deletes or gives their names back, in its order."""
    return tuple(
        action.path
        for action in plan.actions
        if isinstance(action, (WriteFile, DeleteFile, RestoreFile))
    )


def concerns(before: DesiredState, after: DesiredState) -> bool:
    """Whether what has become of a device's desired state asks for anything."""
    same_board = (before.port, before.board, before.mac, before.baud) == (
        after.port,
        after.board,
        after.mac,
        after.baud,
    )
    same_flash = (before.firmware, before.nvs) == (after.firmware, after.nvs)
    return not (same_board and same_flash and same_files(before, after))
