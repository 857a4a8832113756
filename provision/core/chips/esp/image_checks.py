"""May this image go onto this board? Safety rule 1 for firmware, as pure functions.

Everything here is decided before the first byte of flash is erased. esptool's own guard covers
no ESP8266 image, and its `force` would lift it for the others: these checks do not depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator

from provision.core.chips.esp import variants
from provision.core.chips.esp.firmware import EspFirmware
from provision.core.chips.esp.image import size_bytes
from provision.core.chips.family import image_for_another_chip
from provision.core.wording import memory_size
from provision.model.board import BoardProfile
from provision.model.firmware import Firmware
from provision.model.plan import Refusal
from provision.model.state import ActualState

_GENERIC_ESP8266 = "ESP module with ESP8266"
_MEGABYTE = 1 << 20


def image_refusals(
    firmware: Firmware, board: BoardProfile, actual: ActualState
) -> tuple[Refusal, ...]:
    """Every reason why `firmware` must not be written to a board of this profile.

    What is not known of the actual board, the profile's word counts for. No refusals: as far as
    is known, the image fits.
    """
    known = actual.flash_size if actual.flash_size is not None else board.flash_size
    wrong_chip: tuple[Refusal, ...] = ()
    if firmware.chip != board.chip:
        wrong_chip = (image_for_another_chip(firmware.name, firmware.chip, board),)
    if not isinstance(firmware, EspFirmware):  # another family's: refused for its chip already
        return wrong_chip
    return (
        *wrong_chip,
        *_revision_refusals(firmware, actual.revision),
        *_core_refusals(firmware, actual),
        *(_size_refusals(firmware, board, known) if known is not None else ()),
    )


def _revision_refusals(firmware: EspFirmware, revision: int | None) -> Iterator[Refusal]:
    if revision is not None and firmware.boot.revisions is not None:
        lowest, highest = firmware.boot.revisions
        if not lowest <= revision <= highest:
            yield Refusal(
                kind="chip-revision",
                message=f"{firmware.name} does not run on revision v{revision // 100}."
                f"{revision % 100} of the {firmware.chip.label}",
                hint=variants.build_for_revision(firmware.chip, firmware.boot.revisions),
            )


def _core_refusals(firmware: EspFirmware, actual: ActualState) -> Iterator[Refusal]:
    if variants.needs_one_core(firmware, actual):
        yield Refusal(
            kind="single-core",
            message=f"{firmware.name} is built for two cores, this {firmware.chip.label} has one: "
            "it would not start",
            hint="choose the variant UNICORE",
        )


def _size_refusals(firmware: EspFirmware, board: BoardProfile, size: int) -> Iterator[Refusal]:
    has = f"the flash has {memory_size(size)}"
    variant = variants.smaller_build(firmware.chip, firmware.identity.machine, size)
    smaller = f"choose the variant {variant}, which is for it" if variant else None
    said = board.settings["header_size"]
    header = size_bytes(said)
    if header is not None and header > size:
        yield Refusal(
            kind="header-past-end",
            message=f"the board profile {board.name} has the image header say "
            f"{board.settings['header_size']}, {has}",
            hint="choose the profile of the board that is on this port",
        )
    if firmware.end > size:
        yield Refusal(
            kind="image-too-large",
            message=f"{firmware.name} needs {firmware.end} bytes of flash, {has}",
            hint=smaller or "choose a build for a smaller flash",
        )
    beyond = [part for part in firmware.partitions if part.end > size]
    if beyond:
        last = max(beyond, key=lambda part: part.end)
        yield Refusal(
            kind="table-past-end",
            message=f"the partition table of {firmware.name} places {last.name} up to "
            f"{memory_size(last.end)}, {has}",
            hint=smaller or "choose a build for this flash size",
        )
    if firmware.identity.machine == _GENERIC_ESP8266 and size < 2 * _MEGABYTE:
        yield Refusal(
            kind="image-too-large",
            message=f"{firmware.name} is the build for 2 MB of flash and more, {has}",
            hint="choose the build for 1 MB (ESP8266_GENERIC, variant FLASH_1M)",
        )
