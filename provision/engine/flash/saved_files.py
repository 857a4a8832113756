"""The files of a board while its filesystem is written anew: read off it before, kept on this
computer until they are back, and found again by the run that follows an interrupted one.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace

from provision.interfaces import FlashMode, SavedFlash, StoredContents
from provision.model.board_path import STARTUP_FILES, disabled_name
from provision.model.state import ActualState, FileState, Filesystem, FlashContents

INTERRUPTED = "the update that was rewriting the filesystem was interrupted; its files were saved"


def under_own_names(contents: StoredContents) -> StoredContents:
    """The same, with every start-up file that is disabled under its own name."""
    files = dict(contents.files)
    for path in STARTUP_FILES:
        disabled = files.pop(disabled_name(path), None)
        if disabled is not None:
            files.setdefault(path, disabled)
    return replace(contents, files=files)


def with_startup_disabled(contents: StoredContents) -> StoredContents:
    """The same, with start-up files under the names from which nothing starts them."""
    own = under_own_names(contents)
    names = {path: disabled_name(path) for path in STARTUP_FILES}
    return replace(own, files={names.get(path, path): data for path, data in own.files.items()})


def after_interruption(
    actual: ActualState, mode: FlashMode, saved: SavedFlash | None
) -> ActualState:
    """The state of a board that does not answer since a run that was writing its flash in this
    mode was interrupted. Unless its files were left alone, no filesystem that is found there is
    whole, whatever it looks like; what was saved of the board is not lost."""
    actual = replace(actual, interrupted_update=mode != "erase")
    if mode == "keep":
        return actual
    actual = replace(actual, firmware=None)
    flash = actual.flash or FlashContents(filesystem="blank")
    names = dict.fromkeys(flash.spared)
    if saved is not None:
        names |= dict.fromkeys(region.name for region in saved.regions)
    flash = replace(flash, filesystem="blank", misfit=None, fits=True, spared=tuple(names))
    if saved is None or saved.contents is None:
        return replace(actual, filesystem=None, flash=flash)
    files = {
        path: FileState(size=len(data), sha256=hashlib.sha256(data).hexdigest())
        for path, data in saved.contents.files.items()
    }
    return replace(
        actual,
        filesystem=Filesystem(files=files, directories=frozenset(saved.contents.directories)),
        flash=replace(flash, filesystem="readable", misfit=INTERRUPTED),
    )
