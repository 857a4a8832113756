"""What a manifest's `station:` says, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType

from provision.model.language import record
from provision.model.state import PortSelector


@record
class CounterSettings:
    """Numbers from `start` to `end` (None: no end), each written by `format`, as `{:06d}`."""

    start: int = 1
    end: int | None = None
    format: str = "{}"


@record
class TableSettings:
    """Numbers of a CSV file of the project, from its column `key`."""

    file: str
    key: str


@record
class Hook:
    """A program of the manifest's that is run for each unit: its words, and its seconds."""

    command: tuple[str, ...]
    timeout: float = 60.0


@record
class StationSettings:
    """`template` is the device that each unit is made like, `name` the template of a unit's name,
    `sockets` where boards are plugged in (none: any port that appears), `ledger` a path relative
    to the manifest, None for the one beside it."""

    template: str
    name: str
    serial: CounterSettings | TableSettings
    sockets: Mapping[str, PortSelector] = field(default_factory=lambda: MappingProxyType({}))
    ledger: str | None = None
    before: Hook | None = None
    after: Hook | None = None
