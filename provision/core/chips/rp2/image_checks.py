"""May this image go onto this board? Safety rule 1 for firmware, as pure functions."""

from __future__ import annotations

from collections.abc import Iterator

from provision.core.chips.family import image_for_another_chip
from provision.core.chips.rp2.firmware import Rp2Firmware, filesystem_device, regions
from provision.core.wording import memory_size
from provision.model.board import BoardProfile
from provision.model.firmware import Firmware
from provision.model.plan import Refusal
from provision.model.state import ActualState


def image_refusals(
    firmware: Firmware, board: BoardProfile, actual: ActualState
) -> tuple[Refusal, ...]:
    """Every reason why `firmware` must not be written to a board of this profile. What is not
    known of the actual board, the profile's word counts for."""
    known = actual.flash_size if actual.flash_size is not None else board.flash_size
    wrong_chip: tuple[Refusal, ...] = ()
    if firmware.chip != board.chip:
        wrong_chip = (image_for_another_chip(firmware.name, firmware.chip, board),)
    if not isinstance(firmware, Rp2Firmware):  # another family's: refused for its chip already
        return wrong_chip
    return (*wrong_chip, *(_size_refusals(firmware, known) if known is not None else ()))


def _size_refusals(firmware: Rp2Firmware, size: int) -> Iterator[Refusal]:
    has = f"the flash has {memory_size(size)}"
    needed = max(region.offset + len(region.data) for region in regions(firmware))
    if needed > size:
        yield Refusal(
            kind="image-too-large",
            message=f"{firmware.name} needs {needed} bytes of flash, {has}",
            hint="what goes past the flash's end would land at its beginning: choose a build for "
            "this board",
        )
        return
    device = filesystem_device(firmware.info)
    if device is not None and device.end > size:
        yield Refusal(
            kind="image-too-large",
            message=f"{firmware.name} keeps its files up to {memory_size(device.end)}, {has}",
            hint="choose a build for this board, or give the board the `flash_size:` that it "
            "really has",
        )
