"""Which paths on a board files may go to, and where bytecode goes: pure functions of paths."""

from __future__ import annotations

import re
from functools import lru_cache

from provision.core.wording import quoted
from provision.model.board_path import LONGEST_NAME, LONGEST_PATH, STARTUP_FILES, TEMPORARY_NAME

_BACKSLASH = "\\"
_DRIVE = re.compile(r"^[A-Za-z]:(?=\\)")


@lru_cache(maxsize=65536)
def compiled_dest(dest: str) -> str | None:
    """Where the bytecode of what would go to `dest` goes; None for what is no source, and for
    boot.py and main.py, which MicroPython runs under these names alone."""
    if not dest.endswith(".py") or dest in STARTUP_FILES:
        return None
    return f"{dest.removesuffix('.py')}.mpy"


def with_slashes(path: str) -> str:
    """A path written as on Windows, in the spelling that manifests and boards use."""
    return _DRIVE.sub("", path).replace(_BACKSLASH, "/")


def missing_source(what: str, path: str) -> str:
    """What is said of a source that is not there."""
    better = f"; paths in a manifest use /, as {quoted(with_slashes(path))}"
    return f"{what}: {quoted(path)}{better if _BACKSLASH in path else ''}"


def clean_dest(dest: str) -> str:
    """An absolute path on a board in its one spelling; ValueError says what is wrong with it."""
    shown = quoted(dest)
    if _BACKSLASH in dest:
        path = with_slashes(dest)
        advice = "" if ".." in path.split("/") else f", as {quoted('/' + path.lstrip('/'))}"
        raise ValueError(f"{shown} contains a backslash; paths on a board use /{advice}")
    if not dest.startswith("/"):
        advice = "" if dest.startswith(".") else f", as {quoted('/' + dest)}"
        raise ValueError(f"{shown} is outside /; a path on the board is absolute{advice}")
    parts = [part for part in dest.split("/") if part]
    if ".." in parts or "." in parts:
        raise ValueError(f"{shown} must not contain `.` or `..`; it has to stay inside /")
    if not parts:
        raise ValueError("/ itself is no file")
    if not dest.isprintable():
        raise ValueError(f"{shown} contains control characters")
    path = "/" + "/".join(parts)
    if not path.isascii() or len(path) > LONGEST_PATH:
        if any(len(part.encode()) > LONGEST_NAME for part in parts):
            raise ValueError(f"{shown} has a name of more than {LONGEST_NAME} bytes")
        size = len(path.encode())
        if size > LONGEST_PATH:
            raise ValueError(
                f"{shown} has {size} bytes; a path on a board has at most {LONGEST_PATH}"
            )
    if f"/{TEMPORARY_NAME}" in path:
        raise ValueError(
            f"{shown} is of this tool: what begins with {TEMPORARY_NAME} is a file that it is "
            "writing, and is cleared away"
        )
    return path


def case_message(path: str, other: str) -> str:
    """For two paths that differ by case alone."""
    return (
        f"{quoted(path)} and {quoted(other)} differ by case alone, and are the same on a board "
        "with a FAT filesystem; rename one of them"
    )
