"""Where a MicroPython keeps its filesystem: exactly which blocks of the flash.

A filesystem image of any other size than the firmware's own block device makes the ESP32 port
loop at boot, so this knows the rules of the ports' flashbdev.py and main.c, and says None where
the firmware would not mount LittleFS.
"""

from __future__ import annotations

from provision.core.chips.esp.chips import ESP8266
from provision.core.chips.esp.firmware import FILESYSTEM_LABELS, EspFirmware, header_size
from provision.core.chips.esp.image import size_bytes
from provision.core.chips.esp.partition_table import Partition
from provision.core.chips.identity import version_numbers
from provision.model.board import BoardProfile
from provision.model.firmware import FilesystemPlace
from provision.model.state import FirmwareIdentity

_BLOCK = 4096

LITTLEFS_SINCE = (1, 13)  # before that both ports formatted FAT
SIZED_AT_RUN_TIME_SINCE = (1, 26)  # the ESP32 port adds a missing vfs partition at boot
SDK_PARAMETERS = 20480  # bytes at the end of an ESP8266's flash
_ESP8266_START = 256  # blocks: 1 MB of firmware and ROMFS
_ESP8266_START_1M = 153  # blocks: 0x98000 of firmware and one for native code


def filesystem_place(
    identity: FirmwareIdentity,
    partitions: tuple[Partition, ...],
    *,
    flash_size: int,
    header_size: int | None = None,
) -> FilesystemPlace | None:
    """The filesystem of a firmware by its identity and partition table, or None where it has no
    LittleFS (FAT, a version before 1.13, no room, a build without filesystem).

    `flash_size` is the flash chip's, in bytes; `header_size` what the image header in flash
    says: an ESP8266 goes by the header, the ESP32 family by the chip.
    """
    version = version_numbers(identity.version)
    if version is None or version < LITTLEFS_SINCE:
        return None
    if identity.chip == ESP8266:
        return esp8266_place(
            identity.machine, header_size if header_size is not None else flash_size
        )
    labelled = [part for part in partitions if part.name in FILESYSTEM_LABELS]
    if any(part.name == "vfs" for part in labelled):
        part = next(part for part in labelled if part.name == "vfs")
        return within(part.offset, part.size // _BLOCK, flash_size)
    if labelled or version < SIZED_AT_RUN_TIME_SINCE or not partitions:
        return None
    return place_sized_at_run_time(partitions, flash_size)


def place_sized_at_run_time(
    partitions: tuple[Partition, ...], flash_size: int
) -> FilesystemPlace | None:
    """What the ESP32 port makes of the rest of the flash where no partition has its label."""
    start = max(part.end for part in partitions)
    return within(start, (flash_size - start) // _BLOCK, flash_size)


def place_on_board(
    firmware: EspFirmware, board: BoardProfile, flash_size: int | None = None
) -> FilesystemPlace | None:
    """The filesystem of a firmware once it is written to a board of this profile, whose flash
    chip has `flash_size` bytes (None: as the profile says)."""
    size = flash_size if flash_size is not None else board.flash_size
    name = header_size(board, size)
    header = size_bytes(firmware.boot.flash_size if name == "keep" else name)
    if size is None:
        size = header
    if size is None:
        return None
    return filesystem_place(
        firmware.identity, firmware.partitions, flash_size=size, header_size=header
    )


def place_by_image(firmware: EspFirmware) -> FilesystemPlace | None:
    """The filesystem of a firmware on a flash as large as the image's own header says."""
    size = size_bytes(firmware.boot.flash_size)
    if size is None:
        return None
    return filesystem_place(firmware.identity, firmware.partitions, flash_size=size)


def esp8266_place(machine: str, size: int) -> FilesystemPlace | None:
    """Where a build with this machine in its banner has it, by the size that its header says."""
    if size < 1 << 20 or "(512K)" in machine:
        return None
    small = "(1M)" in machine or size < 2 << 20
    start = _ESP8266_START_1M if small else _ESP8266_START
    return within(start * _BLOCK, (size - SDK_PARAMETERS) // _BLOCK - start, size)


def within(offset: int, blocks: int, flash_size: int) -> FilesystemPlace | None:
    """A place of so many blocks; None where it has fewer than a LittleFS needs, or ends past the
    flash's end."""
    if blocks < 2 or offset + blocks * _BLOCK > flash_size:
        return None
    return FilesystemPlace(offset=offset, blocks=blocks)
