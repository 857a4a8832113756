"""The drive that a board is in BOOTSEL mode: which of those there are is this board's, and firmware
copied onto it.

The boot ROM takes whatever is written in the form of UF2 blocks, and restarts the board when the
last of them is in: the drive then vanishes under the hands of whoever copies, which is how a copy
ends well.
"""

from __future__ import annotations

import errno
import os
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.core.wording import listed
from provision.errors import FlashFailed, PortDenied, PortLost, Refused
from provision.interfaces import Progress, Volume
from provision.model.chip import Chip
from provision.model.language import record

CHIPS = {"RPI-RP2": RP2040, "RP2350": RP2350}
"""By the Board-ID of INFO_UF2.TXT."""

FILE = "firmware.uf2"
_PIECE = 1 << 16  # bytes that are written, and told of, at a time
_GONE = (errno.ENOENT, errno.EIO, errno.ENODEV, errno.ENXIO, errno.ENOTDIR, errno.ESTALE)
VANISHES_WITHIN = 20.0  # seconds from the last block: the ROM waits one, and then restarts
# Seconds, besides, for each sector of a file that may not have reached the flash when the copy has
# ended: twice what it takes typically to erase and to program one (Winbond W25Q32, data sheet).
_SECTOR_WITHIN = 0.1
_SECTOR_IN_FILE = 16 * 512
_LOOK = 0.05  # seconds between two looks


@record
class Bootsel:
    """A board in BOOTSEL mode. `mac` is its id, where its ROM tells it as an RP2350's does, or a
    run followed it there."""

    volume: Volume
    chip: Chip
    mac: str | None

    @property
    def name(self) -> str:
        return str(self.volume.path or self.volume.device)


def boards_in_bootsel(volumes: Sequence[Volume]) -> list[Bootsel]:
    """Of the drives that are plugged in, those of boards that this flasher writes."""
    found = []
    for volume in volumes:
        chip = CHIPS.get(volume.info.get("Board-ID", ""))
        if volume.kind != "uf2" or chip is None:
            continue
        found.append(Bootsel(volume=volume, chip=chip, mac=id_of(volume.usb_serial)))
    return found


def id_of(usb_serial: str | None) -> str | None:
    """The id that a USB serial number is; None where it is none (an RP2040's ROM has one of twelve
    digits, the same on every chip)."""
    try:
        data = bytes.fromhex(usb_serial or "")
    except ValueError:
        return None
    return data.hex(":") if len(data) == 8 else None


def choose(
    boards: Sequence[Bootsel], *, address: str, place: str | None, mac: str | None, alone: bool
) -> Bootsel | None:
    """The board whose drive this address names, that is at this USB socket, or has this id; where
    none of it tells, and it may be taken for being `alone`, the only one there is. None where none
    can be it; Refused where several could."""
    here = [board for board in boards if is_at(board, address, place)]
    if not here:
        here = [board for board in boards if mac is not None and board.mac == mac]
    if not here and alone:
        here = [
            board
            for board in boards
            if (place is None or board.volume.usb_location is None)
            and (mac is None or board.mac is None)
        ]
    if len(here) > 1:
        names = listed([board.name for board in here])
        raise Refused(
            f"{len(here)} boards in BOOTSEL mode cannot be told apart: {names}",
            hint="unplug all but the one that is meant, and run again; nothing was written",
        )
    return here[0] if here else None


def is_at(board: Bootsel, address: str, place: str | None) -> bool:
    """Whether an address names a board's drive, or the port that a run sent it there from, or it is
    at this USB socket."""
    volume = board.volume
    if address in (str(volume.path), volume.device, volume.sent_from):
        return True
    return place is not None and volume.usb_location == place


