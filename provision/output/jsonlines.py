"""Events as JSON, one object a line, by schemas/event.schema.json: for programs, and for keeping.

Every object starts with `version`, `kind` and `time`; the event's own fields follow under their
names. New optional keys may be added at any time; any other change raises the version.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from datetime import datetime, timezone
from enum import Enum
from functools import cache
from typing import TextIO

from provision._version import __version__
from provision.model.chip import Chip
from provision.model.event import EVENT_VERSION, Event, Printed, RunStarted, Trace


def to_json(event: Event, seconds: float) -> dict[str, object]:
    """An event as plain data; `seconds` is when it happened, since the epoch."""
    content: dict[str, object] = {
        "version": EVENT_VERSION,
        "kind": event.kind,
        "time": datetime.fromtimestamp(seconds, timezone.utc).isoformat(timespec="milliseconds"),
    }
    if isinstance(event, RunStarted):
        content["tool"] = __version__
    plain = plain_data(event)
    assert isinstance(plain, dict)
    return content | plain


_ALREADY_PLAIN = frozenset({str, bool, int, float, type(None)})


def plain_data(value: object) -> object:
    """What JSON can say of a value of the model: dataclasses as objects, chips as their names."""
    if type(value) in _ALREADY_PLAIN:
        return value
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Chip):
        return value.name
    if isinstance(value, Mapping):
        return {str(key): plain_data(item) for key, item in value.items()}
    if isinstance(value, (tuple, list)):
        return [plain_data(item) for item in value]
    if is_dataclass(value) and not isinstance(value, type):
        content = {name: plain_data(getattr(value, name)) for name in _fields(type(value))}
        kind = getattr(type(value), "kind", None)
        return {"kind": kind, **content} if isinstance(kind, str) else content
    return value


@cache
def _fields(kind: type) -> tuple[str, ...]:
    return tuple(each.name for each in fields(kind))


class JsonLines:
    """Writes each event as a line, flushed at once. Traces above `verbosity` are left out."""

    name = "the JSON output"
    asked_for = True

    def __init__(
        self, stream: TextIO, *, verbosity: int = 0, clock: Callable[[], float] = time.time
    ) -> None:
        self._stream = stream
        self._verbosity = verbosity
        self._clock = clock

    def handle(self, event: Event) -> None:
        """Write one event."""
        if isinstance(event, Trace) and event.level > self._verbosity:
            return
        self._write(json.dumps(to_json(event, self._clock())) + "\n")

    def handle_printed(self, said: Printed) -> None:
        """Write lines that a board has printed, with one time."""
        events = said.each()
        first = to_json(next(events), self._clock())
        texts = [json.dumps(first)]
        texts += [json.dumps({**first, "text": one.text, "ended": one.ended}) for one in events]
        self._write("\n".join(texts) + "\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def close(self) -> None:
        """The stream is its owner's to close."""
