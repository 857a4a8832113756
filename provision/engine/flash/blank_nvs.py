"""NVS for a flash that is erased: a partition with what the manifest names, written in the same
visit as firmware and files, so that the first program to run finds all of it."""

from __future__ import annotations

from collections.abc import Sequence

from provision.core.chips.registry import family_of
from provision.engine.context import DeviceContext
from provision.model.firmware import Firmware, Region
from provision.model.unit_data import NVS_NAME


def blank_nvs(
    device: DeviceContext, firmware: Firmware, spared: Sequence[Region]
) -> tuple[Region, ...]:
    """The partition for a flash that is erased, nothing where NVS is `spared` or none is wanted;
    OutOfSpace where the entries do not fit."""
    place = family_of(firmware.chip).nvs_place(firmware)
    if not device.desired.nvs or place is None:
        return ()
    end = place.offset + place.size
    if any(one.offset < end and place.offset < one.offset + len(one.data) for one in spared):
        return ()
    data = device.run.nvs_partition(device.desired.nvs, place.size)
    return (Region(name=NVS_NAME, offset=place.offset, data=data),)
