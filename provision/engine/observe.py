"""Observe: learn what a board is, from the cheapest evidence up.

The REPL answers everything in one round trip. A main.py that hogs it is caught by a reset and
an early interrupt. What still does not answer is asked by its flasher, and its flash compared with
what it must hold, so that the same board is always seen the same, answering or not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from provision.core.chips.registry import family_of
from provision.core.littlefs_blocks import VERSION_2_1, superblock_version
from provision.core.planning.flash_plan import unmountable
from provision.core.planning.safety import another_board, older_view
from provision.engine.context import DeviceContext
from provision.engine.flash.survey import survey, whole_tree
from provision.engine.refusal import refuse
from provision.engine.session import Session
from provision.errors import BoardError, NoAnswer, Unreachable
from provision.interfaces import FlashRead, Repl, ScanRequest
from provision.model.board_path import ancestors, at_or_below
from provision.model.firmware import Region
from provision.model.plan import Refusal
from provision.model.state import ActualState, DesiredState, FileState, FlashContents

T = TypeVar("T")


def scan_request(desired: DesiredState) -> ScanRequest:
    """What must be looked at to compare a board with what it must be."""
    paths = {file.dest for file in desired.files}
    # What a certificate and its key should be nobody knows yet: their digests are asked for.
    own = desired.certificate.paths - paths if desired.certificate is not None else frozenset()
    paths |= own
    paths |= {parent for path in tuple(paths) for parent in ancestors(path)}
    trees = {*desired.pruned, *desired.absent}
    for path in desired.directories:
        if not any(at_or_below(path, tree) for tree in desired.pruned):
            trees.add((*ancestors(path), path)[0])  # an empty one is seen by a walk alone
    expected = {
        file.dest: FileState(size=file.content.size, sha256=file.content.sha256)
        for file in desired.files
        if not file.create_only
    } | {path: FileState(size=0, sha256="0" * 64) for path in own}
    return ScanRequest(
        paths=tuple(sorted(paths - trees)),
        trees=tuple(sorted(trees)),
        expected=expected,
        nvs=tuple(sorted({entry.namespace for entry in desired.nvs})),
    )


def observe(device: DeviceContext, request: ScanRequest) -> ActualState:
    """The actual state of a board, of its files what `request` asks for.

    Nothing on the board changes, and where its REPL answers it is not even reset, unless the
    manifest asks for `verify: flash`. Raises Unreachable when nothing answers at all.
    """
    session = device.session
    actual, downloading = identify(session, request)
    if downloading:
        return look_into_flash(device, actual, request)
    return look_for_filesystem(device, verified(device, actual), request)


def identify(session: Session, request: ScanRequest) -> tuple[ActualState, bool]:
    """What a board says of itself, by its REPL or else its flasher, and whether it is in download
    mode then; otherwise as `observe`."""
    try:
        return session.observe(request), False
    except NoAnswer as error:
        session.note(f"no REPL: {error.message}")
        unusable = _unusable(error)
    try:
        proved = session.flasher().identify()
    except Unreachable:
        if unusable is not None:
            raise unusable from None  # of a board that does answer, that is what there is to say
        raise
    unresponsive = holds_image(session, proved)
    if session.can_reset and unresponsive:
        # There is something to boot: an app that keeps its REPL away has no chance to after a
        # reset. A blank board is not waited for.
        try:
            return session.observe(request, reset=True), False
        except NoAnswer as error:
            session.note(f"no REPL after a reset: {error.message}")
            unusable = _unusable(error)
        proved = session.flasher().identify()
    why = unusable.message if unusable is not None else None
    return replace(proved, repl_unresponsive=unresponsive, repl_error=why), True


def _unusable(error: NoAnswer) -> NoAnswer | None:
    """The error of a board whose REPL answers, and whose interpreter runs no program of ours."""
    return error if isinstance(error.__cause__, BoardError) else None


def prove(device: DeviceContext, actual: ActualState) -> None:
    """See to it that the board is the device's own, for tasks that compare nothing; it is `actual`
    and claimed then. Refused where it is another than manifest and lock know the device by, or
    where another device of the run has it."""
    device.actual = actual
    refuse(tuple(another_board(device.desired, actual)))
    if actual.mac is not None:
        device.claim(actual.mac)


def identify_own(device: DeviceContext) -> bool:
    """See to it, for such tasks, that the device's own board answers; Refused as `prove`. Whether
    it is in download mode then, since its REPL does not answer."""
    device.session.stage("observe")
    actual, downloading = identify(device.session, ScanRequest())
    prove(device, actual)
    return downloading


def needs_repl(device: DeviceContext) -> None:
    """The same for those that nothing but a REPL serves: NoAnswer where that does not answer."""
    if identify_own(device):
        known = device.actual
        why = f": {known.repl_error}" if known is not None and known.repl_error else ""
        raise NoAnswer(
            f"its REPL does not answer{why}", hint="`provision plan -v` tells what is there"
        )
    device.cancel.check()


def verified(device: DeviceContext, actual: ActualState) -> ActualState:
    """With `verify: flash`, what the flash itself holds of the image that answers by its name."""
    session, image, wanted = device.session, device.firmware, device.desired.firmware
    if (
        image is None
        or wanted is None
        or wanted.verify != "flash"
        or actual.firmware is None
        or not actual.firmware.agrees_with(image.identity)
    ):
        return actual
    session.stage("verify-flash")
    flasher = session.flasher()
    flash_size = flasher.identify().flash_size or actual.flash_size
    differs = flasher.differs(wanted_regions(device, flash_size))
    session.restart()
    return replace(actual, flash_differs=differs)


def wanted_regions(device: DeviceContext, flash_size: int | None) -> tuple[Region, ...]:
    """What the flash must hold of the device's image."""
    image, board = device.firmware, device.desired.board
    return family_of(board.chip).regions(image, board, flash_size) if image is not None else ()


