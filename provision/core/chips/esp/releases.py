"""Names of MicroPython's releases for these chips: boards, banners, bytecode."""

from __future__ import annotations

import re

from provision.core.chips.esp.chips import CHIPS, ESP32, ESP32S2, ESP32S3, ESP8266, RISCV
from provision.model.chip import Chip

# Names with these build for another chip than the rest of their port: "S2", "C61", …
_ESP32_CHIPS = {
    chip.name.removeprefix("esp32").upper(): chip for chip in (ESP32S2, ESP32S3, *RISCV)
}
_OTHER_CHIP = re.compile(rf"(?:^|_)(?:GENERIC|ESP32)_?({'|'.join(_ESP32_CHIPS)})(?:_|$)")

# The board part of the generic builds' banner, from 1.9 ("ESP module", "ESP32 module (spiram)")
# to now ("Generic ESP32S3 module", "Generic ESP32P4 with pre revision 3 chip"); no build for a
# named board says this of itself.
_GENERIC_MACHINE = re.compile(r"(?:Generic )?ESP(?:32[A-Z0-9-]*)? module\b|Generic ESP32")

# mpy-cross's -march; code that is not native is the same for all.
ARCHITECTURES = {
    ESP8266: "xtensa",
    ESP32: "xtensawin",
    ESP32S2: "xtensawin",
    ESP32S3: "xtensawin",
    **dict.fromkeys(RISCV, "rv32imc"),
}

_CHIP = re.compile(r"ESP(8266|32(?:-?([SCHPE]\d+))?)", re.IGNORECASE)
_BY_NAME = {chip.name: chip for chip in CHIPS}


def chip_of_machine(machine: str) -> Chip | None:
    """The chip named in a banner's last part: "Generic ESP32 module with ESP32"."""
    found = _CHIP.search(machine.rpartition(" with ")[2]) or _CHIP.search(machine)
    return _BY_NAME.get("esp" + found[1].replace("-", "").lower()) if found else None


def chip_of_release(board: str) -> Chip | None:
    """The chip that a release name says it is for; None where it says nothing of it."""
    name = board.upper()
    if "ESP8266" in name or "ESP8285" in name:
        return ESP8266
    match = _OTHER_CHIP.search(name)
    if match is not None:
        return _ESP32_CHIPS[match[1]]
    if re.fullmatch(r"ESP32_GENERIC", name):
        return ESP32
    return None


def is_generic_release(board: str) -> bool:
    """Whether a release name is of a generic build: ESP32_GENERIC, ESP8266_GENERIC, …"""
    return re.fullmatch(r"ESP(32|8266)_GENERIC(_[A-Z0-9]+)?", board.upper()) is not None


def is_generic_machine(machine: str) -> bool:
    """Whether a banner's last part is a generic build's; no build for a named board says it."""
    return _GENERIC_MACHINE.match(machine) is not None
