"""Devices added to the text of a manifest: after the last one, and nothing else of it is changed.

Where that cannot be done by adding lines, as in `devices: {kitchen: …}` on one line, nothing is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from provision.core.manifest.authoring.entries import NewDevice
from provision.core.manifest.yaml_parser import parse
from provision.core.manifest.yaml_tree import Table

_KEY = "devices"
_LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")  # as YAML has it
_STEP = 2


class CannotInsert(Exception):
    """The devices of this text are written in a way that lines cannot be added to."""


def insert_devices(text: str, devices: Sequence[NewDevice]) -> str:
    """The text with these devices, whose names it has not, after its own. CannotInsert where the
    result would not be just that, or the text is no YAML mapping."""
    before = parse(text, "").tree
    if before is None or before.key(_KEY) is None:
        raise CannotInsert
    at, indent = _place(before, _LINE_BREAK.split(text))
    breaks = [*_LINE_BREAK.finditer(text)]
    ending = breaks[0].group() if breaks else "\n"
    cut = breaks[at - 1].end() if at <= len(breaks) else len(text)
    kept = text[:cut] if at <= len(breaks) else text + ending
    new = [line + ending for device in devices for line in device.lines(indent, _STEP)]
    after = "".join((kept, *new, text[cut:]))
    if not _is_just_that(before, after, devices):
        raise CannotInsert
    return after


def _place(tree: Table, lines: Sequence[str]) -> tuple[int, int]:
    """After how many lines the devices end, and by how much each is indented."""
    key = tree.key(_KEY)
    assert key is not None
    devices = tree.value(_KEY)
    if devices is None:
        return key.line, key.column - 1 + _STEP
    if not isinstance(devices, Table):
        raise CannotInsert
    names = [name for name in devices if name.line > key.line]
    if not names:
        raise CannotInsert
    last = max(names, key=lambda name: name.line)
    indent = min(name.column for name in names) - 1
    end = last.line
    for number, line in enumerate(lines[last.line :], start=last.line + 1):
        if line.strip():
            if len(line) - len(line.lstrip(" ")) <= indent:
                break
            end = number
    return end, indent


def _is_just_that(before: Table, text: str, devices: Sequence[NewDevice]) -> bool:
    after = parse(text, "")
    if after.tree is None or after.problems:
        return False
    alone = parse("\n".join([f"{_KEY}:", *(line for one in devices for line in one.lines(2))]), "")
    if alone.tree is None:
        return False
    added = _devices(alone.tree)
    expected = {**_by_name(before), _KEY: {**_devices(before), **added}}
    return _by_name(after.tree) == expected and len(added) == len(devices)


def _devices(tree: Table) -> dict[str, Any]:
    found = tree.value(_KEY)
    return _by_name(found) if isinstance(found, Table) else {}


def _by_name(table: Table) -> dict[str, Any]:
    """What to compare: places do not count."""
    return {str(key): value for key, value in table.items()}
