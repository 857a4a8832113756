"""One image in Espressif's format: header, segments, checksum and digest.

This is what a boot ROM loads and what `esptool image-info` prints. Reading yields an `EspImage`
or a `Fault`, a value that says what a ROM would stumble over; `firmware_image` turns faults into
errors for people, `flash_boot` into what a chip prints.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from provision.core.chips.esp.chips import (
    ESP32,
    ESP32C2,
    ESP32C3,
    ESP32C5,
    ESP32C6,
    ESP32C61,
    ESP32H2,
    ESP32P4,
    ESP32S2,
    ESP32S3,
    ESP8266,
)
from provision.errors import UsageError
from provision.model.chip import Chip
from provision.model.language import record

Buffer = bytes | bytearray | memoryview

MAGIC = 0xE9
HEADER = 8
EXTENDED_HEADER = 16  # follows the header on every chip but the ESP8266
CHECKSUM_SEED = 0xEF
MAX_SEGMENTS = 16
DIGEST = 32
SECTOR = 4096

FLASH_MODES = ("qio", "qout", "dio", "dout")

# The boot ROM reads the first image from here (esptool's BOOTLOADER_FLASH_OFFSET).
BOOT_OFFSETS: Mapping[Chip, int] = MappingProxyType(
    {
        ESP8266: 0x0,
        ESP32: 0x1000,
        ESP32S2: 0x1000,
        ESP32S3: 0x0,
        ESP32C2: 0x0,
        ESP32C3: 0x0,
        ESP32C5: 0x2000,
        ESP32C6: 0x0,
        ESP32C61: 0x0,
        ESP32H2: 0x0,
        ESP32P4: 0x2000,
    }
)

# The chip id of the extended header; an ESP8266 image has none.
CHIP_IDS: Mapping[Chip, int] = MappingProxyType(
    {
        ESP32: 0,
        ESP32S2: 2,
        ESP32C3: 5,
        ESP32S3: 9,
        ESP32C2: 12,
        ESP32C6: 13,
        ESP32H2: 16,
        ESP32P4: 18,
        ESP32C61: 20,
        ESP32C5: 23,
    }
)

# Chips that exist but that this tool does not know, so that an error can name them.
OTHER_CHIP_IDS: Mapping[int, str] = MappingProxyType(
    {25: "ESP32-H21", 28: "ESP32-H4", 31: "ESP32-E22", 32: "ESP32-S31"}
)

_SIZES_ESP8266 = {
    "256KB": 0x10,
    "512KB": 0x00,
    "1MB": 0x20,
    "2MB": 0x30,
    "4MB": 0x40,
    "2MB-c1": 0x50,
    "4MB-c1": 0x60,
    "8MB": 0x80,
    "16MB": 0x90,
}
_SIZES_ESP32 = {
    "1MB": 0x00,
    "2MB": 0x10,
    "4MB": 0x20,
    "8MB": 0x30,
    "16MB": 0x40,
    "32MB": 0x50,
    "64MB": 0x60,
    "128MB": 0x70,
}
_FREQUENCIES = {"40m": 0x0, "26m": 0x1, "20m": 0x2, "80m": 0xF}
# Other chips divide other clocks (FLASH_FREQUENCY of esptool's targets).
_OTHER_FREQUENCIES: Mapping[Chip, Mapping[str, int]] = {
    ESP32C2: {"60m": 0xF, "30m": 0x0, "20m": 0x1, "15m": 0x2},
    ESP32C5: {"80m": 0xF, "40m": 0x0, "20m": 0x2},
    # Both names share one code: its ROM takes 40 MHz for 80.
    ESP32C6: {"80m": 0x0, "40m": 0x0, "20m": 0x2},
    ESP32C61: {"80m": 0xF, "40m": 0x0, "20m": 0x2},
    ESP32H2: {"48m": 0xF, "24m": 0x0, "16m": 0x1, "12m": 0x2},
}

FaultKind = Literal["missing", "magic", "segments", "truncated", "chip", "checksum", "digest"]


@record
class Fault:
    """What is wrong with an image at `offset` of the bytes looked at.

    `found` and `expected` are the two numbers a boot ROM would print, where it prints any.
    """

    kind: FaultKind
    offset: int
    message: str
    found: int = 0
    expected: int = 0


@record
class Segment:
    """`size` bytes at `offset` of the image's bytes, loaded or mapped at `address`."""

    address: int
    offset: int
    size: int


