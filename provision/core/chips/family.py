"""What the rest of the tool asks of a chip family.

A family is one package beside this module, whose `FAMILY` implements `ChipFamily`; `registry.py`
lists them. Everything here is pure: bytes and facts in, values out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from provision.interfaces import FlashRead, IsBlank
from provision.model.board import BoardProfile
from provision.model.chip import Chip
from provision.model.firmware import FilesystemPlace, Firmware, FlashData, FlashPart, Region
from provision.model.language import record
from provision.model.plan import Refusal
from provision.model.state import ActualState, FirmwareIdentity

SettingReader = Callable[[str, object], str]
"""Reads one setting of a board profile, key and value; ValueError names the valid choices."""


@record
class Pace:
    """How a stream of files is cut for a chip.

    `block`: bytes of a frame, and of the board's buffer; `window`: log2 of the inflater's;
    `lead`: compressed bytes that may wait in the receive ring while the board writes.
    """

    block: int
    window: int
    lead: int


@record
class RateRegisters:
    """The registers that set the rate of the UART that a chip's REPL is on.

    `divider`: 20 bits, and four of sixteenths where `sixteenths`; `fast_clock`: register, bit and
    hertz of another clock, for a console whose own is too slow; `commit`: a register that takes a 1
    before what was written counts. `highest`: bits a second that the chip still inflates in time.
    """

    divider: int
    highest: int
    sixteenths: bool = True
    fast_clock: tuple[int, int, int] | None = None
    commit: int | None = None


def image_for_another_chip(name: str, image: Chip, board: BoardProfile) -> Refusal:
    """The refusal of an image, called `name` in the message, whose chip is not the board's."""
    return Refusal(
        kind="wrong-chip",
        message=f"{name} is for the {image.label}, "
        f"the board {board.name} has an {board.chip.label}",
        hint=f"choose a build of {board.release}"
        if board.release
        else f"choose a build for the {board.chip.label}",
    )