def look_for_filesystem(
    device: DeviceContext, actual: ActualState, request: ScanRequest
) -> ActualState:
    """Where MicroPython answers and cannot mount a filesystem for the files that are wanted: what
    there is in flash all the same."""
    session = device.session
    if not unmountable(device.desired, actual):
        return actual
    if not session.capabilities.flashes or not session.can_reset:
        return actual  # a look alone asks nobody to press buttons
    session.note("MicroPython cannot mount its filesystem; looking into the flash")
    proved = session.flasher().identify()
    session.stage("read-flash")
    seen = _surveyed(device, replace(actual, flash_size=proved.flash_size), request)
    if seen.flash is not None and seen.flash.filesystem == "readable" and actual.firmware:
        why = seen.flash.misfit or f"{actual.firmware.version} cannot mount it"
        seen = replace(seen, flash=replace(seen.flash, misfit=why))
    if seen.filesystem is not None:
        seen = replace(seen, filesystem=replace(seen.filesystem, mounted=False))
    session.restart()
    return seen


def look_into_flash(
    device: DeviceContext, proved: ActualState, request: ScanRequest
) -> ActualState:
    """What a board in download mode, whose REPL does not answer, holds: its files, and the wanted
    firmware, if that is what there is and its app alone can be what keeps the REPL."""
    session, image = device.session, device.firmware
    if proved.secured is not None or proved.chip != device.desired.board.chip:
        return proved
    if not session.capabilities.reads_flash:
        return proved
    session.stage("read-flash")
    seen = _surveyed(device, proved, request)
    readable = seen.flash is not None and seen.flash.filesystem == "readable"
    if not readable or image is None or image.chip != seen.chip or not seen.repl_unresponsive:
        return seen
    if session.flasher().differs(wanted_regions(device, seen.flash_size)):
        return seen
    return replace(seen, firmware=image.identity)


def look_before_flashing(
    device: DeviceContext, actual: ActualState, request: ScanRequest, *, erases: bool
) -> ActualState:
    """What is in the flash of a board that is about to be flashed: whether its filesystem can stay
    as it is, or else, and before an erase, every file and what lies beside. As the running firmware
    reads it, so that the board is not even reset, or else the flasher."""
    session = device.session
    if actual.flash is not None or actual.secured is not None:
        return actual
    if not session.in_download_mode:

        def by_repl(repl: Repl) -> ActualState | None:
            read = over_repl(repl)
            if repl.read_flash(0, 1) is None:
                return None
            if not erases and _stays(device, actual, read):
                return replace(actual, flash=FlashContents(filesystem="readable"))
            whole = session.observe(whole_tree(request)).filesystem
            return _surveyed(device, replace(actual, filesystem=whole), request, read)

        seen = _past_a_restart(session, by_repl)
        if seen is not None:
            return seen
        session.note("the running firmware cannot read its flash")
        if not session.can_reset:
            return actual  # a look alone asks nobody to press buttons
    if not session.capabilities.reads_flash:
        return actual
    looked = _surveyed(device, actual, request)
    session.restart()
    return looked


