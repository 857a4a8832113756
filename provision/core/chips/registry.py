"""The chip families there are. A new one is a package beside this module and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from provision.core.chips.esp.family import FAMILY as ESP
from provision.core.chips.family import ChipFamily, Pace
from provision.core.chips.foreign_formats import foreign_format
from provision.core.chips.rp2.family import FAMILY as RP2
from provision.model.chip import Chip
from provision.model.firmware import Firmware

FAMILIES: Mapping[str, ChipFamily] = MappingProxyType({ESP.name: ESP, RP2.name: RP2})

CHIPS: Mapping[str, Chip] = MappingProxyType(
    {chip.name: chip for family in FAMILIES.values() for chip in family.chips}
)
"""Every chip that this tool provisions, by its name."""


RESET_BANNERS = tuple(
    family.reset_banner for family in FAMILIES.values() if family.reset_banner is not None
)
"""How a boot ROM's first words begin, where they can be read at the REPL's rate."""


BOOT_FAILURES = tuple(text for family in FAMILIES.values() for text in family.boot_failures)
"""What is heard of a board that has no firmware to start, or is in download mode."""


def paces_of(chip: Chip | None) -> tuple[Pace, ...]:
    """How a stream may be cut for a chip, the best first; for one that is not known yet as for
    the one with the smallest receive ring."""
    if chip is not None:
        return family_of(chip).paces(chip)
    known = (family_of(chip).paces(chip) for chip in CHIPS.values())
    return min(known, key=lambda paces: (paces[0].lead, paces[0].block))


def family_of(chip: Chip) -> ChipFamily:
    """The family of a chip."""
    return FAMILIES[chip.family]


def chip_named(name: str) -> Chip:
    """The chip of this name; ValueError names the valid ones."""
    if name not in CHIPS:
        raise ValueError(f"must be one of {', '.join(CHIPS)}, not '{name}'")
    return CHIPS[name]


def read_firmware(data: bytes, name: str) -> Firmware:
    """Read a release image of any family; `name` is what messages call it (a file name).

    Raises ImageError, with a message and a hint of its own for each thing the bytes can be
    instead: nothing, a web page, an ELF, an archive, a flash dump, an image cut short or damaged,
    an image for another chip, or not MicroPython.
    """
    for family in FAMILIES.values():
        if family.recognises(data):
            return family.read_firmware(data, name)
    raise foreign_format(data, name)


def chip_of_machine(machine: str) -> Chip | None:
    """The chip that a MicroPython's banner names; None for one of no family."""
    for family in FAMILIES.values():
        chip = family.chip_of_machine(machine)
        if chip is not None:
            return chip
    return None


def chip_of_release(board: str) -> Chip | None:
    """The chip that a release's board name says it is for; None where no family can tell."""
    for family in FAMILIES.values():
        chip = family.chip_of_release(board)
        if chip is not None:
            return chip
    return None


def is_generic_release(board: str) -> bool:
    """Whether a release's board name is of some family's generic build."""
    return any(family.is_generic_release(board) for family in FAMILIES.values())
