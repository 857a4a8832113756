"""How one file would change, for --diff: unified text, or sizes where text would not do.

A file made with secrets is never shown, neither as it was nor as it will be: what the board
still holds may be last year's password.
"""

from __future__ import annotations

from provision.model.state import Content

MAX_LINES = 5_000
"""Longer files are shown by size: difflib's time grows with the square of their length."""
MAX_BYTES = 256 * 1024
"""More of a board's file is not even read back for a diff."""


def file_diff(
    path: str, old: bytes | None, new: Content | None, *, unread_size: int | None = None
) -> tuple[str, ...]:
    """The lines of the diff, without line ends; () when the contents are the same.

    `old` is what the board holds and None when it has no such file; `new` what it shall hold and
    None when the file is to be deleted. `unread_size` is the size of a file that was not read.
    """
    after = new.data if new is not None else None
    if old == after:
        return ()
    missing = "missing" if unread_size is None else f"{unread_size:,} bytes"
    sizes = f"{path}: {_size(old, missing)} -> {_size(after, 'deleted')}"
    if new is not None and new.sensitive:
        return (f"{sizes}; not shown, it holds secrets",)
    before_text, after_text = _text(old), _text(after)
    if before_text is None or after_text is None:
        return (f"{sizes}; not shown, it is not text",)
    if max(len(before_text), len(after_text)) > MAX_LINES:
        return (f"{sizes}; not shown, it is too long",)
    from difflib import unified_diff  # here, since few runs need it

    lines = unified_diff(
        before_text,
        after_text,
        fromfile="(none)" if old is None else f"board:{path}",
        tofile="(none)" if new is None else f"manifest:{path}",
        lineterm="",
    )
    # A carriage return is a difference to be seen, not a line end.
    shown = [line.replace("\r", "\\r") for line in lines]
    for data, mark in ((old, "-"), (after, "+")):
        if data and not data.endswith(b"\n"):
            shown.append(f"\\ {mark} has no newline at the end of the file")
    return tuple(shown)


def _text(data: bytes | None) -> list[str] | None:
    """Lines without line feeds; None for what is not text."""
    if data is None:
        return []
    if b"\0" in data or len(data) > MAX_BYTES:
        return None
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError:
        return None
    return lines[:-1] if lines[-1] == "" else lines


def _size(data: bytes | None, none: str) -> str:
    return none if data is None else f"{len(data):,} bytes"
