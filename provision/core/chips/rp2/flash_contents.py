"""What the flash of a board holds besides firmware, read from the flash alone: pure but for the
reader that is passed in.

These chips have no partition table; the program at the start of the flash says by its own binary
info which parts of it it uses. What makes no sense is not there, and nothing here raises but what
reading raises.
"""

from __future__ import annotations

from collections.abc import Iterator

from provision.core.chips.rp2.binary_info import BinaryInfo, read_binary_info
from provision.core.chips.rp2.firmware import Rp2Firmware, filesystem_device, place_of
from provision.core.littlefs_blocks import superblock_version
from provision.interfaces import FlashRead, IsBlank
from provision.model.firmware import LITTLEFS_BLOCK, FilesystemPlace, FlashData, FlashPart


def filesystem_in_flash(read: FlashRead, flash_size: int) -> FilesystemPlace | None:
    """See `ChipFamily.filesystem_in_flash`."""
    info = read_binary_info(read, flash_size)
    return place_of(info, flash_size) if info is not None else None


def installed_image(read: FlashRead, flash_size: int) -> tuple[int, int] | None:
    """See `ChipFamily.installed_image`."""
    info = read_binary_info(read, flash_size)
    return (0, info.end) if info is not None and info.end is not None else None


def data_in_flash(
    read: FlashRead,
    flash_size: int,
    image: Rp2Firmware | None = None,
    *,
    is_blank: IsBlank | None = None,
) -> tuple[FlashData, ...]:
    """See `ChipFamily.data_in_flash`."""
    info = read_binary_info(read, flash_size)
    if info is None:
        info = image.info if image is not None else BinaryInfo()
    return tuple(sorted(_data(info, read, flash_size, is_blank), key=lambda data: data.offset))


def _data(
    info: BinaryInfo, read: FlashRead, flash_size: int, is_blank: IsBlank | None
) -> Iterator[FlashData]:
    files = filesystem_device(info)
    for device in info.block_devices:
        if device.end > flash_size:
            continue
        start = read(device.offset, min(2 * LITTLEFS_BLOCK, device.size))
        littlefs = superblock_version(start) is not None
        blank = start.count(0xFF) == len(start) and (
            is_blank is None or is_blank(device.offset, device.size)
        )
        yield FlashData(
            name="filesystem" if device == files else f"data of {device.name}",
            kind="littlefs" if device == files or littlefs else "other",
            offset=device.offset,
            size=device.size,
            blank=blank,
        )


def partitions(read: FlashRead, flash_size: int) -> tuple[FlashPart, ...]:
    """The parts of the flash that its program names, as other chips have them in a table."""
    info = read_binary_info(read, flash_size) or BinaryInfo()
    return tuple(
        FlashPart(
            name=device.name,
            kind="read-write" if device.writable else "read-only",
            offset=device.offset,
            size=device.size,
        )
        for device in info.block_devices
        if device.end <= flash_size
    )
