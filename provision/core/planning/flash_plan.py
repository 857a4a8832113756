"""What is to be done to a board's flash, and what that loses: the flash's part of a plan.

The firmware is written where another one, or none, is there. The filesystem stays as it is
wherever the new firmware finds it there; where it would not, it is read and written anew; and it
is erased only where it cannot be read, has no room, or the manifest says so. Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from provision.core.wording import byte_size, memory_size, printable
from provision.model.board_path import at_or_below, below
from provision.model.firmware import FilesystemPlace
from provision.model.plan import EraseFlash, FlashAction, RewriteFilesystem, WriteFirmware
from provision.model.state import ActualState, DesiredFirmware, DesiredState, FirmwareIdentity

UNMOUNTABLE = "MicroPython runs, but its filesystem cannot be mounted"


def unmountable(desired: DesiredState, actual: ActualState) -> bool:
    """Whether files are wanted on a board whose firmware has no filesystem to keep them."""
    seen = actual.filesystem
    return bool(desired.files) and seen is not None and not seen.mounted


def flash_actions(desired: DesiredState, actual: ActualState) -> tuple[FlashAction, ...]:
    """What is done in download mode, in order; none where the firmware is current."""
    firmware = desired.firmware
    if firmware is None:
        return ()
    reason = _why_write(firmware, desired, actual)
    if reason is None:
        return ()
    write = WriteFirmware(identity=_wanted(firmware, desired), reason=reason)
    spared = actual.flash.spared if actual.flash is not None else ()
    if firmware.erase == "always":
        losses = (*losses_of_erasing(desired, actual), *spared)
        return EraseFlash(reason="the manifest says erase: always", losses=losses), write
    why = _why_erase(desired, actual)
    if why is not None and firmware.erase == "auto":
        losses = losses_of_erasing(desired, actual)
        return EraseFlash(reason=why, losses=losses, spares=spared), write
    if actual.flash is not None and actual.flash.misfit is not None and why is None:
        kept = len(actual.filesystem.files) if actual.filesystem is not None else 0
        return (
            RewriteFilesystem(reason=actual.flash.misfit, files=kept, losses=actual.flash.unspared),
            write,
        )
    return (write,)


def lost_filesystem(desired: DesiredState, actual: ActualState) -> str | None:
    """Why the manifest's `erase: never` cannot be kept: the filesystem would be lost; or None."""
    firmware, flash = desired.firmware, actual.flash
    if firmware is None or firmware.erase != "never" or flash is None or flash.misfit is None:
        return None
    if _why_write(firmware, desired, actual) is None:
        return None
    return _why_erase(desired, actual)


def misfit(
    wanted: FirmwareIdentity,
    *,
    place: FilesystemPlace,
    wanted_place: FilesystemPlace | None,
    disk_version: int | None,
    newest: int,
) -> str | None:
    """Why a firmware would not find the filesystem that lies at `place`, or not all that is in
    it; None where it would. `disk_version` is that of a LittleFS which could be read, `newest` the
    newest that the firmware reads, both as 0x00020001 for 2.1."""
    if wanted_place is None:
        return f"MicroPython {wanted.version} keeps no filesystem of this kind on this board"
    if (place.offset, place.size) != (wanted_place.offset, wanted_place.size):
        return (
            f"MicroPython {wanted.version} keeps its files in {_where(wanted_place)}, "
            f"those on the board are in {_where(place)}"
        )
    if disk_version is not None and disk_version > newest:
        return (
            f"the files are in LittleFS {_dotted(disk_version)}, "
            f"MicroPython {wanted.version} reads {_dotted(newest)}"
        )
    return None


def _where(place: FilesystemPlace) -> str:
    return f"{memory_size(place.size)} at 0x{place.offset:x}"


def _dotted(disk_version: int) -> str:
    return f"{disk_version >> 16}.{disk_version & 0xFFFF}"


def losses_of_erasing(desired: DesiredState, actual: ActualState) -> tuple[str, ...]:
    """What goes with the flash and nothing brings back, in words, but for what an erase spares."""
    return tuple(_losses(desired, actual))


def _losses(desired: DesiredState, actual: ActualState) -> Iterator[str]:
    flash, seen = actual.flash, actual.filesystem
    managed = desired.files_by_dest
    for path, state in sorted(seen.files.items() if seen is not None else ()):
        file = managed.get(path)
        if file is not None and (not file.create_only or state.sha256 == file.content.sha256):
            continue
        if any(at_or_below(path, absent) for absent in desired.absent):
            continue
        if file is None and any(below(path, root) for root in desired.pruned):
            continue
        size = "" if state.size is None else f" ({byte_size(state.size)})"
        yield f"{printable(path)}{size}"
    if flash is None:
        return
    if flash.filesystem == "opaque":
        yield "a filesystem that only its firmware can read"
    if flash.filesystem == "damaged":
        yield "a filesystem that cannot be read"
    yield from flash.unspared


def _wanted(firmware: DesiredFirmware, desired: DesiredState) -> FirmwareIdentity:
    """The identity of the image, or what is declared of it while nobody has read it."""
    return firmware.identity or FirmwareIdentity(
        version=(firmware.source.version or "").removeprefix("v"),
        machine="",
        chip=desired.board.chip,
    )


def _why_erase(desired: DesiredState, actual: ActualState) -> str | None:
    """Why nothing on the flash can be kept, or its filesystem cannot; None where it stays."""
    found, flash, chip = actual.firmware, actual.flash, desired.board.chip
    if found is not None and found.chip != chip:
        return f"what is on the flash is for the {found.chip.label}, this is an {chip.label}"
    if flash is not None and flash.misfit is not None:
        if flash.filesystem in ("damaged", "opaque"):
            return f"{flash.misfit}, and it cannot be read"
        if not flash.fits:
            return f"{flash.misfit}, and its files have no room there"
    readable = flash is not None and flash.filesystem == "readable"
    if unmountable(desired, actual) and not readable:
        return UNMOUNTABLE
    if found is not None or actual.interrupted_update or readable:
        return None
    if flash is not None and flash.filesystem == "opaque":
        return None
    if actual.repl_unresponsive:
        return "what is on the flash does not answer, even after a reset"
    return "no MicroPython answers"


def _why_write(firmware: DesiredFirmware, desired: DesiredState, actual: ActualState) -> str | None:
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
