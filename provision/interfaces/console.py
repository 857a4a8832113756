"""Where what a board prints goes to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

Say = Callable[[Sequence[str], bool], None]
"""Called with the lines that a board has printed, those that came at once, without line ends and
secrets masked, and whether the last of them has ended; the others have."""


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
