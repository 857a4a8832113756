"""A device's firmware and filesystem as one image, for people who flash with other tools."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from provision.core.chips.registry import family_of
from provision.device.flashing.littlefs import build_filesystem
from provision.device.flashing.nvs_image import nvs_partition
from provision.errors import Refused, UsageError
from provision.model.board import BoardProfile
from provision.model.firmware import FilesystemPlace, Firmware, Region
from provision.model.language import record
from provision.model.state import ActualState, DesiredState
from provision.model.unit_data import NVS_NAME


@record(slots=False)
class DeviceImage:
    """All that `apply` would put on a device's blank board: the file that the chip's own tool
    writes, what is in it from `firmware.base` on.

    `used` bytes of the filesystem at `place` hold `files`, sizes by path; `sensitive` says whether
    a secret is in one of them or in NVS.
    """

    data: bytes = field(repr=False)
    board: BoardProfile
    firmware: Firmware
    place: FilesystemPlace
    used: int
    files: Mapping[str, int]
    sensitive: bool

    def flash_command(self, file: str) -> str:
        """How the chip's own tool writes it from a file."""
        return family_of(self.firmware.chip).flash_command(self.firmware, file)


def build_device_image(state: DesiredState, firmware: Firmware) -> DeviceImage:
    """The image of a device; Refused where the firmware must not be written to such a board,
    UsageError where its filesystem cannot be built on this computer, OutOfSpace where its files do
    not fit."""
    refusals = family_of(state.board.chip).image_refusals(firmware, state.board, ActualState())
    if refusals:
        raise Refused(
            "; ".join(refusal.message for refusal in refusals),
            hint=refusals[0].hint,
            device=state.device,
        )
    family = family_of(firmware.chip)
    place = family.filesystem_place(firmware, state.board, None)
    if place is None:
        raise UsageError(
            f"the filesystem of {firmware.name} is none that can be built on this computer",
            hint="flash the firmware, then copy the files with `provision apply`",
        )
    filesystem = build_filesystem(place, {file.dest: file.content.data for file in state.files})
    regions = [*family.regions(firmware, state.board, None), *filesystem.regions()]
    nvs = family.nvs_place(firmware)
    if state.nvs and nvs is not None:
        data = nvs_partition(state.nvs, nvs.size)
        regions.append(Region(name=NVS_NAME, offset=nvs.offset, data=data))
    return DeviceImage(
        data=family.image_file(firmware, regions),
        board=state.board,
        firmware=firmware,
        place=place,
        used=len(filesystem.used) * place.block,
        files={file.dest: file.content.size for file in state.files},
        sensitive=any(file.content.sensitive for file in state.files)
        or any(entry.sensitive for entry in state.nvs),
    )
