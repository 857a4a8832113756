"""Filesystems of boards for the engine: built on this computer, and read as they lie in flash.

What builds and reads them is imported when it is used: most runs flash nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from provision.core.chips.registry import family_of
from provision.interfaces import FlashRead, StoredContents
from provision.model.board import BoardProfile
from provision.model.firmware import FilesystemPlace, Firmware, Region

if TYPE_CHECKING:
    from provision.device.flashing.stored_filesystem import StoredLittleFs


class LittleFsStore:
    """The filesystem of a board that is flashed or rescued; implements `FilesystemStore`."""

    def build(
        self, firmware: Firmware, board: BoardProfile, flash_size: int, files: Mapping[str, bytes]
    ) -> tuple[Region, ...] | None:
        """The used blocks of a fresh filesystem with these files; None where the firmware would
        not look for a LittleFS at a place that is known."""
        from provision.device.flashing.littlefs import build_filesystem

        place = family_of(firmware.chip).filesystem_place(firmware, board, flash_size)
        return build_filesystem(place, files).regions() if place is not None else None

    def read(self, read: FlashRead, place: FilesystemPlace) -> StoredLittleFs | None:
        """As `FilesystemStore.read`."""
        from provision.device.flashing.stored_filesystem import StoredLittleFs

        return StoredLittleFs.mount(read, place)

    def rebuild(
        self, place: FilesystemPlace, contents: StoredContents, disk_version: int
    ) -> tuple[Region, ...]:
        """As `FilesystemStore.rebuild`."""
        from provision.device.flashing.littlefs import build_filesystem

        return build_filesystem(place, contents.files, contents.directories, disk_version).regions()
