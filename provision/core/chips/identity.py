"""What a MicroPython says of itself, as far as that is the same on every chip: its banner's literal
inside an image, the numbers of its version, and the LittleFS that came with them."""

from __future__ import annotations

import re

from provision.core.littlefs_blocks import VERSION_2_0, VERSION_2_1
from provision.model.chip import Chip
from provision.model.state import FirmwareIdentity

_BANNER = re.compile(
    rb"MicroPython v?([0-9A-Za-z][\x21-\x7e]*) on (\d{4}-\d\d-\d\d)(?:; ([\x20-\x7e]+))?"
)
_MACHINE = re.compile(rb"; ([\x20-\x7e]+ with [\x20-\x7e]+)")

_VERSION_2_1_SINCE = (1, 22)
_VERSION_2_1_IN_TREE = (
    "2023-11-01"  # builds between two releases have its date, and the next's name
)


def read_banner(data: bytes | bytearray | memoryview, chip: Chip) -> FirmwareIdentity | None:
    """What the firmware in these bytes will say of itself, from its banner's literal."""
    found: re.Match[bytes] | None = None
    for match in _BANNER.finditer(data):
        found = match
        if match[3] is not None:
            break
    if found is None:
        return None
    machine = found[3]
    if machine is None:  # a build that keeps the two halves of its banner apart
        second = _MACHINE.search(data)
        machine = second[1] if second else b""
    return FirmwareIdentity(
        version=found[1].decode("ascii"),
        machine=machine.decode("ascii").strip(),
        chip=chip,
        date=found[2].decode("ascii"),
    )


def version_numbers(text: str) -> tuple[int, int] | None:
    """Major and minor of a version; None for one that is not numbered (a custom build)."""
    match = re.match(r"(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else None


def newest_littlefs(identity: FirmwareIdentity) -> int:
    """See `ChipFamily.newest_littlefs`: the driver comes with MicroPython, not with the chip."""
    version = version_numbers(identity.version)
    if version is None or version < _VERSION_2_1_SINCE:
        return VERSION_2_0
    early = version == _VERSION_2_1_SINCE and "" < identity.date < _VERSION_2_1_IN_TREE
    return VERSION_2_0 if early else VERSION_2_1
