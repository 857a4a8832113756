"""Names of MicroPython's releases for these chips: boards, banners, bytecode."""

from __future__ import annotations

import re

from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.model.chip import Chip

_CHIP = re.compile(r"RP(2040|2350)", re.IGNORECASE)
_BY_NUMBER = {"2040": RP2040, "2350": RP2350}
# Raspberry Pi's own boards have no chip in their release names.
_RASPBERRY_PI = {
    "RPI_PICO": RP2040,
    "RPI_PICO_W": RP2040,
    "RPI_PICO2": RP2350,
    "RPI_PICO2_W": RP2350,
}
_RISCV_VARIANT = "RISCV"
_WITH_WIFI = re.compile(r"Raspberry Pi Pico ?2? W with ")
_WITHOUT_WIFI = re.compile(r"Raspberry Pi Pico ?2? with ")


def chip_of_machine(machine: str) -> Chip | None:
    """The chip named in a banner's last part: "Raspberry Pi Pico2 with RP2350-RISCV"."""
    found = _CHIP.search(machine.rpartition(" with ")[2]) or _CHIP.search(machine)
    return _BY_NUMBER[found[1]] if found else None


def loses_wifi(running: str, wanted: str) -> bool:
    """Whether the board runs a build for a Pico W, by the machine in its banner, and is to get one
    for the same without Wi-Fi. One for another named board knows what is on it."""
    return bool(_WITH_WIFI.match(running) and _WITHOUT_WIFI.match(wanted))


def chip_of_release(board: str) -> Chip | None:
    """The chip that a release name says it is for; None where it says nothing of it."""
    name = board.upper()
    found = _CHIP.search(name)
    return _BY_NUMBER[found[1]] if found else _RASPBERRY_PI.get(name)


def bytecode_architecture(chip: Chip, variant: str | None) -> str:
    """mpy-cross's -march: an RP2350 has two kinds of cores, and the build says which run it."""
    if chip == RP2040:
        return "armv6m"
    return "rv32imc" if (variant or "").upper() == _RISCV_VARIANT else "armv7emsp"