class ChipFamily(Protocol):
    """What chips of one kind have in common."""

    @property
    def name(self) -> str:
        """The family's name, as `Chip.family` has it: "esp"."""
        ...

    @property
    def chips(self) -> tuple[Chip, ...]:
        """The chips of the family that this tool provisions."""
        ...

    @property
    def board_settings(self) -> Mapping[str, SettingReader]:
        """The keys of a board profile that only this family has;
        `schemas/board-NAME.schema.json` describes them."""
        ...

    # Images

    def recognises(self, data: bytes) -> bool:
        """Whether these bytes claim to be an image of this family."""
        ...

    def read_firmware(self, data: bytes, name: str) -> Firmware:
        """Read an image that `recognises` took; `name` is what messages call it. ImageError where
        it is damaged, cut short, of an unknown chip, or not MicroPython."""
        ...

    def describe(self, firmware: Firmware) -> Mapping[str, object]:
        """What the family's own format says of an image, as JSON data: `partitions` (name, kind,
        offset, size) of every family."""
        ...

    def describe_image(self, firmware: Firmware) -> tuple[tuple[str, str], ...]:
        """The same in words, each with a short label, but for the partitions."""
        ...

    def image_file(self, firmware: Firmware, regions: Sequence[Region]) -> bytes:
        """The file by which the family's own tool makes a flash hold these regions, of which the
        firmware is one, and nothing else."""
        ...

    @property
    def image_suffix(self) -> str:
        """How the names of its image files end: ".bin"."""
        ...

    def image_refusals(
        self, firmware: Firmware, board: BoardProfile, actual: ActualState
    ) -> tuple[Refusal, ...]:
        """Every reason why an image must not be written to a board of this profile. What is not
        known of the actual board, the profile's word counts for."""
        ...

    def variant_notes(self, firmware: Firmware, actual: ActualState) -> tuple[str, ...]:
        """Where what is known of a board calls for another build of the release than this image,
        a sentence each, for people: it has memory that this one cannot use, or runs one that can
        more. Nothing that keeps the image from starting: that is a refusal."""
        ...

    def regions(
        self, firmware: Firmware, board: BoardProfile, flash_size: int | None
    ) -> tuple[Region, ...]:
        """Exactly the bytes that are to be in flash, the board's own areas left out."""
        ...

    def erased_write_order(self, regions: Sequence[Region], chip: Chip) -> tuple[Region, ...]:
        """The regions as they go onto an erased flash: nothing boots before all are written."""
        ...

    def image_start(self, chip: Chip) -> tuple[int, int]:
        """Offset and size of the bytes of flash that tell whether there is an image to boot."""
        ...

    def starts_image(self, data: bytes) -> bool:
        """Whether those bytes are the beginning of an image."""
        ...

    def installed_image(
        self, chip: Chip, read: FlashRead, flash_size: int
    ) -> tuple[int, int] | None:
        """Offset and size of the bytes of flash that are the image which the chip starts from, all
        slots for its app included. None where there is none that says how long it is; whether it is
        whole `read_firmware` tells, of what `image_of_flash` makes of them."""
        ...

    def image_of_flash(self, chip: Chip, data: bytes) -> bytes:
        """These bytes, as the file that `read_firmware` reads."""
        ...

    def flash_claimed(self, board: BoardProfile) -> int | None:
        """Bytes of flash that the profile has an image claim, where it says so."""
        ...

    def describe_board(self, board: BoardProfile) -> tuple[tuple[str, str], ...]:
        """The family's own settings of a profile in words, each with a short label."""
        ...

    def flash_command(self, firmware: Firmware, file: str) -> str:
        """The command with which the family's own tool writes an image file."""
        ...

    # The filesystem

    def filesystem_place(
        self, firmware: Firmware, board: BoardProfile | None, flash_size: int | None
    ) -> FilesystemPlace | None:
        """Where a firmware keeps its LittleFS once it is written to a board of this profile whose
        flash has `flash_size` bytes; without either, as the image itself says. None where it has
        none (FAT, no room, a build without filesystem)."""
        ...

    def filesystem_in_flash(
        self, chip: Chip, read: FlashRead, flash_size: int, running: FirmwareIdentity | None
    ) -> FilesystemPlace | None:
        """Where the flash of `flash_size` bytes, as it is now, keeps its LittleFS, by what lies in
        it and, where that is known, by the firmware that runs from it. None where no place can be
        told, or something else is there (FAT). Whether it can be mounted is not said."""
        ...

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
        """What erasing the whole flash would lose, as far as the flash itself tells, by offset;
        of one that has lost its layout, what lies beside the filesystem in that of `image`.
        What is blank `is_blank` tells; without it some dozen sectors of each are read at most."""
        ...

    def partitions(self, chip: Chip, read: FlashRead, flash_size: int) -> tuple[FlashPart, ...]:
        """The partition table that lies in the flash; nothing for a chip that has none, or where
        it makes no sense."""
        ...

    def has_place(self, firmware: Firmware, data: FlashData) -> bool:
        """Whether the image's own layout has this very place for data, so that what is there can
        stay when all else of the flash is erased and the image is written."""
        ...

    def newest_littlefs(self, identity: FirmwareIdentity) -> int:
        """The newest disk version of LittleFS that the firmware's driver reads, which is the one
        that it writes: 0x00020000 is 2.0. Where it is not known, the one that all read."""
        ...

    def reserved_nvs(self, chip: Chip) -> frozenset[str] | None:
        """The namespaces of NVS that are the chip's own libraries', Wi-Fi's and calibration's for
        instance: nobody else writes there, and what they hold is not read. None for a chip without
        NVS."""
        ...

    def nvs_module(self, chip: Chip) -> str | None:
        """MicroPython's module with `NVS` and `Partition` in it; None for a chip without NVS."""
        ...

    def nvs_place(self, firmware: Firmware) -> FlashPart | None:
        """Where a firmware keeps its NVS; None where it has none."""
        ...

    # A running MicroPython

    def chip_of_machine(self, machine: str) -> Chip | None:
        """The chip named in a banner's last part ("Generic ESP32 module with ESP32")."""
        ...

    def paces(self, chip: Chip) -> tuple[Pace, ...]:
        """How fast the REPL of a chip may be fed, the best first."""
        ...

    def rate_registers(self, chip: Chip) -> RateRegisters | None:
        """How the rate of its REPL can be raised for a while, where that is on a UART."""
        ...

    def rom_tells_identity(self, chip: Chip) -> bool:
        """Whether a chip's boot ROM says which board it is; of one that does not, only what runs on
        it does."""
        ...

    def usual_id(self, mac: str) -> str:
        """The id by which all else knows a board, of one that another tool may show for it: pairs
        of lower-case digits with colons."""
        ...

    @property
    def reset_banner(self) -> bytes | None:
        """What the boot ROM prints, and no program of ours, where it speaks at the REPL's rate. It
        begins with a line end, which a name on a board, as it is told, does not hold."""
        ...

    @property
    def boot_failures(self) -> tuple[bytes, ...]:
        """What the boot ROM or a bootloader prints, over and over, when it finds nothing to start,
        or when the board was put in download mode."""
        ...

    def security_fuses(self, chip: Chip) -> tuple[tuple[int, int], ...]:
        """Addresses and bits that are not 0 where secure boot or flash encryption was ever on, as
        far as a running program can read them."""
        ...

    # Releases

    def chip_of_release(self, board: str) -> Chip | None:
        """The chip that a release's board name says it is for; None where it does not."""
        ...

    def is_generic_release(self, board: str) -> bool:
        """Whether a release's board name is of a generic build: ESP32_GENERIC."""
        ...

    def is_generic_machine(self, machine: str) -> bool:
        """Whether a banner's last part is of a generic build."""
        ...

    def bytecode_architecture(self, chip: Chip, variant: str | None = None) -> str:
        """mpy-cross's name for the native code of a chip, under this variant of its builds: some
        chips have cores of two kinds."""
        ...
