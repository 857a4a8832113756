"""Which compiled files (`.mpy`) a MicroPython can import, by its version and chip.

From MicroPython's own table (docs, reference/mpyfiles): a board imports its own bytecode version
alone, and native code of its own architecture and sub-version alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from provision.core.chips.registry import family_of
from provision.errors import SourceError
from provision.lockfile.entries import SOURCE_CODE
from provision.sources.releases import Version

if TYPE_CHECKING:
    from provision.core.manifest.resolve.resolver import BytecodeCheck
    from provision.model.chip import Chip
    from provision.model.state import FirmwareSource

# Since which release, newest first. 1.19's 6 has no sub-version: its native code is 6.0.
_SINCE: tuple[tuple[tuple[int, int, int], str], ...] = (
    ((1, 23, 0), "6.3"),
    ((1, 22, 0), "6.2"),
    ((1, 20, 0), "6.1"),
    ((1, 19, 0), "6"),
    ((1, 12, 0), "5"),
    ((1, 11, 0), "4"),
    ((1, 9, 3), "3"),
    ((1, 9, 0), "2"),
)


def bytecode_of_version(version: str) -> str:
    """The bytecode version of a MicroPython: "1.24.1" imports "6.3", "1.18" imports "5".

    SourceError for a version older than 1.9.
    """
    numbers = Version.parse(version).numbers
    for since, bytecode in _SINCE:
        if numbers >= since:
            return bytecode
    raise SourceError(
        f"MicroPython {version} is too old: which .mpy files it imports is not known",
        hint="use MicroPython 1.9 or newer, or leave `compile` out",
    )


# Which code of native machine code a `.mpy` names by number (MicroPython, py/persistentcode.h).
_ARCHITECTURES = (
    *("none", "x86", "x64", "armv6", "armv6m", "armv7m", "armv7em", "armv7emsp", "armv7emdp"),
    *("xtensa", "xtensawin", "rv32imc", "rv64imc"),
)


def mpy_fault(data: bytes, version: str, chip: Chip, variant: str | None = None) -> str | None:
    """Why MicroPython `version` on `chip`, in this variant of its builds, cannot import this
    `.mpy`, to be put after its name; None where it can, as far as the first bytes tell, or where
    the version is unknown."""
    try:
        wanted, _, sub_version = bytecode_of_version(version).partition(".")
    except SourceError:
        return None
    if len(data) < 4 or data[:1] != b"M":
        return "is not MicroPython bytecode; build it with mpy-cross, or give the source"
    if data[1] != int(wanted):
        return (
            f"is bytecode version {data[1]}, and MicroPython {version} imports {wanted}; build it "
            f"with the mpy-cross of {version}, or give the source and `compile: true`"
        )
    if int(wanted) < 6:
        return None  # its flags are others
    native, sub = data[2] >> 2 & 0x0F, data[2] & 0x03
    if not native:
        return None
    own = family_of(chip).bytecode_architecture(chip, variant)
    name = _ARCHITECTURES[native] if native < len(_ARCHITECTURES) else f"architecture {native}"
    if name != own:
        return (
            f"holds machine code for {name}, and this chip runs {own}; build it with "
            f"`mpy-cross -march={own}`"
        )
    if sub != int(sub_version or 0):
        return (
            f"holds machine code of bytecode version {wanted}.{sub}, and MicroPython {version} "
            f"imports {wanted}.{sub_version or 0}; build it with the mpy-cross of {version}"
        )
    return None


def bytecode_check(version: Callable[[FirmwareSource], str | None]) -> BytecodeCheck:
    """Judges `.mpy` files by what is known of a firmware's version."""

    def check(data: bytes, firmware: FirmwareSource, chip: Chip) -> str | None:
        known = version(firmware)
        return mpy_fault(data, known, chip, firmware.variant) if known is not None else None

    return check


def package_bytecode(version: str | None) -> str:
    """The part of the package index for a MicroPython: its bytecode version without sub-version
    ("6"), or "py" (source, which any can run) where the version is unknown."""
    try:
        return bytecode_of_version(version).partition(".")[0] if version else SOURCE_CODE
    except SourceError:
        return SOURCE_CODE
