"""What a run is given: the adapters it works with, and how it is to go."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from provision.interfaces import (
    Connector,
    Discovery,
    FilesystemBuilder,
    Identities,
    Images,
    Journal,
)
from provision.model.event import (
    Event,
)
from provision.model.plan import Plan

Confirm = Callable[[str, Plan, Callable[[], bool]], bool]
"""Asks whether a device's plan, which erases, may be carried out; while it waits for the answer
it looks at whether the user has stopped the run, and raises Interrupted then."""


@dataclass(frozen=True, kw_only=True)
class World:
    """The adapters a run works with. `hands` says whether somebody can be asked to press a
    button; `confirm` is None where nobody can be asked at all."""

    discovery: Discovery
    connector: Connector
    images: Images
    filesystems: FilesystemBuilder
    identities: Identities
    journal: Journal
    emit: Callable[[Event], None]
    hands: bool = False
    confirm: Confirm | None = None
    clock: Callable[[], float] = time.monotonic


@dataclass(frozen=True, kw_only=True, slots=True)
class Options:
    """How a run goes. `forks` 0 means all devices at once; `change` False only plans."""

    change: bool
    yes: bool = False
    forks: int = 0
    fail_fast: bool = False
    accept_new: frozenset[str] = frozenset()
    contents: bool = False  # tell how the files that are written would change
    hands_timeout: float = 120.0  # seconds a person is given to press a button
    detailed: bool = False  # pending changes are an exit code of their own
