"""Orders for the flash that MicroPython works on (onboard/_flash.py): how long its work takes, and
when the power fails in the middle of it. They are in a file that both sides have open."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

from provision.sim.chip.flash import PAGE_PROGRAM, SECTOR_ERASE, Work
from provision.sim.setup import BoardSetup


class FlashOrders:
    """The file at `path`, with the times of `setup`."""

    def __init__(self, setup: BoardSetup, path: Path) -> None:
        self.path = path
        self._setup = setup
        self._cut: tuple[Work, int, Callable[[], None]] | None = None
        self._write()

    def cut_power(self, work: Work, count: int, on_cut: Callable[[], None]) -> None:
        """Let the power fail in the middle of the `count`th erase or program from now on; `on_cut`
        is what `take_cut` gives then."""
        self._cut = (work, count, on_cut)
        self._write()

    def cancel(self) -> None:
        """Take back what `cut_power` ordered."""
        if self._cut:
            self._cut = None
            self._write()

    def take_cut(self) -> Callable[[], None] | None:
        """Whom to tell that the power has failed."""
        cut, self._cut = self._cut, None
        return cut[2] if cut else None

    def _write(self) -> None:
        factor = self._setup.timing * 1e6 / self._setup.scale
        erase, program = (int(seconds * factor) for seconds in (SECTOR_ERASE, PAGE_PROGRAM))
        left = {self._cut[0]: self._cut[1]} if self._cut else {}
        orders = left.get(Work.ERASE, 0), left.get(Work.PROGRAM, 0), erase, program
        self.path.write_bytes(struct.pack("<4I", *orders))
