"""Where what a board prints goes to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

Say = Callable[[str, bool], None]
"""Called with what a board has printed, without line ends, secrets masked, and whether its line has
ended with it."""


class Terminal(Protocol):
    """Where somebody types and reads, key by key while it is open."""

    def open(self) -> None: ...

    def close(self) -> None:
        """As it was before; a second call does nothing."""
        ...

    def wait(self, seconds: float, descriptor: int | None) -> bool:
        """Until something is typed or this file is readable; whether the file is."""
        ...

    def typed(self) -> bytes | None:
        """What was typed, without waiting; None once nothing can be any more."""
        ...

    def show(self, data: bytes) -> None: ...
