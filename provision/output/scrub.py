"""Makes any value safe to show: secrets masked, terminal control characters removed.

What a board prints is untrusted. It must not move the cursor, recolour or retitle a terminal, nor
hide text by writing direction; line ends and tabs stay.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import TypeVar, cast

from provision.core.wording import harmless
from provision.model.chip import Chip

Redact = Callable[[str], str]
"""Masks secrets in a text that is about to be shown."""

T = TypeVar("T")


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
