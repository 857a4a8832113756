"""What is kept of the last apply of a board whose device says `on_failure: rollback`: before it is
changed, what will be replaced, read off the board onto this computer, until the next apply that
changes it. And what the runs after it tell of an apply that did not come to its end.
"""

from __future__ import annotations

from dataclasses import replace

from provision.core.planning.rollback import (
    FilesFound,
    changed_files,
    expected_files,
    find_files,
    kept_for,
    told,
)
from provision.core.wording import printable
from provision.engine.context import DeviceContext
from provision.engine.files.memory import Memory
from provision.engine.files.source import BoardFiles, ReplFiles, StoredFiles, fetch, known_contents
from provision.engine.flash.saved_files import under_own_names
from provision.errors import BoardError
from provision.interfaces import ScanRequest
from provision.model.event import Notice
from provision.model.kept import KeptState
from provision.model.plan import Plan
from provision.model.state import ActualState, BoardEntry, Filesystem

WITHOUT = "`on_failure: keep` applies without a way back"
NO_WAY_BACK = (
    "writing its firmware is not rolled back: where the check fails then, the board keeps what it "
    "has got, files included"
)


def wants_rollback(device: DeviceContext) -> bool:
    check = device.desired.check
    return check is not None and check.on_failure == "rollback"


def tell_last_apply(device: DeviceContext, plan: Plan, actual: ActualState) -> None:
    """Say what became of the last apply where it did not come to its end, and which state the
    board is in; and, of the next, where nothing brings back what there is. A board that is as the
    manifest wants it, and proved to be, has nothing to tell."""
    name = device.desired.device
    if plan.flashes and actual.firmware is not None and wants_rollback(device):
        device.run.emit(Notice(device=name, message=NO_WAY_BACK))
    kept = device.run.rollbacks.last(actual.mac, name)
    if kept is None or not plan.changes:
        return
    if not kept.unfinished and not changed_files(device.desired, plan).keys() & kept.files.keys():
        return  # what is wanted now has nothing to do with it
    message = told(name, kept, find_kept(device, kept, actual))
    if message is not None:
        device.run.emit(Notice(device=name, message=message))


def find_kept(device: DeviceContext, kept: KeptState, actual: ActualState) -> FilesFound | None:
    """What the board has of the files that are kept, which the manifest need not name any more;
    None where nobody can look."""
    if actual.filesystem is None:
        return None
    if not kept.files:
        return FilesFound()
    request = ScanRequest(paths=tuple(kept.files), expected=expected_files(kept))
    if device.session.in_download_mode:
        seen = device.stored.observe(request) if device.stored is not None else None
    else:
        seen = device.session.observe(request).filesystem
    return find_files(kept, seen) if seen is not None else None


def keep_replaced(device: DeviceContext, plan: Plan, actual: ActualState) -> KeptState | None:
    """Before the first write: keep what the plan replaces, durably; None where there will be
    nothing to go back to."""
    name, records = device.desired.device, device.run.rollbacks
    if not wants_rollback(device) or plan.flashes or actual.filesystem is None:
        if plan.change_count:
            records.forget(actual.mac, name)
        return None
    last = records.last(actual.mac, name)
    known = last.files if last is not None and last.unfinished else {}
    if not plan.change_count and not known:
        return None  # only the check is still to come: nothing is replaced
    paths = [path for path in changed_files(device.desired, plan) if path not in known]
    contents = _contents(device, actual, actual.filesystem, paths)
    device.cancel.check()
    kept = kept_for(device.desired, plan, actual, contents, last)
    records.keep(actual.mac, name, kept)
    return kept


def proved(device: DeviceContext, actual: ActualState, kept: KeptState | None) -> None:
    """The board is as the manifest wants it, and its check passed: the last apply, of which `kept`
    is kept where it changed something, has come to its end."""
    records, name, check = device.run.rollbacks, device.desired.device, device.desired.check
    last = kept or records.last(actual.mac, name)
    if not wants_rollback(device):
        if last is not None:
            records.forget(actual.mac, name)
        return
    if last is None or (kept is None and last.phase == "rolled-back"):
        end = KeptState(phase="applied", check_after=check)  # of what is wanted nothing was written
    else:
        end = replace(last, phase="applied", check_after=check)
    if end != last:
        records.keep(actual.mac, name, end)


def _contents(
    device: DeviceContext,
    actual: ActualState,
    filesystem: Filesystem,
    paths: list[str],
) -> dict[str, bytes | None]:
    """What these paths hold on the board, each verified; None where there is no file."""
    there = [
        BoardEntry(path=path, kind="file", size=state.size or 0, sha256=state.sha256)
        for path in paths
        if (state := filesystem.files.get(path)) is not None
    ]
    memory = Memory()
    if there:
        try:
            gone = fetch(
                device, _source(device, actual), there, memory, known_contents(device.desired)
            )
        except BoardError as error:
            error.hint = f"what it replaces has to be kept for a rollback; {WITHOUT}"
            raise
        if gone:
            raise BoardError(f"{printable(gone[0])} is gone from the board meanwhile")
    files = {path: bytes(data) for path, data in memory.files.items()}
    return {path: files.get(path) for path in paths}


def _source(device: DeviceContext, actual: ActualState) -> BoardFiles:
    if actual.repl_unresponsive and device.stored is not None:
        return StoredFiles(under_own_names(device.stored.contents()))
    source = ReplFiles(device.session.repl())
    if actual.filesystem is not None and actual.filesystem.disabled:
        source.tree("/", deep=False, hashed=False)  # finds them by the names they have meanwhile
    return source
