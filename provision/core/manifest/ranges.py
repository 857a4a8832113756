"""Device ranges as Ansible writes them: `desk-[01:30]` stands for thirty devices.

Both ends are part of the range. Numbers are padded as the first end is, a third number is the
step, and single letters make a range too. Several ranges in one name multiply.
"""

from __future__ import annotations

import itertools
import re
import string

from provision.model.language import record

MAX_DEVICES = 20_000

_RANGE = re.compile(r"\[([^\[\]]*:[^\[\]]*)\]")


@record
class Member:
    """One name of a range: `index` is what stands in place of the brackets ("07"; joined by "-"
    for several), `number` its position from 1. Both are None for a name without a range."""

    name: str
    index: str | None = None
    number: int | None = None


def expand(name: str) -> list[Member]:
    """The names that `name` stands for, in order; ValueError says what is wrong with a range."""
    pieces = _RANGE.split(name)
    if len(pieces) == 1:
        return [Member(name=name)]
    choices = [_choices(text) for text in pieces[1::2]]
    size = 1
    for choice in choices:
        size *= len(choice)
    if size > MAX_DEVICES:
        raise ValueError(f"{size:,} devices in one range; the most is {MAX_DEVICES:,}")
    members = []
    for number, picked in enumerate(itertools.product(*choices), start=1):
        parts = list(pieces)
        parts[1::2] = picked
        members.append(Member(name="".join(parts), index="-".join(picked), number=number))
    return members


def is_range(name: str) -> bool:
    return _RANGE.search(name) is not None


def _choices(text: str) -> list[str]:
    parts = text.split(":")
    shown = f"[{text}]"
    if len(parts) > 3:
        raise ValueError(f"{shown} has too many parts; write [first:last] or [first:last:step]")
    first, last = parts[0], parts[1]
    step_text = parts[2] if len(parts) == 3 else "1"
    if not re.fullmatch(r"[0-9]{1,9}", step_text, re.ASCII) or int(step_text) == 0:
        raise ValueError(f"the step of {shown} must be a number from 1")
    step = int(step_text)
    letters = string.ascii_letters
    if len(first) == 1 and len(last) == 1 and first in letters and last in letters:
        start, end = letters.index(first), letters.index(last)
        if start > end:
            raise ValueError(f"{shown} ends before it starts")
        return list(letters[start : end + 1 : step])
    if not (re.fullmatch("[0-9]{1,9}", first) and re.fullmatch("[0-9]{1,9}", last)):
        raise ValueError(f"{shown} is not a range; write two numbers or two letters, as [01:30]")
    padded = len(first) > 1 and first.startswith("0")
    if padded and len(first) != len(last):
        raise ValueError(f"the ends of {shown} must have the same number of digits")
    if int(first) > int(last):
        raise ValueError(f"{shown} ends before it starts")
    numbers = range(int(first), int(last) + 1, step)
    if len(numbers) > MAX_DEVICES:
        raise ValueError(f"{len(numbers):,} devices in one range; the most is {MAX_DEVICES:,}")
    width = len(first) if padded else 0
    return [str(number).zfill(width) for number in numbers]
