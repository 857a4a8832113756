"""Espressif's chips as a `ChipFamily`, put together from the other modules of this package; what
looks into a flash is imported when it is used, since most runs look into none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from provision.core.chips.esp import board_settings, erase_plan, releases, runtime, variants
from provision.core.chips.esp import filesystem_place as place
from provision.core.chips.esp import firmware as image_file
from provision.core.chips.esp.chips import CHIPS, ESP8266, FAMILY_NAME
from provision.core.chips.esp.firmware import EspFirmware
from provision.core.chips.esp.image import BOOT_OFFSETS, HEADER, MAGIC, size_bytes
from provision.core.chips.esp.image_checks import image_refusals
from provision.core.chips.family import Pace, RateRegisters, SettingReader
from provision.core.chips.identity import newest_littlefs
from provision.interfaces import FlashRead, IsBlank
from provision.model.board import BoardProfile
from provision.model.chip import Chip
from provision.model.firmware import (
    FilesystemPlace,
    Firmware,
    FlashData,
    FlashPart,
    Region,
    joined,
)
from provision.model.plan import Refusal
from provision.model.state import ActualState, FirmwareIdentity


class EspFamily:
    """Implements `core.chips.family.ChipFamily`, whose docstrings hold here."""

    name: str = FAMILY_NAME
    chips: tuple[Chip, ...] = CHIPS
    board_settings: Mapping[str, SettingReader] = MappingProxyType(board_settings.READERS)
    reset_banner: bytes | None = runtime.RESET_BANNER
    boot_failures: tuple[bytes, ...] = runtime.BOOT_FAILURES
    image_suffix: str = ".bin"

    def recognises(self, data: bytes) -> bool:
        return image_file.recognises(data)

    def read_firmware(self, data: bytes, name: str) -> EspFirmware:
        return image_file.read_firmware(data, name)

    def describe(self, firmware: Firmware) -> Mapping[str, object]:
        own = _own(firmware)
        return {
            "header": {
                "mode": own.boot.flash_mode,
                "size": own.boot.flash_size,
                "freq": own.boot.flash_freq,
            },
            "partitions": [
                {"name": part.name, "kind": part.kind, "offset": part.offset, "size": part.size}
                for part in own.partitions
            ],
        }

    def describe_image(self, firmware: Firmware) -> tuple[tuple[str, str], ...]:
        header = _own(firmware).boot
        freq = header.flash_freq.removesuffix("m")
        said = f"flash mode {header.flash_mode}, size {header.flash_size}, {freq} MHz"
        return (("header", said),)

    def image_file(self, firmware: Firmware, regions: Sequence[Region]) -> bytes:
        return joined(regions, firmware.base)

    def image_refusals(
        self, firmware: Firmware, board: BoardProfile, actual: ActualState
    ) -> tuple[Refusal, ...]:
        return image_refusals(firmware, board, actual)

    def variant_notes(self, firmware: Firmware, actual: ActualState) -> tuple[str, ...]:
        return variants.notes(firmware, actual)

    def regions(
        self, firmware: Firmware, board: BoardProfile, flash_size: int | None
    ) -> tuple[Region, ...]:
        return image_file.regions(_own(firmware), board, flash_size)

    def erased_write_order(self, regions: Sequence[Region], chip: Chip) -> tuple[Region, ...]:
        return erase_plan.boot_sector_last(regions, chip)

    def image_start(self, chip: Chip) -> tuple[int, int]:
        return BOOT_OFFSETS[chip], HEADER

    def starts_image(self, data: bytes) -> bool:
        return data[:1] == bytes([MAGIC])

    def installed_image(
        self, chip: Chip, read: FlashRead, flash_size: int
    ) -> tuple[int, int] | None:
        from provision.core.chips.esp import installed_image

        return installed_image.installed_image(chip, read, flash_size)

    def image_of_flash(self, chip: Chip, data: bytes) -> bytes:
        return data

    def flash_claimed(self, board: BoardProfile) -> int | None:
        return size_bytes(board.settings["header_size"])

    def describe_board(self, board: BoardProfile) -> tuple[tuple[str, str], ...]:
        return board_settings.describe(board.settings)

    def flash_command(self, firmware: Firmware, file: str) -> str:
        return f"esptool --chip {firmware.chip} write-flash 0x{firmware.base:x} {file}"

    def filesystem_place(
        self, firmware: Firmware, board: BoardProfile | None, flash_size: int | None
    ) -> FilesystemPlace | None:
        own = _own(firmware)
        if board is None:
            return place.place_by_image(own)
        return place.place_on_board(own, board, flash_size)

    def filesystem_in_flash(
        self, chip: Chip, read: FlashRead, flash_size: int, running: FirmwareIdentity | None
    ) -> FilesystemPlace | None:
        from provision.core.chips.esp import flash_contents

        return flash_contents.filesystem_in_flash(chip, read, flash_size, running)

    def data_in_flash(
        self,
        chip: Chip,
        read: FlashRead,
        flash_size: int,
        running: FirmwareIdentity | None,
        image: Firmware | None = None,
        *,
        is_blank: IsBlank | None = None,
    ) -> tuple[FlashData, ...]:
        from provision.core.chips.esp import flash_contents

        own = _own(image) if image is not None else None
        return flash_contents.data_in_flash(chip, read, flash_size, running, own, is_blank=is_blank)

    def partitions(self, chip: Chip, read: FlashRead, flash_size: int) -> tuple[FlashPart, ...]:
        from provision.core.chips.esp import flash_contents

        return flash_contents.partitions(chip, read, flash_size)

    def has_place(self, firmware: Firmware, data: FlashData) -> bool:
        from provision.core.chips.esp import flash_contents

        return flash_contents.has_place(_own(firmware), data)

    def newest_littlefs(self, identity: FirmwareIdentity) -> int:
        return newest_littlefs(identity)

    def reserved_nvs(self, chip: Chip) -> frozenset[str] | None:
        return None if chip == ESP8266 else runtime.RESERVED_NVS

    def nvs_module(self, chip: Chip) -> str | None:
        return None if chip == ESP8266 else "esp32"

    def nvs_place(self, firmware: Firmware) -> FlashPart | None:
        return image_file.nvs_place(_own(firmware))

    def chip_of_machine(self, machine: str) -> Chip | None:
        return releases.chip_of_machine(machine)

    def paces(self, chip: Chip) -> tuple[Pace, ...]:
        return runtime.paces(chip)

    def rate_registers(self, chip: Chip) -> RateRegisters | None:
        return runtime.rate_registers(chip)

    def rom_tells_identity(self, chip: Chip) -> bool:
        return True

    def usual_id(self, mac: str) -> str:
        return runtime.base_mac(mac)

    def security_fuses(self, chip: Chip) -> tuple[tuple[int, int], ...]:
        return runtime.security_fuses(chip)

    def chip_of_release(self, board: str) -> Chip | None:
        return releases.chip_of_release(board)

    def is_generic_release(self, board: str) -> bool:
        return releases.is_generic_release(board)

    def is_generic_machine(self, machine: str) -> bool:
        return releases.is_generic_machine(machine)

    def bytecode_architecture(self, chip: Chip, variant: str | None = None) -> str:
        return releases.ARCHITECTURES[chip]


def _own(firmware: Firmware) -> EspFirmware:
    if not isinstance(firmware, EspFirmware):
        raise TypeError(f"{firmware.name} is no image of this family")
    return firmware


FAMILY = EspFamily()
