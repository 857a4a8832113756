"""Write a board's flash, in one visit to download mode: everything that can go wrong before the
first byte is found out before it, and what is kept is on this computer's disk before it is erased.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace

from provision.core.chips.registry import family_of
from provision.core.planning.diff import diff
from provision.core.planning.safety import flash_size_unknown
from provision.engine.context import DeviceContext
from provision.engine.flash.blank_nvs import blank_nvs
from provision.engine.flash.saved_files import under_own_names, with_startup_disabled
from provision.engine.flash.survey import blank_test, flash_reader, survey
from provision.engine.refusal import refuse, refused
from provision.engine.safe_boot import restore_app
from provision.errors import BoardError, ProvisionError
from provision.interfaces import Flasher, FlashMode, SavedFlash, ScanRequest
from provision.model.board_path import STARTUP_FILES
from provision.model.event import Notice
from provision.model.firmware import Firmware, Region
from provision.model.language import record
from provision.model.plan import (
    Action,
    EraseFlash,
    MakeDirectory,
    Plan,
    RewriteFilesystem,
    WriteFile,
    WriteFirmware,
    WriteNvs,
)
from provision.model.state import ActualState

WRITTEN_VERSION = 0x00020000  # of LittleFS: every driver reads it, newer ones raise it


@record(slots=False)
class Prepared:
    """What a visit to download mode will write; `preloaded` tells whether the whole filesystem
    with the manifest's files is among it, `nvs` whether its entries of NVS are, `saved` is what was
    read off the board before. `mac` is None of a board that nothing runs on and whose boot ROM does
    not tell."""

    flasher: Flasher
    mac: str | None
    regions: Sequence[Region]
    preloaded: bool = False
    nvs: bool = False
    saved: SavedFlash | None = None


def mode_of(plan: Plan) -> FlashMode:
    """What becomes of the filesystem, as the journal notes it."""
    if plan.erases:
        return "erase"
    return "rewrite" if plan.rewrites else "keep"


def write_flash(
    device: DeviceContext,
    plan: Plan,
    actual: ActualState,
    *,
    disabled: bool,
    before_first_write: Callable[[], None],
) -> bool:
    """Erase and write as planned, after the board has been proved once more in download mode;
    whether all files of the manifest went along. A board that cannot be written and whose
    start-up files are `disabled` gets them back."""
    firmware, session, journal = device.firmware, device.session, device.run.journal
    if firmware is None:
        raise BoardError("the plan flashes but there is no image")
    with ExitStack() as turn:
        try:
            ready = prepare(device, plan, actual, firmware)
            before_first_write()
            turn.enter_context(ready.flasher.turn(device.cancel.cancelled))
            # Where the power failed amid an erase, cells may read as blank and not last.
            doubtful = ready.mac is not None and journal.interrupted_mode(ready.mac) is not None
            if ready.mac is not None:
                journal.begin(ready.mac, session.device, mode_of(plan), ready.saved)
        except ProvisionError:
            if disabled:
                restore_app(session, device.note_state)
            raise
        _write(device, plan, ready, firmware.identity.version, doubtful=doubtful)
    if ready.mac is not None and session.capabilities.reads_flash:
        journal.end(ready.mac)  # else whether all of it is there shows when it runs
    device.underway, device.flashed = False, True
    how = "written and verified" if session.capabilities.reads_flash else "copied"
    device.note_state(f"{_written(plan, ready, how)}; it was not seen to start")
    report(device, plan, RewriteFilesystem, WriteFirmware)
    if ready.nvs:
        report(device, plan, WriteNvs)
    if ready.preloaded:
        report(device, plan, MakeDirectory, WriteFile)
    return ready.preloaded


def _write(
    device: DeviceContext, plan: Plan, ready: Prepared, version: str, *, doubtful: bool
) -> None:
    session, flasher = device.session, ready.flasher
    device.note_state("its flash is only partly written; it may not start until the next apply")
    device.underway = True
    if plan.erases or plan.rewrites:
        session.stage("erase")
        flasher.erase(None if doubtful else ready.regions, session.progress("erase"))
        report(device, plan, EraseFlash)
    session.stage("flash", f"MicroPython {version}")
    flasher.write(ready.regions, session.progress("flash"))


def _written(plan: Plan, ready: Prepared, how: str) -> str:
    """What is in the flash once all of it is written; `how` tells what is known of that: a drive
    that takes firmware shows nothing of it again."""
    if ready.preloaded:
        return f"the firmware and every file are {how}"
    if plan.erases:
        return f"the firmware is {how}, no file is yet"
    return f"the firmware is {how}"


def prepare(device: DeviceContext, plan: Plan, actual: ActualState, firmware: Firmware) -> Prepared:
    """Everything that can go wrong before the first byte is written."""
    desired, session = device.desired, device.session
    session.stage("connect", "download mode")
    flasher = session.flasher()
    proved = flasher.identify()
    refuse(diff(desired, proved).refusals)
    if proved.mac is not None:
        device.claim(proved.mac)  # it may not have told it at its REPL
    family = family_of(desired.board.chip)
    if proved.chip is None or (proved.mac is None and family.rom_tells_identity(proved.chip)):
        raise BoardError("the board's boot ROM does not report its chip and MAC")
    flash_size = proved.flash_size or desired.board.flash_size
    if flash_size is None:
        raise refused(flash_size_unknown())
    known = replace(proved, flash_size=flash_size)
    refuse(family.image_refusals(firmware, desired.board, known))
    told = family.variant_notes(firmware, actual)  # with the plan
    for note in family.variant_notes(firmware, replace(known, firmware=actual.firmware)):
        if note not in told:
            device.run.emit(Notice(device=desired.device, message=note))
    regions: Sequence[Region] = family.regions(firmware, desired.board, flash_size)
    ready = Prepared(flasher=flasher, mac=proved.mac, regions=regions)
    if not plan.erases and not plan.rewrites:
        beside = [each for each in device.beside if not any(overlap(each, one) for one in regions)]
        ready = replace(ready, regions=[*beside, *regions])
        return _without_app(device, ready, actual, flash_size)
    filesystem: Sequence[Region] | None
    if plan.erases:  # what does not fit is told before anything is erased
        files = {file.dest: file.content.data for file in desired.files}
        filesystem = device.run.filesystems.build(firmware, desired.board, flash_size, files)
        ready = replace(ready, preloaded=filesystem is not None)
    else:
        ready = _with_saved_files(device, ready, actual, flash_size)
        filesystem = _rebuilt(device, ready, firmware, flash_size)
    spared = [
        region
        for region in _spared(device, ready, firmware, flash_size)
        if not any(overlap(region, other) for other in (*(filesystem or ()), *regions))
    ]
    # The filesystem before the firmware, and what starts it last: until all of it is there
    # nothing boots, so that no app ever meets, and no later run finds, half a filesystem.
    nvs = blank_nvs(device, firmware, spared) if plan.erases else ()
    ordered = family.erased_write_order(
        [*(filesystem or ()), *spared, *nvs, *ready.regions], proved.chip
    )
    contents = ready.saved.contents if ready.saved is not None else None
    saved = SavedFlash(contents=contents, regions=tuple(spared))
    saving = saved if contents or spared else None
    return replace(ready, regions=ordered, saved=saving, nvs=bool(nvs))


def _without_app(
    device: DeviceContext, ready: Prepared, actual: ActualState, flash_size: int
) -> Prepared:
    """The same, and the app kept from starting, of a board that did not give its REPL: by a
    filesystem that is edited from outside."""
    if not actual.repl_unresponsive:
        return ready
    stored = survey(device, request=ScanRequest(), flash_size=flash_size).stored
    if stored is None:
        return ready
    return replace(ready, regions=[*stored.startup_disabled(STARTUP_FILES), *ready.regions])


def _with_saved_files(
    device: DeviceContext, ready: Prepared, actual: ActualState, flash_size: int
) -> Prepared:
    """The same with every file of the board: as an interrupted run saved them, else as they are in
    flash now."""
    earlier = device.run.journal.saved(ready.mac) if ready.mac is not None else None
    if earlier is not None and earlier.contents is not None and actual.interrupted_update:
        return replace(ready, saved=earlier)
    device.session.stage("read-flash")
    stored = survey(
        device,
        request=ScanRequest(),
        flash_size=flash_size,
        running=actual.firmware,
    ).stored
    if stored is None:
        raise BoardError(
            "the filesystem that was to be kept cannot be read; nothing was written",
            hint="run `provision plan` again: it tells what is on the board now",
        )
    return replace(ready, saved=SavedFlash(contents=under_own_names(stored.contents())))


def _rebuilt(
    device: DeviceContext, ready: Prepared, firmware: Firmware, flash_size: int
) -> Sequence[Region]:
    """The filesystem with the saved files where the firmware keeps its own, nothing in it starts
    by itself."""
    family = family_of(firmware.chip)
    place = family.filesystem_place(firmware, device.desired.board, flash_size)
    if place is None or ready.saved is None or ready.saved.contents is None:
        raise BoardError("the firmware keeps no filesystem for the files of this board")
    return device.run.filesystems.rebuild(
        place, with_startup_disabled(ready.saved.contents), WRITTEN_VERSION
    )


def _spared(
    device: DeviceContext, ready: Prepared, firmware: Firmware, flash_size: int
) -> list[Region]:
    """What lies beside firmware and filesystem and stays: as it is to be, else as an interrupted
    run saved it, else as it is in flash."""
    wanted = device.desired.firmware
    if wanted is None or wanted.erase == "always":
        return []
    family, read = family_of(firmware.chip), flash_reader(device.session)
    earlier = device.run.journal.saved(ready.mac) if ready.mac is not None else None
    spared = list(device.beside)
    for region in earlier.regions if earlier is not None else ():
        if not any(overlap(region, other) for other in spared):
            spared.append(region)
    if not device.session.capabilities.reads_flash:
        return spared
    known = {region.offset for region in spared}
    is_blank = blank_test(device.session)
    for each in family.data_in_flash(
        firmware.chip, read, flash_size, None, firmware, is_blank=is_blank
    ):
        if each.kind in ("littlefs", "fat") or each.blank or each.offset in known:
            continue
        if family.has_place(firmware, each):
            data = read(each.offset, each.size)
            spared.append(Region(name=each.name, offset=each.offset, data=data))
    return spared


def overlap(one: Region, other: Region) -> bool:
    """Whether two regions want the same bytes of flash."""
    return one.offset < other.offset + len(other.data) and other.offset < one.offset + len(one.data)


def report(device: DeviceContext, plan: Plan, *kinds: type[Action]) -> None:
    """Tell that the plan's actions of these kinds are done."""
    for action in plan.actions:
        if isinstance(action, kinds):
            device.done(action)
