"""Raspberry Pi's chips as a `ChipFamily`, put together from the other modules of this package; what
looks into a flash is imported when it is used, since most runs look into none."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

from provision.core.chips.family import Pace, RateRegisters, SettingReader
from provision.core.chips.identity import newest_littlefs
from provision.core.chips.rp2 import firmware as image_file
from provision.core.chips.rp2 import releases
from provision.core.chips.rp2.chips import CHIPS, FAMILY_NAME, RP2040
from provision.core.chips.rp2.firmware import Rp2Firmware
from provision.core.chips.rp2.image_checks import image_refusals
from provision.core.chips.rp2.memory import PAGE
from provision.core.chips.rp2.uf2 import build_uf2, family_of_program
from provision.interfaces import FlashRead, IsBlank
from provision.model.board import BoardProfile
from provision.model.chip import Chip
from provision.model.firmware import FilesystemPlace, Firmware, FlashData, FlashPart, Region
from provision.model.plan import Refusal
from provision.model.state import ActualState, FirmwareIdentity

# USB holds bytes back while the board does not read; its heap is that of the chips with 256 KB.
_PACES = (
    Pace(block=8192, window=15, lead=240),
    Pace(block=4096, window=14, lead=240),
    Pace(block=4096, window=12, lead=240),
    Pace(block=1024, window=10, lead=240),
)


class Rp2Family:
    """Implements `core.chips.family.ChipFamily`, whose docstrings hold here."""

    name: str = FAMILY_NAME
    chips: tuple[Chip, ...] = CHIPS
    board_settings: Mapping[str, SettingReader] = MappingProxyType({})
    reset_banner: bytes | None = None  # nothing is printed before MicroPython has its USB
    boot_failures: tuple[bytes, ...] = ()
    image_suffix: str = ".uf2"

    def recognises(self, data: bytes) -> bool:
        return image_file.recognises(data)

    def read_firmware(self, data: bytes, name: str) -> Rp2Firmware:
        return image_file.read_firmware(data, name)

    def describe(self, firmware: Firmware) -> Mapping[str, object]:
        return image_file.describe(_own(firmware))

    def describe_image(self, firmware: Firmware) -> tuple[tuple[str, str], ...]:
        own = _own(firmware)
        built = f"pico-sdk {own.info.sdk}" if own.info.sdk else ""
        board = ", ".join(filter(None, (own.info.board, built)))
        words = (("cores", own.architecture), ("built", f"for {board}" if board else ""))
        return tuple((label, text) for label, text in words if text)

    def image_file(self, firmware: Firmware, regions: Sequence[Region]) -> bytes:
        return build_uf2(regions, _own(firmware).family)

    def image_refusals(
        self, firmware: Firmware, board: BoardProfile, actual: ActualState
    ) -> tuple[Refusal, ...]:
        return image_refusals(firmware, board, actual)

    def variant_notes(self, firmware: Firmware, actual: ActualState) -> tuple[str, ...]:
        running = actual.firmware.machine if actual.firmware is not None else ""
        if not releases.loses_wifi(running, firmware.identity.machine):
            return ()  # a build with too large a flash is refused
        build = "RPI_PICO_W" if firmware.chip == RP2040 else "RPI_PICO2_W"
        return (
            f"a build with Wi-Fi is on the board, {firmware.name} is one without: the board's "
            f"radio is out of reach; {build} has it",
        )

    def regions(
        self, firmware: Firmware, board: BoardProfile, flash_size: int | None
    ) -> tuple[Region, ...]:
        return image_file.regions(_own(firmware))

    def erased_write_order(self, regions: Sequence[Region], chip: Chip) -> tuple[Region, ...]:
        return tuple(regions)  # whatever is written, `uf2.build_uf2` has the first sector last

    def image_start(self, chip: Chip) -> tuple[int, int]:
        return 0, PAGE

    def starts_image(self, data: bytes) -> bool:
        return data.strip(b"\xff") != b""

    def installed_image(
        self, chip: Chip, read: FlashRead, flash_size: int
    ) -> tuple[int, int] | None:
        from provision.core.chips.rp2 import flash_contents

        return flash_contents.installed_image(read, flash_size)

    def image_of_flash(self, chip: Chip, data: bytes) -> bytes:
        program = Region(name="firmware", offset=0, data=data)
        return build_uf2([program], family_of_program(chip, data))

    def flash_claimed(self, board: BoardProfile) -> int | None:
        return None

    def describe_board(self, board: BoardProfile) -> tuple[tuple[str, str], ...]:
        return ()

    def flash_command(self, firmware: Firmware, file: str) -> str:
        return f"picotool load -x {file}"

    def filesystem_place(
        self, firmware: Firmware, board: BoardProfile | None, flash_size: int | None
    ) -> FilesystemPlace | None:
        size = flash_size if flash_size is not None or board is None else board.flash_size
        return image_file.place_of(_own(firmware).info, size)

    def filesystem_in_flash(
        self, chip: Chip, read: FlashRead, flash_size: int, running: FirmwareIdentity | None
    ) -> FilesystemPlace | None:
        from provision.core.chips.rp2 import flash_contents

        return flash_contents.filesystem_in_flash(read, flash_size)

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
        from provision.core.chips.rp2 import flash_contents

        own = _own(image) if image is not None else None
        return flash_contents.data_in_flash(read, flash_size, own, is_blank=is_blank)

    def partitions(self, chip: Chip, read: FlashRead, flash_size: int) -> tuple[FlashPart, ...]:
        from provision.core.chips.rp2 import flash_contents

        return flash_contents.partitions(read, flash_size)

    def has_place(self, firmware: Firmware, data: FlashData) -> bool:
        return False  # what is to stay through an erase is read before, which no boot ROM here does

    def newest_littlefs(self, identity: FirmwareIdentity) -> int:
        return newest_littlefs(identity)

    def reserved_nvs(self, chip: Chip) -> frozenset[str] | None:
        return None

    def nvs_module(self, chip: Chip) -> str | None:
        return None

    def nvs_place(self, firmware: Firmware) -> FlashPart | None:
        return None

    def chip_of_machine(self, machine: str) -> Chip | None:
        return releases.chip_of_machine(machine)

    def paces(self, chip: Chip) -> tuple[Pace, ...]:
        return _PACES

    def rate_registers(self, chip: Chip) -> RateRegisters | None:
        return None  # its REPL is on USB

    def rom_tells_identity(self, chip: Chip) -> bool:
        return chip != RP2040  # whose USB serial number in BOOTSEL mode is the ROM's

    def usual_id(self, mac: str) -> str:
        return mac  # all of the flash's, or the chip's, eight bytes, whatever they are

    def security_fuses(self, chip: Chip) -> tuple[tuple[int, int], ...]:
        return ()

    def chip_of_release(self, board: str) -> Chip | None:
        return releases.chip_of_release(board)

    def is_generic_release(self, board: str) -> bool:
        return False  # every build is for a board

    def is_generic_machine(self, machine: str) -> bool:
        return False

    def bytecode_architecture(self, chip: Chip, variant: str | None = None) -> str:
        return releases.bytecode_architecture(chip, variant)


def _own(firmware: Firmware) -> Rp2Firmware:
    if not isinstance(firmware, Rp2Firmware):
        raise TypeError(f"{firmware.name} is no image of this family")
    return firmware


FAMILY = Rp2Family()
