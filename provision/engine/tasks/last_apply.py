"""What is kept of the last apply of a board whose device says `on_failure: rollback`: before it is
changed, what will be replaced, read off the board onto this computer, until the next apply that
changes it. And what the runs after it tell of an apply that did not come to its end.
"""

from __future__ import annotations

import hashlib
from contextlib import suppress
from dataclasses import replace

from provision.core.planning.private_keys import is_private_key
from provision.core.planning.rollback import (
    FilesFound,
    changed_files,
    expected_files,
    find_files,
    kept_for,
    told,
)
from provision.core.wording import listed, printable
from provision.engine.context import DeviceContext
from provision.engine.files.memory import Memory
from provision.engine.files.source import BoardFiles, ReplFiles, StoredFiles, fetch, known_contents
from provision.engine.flash.replaced import WITHOUT, firmware_before, replaced_flash
from provision.engine.flash.saved_files import under_own_names
from provision.engine.flash.survey import whole_tree
from provision.engine.observe import scan_request
from provision.errors import BoardError, ImageError
from provision.interfaces import ScanRequest
from provision.model.event import Notice
from provision.model.firmware import Firmware
from provision.model.kept import KeptState, KnownImage
from provision.model.plan import Plan
from provision.model.state import ActualState, BoardEntry, Filesystem

_NOTHING_THERE = "there is no MicroPython in its flash to go back to"
_BEGUN = "an earlier run has begun to write its flash, and what was there before is gone"
_UNREADABLE = "its boot loader lets nobody read the firmware that is replaced"
_NO_WAY_BACK = ": where the check fails, the board keeps what it has got"


def wants_rollback(device: DeviceContext) -> bool:
    check = device.desired.check
    return check is not None and check.on_failure == "rollback"


def last_kept(device: DeviceContext, mac: str | None) -> KeptState | None:
    """What is kept of the board that tells this MAC, in the mode that it is in. One that tells it
    in download mode alone is known there by what its record says, at its REPL by the device."""
    last, name = device.run.rollbacks.last, device.desired.device
    if mac is None:
        known = device.session.mac
        return last(None, name) or (last(known, name) if known is not None else None)
    found = last(mac, name)
    if found is None:
        found = last(None, name)
        if found is not None and found.mac != mac:
            return None  # of another board
    return found


def keep(device: DeviceContext, mac: str | None, kept: KeptState) -> None:
    """Keep it of the board that tells this MAC, in the one place where it is looked for."""
    records, name, known = device.run.rollbacks, device.desired.device, mac or device.session.mac
    records.keep(mac, name, replace(kept, mac=known))
    for other in {None, known} - {mac}:
        _forget(device, other, known)


def forget_kept(device: DeviceContext, mac: str | None) -> None:
    """Drop what is kept of the board, wherever it is."""
    known = mac or device.session.mac
    device.run.rollbacks.forget(mac, device.desired.device)
    for other in {None, known} - {mac}:
        _forget(device, other, known)


def _forget(device: DeviceContext, mac: str | None, known: str | None) -> None:
    """Drop a record if it is of the board that is `known`."""
    records, name = device.run.rollbacks, device.desired.device
    found = records.last(mac, name)
    if found is not None and (mac is not None or found.mac in (None, known)):
        records.forget(mac, name)


def tell_last_apply(device: DeviceContext, plan: Plan, actual: ActualState) -> None:
    """Say what became of the last apply where it did not come to its end, and which state the
    board is in. A board that is as the manifest wants it, and proved to be, has nothing to
    tell."""
    name = device.desired.device
    kept = last_kept(device, actual.mac)
    if kept is None or not plan.changes:
        return
    again = changed_files(device.desired, plan).keys() & kept.files.keys()
    if not kept.unfinished and not again and not (plan.flashes and kept.flash is not None):
        return  # what is wanted now has nothing to do with it
    message = told(name, kept, find_kept(device, kept, actual), actual.firmware)
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


def keep_replaced(device: DeviceContext, plan: Plan, actual: ActualState) -> None:
    """Before the first write: keep what the plan replaces, durably, as `device.kept`, which is None
    where there will be nothing to go back to. What is in flash beside the files follows when the
    board is in download mode (`keep_flash`), and all of it is made durable there."""
    last = last_kept(device, actual.mac)
    amid = last if last is not None and last.unfinished else None
    if not wants_rollback(device) or not _known(plan, actual, amid):
        if plan.change_count:
            forget_kept(device, actual.mac)
        return
    known = amid.files if amid is not None else {}
    if not plan.change_count and not known:
        return  # only the check is still to come: nothing is replaced
    actual = _with_all_files(device, plan, actual)
    changed = changed_files(device.desired, plan, actual.filesystem)
    paths = [path for path in changed if path not in known]
    contents = _without_keys(device, _contents(device, actual, paths))
    device.cancel.check()
    device.kept = kept_for(device.desired, plan, actual, contents, last)
    tell_keys(device, device.kept)
    if not plan.flashes:
        keep(device, actual.mac, device.kept)


def _known(plan: Plan, actual: ActualState, amid: KeptState | None) -> bool:
    """Whether it is known what a plan replaces, or was before an apply that ended in the middle."""
    if actual.filesystem is not None:
        return True
    return plan.flashes and amid is not None and amid.flash is not None


