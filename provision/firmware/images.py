"""Firmware images by the manifest's word for them: a file, a URL, or a version.

The engine asks an `ImageStore` for each distinct source before any board is touched. Nothing here
resolves a version: what `provision lock` has not written down is an error with that advice.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from provision.core.firmware_image import Firmware, read_firmware
from provision.errors import SourceError
from provision.firmware.releases import check_declared

if TYPE_CHECKING:
    from provision.model.state import FirmwareSource

# The largest flash of any board is 32 MB; an image larger than that is none.
MAX_IMAGE = 32 * 1024 * 1024


class ImageStore:
    """The images of one manifest; `root` is the directory that its relative paths start from."""

    def __init__(self, root: Path, *, offline: bool = False) -> None:
        self._root = root
        self._offline = offline

    def firmware(self, source: FirmwareSource) -> Firmware:
        """The image of a source, read and checked against what the source declares.

        SourceError when it cannot be had or is another one than declared, ImageError when it
        is no usable image.
        """
        if source.file is not None:
            name = source.file
            data = read_file(self._root / source.file, source)
        else:
            raise SourceError(
                f"the firmware {source.name!r} is not locked: "
                "nothing says which bytes it stands for",
                hint="run `provision lock` once, with a network, and commit fleet.lock",
            )
        check_sha256(data, source.sha256, name)
        firmware = read_firmware(data, name)
        check_declared(source, firmware.identity, name)
        return firmware


def read_file(path: Path, source: FirmwareSource) -> bytes:
    """The bytes of a firmware file that the manifest names; SourceError when it cannot be read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_IMAGE + 1)
    except OSError as error:
        raise SourceError(
            f"the firmware {source.name!r} cannot be read: {path}: {error.strerror}",
            hint="paths are relative to the manifest's directory; check the `file:` entry",
        ) from error
    if len(data) > MAX_IMAGE:
        raise SourceError(f"{path} is larger than any flash, {MAX_IMAGE >> 20} MB")
    return data


def check_sha256(data: bytes, expected: str | None, name: str) -> None:
    """SourceError, with both digests, when the bytes are not those that were promised."""
    found = hashlib.sha256(data).hexdigest()
    if expected is not None and found != expected.lower():
        raise SourceError(
            f"{name} has the sha256 {found}, but {expected.lower()} is declared",
            hint="restore the file that was meant, or correct the sha256 in the manifest",
        )
