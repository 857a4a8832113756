"""Events read back from their JSON form (`jsonlines.to_json`): what a record tells of a run is
shown by the same code as a run that goes on.

A record may be cut short, of another version, or written to by somebody: a line that cannot be read
is left out.
"""

from __future__ import annotations

import json
import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import datetime
from enum import Enum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from provision.core.chips.registry import chip_named
from provision.model import event as events
from provision.model.chip import Chip
from provision.model.event import EVENT_VERSION, Event

_KINDS: Mapping[str, type[Event]] = {kind.kind: kind for kind in get_args(events.Event)}


def read_events(lines: Iterable[str]) -> Iterator[tuple[float, Event]]:
    """Each event of a record with its time, in seconds since the epoch."""
    for line in lines:
        try:
            data = json.loads(line)
            if data["version"] == EVENT_VERSION:
                yield datetime.fromisoformat(data["time"]).timestamp(), from_json(data)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            continue


def from_json(data: Mapping[str, Any]) -> Event:
    """The event of such data; ValueError, KeyError or TypeError where it is none."""
    found: Event = _object(_KINDS[data["kind"]], data)
    return found


def _object(kind: Any, data: Mapping[str, Any]) -> Any:
    hints, names = _hints(kind), _names(kind)
    known = {name: _value(hints[name], data[name]) for name in names if name in data}
    return kind(**known)


def _value(kind: Any, data: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType):
        return _one_of(get_args(kind), data)
    if origin is Literal:
        if data not in get_args(kind):
            raise ValueError(f"{data!r} is no {kind}")
        return data
    if origin is tuple:
        return tuple(_value(get_args(kind)[0], each) for each in _list(data))
    if origin is dict or origin is Mapping:
        if not isinstance(data, Mapping):
            raise TypeError(f"{data!r} is no object")
        return {str(key): _value(get_args(kind)[1], each) for key, each in data.items()}
    if kind is Chip:
        return chip_named(data)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(data)
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if kind in (str, int, float, bool):
        if type(data) is not kind:
            raise TypeError(f"{data!r} is no {kind.__name__}")
        return data
    return _object(kind, data)


def _one_of(kinds: tuple[Any, ...], data: Any) -> Any:
    """Of a union of dataclasses that have a `kind`, or of something and None."""
    if data is None and type(None) in kinds:
        return None
    rest = [kind for kind in kinds if kind is not type(None)]
    if isinstance(data, Mapping) and "kind" in data:
        rest = [kind for kind in rest if getattr(kind, "kind", None) == data["kind"]] or rest
    for kind in rest:
        try:
            return _value(kind, data)
        except (ValueError, TypeError, KeyError, AttributeError):
            if kind is rest[-1]:
                raise
    raise ValueError(f"{data!r} is none of {kinds}")


def _list(data: Any) -> list[Any]:
    if not isinstance(data, list):
        raise TypeError(f"{data!r} is no list")
    return data


@cache
def _hints(kind: Any) -> dict[str, Any]:
    return get_type_hints(kind)


@cache
def _names(kind: Any) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))
