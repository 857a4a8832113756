"""What is asked of a board's NVS, the small store of keys and values beside its firmware."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from provision.model.unit_data import NvsEntry


class NvsAccess(Protocol):
    """The part of a REPL that concerns NVS."""

    def nvs(
        self, wanted: Collection[str] | None, hidden: Collection[str]
    ) -> tuple[NvsEntry, ...] | None:
        """The entries of these namespaces, or of all with None; those of `hidden` ones without
        their values, which do not leave the board. None where its firmware has no NVS. Changes
        nothing."""
        ...

    def set_nvs(self, entry: NvsEntry, *, replaces: bool) -> None:
        """Set one entry, of a type that MicroPython writes, and nothing else; with `replaces`
        what has its name and another type goes before. OutOfSpace where NVS is full."""
        ...
