"""Where a flash lies in the memory of these chips, and how it is cut."""

from __future__ import annotations

from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.model.chip import Chip

XIP_BASE = 0x10000000
"""The address at which the first byte of the flash is read (pico-sdk, addressmap.h)."""

SECTOR = 4096
"""Bytes that the flash erases in one go."""
PAGE = 256
"""Bytes that it programs in one go, and the payload of a UF2 block."""

WINDOW = {RP2040: 16 << 20, RP2350: 32 << 20}
"""How much flash each boot ROM addresses. A flash that is smaller wraps round there: what goes
past its end lands at its beginning."""


def largest_window(chip: Chip | None = None) -> int:
    """Bytes of flash that a chip, or any of them, can have."""
    return WINDOW[chip] if chip is not None else max(WINDOW.values())
