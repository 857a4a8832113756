"""Files that are named on the command line: read and written whole, or an error that says why."""

from __future__ import annotations

from pathlib import Path

from provision.atomic_files import write_atomic
from provision.errors import SourceError, UsageError


def read_input(path: Path) -> bytes:
    """The bytes of a file; SourceError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise SourceError(
            f"{path} cannot be read: {error.strerror}", hint="check the path and its permissions"
        ) from error


def write_output(path: Path, data: bytes, *, private: bool = False) -> None:
    """Write a file whole or not at all; `private` keeps it from other users of the computer."""
    try:
        write_atomic(path, data, mode=0o600 if private else None)
    except OSError as error:
        no_folder = isinstance(error, FileNotFoundError)
        first = f"make the folder {path.parent} first, or " if no_folder else ""
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", hint=f"{first}choose another --output"
        ) from error