def newer_filesystem(device: DeviceContext, actual: ActualState) -> Refusal | None:
    """Why no file may be changed by a firmware whose driver is older than the one that wrote the
    filesystem last, as after a downgrade by another tool: it shows an older state of the files,
    without a word, and writes over what it does not see. None where that is not so, or where the
    firmware cannot read its flash."""
    session, firmware, seen = device.session, actual.firmware, actual.filesystem
    chip, flash_size = actual.chip, actual.flash_size or device.desired.board.flash_size
    if firmware is None or chip is None or flash_size is None or session.in_download_mode:
        return None
    family = family_of(chip)
    newest = family.newest_littlefs(firmware)
    if seen is None or not seen.mounted or newest >= VERSION_2_1:
        return None
    repl = session.repl()
    if repl.read_flash(0, 1) is None:
        return None
    read = over_repl(repl)
    place = family.filesystem_in_flash(chip, read, flash_size, firmware)
    if place is None:
        return None
    version = superblock_version(read(place.offset, 2 * place.block))
    return older_view(firmware, version) if version is not None and version > newest else None


def _past_a_restart(session: Session, look: Callable[[Repl], T]) -> T:
    """A long look at the REPL. An app that was interrupted may have armed a watchdog, and that
    restarts the board in the middle; after a reset the app does not come to it."""
    try:
        return look(session.repl())
    except NoAnswer as error:
        if not session.can_reset:
            raise
        session.note(f"{error.message}; once more after a reset")
    return look(session.repl(reset=True))


def with_measured_flash(device: DeviceContext, actual: ActualState) -> ActualState:
    """The state with the size of the flash as the chip itself has it: some firmware knows only what
    the header of its image claims. As it was where a person would be needed for it."""
    session = device.session
    if session.in_download_mode or not session.capabilities.flashes or not session.can_reset:
        return actual
    session.note("the running firmware claims a small flash; asking the chip")
    measured = session.flasher().identify().flash_size
    session.restart()
    return replace(actual, flash_size=measured or actual.flash_size)


def _stays(device: DeviceContext, actual: ActualState, read: FlashRead) -> bool:
    """Whether the wanted firmware finds the filesystem where it lies and reads all of it, by as
    little of the flash as tells."""
    image, board = device.firmware, device.desired.board
    flash_size = actual.flash_size or board.flash_size
    if image is None or flash_size is None or actual.firmware is None:
        return False
    family = family_of(board.chip)
    place = family.filesystem_in_flash(board.chip, read, flash_size, actual.firmware)
    wanted = family.filesystem_place(image, board, flash_size)
    newest = family.newest_littlefs
    return place == wanted is not None and newest(image.identity) >= newest(actual.firmware)


def over_repl(repl: Repl) -> FlashRead:
    """Reads the flash of a board at its REPL."""

    def read(offset: int, size: int) -> bytes:
        data = repl.read_flash(offset, size)
        if data is None:
            # No word on what lies there: nothing may be called damaged for it.
            raise NoAnswer("the running firmware does not read its flash any more")
        return data

    return read


def _surveyed(
    device: DeviceContext,
    actual: ActualState,
    request: ScanRequest,
    read: FlashRead | None = None,
) -> ActualState:
    """The state with what its flash holds; as it was where the size of the flash is not known."""
    flash_size = actual.flash_size or device.desired.board.flash_size
    if flash_size is None:
        return actual
    seen = actual.filesystem
    found = survey(
        device,
        read,
        request=request,
        flash_size=flash_size,
        running=actual.firmware,
        seen=seen if seen is not None and seen.mounted else None,
    )
    device.stored = found.stored
    return replace(actual, flash=found.contents, filesystem=found.seen or seen)


def holds_image(session: Session, proved: ActualState) -> bool:
    """Whether the flash has the beginning of an image where the boot ROM looks for one."""
    if proved.chip is None or proved.secured is not None:
        return False
    family = family_of(proved.chip)
    start = session.flasher().read(*family.image_start(proved.chip))
    return start is not None and family.starts_image(start)
