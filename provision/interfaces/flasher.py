"""What writes a board's flash, and the person who helps it to get there."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from provision.model.firmware import Region
from provision.model.state import ActualState

IsBlank = Callable[[int, int], bool]
"""Offset and size in flash to whether it is erased there."""

Progress = Callable[[int, int], None]
"""Called with bytes done and bytes in all; both count what goes over the wire."""


class Flasher(Protocol):
    """Writes firmware to one board, which is in download mode."""

    def identify(self) -> ActualState:
        """What the boot ROM proves of the board: chip, MAC, size of the flash, security."""
        ...

    def differs(self, regions: Sequence[Region]) -> tuple[str, ...]:
        """The names of the regions that the flash does not hold; computed on the board."""
        ...

    def turn(self, stopping: Callable[[], bool]) -> AbstractContextManager[None]:
        """Held while the board is erased and written, where it could be taken for another one that
        is; Interrupted once `stopping` says so while it is waited for."""
        ...

    def erase(self, leaving: Sequence[Region] | None, progress: Progress) -> None:
        """Erase the whole flash, from whose beginning on nothing boots; what `leaving`, written
        next, will fill and what is blank may be left, and what is not known to be until that is
        written. With None nothing is left."""
        ...

    def write(self, regions: Sequence[Region], progress: Progress) -> None:
        """Write and verify the regions as they are, and end an `erase` before the last of them."""
        ...

    def read(self, offset: int, size: int) -> bytes | None:
        """Bytes of the flash, verified, also over a line that fails; None where it only writes."""
        ...

    def is_blank(self, offset: int, size: int) -> bool:
        """An `IsBlank` that judges every byte, of a flasher that can read."""
        ...


class Operator(Protocol):
    """Asks a person to do something to a board."""

    def __call__(self, instructions: str, seconds_left: float) -> bool:
        """Called about every second while waiting; False gives up at once."""
        ...
