"""Makes anything safe to show: secrets masked, terminal control characters made harmless.

What a board prints is data of an unknown sender. It must not move the cursor, recolour or retitle
a user's terminal, nor hide text by writing direction; line ends and tabs stay.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import TypeVar, cast

from provision.model.chip import Chip

Redact = Callable[[str], str]
"""Masks secrets in a text that is about to be shown."""

T = TypeVar("T")

# Whole sequences first (CSI, then OSC and the other strings up to their end), then single ones.
_SEQUENCES = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[\]PX^_]|[\x90\x98\x9d-\x9f])[^\x07\x1b\x9c\r\n]*(?:\x07|\x1b\\|\x9c)"
    r"|\x1b[ -/]*[0-~]"
)
_CONTROLS = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def harmless(text: str) -> str:
    """The text without terminal sequences; other control characters become `\\x07`.

    `\\r\\n` and a lone `\\r` become a line end, so that no line can overwrite another.
    """
    if text.isascii() and text.isprintable():
        return text
    text = _SEQUENCES.sub("", text).replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROLS.sub(_visible, text)


def _visible(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def one_line(text: str) -> str:
    """The text with every run of white space, line ends included, as one space."""
    return " ".join(text.split())


def scrub(value: T, redact: Redact) -> T:
    """The same value with every text inside it masked and harmless.

    Goes through dataclasses, mappings, tuples, lists and sets; enums and numbers stay.
    """
    return cast(T, _scrub(value, redact))


def _scrub(value: object, redact: Redact) -> object:
    if isinstance(value, (Enum, Chip)):
        return value
    if isinstance(value, str):
        masked = redact(value)
        clean = harmless(masked)
        # Taking characters out can join the halves of a secret: look again.
        return clean if clean == masked else redact(clean)
    if isinstance(value, Mapping):
        return {_scrub(key, redact): _scrub(item, redact) for key, item in value.items()}
    if isinstance(value, (tuple, list, set, frozenset)):
        return type(value)(_scrub(item, redact) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        before = {each.name: getattr(value, each.name) for each in fields(value) if each.init}
        after = {name: _scrub(item, redact) for name, item in before.items()}
        return value if after == before else replace(value, **after)
    return value