def copy(
    data: bytes,
    board: Bootsel,
    *,
    device: str,
    progress: Progress,
    exists: Callable[[], bool],
    vanishes_within: float = VANISHES_WITHIN,
) -> None:
    """Write a UF2 file to a board's drive and see the drive go. `exists` tells whether it is still
    there; `progress` counts bytes of the file; `vanishes_within` seconds from when the last of them
    is in the flash the drive has to be gone."""
    folder = board.volume.path
    if folder is None:
        raise _unmounted(board.volume, device)
    if not exists():
        raise PortLost(f"the drive {board.name} is gone", device=device)
    done = 0
    try:
        with (folder / FILE).open("wb", buffering=0) as file:
            for start in range(0, len(data), _PIECE):
                piece = data[start : start + _PIECE]
                while piece:
                    written = file.write(piece) or 0
                    done += written
                    piece = piece[written:]
                progress(done, len(data))
            os.fsync(file.fileno())
    except OSError as error:
        # With the last block in, the board goes to start; systems differ in what they call that.
        if done < len(data) or (error.errno not in _GONE and exists()):
            raise copy_failed(error, board, done, len(data), device) from error
    # A system may take the last bytes long before the flash has them.
    behind = _SECTOR_WITHIN * len(data) / _SECTOR_IN_FILE
    _await_end(board, exists, vanishes_within + behind, device)


def _await_end(board: Bootsel, exists: Callable[[], bool], seconds: float, device: str) -> None:
    deadline = time.monotonic() + seconds
    while exists():
        if time.monotonic() >= deadline:
            raise FlashFailed(
                f"the board took the file and did not start: its drive {board.name} is still there",
                hint="unplug it, hold BOOTSEL while you plug it in again, and run again; a drive "
                "that stays shows an old picture of what was plugged in before",
                device=device,
            )
        time.sleep(_LOOK)  # no system has an event for a drive that goes, on all of them


def _mounting(volume: Volume, *, again: bool = False) -> str:
    """What this system's user does to have a drive mounted, or mounted `again`."""
    tool = {"linux": "udisksctl {} -b", "darwin": "diskutil {}"}.get(sys.platform)
    if tool is None:
        return "unplug it, and hold BOOTSEL while you plug it in again"
    verbs = ("unmount", "mount") if again else ("mount",)
    return ", then ".join(f"`{tool.format(verb)} {volume.device}`" for verb in verbs)


def _unmounted(volume: Volume, device: str) -> PortDenied:
    return PortDenied(
        f"the board's drive is plugged in and not mounted ({volume.device})",
        hint=f"{_mounting(volume)}, then run again",
        device=device,
    )


def copy_failed(
    error: OSError, board: Bootsel, done: int, size: int, device: str
) -> FlashFailed | PortDenied | PortLost:
    name = board.name
    if error.errno == errno.EROFS:
        return PortDenied(
            f"the drive {name} is mounted read-only",
            hint=f"{_mounting(board.volume, again=True)}, and run again",
            device=device,
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return PortDenied(
            f"no permission to write to the drive {name}",
            hint="let the one who uses the computer mount it, and run as the same; no sudo",
            device=device,
        )
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return FlashFailed(
            f"the drive {name} is full after {done:,} of {size:,} bytes",
            hint="another program copies a file onto it, or it is no board's drive: unplug the "
            "board, hold BOOTSEL while you plug it in, and run again",
            device=device,
        )
    if error.errno in _GONE:
        return PortLost(
            f"the drive {name} went after {done:,} of {size:,} bytes",
            hint="plug the board in again, directly rather than through a hub, and run again: it "
            "comes back in BOOTSEL mode",
            device=device,
        )
    return FlashFailed(
        f"writing to the drive {name} failed after {done:,} of {size:,} bytes: {error.strerror}",
        hint="unplug the board, hold BOOTSEL while you plug it in, and run again",
        device=device,
    )


def is_there(volume: Volume) -> bool:
    """Whether a drive is still there, by its device, since a mounted filesystem outlives that, and
    by the file that every one of them has."""
    try:
        if volume.device.startswith("/dev/") and not Path(volume.device).exists():
            return False
        return volume.path is not None and (volume.path / "INFO_UF2.TXT").is_file()
    except OSError:
        return False