def _with_all_files(device: DeviceContext, plan: Plan, actual: ActualState) -> ActualState:
    """Before an erase: the state with every file there is, where the REPL answers."""
    if not plan.erases or actual.firmware is None or device.session.in_download_mode:
        return actual
    if actual.filesystem is None or not actual.filesystem.mounted or actual.repl_unresponsive:
        return actual
    seen = device.session.observe(whole_tree(scan_request(device.desired)))
    return replace(actual, filesystem=seen.filesystem)


def keep_flash(device: DeviceContext, actual: ActualState) -> None:
    """In download mode, before the first byte of the flash is written: keep what it replaces, and
    all that `keep_replaced` has found. Of a flash that an earlier run has begun to write, what that
    has kept; where there is no MicroPython to go back to, nothing."""
    kept, name = device.kept, device.desired.device
    proved = device.session.flasher().identify()
    mac = actual.mac or proved.mac
    if kept is None:
        return
    if kept.flash is None:
        found, why = None, _NOTHING_THERE
        if mac is not None and device.run.journal.interrupted_mode(mac) is not None:
            why = _BEGUN
        elif not device.session.capabilities.reads_flash:
            why = _UNREADABLE
        else:
            found = replaced_flash(device, actual, _images(device, kept, mac))
        if found is None:
            device.kept = None
            device.run.emit(Notice(device=name, message=why + _NO_WAY_BACK))
            forget_kept(device, actual.mac)
            return
        kept = replace(kept, firmware=found[0], flash=found[1])
    device.kept = kept
    device.cancel.check()
    keep(device, actual.mac, kept)


def _images(device: DeviceContext, kept: KeptState, mac: str | None) -> list[Firmware]:
    """What may be in the flash, of what this computer has."""
    found = [device.run.images.known(kept.image)] if kept.image is not None else []
    last = last_kept(device, mac)
    if last is not None and last.flash is not None:
        with suppress(ImageError):
            found.append(firmware_before(last.flash, None))
    return [image for image in found if image is not None]


def proved(device: DeviceContext, actual: ActualState, kept: KeptState | None) -> None:
    """The board is as the manifest wants it, and its check passed: the last apply, of which `kept`
    is kept where it changed something, has come to its end."""
    check = device.desired.check
    last = kept or last_kept(device, actual.mac)
    if not wants_rollback(device):
        if last is not None:
            forget_kept(device, actual.mac)
        return
    if last is None or (kept is None and last.phase == "rolled-back"):
        end = KeptState(phase="applied", check_after=check)  # of what is wanted nothing was written
    else:
        end = replace(last, phase="applied", check_after=check)
    image, wanted = device.firmware, device.desired.firmware
    if image is not None and wanted is not None:
        file = wanted.source.file
        end = replace(end, image=KnownImage(sha256=image.sha256, file=file))
    elif last is not None:
        end = replace(end, image=last.image)
    if end != last:
        keep(device, actual.mac, end)


def _contents(
    device: DeviceContext, actual: ActualState, paths: list[str]
) -> dict[str, bytes | None]:
    """What these paths hold on the board, each verified; None where there is no file."""
    filesystem = actual.filesystem or Filesystem(files={})
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


def _without_keys(
    device: DeviceContext, contents: dict[str, bytes | None]
) -> dict[str, bytes | None]:
    """The same without private keys that are the board's alone: those that the manifest does not
    name any more, and those that `certificate:` has made where it names another in their place,
    which their certificates tell."""
    there = [data for data in contents.values() if data is not None]

    def made(data: bytes) -> bool:
        digest = hashlib.sha256(data).hexdigest()
        return any(device.run.certificates.made_for(other, digest) for other in there)

    named = device.desired.files_by_dest
    return {
        path: data
        for path, data in contents.items()
        if data is None or not is_private_key(data) or (path in named and not made(data))
    }


def tell_keys(device: DeviceContext, kept: KeptState) -> None:
    """Say which private keys no rollback brings back."""
    if kept.keys:
        which = listed([printable(path) for path in sorted(kept.keys)])
        message = (
            f"{which}: no rollback keeps a private key, and none brings it back; "
            "an apply with its `certificate:` makes another"
        )
        device.run.emit(Notice(device=device.desired.device, message=message))


def _source(device: DeviceContext, actual: ActualState) -> BoardFiles:
    """Those that `actual` has: saved by an update that was interrupted, else as they are in flash
    or, where it answers, at the REPL."""
    silent = actual.firmware is None or actual.repl_unresponsive
    mounted = actual.filesystem is None or actual.filesystem.mounted
    if silent and actual.mac is not None and actual.interrupted_update:
        saved = device.run.journal.saved(actual.mac)
        if saved is not None and saved.contents is not None:
            return StoredFiles(saved.contents)
    if (silent or not mounted) and device.stored is not None:
        return StoredFiles(under_own_names(device.stored.contents()))
    source = ReplFiles(device.session.repl())
    if actual.filesystem is not None and actual.filesystem.disabled:
        source.tree("/", deep=False, hashed=False)  # finds them by the names they have meanwhile
    return source
