"""How one file would change, as --diff shows it: unified text, or sizes where text would not do.

A file made with secrets is never shown, neither as it was nor as it will be. What a board held
before passes through `redact` like anything else that is shown.
"""

from __future__ import annotations

import difflib

from provision.model.state import Content
from provision.output.scrub import Redact, harmless
from provision.output.style import PLAIN, Colour, Style
from provision.output.text import size

MAX_LINES = 5_000
"""Longer files are shown by size: difflib's time grows with the square of their length."""

_COLOURS: dict[str, Colour] = {"+": "green", "-": "red", "@": "cyan"}


def difference_lines(
    path: str,
    old: bytes | None,
    new: Content | None,
    *,
    redact: Redact = str,
    style: Style = PLAIN,
) -> list[str]:
    """What --diff shows for one file, without line ends; [] when the contents are the same.

    `old` is what the board holds and None when it has no such file; `new` what it shall hold and
    None when the file is to be deleted.
    """
    after = new.data if new is not None else None
    if old == after:
        return []
    before_text, after_text = _text(old), _text(after)
    if new is not None and new.sensitive:
        return [f"{_safe(path, redact)}: {_sizes(old, after)}; not shown, it holds secrets"]
    if before_text is None or after_text is None:
        return [f"{_safe(path, redact)}: {_sizes(old, after)}; not shown, it is not text"]
    if max(len(before_text), len(after_text)) > MAX_LINES:
        return [f"{_safe(path, redact)}: {_sizes(old, after)}; not shown, it is too long"]
    lines = difflib.unified_diff(
        before_text,
        after_text,
        fromfile="(none)" if old is None else f"board:{path}",
        tofile="(none)" if new is None else f"manifest:{path}",
        lineterm="",
    )
    shown = []
    for number, line in enumerate(lines):
        # A carriage return is a difference to be seen, not a line end.
        text = _safe(line.replace("\r", "\\r"), redact)
        colour = "bold" if number < 2 else _COLOURS.get(line[:1])
        shown.append(style(text, colour) if colour else text)
    for data, mark in ((old, "-"), (after, "+")):
        if data and not data.endswith(b"\n"):
            shown.append(f"\\ {mark} has no line end at its end")
    return shown


def _safe(text: str, redact: Redact) -> str:
    masked = redact(text)
    clean = harmless(masked)
    return clean if clean == masked else redact(clean)


def _text(data: bytes | None) -> list[str] | None:
    """Lines without line feeds; None for what is not text."""
    if data is None:
        return []
    if b"\0" in data:
        return None
    try:
        lines = data.decode().split("\n")
    except UnicodeDecodeError:
        return None
    return lines[:-1] if lines[-1] == "" else lines


def _sizes(old: bytes | None, new: bytes | None) -> str:
    before = "missing" if old is None else size(len(old))
    after = "deleted" if new is None else size(len(new))
    return f"{before} → {after}"
