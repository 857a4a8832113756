"""Raspberry Pi's chips that this tool provisions."""

from __future__ import annotations

from provision.model.chip import Chip

FAMILY_NAME = "rp2"

RP2040 = Chip(name="rp2040", label="RP2040", family=FAMILY_NAME)
RP2350 = Chip(name="rp2350", label="RP2350", family=FAMILY_NAME)

CHIPS = (RP2040, RP2350)
