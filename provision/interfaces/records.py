"""What runs before this one have learned of boards, as the engine needs it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from provision.model.kept import KeptState
from provision.model.state import CheckRecord


class CheckRecords(Protocol):
    """What came of the last check of each board, as far as runs before this one have seen. A
    board is known by its MAC; one that does not tell it, by its device."""

    def last(self, mac: str | None, device: str) -> CheckRecord | None:
        """What is remembered of this board; None when nothing is."""
        ...

    def begin(self, mac: str | None, device: str) -> None:
        """The board is about to be changed or checked, so that nothing is proved of it until
        `end`; durable when this returns."""
        ...

    def end(self, mac: str | None, device: str, state: str, *, passed: bool) -> None:
        """Its check passed or failed on the state with this digest."""
        ...

    def forget(self, mac: str | None, device: str) -> None:
        """The board is about to be changed by a run without a check; durable as `begin`."""
        ...


class Identities(Protocol):
    """Which board each device was, as far as runs before this one have learned."""

    @property
    def macs(self) -> Mapping[str, str]:
        """All MACs that were learned, by device, also those of devices that no run is about."""
        ...

    def known(self, device: str) -> str | None:
        """The MAC learned for a device, or None."""
        ...

    def learn(self, device: str, mac: str) -> None:
        """Keep a device's MAC, which is then no other's; durable when this returns."""
        ...


class RollbackRecords(Protocol):
    """What the last apply of each board replaced, known as `CheckRecords` knows boards."""

    def last(self, mac: str | None, device: str) -> KeptState | None:
        """What is kept of this board; None when nothing is."""
        ...

    def keep(self, mac: str | None, device: str, kept: KeptState) -> None:
        """Keep this in place of what was; durable when this returns."""
        ...

    def forget(self, mac: str | None, device: str) -> None:
        """Keep nothing of it."""
        ...
