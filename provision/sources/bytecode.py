"""Which compiled files (`.mpy`) a MicroPython can import, by its version and chip.

From MicroPython's own table (docs, reference/mpyfiles): a board imports its own bytecode version
alone, and native code of its own architecture and sub-version alone.
"""

from __future__ import annotations

from provision.errors import SourceError
from provision.lockfile.entries import SOURCE_CODE
from provision.sources.releases import Version

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


def package_bytecode(version: str | None) -> str:
    """The part of the package index for a MicroPython: its bytecode version without sub-version
    ("6"), or "py" (source, which any can run) where the version is unknown."""
    try:
        return bytecode_of_version(version).partition(".")[0] if version else SOURCE_CODE
    except SourceError:
        return SOURCE_CODE