@record
class EspImage:
    """An image whose checksum holds, and whose digest holds if it has one.

    `offset` and `end` are places in the bytes it was read from; `end` is just past the digest.
    `revisions` are the chip revisions it runs on (major * 100 + minor), None where it does not say.
    """

    chip: Chip
    offset: int
    end: int
    entry: int
    flash_mode: str
    flash_size: str
    flash_freq: str
    segments: tuple[Segment, ...]
    checksum: int
    digest: bytes | None
    revisions: tuple[int, int] | None = None


def flash_sizes(chip: Chip) -> Mapping[str, int]:
    """The sizes a header can name, with their codes (the upper four bits of byte 3)."""
    return _SIZES_ESP8266 if chip == ESP8266 else _SIZES_ESP32


def flash_frequencies(chip: Chip) -> Mapping[str, int]:
    """The frequencies a header can name, with their codes (the lower four bits of byte 3)."""
    return _OTHER_FREQUENCIES.get(chip, _FREQUENCIES)


def size_name(size: int) -> str:
    """4194304 as "4MB"; below one megabyte in KB."""
    return f"{size >> 20}MB" if size >= 1 << 20 else f"{size >> 10}KB"


def size_bytes(name: str) -> int | None:
    """ "4MB" (or "2MB-c1") as bytes; None for anything else ("keep", "detect")."""
    plain = name.partition("-")[0]
    number, unit = plain[:-2], plain[-2:]
    if unit not in ("KB", "MB") or not number.isdecimal():
        return None
    return int(number) << (20 if unit == "MB" else 10)


def xor_bytes(data: Buffer, state: int = 0) -> int:
    """All bytes of `data` and `state` exclusive-ored, by halving one large number: a megabyte
    takes milliseconds where a loop over bytes takes a tenth of a second."""
    number = int.from_bytes(data, "little")
    bits = 1 << max(3, (len(data) * 8 - 1).bit_length()) if len(data) else 8
    while bits > 8:
        bits >>= 1
        number = (number & ((1 << bits) - 1)) ^ (number >> bits)
    return number ^ state


def _name(codes: Mapping[str, int], code: int) -> str:
    return next((name for name, value in codes.items() if value == code), f"0x{code:x}")


def is_esp8266(data: Buffer, offset: int = 0) -> bool:
    """Whether an image is an ESP8266's: there is no chip id to tell, but its first segment's
    address stands where every other chip has its extended header, and lies in RAM."""
    if len(data) < offset + HEADER + 4:
        return False
    address = int.from_bytes(data[offset + HEADER : offset + HEADER + 4], "little")
    return 0x3FFE8000 <= address < 0x40000000 or 0x40100000 <= address < 0x40110000


