"""Look at the flash itself, without the firmware on it: where its filesystem lies, what is in it,
and whether the wanted firmware would find it there. That nothing answers as expected is no proof
that there is nothing.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from provision.core.chips.registry import family_of
from provision.core.planning.flash_plan import misfit
from provision.core.planning.free_space import blocks_needed
from provision.engine.context import DeviceContext
from provision.engine.session import Session
from provision.errors import BoardError, NoAnswer
from provision.interfaces import FlashRead, IsBlank, ScanRequest, StoredFilesystem
from provision.model.firmware import FilesystemPlace
from provision.model.language import record
from provision.model.state import Filesystem, FirmwareIdentity, FlashContents

WHOLE = "/"  # the tree that every file of a board lies in


@record(slots=False)
class Survey:
    """What the flash holds; `stored` is its filesystem where it can be read, and `seen` every
    file in that."""

    contents: FlashContents
    stored: StoredFilesystem | None
    seen: Filesystem | None


def whole_tree(request: ScanRequest) -> ScanRequest:
    """The same, and every other file there is, by name and size."""
    return replace(request, paths=(), trees=(WHOLE,))


def flash_reader(session: Session) -> FlashRead:
    """Reads the flash of a board, which goes to download mode when it is first used."""

    def read(offset: int, size: int) -> bytes:
        data = session.flasher().read(offset, size)
        if data is None:
            # No word on what lies there: nothing may be called damaged for it.
            raise NoAnswer("the flash of this board cannot be read back")
        return data

    return read


def blank_test(session: Session) -> IsBlank:
    """As `flash_reader`, for whether it is erased."""
    return lambda offset, size: session.flasher().is_blank(offset, size)


def survey(
    device: DeviceContext,
    read: FlashRead | None = None,
    *,
    request: ScanRequest,
    flash_size: int,
    running: FirmwareIdentity | None = None,
    seen: Filesystem | None = None,
) -> Survey:
    """What is in the flash of `flash_size` bytes, by `read` or, without it, in download mode.
    Where a firmware answers, `running` is what it says of itself, and `seen` every file that it
    finds."""
    is_blank: IsBlank | None = None
    if read is None:
        read, is_blank = flash_reader(device.session), blank_test(device.session)
    desired, image = device.desired, device.firmware
    family = family_of(desired.board.chip)
    wanted = (
        family.filesystem_place(image, desired.board, flash_size) if image is not None else None
    )
    place = family.filesystem_in_flash(desired.board.chip, read, flash_size, running)
    stored = None
    for candidate in dict.fromkeys(each for each in (place, wanted) if each is not None):
        stored = device.run.filesystems.read(read, candidate)
        if stored is not None:
            place = candidate
            break
    if stored is not None and seen is None:
        try:
            seen = stored.observe(whole_tree(request))
        except BoardError as error:
            device.session.note(error.message)
            stored = None
    data = [
        each
        for each in family.data_in_flash(
            desired.board.chip, read, flash_size, running, image, is_blank=is_blank
        )
        if not each.blank
    ]
    others = [each for each in data if each.kind not in ("littlefs", "fat")]
    kept = [each for each in others if image is None or family.has_place(image, each)]
    filesystem: Literal["blank", "readable", "opaque", "damaged"]
    if stored is not None:
        filesystem = "readable"
    elif any(each.kind == "fat" for each in data):
        filesystem = "opaque"
    elif any(each.kind == "littlefs" for each in data) or _in_use(read, wanted):
        filesystem = "damaged"
    else:
        filesystem = "blank"
    contents = FlashContents(
        filesystem=filesystem,
        spared=tuple(each.name for each in kept),
        unspared=tuple(each.name for each in others if each not in kept),
    )
    if image is None or place is None or filesystem == "blank":
        return Survey(contents=contents, stored=stored, seen=seen)
    contents = replace(
        contents,
        misfit=misfit(
            image.identity,
            place=place,
            wanted_place=wanted,
            disk_version=stored.disk_version if stored is not None else None,
            newest=family.newest_littlefs(image.identity),
        ),
        fits=wanted is not None and (seen is None or blocks_needed(seen) <= wanted.blocks),
    )
    return Survey(contents=contents, stored=stored, seen=seen)


def _in_use(read: FlashRead, place: FilesystemPlace | None) -> bool:
    """Whether anything is where a filesystem begins, in a flash that does not say what is where."""
    return place is not None and read(place.offset, 2 * place.block).strip(b"\xff") != b""
