"""Makes any value safe to show: secrets masked, terminal control characters removed.

What a board prints is untrusted. It must not move the cursor, recolour or retitle a terminal, nor
hide text by writing direction; line ends and tabs stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache
from typing import TypeVar, cast

from provision.core.manifest.redact import Redactor
from provision.core.wording import Redact, harmless
from provision.model.chip import Chip
from provision.model.event import Printed
from provision.model.report import RunReport
from provision.model.secret import MASK

T = TypeVar("T")

_NO_TEXT = frozenset({bool, int, float, type(None)})


def scrub(value: T, redact: Redact) -> T:
    """The same value with every text inside it masked and harmless.

    Goes through dataclasses, mappings, tuples, lists and sets; enums and numbers stay.
    """
    return cast(T, _scrub(value, redact))


def scrub_printed(said: Printed, redact: Redact) -> Printed:
    """As `scrub` of each line; at the cost of one where nothing is to be masked or taken out."""
    together = "".join(said.lines)
    if together.isascii() and together.isprintable():
        text = "\n".join(said.lines)
        if redact(text) == text and redact(said.device) == said.device:
            return said
    return scrub(said, redact)


def scrub_report(report: RunReport, redactor: Redactor) -> RunReport:
    """A run's report, its errors and what they came from masked as well."""
    for each in report.devices:
        if each.error is not None:
            redactor.mask_error(each.error)
    return scrub(report, redactor.text)


def _scrub(value: object, redact: Redact) -> object:
    kind = type(value)
    if kind in _NO_TEXT:
        return value
    if kind is not str and isinstance(value, (Enum, Chip)):
        return value
    if isinstance(value, str):
        masked = redact(value)
        clean = harmless(masked)
        # Taking characters out can join the halves of a secret: look again.
        return clean if clean == masked else redact(clean)
    if isinstance(value, bytes):  # what was read off a board
        text = value.decode("latin-1")
        return value if redact(text) == text else MASK.encode()
    if isinstance(value, Mapping):
        return {_scrub(key, redact): _scrub(item, redact) for key, item in value.items()}
    if isinstance(value, (tuple, list, set, frozenset)):
        return type(value)(_scrub(item, redact) for item in value)
    if is_dataclass(value) and not isinstance(value, type):
        changed: dict[str, object] = {}
        for name in _fields(type(value)):
            before = getattr(value, name)
            after = _scrub(before, redact)
            if after is not before and after != before:
                changed[name] = after
        return replace(value, **changed) if changed else value
    return value


@cache
def _fields(kind: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind) if each.init)
