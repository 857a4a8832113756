"""What a chip would boot from the bytes in its flash.

Given a flash dump, or its beginning, this follows the boot ROM and the second-stage bootloader:
is there an image at the chip's boot offset, a partition table, an app that holds? The answer is
a value, either what would run or what the chip would complain of.
"""

from __future__ import annotations

import binascii
from typing import Literal

from provision.core.chips.esp.chips import ESP8266
from provision.core.chips.esp.firmware import ESP8266_CODE, esp8266_fault
from provision.core.chips.esp.image import BOOT_OFFSETS, Buffer, EspImage, Fault, read_image
from provision.core.chips.esp.partition_table import TABLE_OFFSET, Partition, TableFault, read_table
from provision.core.chips.identity import read_banner
from provision.model.chip import Chip
from provision.model.language import record
from provision.model.state import FirmwareIdentity

_OTA_ENTRY = 32


@record
class Bootable:
    """A sound app; `identity` is None where it is not MicroPython. `boot` is the image that the
    ROM loads, whose header tells the flash parameters in force."""

    boot: EspImage
    app: EspImage
    partitions: tuple[Partition, ...]
    identity: FirmwareIdentity | None


@record
class NotBootable:
    """No app can run. `stage` is who notices: the ROM, the second-stage bootloader, or the app
    itself, which crashes (an ESP8266's ROM does not check the code that runs from flash).

    `complaint` are the lines that the chip prints about it, without time stamps.
    """

    stage: Literal["rom", "bootloader", "app"]
    complaint: tuple[str, ...]
    message: str


def boot_of(
    flash: Buffer, chip: Chip, *, start: int | None = None, revision: int | None = None
) -> Bootable | NotBootable:
    """What `chip` would boot from `flash`, whose first byte is at offset 0.

    `start`: where its ROM looks, if that is to be said by somebody else than the table of this
    tool. `revision`: the chip's (major * 100 + minor), None for one that every image runs on.
    """
    boot = read_image(flash, BOOT_OFFSETS[chip] if start is None else start)
    if isinstance(boot, Fault):
        return NotBootable(stage="rom", complaint=_rom(boot, chip), message=boot.message)
    if boot.chip != chip:
        # An ESP8266 reads another chip's extended header as a segment of nonsense, and the
        # others read an ESP8266's first segment as an extended header.
        fault = Fault(
            kind="chip", offset=boot.offset, message=f"it holds an image for the {boot.chip.label}"
        )
        return NotBootable(stage="rom", complaint=_rom(fault, chip), message=fault.message)
    if chip == ESP8266:
        return _boot_esp8266(flash, boot)
    table = read_table(flash[TABLE_OFFSET:])
    if isinstance(table, TableFault):
        first = (
            "flash_parts: partition table MD5 mismatch"
            if table.kind == "md5"
            else f"flash_parts: partition 0 invalid magic number 0x{table.found:x}"
        )
        return NotBootable(
            stage="bootloader",
            complaint=(
                f"E {first}",
                "E boot: Failed to verify partition table",
                "E boot: load partition table error!",
            ),
            message=table.message,
        )
    complaint: list[str] = []
    message = "its partition table has no app"
    for part in _boot_order(flash, table):
        app = read_image(flash, part.offset)
        if isinstance(app, EspImage) and app.chip == chip:
            if (wrong := _revision_fault(app, revision)) is not None:
                complaint.append(wrong)
                message = f"the app at 0x{part.offset:x} is for another revision of the chip"
                continue
            identity = read_banner(flash[app.offset : app.end], chip)
            return Bootable(boot=boot, app=app, partitions=table, identity=identity)
        if isinstance(app, EspImage):
            complaint.append(f"E boot_comm: mismatch chip ID, expected {chip.label}")
            message = f"the app at 0x{part.offset:x} is for the {app.chip.label}"
        else:
            complaint.append(_bootloader(app, part))
            message = f"the app at 0x{part.offset:x}: {app.message}"
    complaint.append("E boot: No bootable app partitions in the partition table")
    return NotBootable(stage="bootloader", complaint=tuple(complaint), message=message)