def read_image(data: Buffer, offset: int = 0) -> EspImage | Fault:
    """Read the image at `offset`, its checksum and digest included.

    Whatever follows the image (the next partition, an ESP8266's code to be run from flash) is
    not looked at.
    """
    if offset >= len(data):
        return Fault(kind="missing", offset=offset, message="there is nothing")
    if data[offset] != MAGIC:
        word = int.from_bytes(data[offset : offset + 4], "little")
        return Fault(
            kind="magic",
            offset=offset,
            found=word,
            expected=MAGIC,
            message=f"it starts with byte 0x{data[offset]:02x} instead of 0x{MAGIC:02x}",
        )
    extended = not is_esp8266(data, offset)
    start = offset + HEADER + (EXTENDED_HEADER if extended else 0)
    if len(data) < start + 8:
        return _truncated(offset, len(data), start + 8)
    count, mode, size_freq, entry = struct.unpack_from("<xBBBI", data, offset)
    if not 0 < count <= MAX_SEGMENTS:
        return Fault(
            kind="segments",
            offset=offset,
            found=count,
            expected=MAX_SEGMENTS,
            message=f"its header claims {count} segments",
        )
    chip, revisions, hashed = ESP8266, None, False
    if extended:
        chip_id, minimum, maximum = struct.unpack_from("<HxHH", data, offset + HEADER + 4)
        known = next((chip for chip, known in CHIP_IDS.items() if known == chip_id), None)
        if known is None:
            other = OTHER_CHIP_IDS.get(chip_id, f"the unknown chip id {chip_id}")
            return Fault(
                kind="chip", offset=offset, found=chip_id, message=f"it is made for {other}"
            )
        chip = known
        # A maximum of zero is an image from before these fields; 65535 means no limit.
        revisions = (minimum, maximum) if maximum else None
        hashed = data[offset + HEADER + 15] == 1
    segments: list[Segment] = []
    checksum = CHECKSUM_SEED
    position = start
    for _ in range(count):
        if len(data) < position + 8:
            return _truncated(offset, len(data), position + 8)
        address, length = struct.unpack_from("<II", data, position)
        position += 8
        if length > 1 << 24:
            return Fault(
                kind="segments",
                offset=offset,
                found=length,
                expected=1 << 24,
                message=f"a segment claims {length} bytes",
            )
        if len(data) < position + length:
            return _truncated(offset, len(data), position + length)
        segments.append(Segment(address=address, offset=position, size=length))
        checksum = xor_bytes(data[position : position + length], checksum)
        position += length
    # The checksum is the last byte of a multiple of 16, counted from the image's first byte.
    position = offset + ((position - offset) | 15)
    end = position + 1 + (DIGEST if hashed else 0)
    if len(data) < end:
        return _truncated(offset, len(data), end)
    stored = data[position]
    if stored != checksum:
        return Fault(
            kind="checksum",
            offset=offset,
            found=stored,
            expected=checksum,
            message=f"its checksum is 0x{checksum:02x} where it says 0x{stored:02x}",
        )
    digest = bytes(data[position + 1 : end]) if hashed else None
    if digest is not None and hashlib.sha256(data[offset : position + 1]).digest() != digest:
        return Fault(
            kind="digest", offset=offset, message="its content does not match its own sha256"
        )
    return EspImage(
        chip=chip,
        offset=offset,
        end=end,
        entry=entry,
        flash_mode=FLASH_MODES[mode] if mode < len(FLASH_MODES) else f"0x{mode:x}",
        flash_size=_name(flash_sizes(chip), size_freq & 0xF0),
        flash_freq=_name(flash_frequencies(chip), size_freq & 0x0F),
        segments=tuple(segments),
        checksum=stored,
        digest=digest,
        revisions=revisions,
    )


def _truncated(offset: int, length: int, needed: int) -> Fault:
    return Fault(
        kind="truncated",
        offset=offset,
        found=length,
        expected=needed,
        message=f"it ends after {length - offset} bytes where at least {needed - offset} belong",
    )


def with_flash_parameters(
    data: bytes, *, chip: Chip, mode: str = "keep", freq: str = "keep", size: str = "keep"
) -> bytes:
    """The bytes of an image (and whatever follows it) with other flash parameters in its header
    and its digest made to match, as `esptool write-flash` does with what goes to the boot offset.

    Each value is "keep" or as esptool writes it ("dio", "40m", "4MB"). Raises UsageError for a
    value that this chip's header cannot hold; bytes that are no valid image come back unchanged.
    """
    image = read_image(data)
    if isinstance(image, Fault):
        return data
    patched = bytearray(data)
    if mode != "keep":
        if mode not in FLASH_MODES:
            raise UsageError(f"no flash mode {mode!r}: use one of {', '.join(FLASH_MODES)}")
        patched[2] = FLASH_MODES.index(mode)
    if freq != "keep":
        patched[3] = patched[3] & 0xF0 | _code(flash_frequencies(chip), freq, "frequency", chip)
    if size != "keep":
        patched[3] = patched[3] & 0x0F | _code(flash_sizes(chip), size, "size", chip)
    if image.digest is not None:
        start = image.end - DIGEST
        patched[start : image.end] = hashlib.sha256(patched[:start]).digest()
    return bytes(patched)


def _code(codes: Mapping[str, int], name: str, what: str, chip: Chip) -> int:
    if name not in codes:
        raise UsageError(
            f"an {chip.label} image cannot name the flash {what} {name!r}",
            hint=f"use one of {', '.join(codes)} in the board profile",
        )
    return codes[name]
