"""Which of a release's builds a board calls for: what is known of its chip and of what runs on it
against the image that is wanted.

Only generic builds have such variants; one for a named board knows what is on it. What the banner
says of an image is all there is to go by: "Generic ESP32S3 module with Octal-SPIRAM with ESP32S3".
"""

from __future__ import annotations

from collections.abc import Iterator

from provision.core.chips.esp.chips import ESP32, ESP32C2, ESP32P4, ESP32S3, ESP8266
from provision.core.chips.esp.releases import is_generic_machine
from provision.core.wording import memory_size
from provision.model.chip import Chip
from provision.model.firmware import Firmware
from provision.model.state import ActualState

_MEGABYTE = 1 << 20
_OCTAL = 8 * _MEGABYTE  # of an ESP32-S3's package: from here on it is octal, 2 MB are quad

# What a build may have that another one for the same board lacks: its mark in the banner, and what
# goes with it.
_ABILITIES = (
    ("spiram", "SPIRAM", "the board's PSRAM lies idle under it"),
    ("ota", "OTA", "it has no second slot, so that updates over the air end"),
    ("wifi", "WIFI", "the Wi-Fi of the chip beside it is out of reach"),
)
_SMALL = ((ESP8266, "(1m)", 1), (ESP8266, "(512k)", 0), (ESP32C2, "2mib flash", 2))


def notes(firmware: Firmware, actual: ActualState) -> tuple[str, ...]:
    """Where the board would do better with another build than this one, a sentence each."""
    return tuple(_notes(firmware, actual)) if is_generic_machine(_said(firmware)) else ()


def needs_one_core(firmware: Firmware, actual: ActualState) -> bool:
    """Whether an image would end at its start on this chip, which has one core: ESP-IDF's start-up
    stops what was built for two. The variant UNICORE is for these."""
    return (
        firmware.chip == ESP32
        and actual.cores == 1
        and is_generic_machine(_said(firmware))
        and "unicore" not in _said(firmware).lower()
    )


def smaller_build(chip: Chip, machine: str, flash_size: int) -> str | None:
    """The variant of the generic builds for so little flash; None where there is none."""
    if not is_generic_machine(machine) or flash_size >= 4 * _MEGABYTE:
        return None
    if chip == ESP8266:
        return {_MEGABYTE: "FLASH_1M", _MEGABYTE // 2: "FLASH_512K"}.get(flash_size)
    if flash_size == 2 * _MEGABYTE:
        return {ESP32: "D2WD", ESP32C2: "FLASH_2M"}.get(chip)
    return None


def build_for_revision(chip: Chip, revisions: tuple[int, int]) -> str:
    """Which build is for the revisions that an image for these is not for."""
    if chip != ESP32P4:
        return "choose an image built for this revision"
    if revisions[0] >= 300:  # MicroPython 1.29 split them
        return (
            "choose the variant PRE_REV3 (with Wi-Fi beside it PRE_REV3_C5_WIFI or "
            "PRE_REV3_C6_WIFI), or a release up to 1.28"
        )
    return "choose a release since 1.29 without PRE_REV3: it is for revisions from v3.0 on"


def _notes(firmware: Firmware, actual: ActualState) -> Iterator[str]:
    machine = _said(firmware).lower()
    running = actual.firmware.machine if actual.firmware is not None else ""
    psram, name = actual.psram or 0, firmware.name
    if firmware.chip == ESP32S3 and psram >= _OCTAL and "octal" not in machine:
        yield (
            f"the chip has {memory_size(psram)} of octal PSRAM, which {name} cannot use: "
            "the variant SPIRAM_OCT does"
        )
    elif firmware.chip == ESP32S3 and 0 < psram < _OCTAL // 2 and "octal" in machine:
        yield (
            f"the chip has {memory_size(psram)} of quad PSRAM, and {name} is for octal PSRAM: "
            "the build without a variant uses it"
        )
    elif firmware.chip == ESP32 and psram and "spiram" not in machine:
        yield f"the chip has PSRAM, which {name} cannot use: the variant SPIRAM does"
    elif is_generic_machine(running):
        for mark, ability, loss in _ABILITIES:
            if mark in running.lower() and mark not in machine:
                yield f"a build with {ability} is on the board, {name} is one without: {loss}"
    size = actual.flash_size
    for chip, mark, megabytes in _SMALL:
        if firmware.chip == chip and mark in machine and size and size > megabytes * _MEGABYTE:
            if megabytes == 0 and size < _MEGABYTE:
                continue
            yield (
                f"the flash has {memory_size(size)}, and {name} is a build for less: "
                "one for all of it has more modules and more room"
            )


def _said(firmware: Firmware) -> str:
    return firmware.identity.machine
