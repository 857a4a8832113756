"""Devices added to the text of a manifest: after the last one, and nothing else of it is changed.

Where that cannot be done by adding lines, as in `devices: {kitchen: …}` on one line, nothing is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from provision.core.manifest.authoring.entries import NewDevice, Setting
from provision.core.manifest.yaml_parser import parse
from provision.core.manifest.yaml_tree import LINE_BREAK, Table

_KEY = "devices"
_STEP = 2


class CannotInsert(Exception):
    """The devices of this text are written in a way that lines cannot be added to."""


def insert_devices(text: str, devices: Sequence[NewDevice]) -> str:
    """The text with these devices, whose names it has not, after its own. CannotInsert where the
    result would not be just that, or the text is no YAML mapping."""
    before = parse(text, "").tree
    if before is not None and before.key(_KEY) is None and before.value("include") is not None:
        breaks = [*LINE_BREAK.finditer(text)]  # all of its devices are in included files
        ending = breaks[0].group() if breaks else "\n"
        text = (
            f"{text}{'' if not breaks or breaks[-1].end() == len(text) else ending}{_KEY}:{ending}"
        )
        before = parse(text, "").tree
    if before is None or before.key(_KEY) is None:
        raise CannotInsert
    at, indent = _place(before, LINE_BREAK.split(text))
    after = _inserted(
        text, at, [line for device in devices for line in device.lines(indent, _STEP)]
    )
    alone = parse("\n".join([f"{_KEY}:", *(line for one in devices for line in one.lines(2))]), "")
    added = _devices(alone.tree) if alone.tree is not None else {}
    expected = {**_by_name(before), _KEY: {**_devices(before), **added}}
    if not _reads(after, expected) or len(added) != len(devices):
        raise CannotInsert
    return after


def insert_settings(text: str, device: str, settings: Sequence[Setting]) -> str:
    """The text with these settings, of keys that it has not, at the end of a device's own.
    CannotInsert as above, and where the device is one of a range."""
    before = parse(text, "").tree
    devices = before.value(_KEY) if before is not None else None
    if before is None or not isinstance(devices, Table) or (name := devices.key(device)) is None:
        raise CannotInsert
    own = devices.value(device)
    keys = own if isinstance(own, Table) else {}
    below = [key.column for key in keys if key.line > name.line]
    if own is not None and not below:
        raise CannotInsert
    indent = name.column - 1
    inner = " " * (min(below) - 1 if below else indent + _STEP)
    written = NewDevice(name=device, settings=tuple(settings)).lines(0, 0)[1:]
    after = _inserted(
        text,
        _end(LINE_BREAK.split(text), name.line, indent),
        [inner + line for line in written],
    )
    added = parse("\n".join(written), "").tree
    expected = {
        **_by_name(before),
        _KEY: {**_devices(before), device: {**_by_name(keys), **_by_name(added or {})}},
    }
    if not _reads(after, expected) or keys.keys() & (added or {}).keys():
        raise CannotInsert
    return after


def _inserted(text: str, at: int, new: Sequence[str]) -> str:
    """The text with new lines after so many of its own, which end as its first does."""
    breaks = [*LINE_BREAK.finditer(text)]
    ending = breaks[0].group() if breaks else "\n"
    cut = breaks[at - 1].end() if at <= len(breaks) else len(text)
    kept = text[:cut] if at <= len(breaks) else text + ending
    return "".join((kept, *(line + ending for line in new), text[cut:]))


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
    return _end(lines, last.line, indent), indent


def _end(lines: Sequence[str], first: int, indent: int) -> int:
    """The last line of what begins on this one and is indented so far: the last that is deeper."""
    end = first
    for number, line in enumerate(lines[first:], start=first + 1):
        if line.strip():
            if len(line) - len(line.lstrip(" ")) <= indent:
                break
            end = number
    return end


def _reads(text: str, expected: dict[str, Any]) -> bool:
    """Whether that is what the text says, and nothing else."""
    after = parse(text, "")
    return after.tree is not None and not after.problems and _by_name(after.tree) == expected


def _devices(tree: Table) -> dict[str, Any]:
    found = tree.value(_KEY)
    return _by_name(found) if isinstance(found, Table) else {}


def _by_name(table: Mapping[Any, Any]) -> dict[str, Any]:
    """What to compare: places do not count."""
    return {str(key): value for key, value in table.items()}
