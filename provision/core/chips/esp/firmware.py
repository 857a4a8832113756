"""A MicroPython release image: what a `.bin` is, and how it is split for writing.

`read_firmware` turns the bytes of a file into a `Firmware` or raises an ImageError that says what
the file is instead. Version and board are read from the banner inside the image, the only place
that cannot disagree with what the board will say of itself.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from provision.core.chips.esp.chips import CHIPS, ESP8266
from provision.core.chips.esp.image import (
    BOOT_OFFSETS,
    HEADER,
    MAGIC,
    Buffer,
    EspImage,
    Fault,
    flash_sizes,
    is_esp8266,
    read_image,
    size_name,
    with_flash_parameters,
)
from provision.core.chips.esp.partition_table import (
    TABLE_OFFSET,
    TABLE_SIZE,
    Partition,
    TableFault,
    read_table,
)
from provision.core.chips.identity import read_banner
from provision.errors import ImageError
from provision.model.board import BoardProfile
from provision.model.firmware import Firmware, FlashPart, Region
from provision.model.language import record

# MicroPython's ESP8266 image (its makeimg.py): the segments that the ROM loads, padding, at
# 0x8FFC the length of all that is covered by the MD5, then the code that runs from flash, then
# the MD5 of everything but the first four bytes, which flashing tools rewrite.
ESP8266_CODE = 0x9000
ESP8266_DIGEST = 16  # bytes
_OTA_MAGIC = b"\xea"
_ESP8266_MOST = 4 << 20

# First word of an app's description, at the start of its first segment (ESP-IDF, esp_app_desc.h).
_APP_DESCRIPTION = b"\x32\x54\xcd\xab"

# Partitions that are the board's own, never the image's (DESIGN.md, rule 5).
FILESYSTEM_LABELS = frozenset({"vfs", "ffat"})
_NVS_LABEL = "nvs"
_NVS_SUBTYPES = frozenset({0x02, 0x04})
_OTA_DATA_SUBTYPE = 0x00


@record(slots=False)
class EspFirmware(Firmware):
    """`boot` is the image that the ROM loads and `app` the one that holds MicroPython (the same on
    an ESP8266, whose `partitions` are empty). Offsets inside `boot` and `app` count from the start
    of `data`, those of partitions from the flash's start.
    """

    boot: EspImage
    app: EspImage
    partitions: tuple[Partition, ...] = ()


def read_firmware(data: bytes, name: str) -> EspFirmware:
    """Read a release image; `name` is what messages call it (a file name).

    One that was merged to be flashed at 0 is taken as well. Raises ImageError, with a message and a
    hint of its own for each thing the bytes can be instead: an app for OTA updates, an image cut
    short or damaged, an image for a chip that is not known, or not MicroPython.
    """
    padding = _padding(data)
    data = data[padding:]
    _reject_stubs(data, name)
    boot = _sound(read_image(data), name, "it")
    if padding and padding != BOOT_OFFSETS[boot.chip]:
        raise ImageError(
            f"{name} has its image at 0x{padding:x}, and an {boot.chip.label} starts from "
            f"0x{BOOT_OFFSETS[boot.chip]:x}: it would not boot",
            hint=f"merge it anew: `esptool --chip {boot.chip} merge-bin -o FILE "
            f"0x{BOOT_OFFSETS[boot.chip]:x} IMAGE`, or give the image itself",
        )
    partitions: tuple[Partition, ...] = ()
    if boot.chip == ESP8266:
        _check_esp8266(data, name)
        app = boot
    else:
        partitions = _partitions(data, boot, name)
        start = _app_partition(partitions, name).offset - BOOT_OFFSETS[boot.chip]
        app = _sound(read_image(data, start), name, "its app")
        if app.chip != boot.chip:
            raise ImageError(
                f"{name} mixes an {app.chip.label} app with an {boot.chip.label} bootloader",
                hint="build or download the image again",
            )
    identity = read_banner(data, boot.chip)
    if identity is None:
        raise ImageError(
            f"{name} is a sound {boot.chip.label} image, but not of MicroPython: "
            "there is no MicroPython banner in it",
            hint="download a release for this board from micropython.org/download",
        )
    return EspFirmware(
        name=name,
        data=data,
        identity=identity,
        base=BOOT_OFFSETS[boot.chip],
        padding=padding,
        boot=boot,
        app=app,
        partitions=partitions,
    )


def regions(
    firmware: EspFirmware, board: BoardProfile, flash_size: int | None = None
) -> tuple[Region, ...]:
    """The image split by its partition table, its header as the board profile wants it: exactly
    the bytes that are to be in flash, NVS and filesystem left out.

    `flash_size` is what the board reports, in bytes, for a profile whose header size is
    "detect"; without it the profile's own size counts, else the header is kept as it is.
    """
    patched = with_flash_parameters(
        firmware.data,
        chip=firmware.chip,
        mode=board.settings["flash_mode"],
        freq=board.settings["flash_freq"],
        size=header_size(board, flash_size),
    )
    if not firmware.partitions:
        return (Region(name="firmware", offset=firmware.base, data=patched),)
    return tuple(_split(firmware, patched))


def header_size(board: BoardProfile, flash_size: int | None) -> str:
    """What the image header shall say of the flash size, as esptool writes it, or "keep".

    For an ESP8266 "detect" says 4 MB at most: with more, it boot-loops after an erase unless
    esp_init_data is written to the end of its flash.
    """
    if board.settings["header_size"] != "detect":
        return board.settings["header_size"]
    size = flash_size if flash_size is not None else board.flash_size
    if size is None:
        return "keep"
    if board.chip == ESP8266:
        size = min(size, _ESP8266_MOST)
    name = size_name(size)
    return name if name in flash_sizes(board.chip) else "keep"


def _split(firmware: EspFirmware, data: bytes) -> Iterator[Region]:
    base, boot_end = firmware.base, firmware.boot.end
    table = TABLE_OFFSET - base
    bootloader = data[:table].rstrip(b"\xff")
    yield Region(name="bootloader", offset=base, data=data[: max(len(bootloader), boot_end)])
    yield Region(name="partition table", offset=TABLE_OFFSET, data=data[table : table + TABLE_SIZE])
    for part in sorted(firmware.partitions, key=lambda part: part.offset):
        content = data[part.offset - base : part.end - base]
        if part.name in FILESYSTEM_LABELS or (part.type == 1 and part.subtype in _NVS_SUBTYPES):
            continue
        if part.type == 1 and part.subtype == _OTA_DATA_SUBTYPE and len(content) == part.size:
            # Blank or not: old OTA data would go on booting the app in the other slot.
            yield Region(name=part.name, offset=part.offset, data=content)
        elif part.offset - base == firmware.app.offset:
            used = max(len(content.rstrip(b"\xff")), firmware.app.end - firmware.app.offset)
            yield Region(name="app", offset=part.offset, data=content[:used])
        elif stripped := content.rstrip(b"\xff"):
            yield Region(name=part.name, offset=part.offset, data=stripped)


def nvs_place(firmware: EspFirmware) -> FlashPart | None:
    """See `ChipFamily.nvs_place`; it is the partition that the library opens without a name."""
    for part in firmware.partitions:
        if part.name == _NVS_LABEL and part.kind == "data nvs":
            return FlashPart(name=part.name, kind=part.kind, offset=part.offset, size=part.size)
    return None


def _app_partition(partitions: tuple[Partition, ...], name: str) -> Partition:
    apps = [part for part in partitions if part.is_app]
    if not apps:
        raise ImageError(f"{name} has no app in its partition table")
    return min(apps, key=lambda part: part.offset)


def _partitions(data: bytes, boot: EspImage, name: str) -> tuple[Partition, ...]:
    first = boot.segments[0]
    if data[first.offset : first.offset + 4] == _APP_DESCRIPTION:
        raise ImageError(
            f"{name} is an app for over-the-air updates (.app-bin): "
            "it has no bootloader and no partition table, and would not boot",
            hint="download the .bin of the same release instead",
        )
    start = TABLE_OFFSET - BOOT_OFFSETS[boot.chip]
    if len(data) <= start:
        raise ImageError(
            f"{name} is a bootloader alone or an image cut short: "
            f"it ends after {len(data)} bytes, before its partition table",
            hint="download the image again",
        )
    table = read_table(data[start:])
    if isinstance(table, TableFault):
        raise ImageError(f"{name} is damaged: {table.message}")
    return table


def _check_esp8266(data: bytes, name: str) -> None:
    """MicroPython's own length and MD5, which cover the code that runs from flash; the ROM's
    checksum covers the first 36 kB alone."""
    fault = esp8266_fault(data)
    if fault is None:
        return
    if fault.kind == "truncated":
        raise ImageError(f"{name} is cut short: {fault.message}", hint="download the image again")
    raise ImageError(f"{name} is damaged: {fault.message}", hint="download the image again")


def esp8266_fault(data: Buffer) -> Fault | None:
    """What is wrong with the part of an ESP8266 MicroPython image that runs from flash."""
    if len(data) < ESP8266_CODE:
        return Fault(
            kind="truncated",
            offset=0,
            message=f"it ends after {len(data)} bytes, before its code at 0x{ESP8266_CODE:x}",
        )
    length = int.from_bytes(data[ESP8266_CODE - 4 : ESP8266_CODE], "little")
    if not ESP8266_CODE <= length < 1 << 24:
        return Fault(
            kind="segments",
            offset=ESP8266_CODE - 4,
            found=length,
            message="MicroPython's length word at 0x8ffc is missing",
        )
    if len(data) < length + ESP8266_DIGEST:
        return Fault(
            kind="truncated",
            offset=0,
            message=f"it ends after {len(data)} bytes where {length + ESP8266_DIGEST} belong",
        )
    digest = hashlib.md5(data[4:length], usedforsecurity=False).digest()
    if digest != bytes(data[length : length + ESP8266_DIGEST]):
        return Fault(
            kind="digest", offset=0, message="its content does not match the MD5 at its end"
        )
    return None


def _sound(image: EspImage | Fault, name: str, what: str) -> EspImage:
    if isinstance(image, EspImage):
        return image
    again = "download the image again"
    match image.kind:
        case "missing" | "truncated":
            raise ImageError(f"{name} is cut short: {image.message}", hint=again)
        case "chip":
            raise ImageError(
                f"{name} is for a chip this tool does not know: {image.message}",
                hint="choose an image for one of "
                + ", ".join(chip.label for chip in CHIPS)
                + " from micropython.org/download",
            )
        case "magic" if image.offset == 0:
            raise ImageError(f"{name} is not an Espressif image: {image.message}")
        case "magic" | "segments" | "checksum" | "digest":
            subject = "" if what == "it" else f"{what} is broken: "
            raise ImageError(f"{name} is damaged: {subject}{image.message}", hint=again)


def recognises(data: bytes) -> bool:
    """Whether the bytes claim to be an image of this family, an OTA one included, and one that was
    merged to be flashed at 0."""
    return data[:1] in (bytes([MAGIC]), _OTA_MAGIC) or _padding(data) > 0


def _padding(data: bytes) -> int:
    """How many blank bytes stand before the image in a file that was merged to be flashed at 0
    (`esptool merge-bin`), for a chip that starts from behind there; 0 for any other."""
    for start in sorted({*BOOT_OFFSETS.values()} - {0}):
        if data[start : start + 1] == bytes([MAGIC]) and data[:start] == b"\xff" * start:
            return start
    return 0


def _reject_stubs(data: bytes, name: str) -> None:
    if data.startswith(_OTA_MAGIC):
        raise ImageError(
            f"{name} is an over-the-air image for a second-stage ESP8266 bootloader",
            hint="download the .bin without OTA in its name instead",
        )
    if len(data) < HEADER + 4 or (not is_esp8266(data) and len(data) < HEADER + 24):
        raise ImageError(
            f"{name} is cut short: it has only {len(data)} bytes", hint="download the image again"
        )