def _revision_fault(app: EspImage, revision: int | None) -> str | None:
    """What the second-stage bootloader says of an app that is for other revisions
    (bootloader_common_loader.c)."""
    if app.revisions is None or revision is None or _in_range(revision, app.revisions):
        return None
    lowest, highest = app.revisions
    rule = f">= {_said(lowest)}" if revision < lowest else f"<= {_said(highest)}"
    return f"E boot_comm: chip revision check failed. Required {rule}, found {_said(revision)}."


def _in_range(revision: int, revisions: tuple[int, int]) -> bool:
    return revisions[0] <= revision <= revisions[1]


def _said(revision: int) -> str:
    return f"v{revision // 100}.{revision % 100}"


def _boot_esp8266(flash: Buffer, boot: EspImage) -> Bootable | NotBootable:
    length = int.from_bytes(flash[ESP8266_CODE - 4 : ESP8266_CODE], "little")
    # With no length word it is not MicroPython's layout, and nothing more can be said of it.
    if length != 0xFFFFFFFF and (fault := esp8266_fault(flash)) is not None:
        return NotBootable(
            stage="app",
            complaint=(
                "Fatal exception 0(IllegalInstructionCause):",
                "epc1=0x40209000, epc2=0x00000000, epc3=0x00000000, "
                "excvaddr=0x00000000, depc=0x00000000",
            ),
            message=fault.message,
        )
    end = length if length != 0xFFFFFFFF else boot.end
    identity = read_banner(flash[:end], ESP8266)
    return Bootable(boot=boot, app=boot, partitions=(), identity=identity)


def _boot_order(flash: Buffer, table: tuple[Partition, ...]) -> list[Partition]:
    """The app partitions as the second-stage bootloader tries them: the OTA slot that the OTA
    data selects, else the factory app, then the other slots."""
    factory = [part for part in table if part.is_app and part.subtype == 0]
    slots = sorted(
        (part for part in table if part.is_app and 0x10 <= part.subtype < 0x20),
        key=lambda part: part.subtype,
    )
    chosen = None
    for part in table:
        if part.kind == "data ota":
            chosen = _ota_slot(flash[part.offset : part.end], len(slots))
    if chosen is None:
        return [*factory, *slots]
    first = slots[chosen]
    return [first, *(slot for slot in slots if slot is not first), *factory]


def _ota_slot(data: Buffer, slots: int) -> int | None:
    """The slot that valid OTA data names: two copies a sector apart, the higher number wins."""
    best = 0
    for start in (0, 0x1000):
        entry = bytes(data[start : start + _OTA_ENTRY])
        number = entry[:4]
        crc = binascii.crc32(number, 0xFFFFFFFF)
        if number != b"\xff" * 4 and entry[28:32] == crc.to_bytes(4, "little"):
            best = max(best, int.from_bytes(number, "little"))
    return (best - 1) % slots if best and slots else None


def _rom(fault: Fault, chip: Chip) -> tuple[str, ...]:
    if chip == ESP8266:
        # Read from boards: an unreadable or wrong image ends in the ROM's main loop.
        return ("csum err", "ets_main.c 181") if fault.kind == "checksum" else ("ets_main.c 181",)
    match fault.kind:
        case "magic" | "missing":
            word = fault.found if fault.kind == "magic" else 0xFFFFFFFF
            return (f"invalid header: 0x{word:08x}",)
        case "checksum":
            return (
                f"csum err:0x{fault.found:02x}!=0x{fault.expected:02x}",
                "ets_main.c 371",
            )
        case _:
            return ("ets_main.c 371",)


def _bootloader(fault: Fault, part: Partition) -> str:
    match fault.kind:
        case "magic" | "missing":
            return f"E esp_image: image at 0x{part.offset:x} has invalid magic byte" + (
                " (nothing flashed here?)" if fault.found == 0xFFFFFFFF else ""
            )
        case "checksum":
            return (
                f"E esp_image: Checksum failed. Calculated 0x{fault.expected:x} "
                f"read 0x{fault.found:x}"
            )
        case "digest":
            return "E esp_image: Image hash failed - image is corrupt"
        case "chip":
            return f"E boot_comm: mismatch chip ID, {fault.message}"
        case "segments" | "truncated":
            return f"E esp_image: image at 0x{part.offset:x} has an invalid segment"
