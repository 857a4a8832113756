"""Small firmware images for virtual boards, examples and tests: real formats, invented content.

A UF2 built here is laid out as the pico-sdk lays out MicroPython's: second-stage loader with its
CRC (RP2040) or image definition in a loop of blocks (RP2350), vector table, binary information,
read-only data. It holds the banner of the asked version and board, but no program: only a virtual
board can run it, and sees by a checksum of ours whether it lies in flash whole.
"""

from __future__ import annotations

import random
import struct
from dataclasses import dataclass, field

from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.core.chips.rp2.memory import PAGE, XIP_BASE
from provision.core.chips.rp2.uf2 import (
    ABSOLUTE_FAMILY,
    RP2040_FAMILY,
    RP2350_ARM_FAMILY,
    RP2350_RISCV_FAMILY,
)
from provision.errors import UsageError
from provision.model.chip import Chip
from provision.model.language import record
from provision.sim.rp2.program import (
    BLOCK_END,
    BLOCK_START,
    BOOT2,
    CHECKSUM,
    IMAGE_ARM,
    IMAGE_RISCV,
    ITEM_IMAGE_TYPE,
    ITEM_LAST,
    USB_STDIO,
    boot2_crc,
    image_crc,
)

DATE = "2024-11-29"


@record(kw_only=False)
class Release:
    """What a release of micropython.org says of its board, the pico-sdk's name of that, and the
    bytes of flash that it expects and keeps for its filesystem (mpconfigboard.h of each)."""

    machine: str
    board: str
    flash: int
    filesystem: int


RELEASES = {
    ("RPI_PICO", None): Release("Raspberry Pi Pico with RP2040", "pico", 2 << 20, 1408 << 10),
    ("RPI_PICO_W", None): Release("Raspberry Pi Pico W with RP2040", "pico_w", 2 << 20, 848 << 10),
    ("RPI_PICO2", None): Release("Raspberry Pi Pico2 with RP2350", "pico2", 4 << 20, 3 << 20),
    ("RPI_PICO2", "RISCV"): Release(
        "Raspberry Pi Pico2 with RP2350-RISCV", "pico2", 4 << 20, 3 << 20
    ),
    ("RPI_PICO2_W", None): Release(
        "Raspberry Pi Pico 2 W with RP2350", "pico2_w", 4 << 20, 2560 << 10
    ),
    ("RPI_PICO2_W", "RISCV"): Release(
        "Raspberry Pi Pico 2 W with RP2350-RISCV", "pico2_w", 4 << 20, 2560 << 10
    ),
}
GENERIC_RELEASES = {RP2040: "RPI_PICO", RP2350: "RPI_PICO2"}

_MAGIC = (0x0A324655, 0x9E5D5157)
_MAGIC_END = 0x0AB16F30
_FAMILY_PRESENT = 0x2000
_EXTENSION_PRESENT = 0x8000
_IGNORE_BLOCK = 0x9957E304  # the extension that marks the block for erratum E10
_E10_ADDRESS = 0x10FFFF00
_VECTORS = {RP2040: 48, RP2350: 68}
_STACK = {RP2040: 0x20042000, RP2350: 0x20082000}
_RAM_DATA = 0x20000100  # where a program has its copied data
_BLOCK_SIZE = 20  # bytes of the blocks here: marker, an item, the last item with its link, marker

# Kinds and names of entries of the binary information (pico-sdk, pico/binary_info/structure.h).
_INFO_START, _INFO_END = 0x7188EBF2, 0xE71AA390
_INFO_HEADER = struct.Struct("<5I")
_NUMBER, _STRING, _DEVICE = 5, 6, 7
_RASPBERRY_PI, _MICROPYTHON = b"RP", b"MP"
_PROGRAM_NAME = 0x02031C86
_PROGRAM_VERSION = 0x11A9BC3A
_BUILD_DATE = 0x9DA22254
_BINARY_END = 0x68F465DE
_FEATURE = 0xA1F4B453
_BUILD_ATTRIBUTE = 0x4275F0D3
_SDK_VERSION = 0x5360B3AB
_PICO_BOARD = 0xB63CFFBB
_BOOT2_NAME = 0x7F8882E1
_FROZEN_MODULE = 0x4A99D719
_FROZEN = ("rp2", "onewire", "ds18x20", "dht", "neopixel")
_SMALLEST = 0x4000


def default_machine(chip: Chip) -> str:
    """What the release for the plain board with `chip` calls it."""
    return RELEASES[GENERIC_RELEASES[chip], None].machine


def build(
    chip: Chip,
    version: str,
    *,
    machine: str | None = None,
    flash_size: int | None = None,
    date: str = DATE,
    size: int | None = None,
    micropython: bool = True,
    filesystem: tuple[int, int] | None = None,
    e10_block: bool = False,
) -> bytes:
    """A UF2 for `chip` whose banner says `version` ("1.24.1") and `machine`.

    The program is for the RISC-V cores where `machine` says so. The binary is of `size` bytes
    (about; whole pages), 16 KB if left out. `filesystem`, offset and size in bytes, is where it
    says that its filesystem lies: at the end of `flash_size` bytes if left out, as the release of
    that board has it. Without `micropython` it is a sound program of the pico-sdk with USB stdio.
    `e10_block` puts picotool's block for erratum RP2350-E10 first. The same arguments give the same
    bytes. Raises UsageError for a `size` that is too small, or that reaches into the filesystem.
    """
    text = machine if machine is not None else default_machine(chip)
    binary = build_binary(
        chip,
        version,
        machine=text,
        flash_size=flash_size,
        date=date,
        size=size,
        micropython=micropython,
        filesystem=filesystem,
    )
    family = RP2040_FAMILY
    if chip == RP2350:
        family = RP2350_RISCV_FAMILY if text.endswith("-RISCV") else RP2350_ARM_FAMILY
    return (e10() if e10_block else b"") + uf2(binary, family)


def build_binary(
    chip: Chip,
    version: str,
    *,
    machine: str,
    flash_size: int | None,
    date: str,
    size: int | None,
    micropython: bool,
    filesystem: tuple[int, int] | None,
) -> bytes:
    """What lies at the beginning of the flash; see `build`."""
    if not version or any(not 0x20 < ord(char) < 0x7F for char in version):
        raise UsageError(f"no version to put into a banner: {version!r}")
    release = next(
        (known for known in RELEASES.values() if known.machine == machine),
        RELEASES[GENERIC_RELEASES[chip], None],
    )
    place = filesystem
    if place is None:
        total = flash_size if flash_size is not None else release.flash
        kept = min(release.filesystem, max(total - (576 << 10), 0))
        place = total - kept, kept
    wanted = _SMALLEST if size is None else -(-size // PAGE) * PAGE
    most = place[0] if micropython else 16 << 20
    if not _SMALLEST <= wanted <= most:
        raise UsageError(
            f"an {chip.label} image has {_SMALLEST} to {most} bytes here, not {wanted}"
        )
    image = _Image(chip=chip, size=wanted, riscv=machine.endswith("-RISCV"))
    image.put_text("3.4.0; " if micropython else "Hello from another firmware")
    image.skip(64)
    if micropython:
        image.add_string(_RASPBERRY_PI, _PROGRAM_VERSION, f"v{version}")
        image.put_text(f"MicroPython v{version} on {date}")
        image.skip(16)
        image.put_text(f"; {machine}")
        image.add_string(_RASPBERRY_PI, _FEATURE, "thread support")
        image.add_string(_RASPBERRY_PI, _FEATURE, "USB REPL")
        for module in _FROZEN:
            image.add_string(_MICROPYTHON, _FROZEN_MODULE, module)
        if place[1]:
            image.add_device("MicroPython", *place)
    else:
        image.add_string(_RASPBERRY_PI, _FEATURE, USB_STDIO[:-1].decode())
    name = "MicroPython" if micropython else "hello_usb"
    image.add_string(_RASPBERRY_PI, _PROGRAM_NAME, name, in_ram=True)
    image.add_string(_RASPBERRY_PI, _BUILD_DATE, "Nov 29 2024")
    image.add_string(_RASPBERRY_PI, _SDK_VERSION, "2.0.0")
    image.add_string(_RASPBERRY_PI, _PICO_BOARD, release.board)
    image.add_string(_RASPBERRY_PI, _BOOT2_NAME, "boot2_w25q080")
    image.add_string(_RASPBERRY_PI, _BUILD_ATTRIBUTE, "MinSizeRel")
    image.add_number(_RASPBERRY_PI, _BINARY_END, XIP_BASE + wanted)
    return image.finish(f"{chip.name} {version} {machine} {date}")


def uf2(binary: bytes, family: int, offset: int = 0) -> bytes:
    """Blocks of 256 bytes that put `binary` at `offset` of the flash, a multiple of 256."""
    pages = -(-len(binary) // PAGE)
    return b"".join(
        block(
            binary[number * PAGE : (number + 1) * PAGE],
            address=XIP_BASE + offset + number * PAGE,
            number=number,
            count=pages,
            family=family,
        )
        for number in range(pages)
    )


def block(
    data: bytes,
    *,
    address: int,
    number: int,
    count: int,
    family: int,
    flags: int = _FAMILY_PRESENT,
) -> bytes:
    """One UF2 block with 256 bytes of `data`."""
    head = struct.pack("<8I", *_MAGIC, flags, address, PAGE, number, count, family)
    return (head + data.ljust(PAGE, b"\0")).ljust(508, b"\0") + struct.pack("<I", _MAGIC_END)


def e10() -> bytes:
    """The block that picotool puts before an image for the RP2350, against its erratum E10: of the
    absolute family, the first of two, at the end of 16 MB."""
    data = b"\xef" * PAGE + struct.pack("<I", _IGNORE_BLOCK)
    flags = _FAMILY_PRESENT | _EXTENSION_PRESENT
    return block(data, address=_E10_ADDRESS, number=0, count=2, family=ABSOLUTE_FAMILY, flags=flags)


def read_uf2(data: bytes) -> list[tuple[int, bytes]]:
    """Offset in flash and page of each block of a UF2 that is one of `build`'s."""
    return [
        (struct.unpack_from("<I", data, at + 12)[0] - XIP_BASE, data[at + 32 : at + 32 + PAGE])
        for at in range(0, len(data), 512)
    ]


@dataclass(kw_only=True)
class _Image:
    """A binary that grows from its beginning; `finish` fills it up to `size`."""

    chip: Chip
    size: int
    riscv: bool
    data: bytearray = field(default_factory=bytearray)
    pointers: list[int] = field(default_factory=list)  # of the binary information's entries
    ram: bytearray = field(default_factory=bytearray)  # what the program copies as it starts

    def __post_init__(self) -> None:
        start = BOOT2 if self.chip == RP2040 else 0
        self.header = start + 4 * _VECTORS[self.chip]
        self.data = bytearray(start)
        entry = XIP_BASE + self.header + 64
        vectors = [_STACK[self.chip], entry | 1] + [entry + 9] * (_VECTORS[self.chip] - 2)
        self.data += struct.pack(f"<{len(vectors)}I", *vectors)
        self.data += bytes(_INFO_HEADER.size)
        self.blocks = len(self.data)
        self.data += bytes(_BLOCK_SIZE if self.chip == RP2350 else 0)
        self.data += _filler("reset handler", 64)

    def skip(self, count: int) -> None:
        self.data += _filler("code", count)

    def put(self, data: bytes) -> int:
        """Where in the flash it is, at a multiple of four."""
        self.data += bytes(-len(self.data) % 4)
        self.data += data
        return XIP_BASE + len(self.data) - len(data)

    def put_text(self, text: str) -> int:
        return self.put(text.encode("ascii") + b"\0")

    def add_string(self, tag: bytes, identity: int, text: str, *, in_ram: bool = False) -> None:
        if in_ram:
            pointer = _RAM_DATA + len(self.ram)
            self.ram += text.encode("ascii") + b"\0"
        else:
            pointer = self.put_text(text)
        entry = struct.pack("<H2sII", _STRING, tag, identity, pointer)
        self.pointers.append(self.put(entry))

    def add_number(self, tag: bytes, identity: int, number: int) -> None:
        self.pointers.append(self.put(struct.pack("<H2sII", _NUMBER, tag, identity, number)))

    def add_device(self, name: str, offset: int, size: int) -> None:
        """Readable and writable."""
        fields = self.put_text(name), XIP_BASE + offset, size, 0, 3
        entry = struct.pack("<H2sIIIIH", _DEVICE, _MICROPYTHON, *fields)
        self.pointers.append(self.put(entry))

    def finish(self, seed: str) -> bytes:
        at = self.put(CHECKSUM + bytes(4))
        self.pointers.append(at)
        crc = at - XIP_BASE + len(CHECKSUM)
        source = self.put(bytes(self.ram))
        end = _RAM_DATA + len(self.ram)
        mapping = self.put(struct.pack("<4I", source, _RAM_DATA, end, 0))
        array = self.put(struct.pack(f"<{len(self.pointers)}I", *self.pointers))
        header = array, array + 4 * len(self.pointers), mapping
        _INFO_HEADER.pack_into(self.data, self.header, _INFO_START, *header, _INFO_END)
        self.data += _filler(seed, self.size - len(self.data))
        if self.chip == RP2350:
            self._link_blocks()
        else:
            boot2 = _filler("boot2", BOOT2 - 4)
            self.data[:BOOT2] = boot2 + struct.pack("<I", boot2_crc(boot2))
        struct.pack_into("<I", self.data, crc, image_crc(bytes(self.data), crc))
        return bytes(self.data)

    def _link_blocks(self) -> None:
        """A block that says what this is, near the beginning, and one at the very end: each names
        the other as the next."""
        last = self.size - _BLOCK_SIZE
        kind = IMAGE_RISCV if self.riscv else IMAGE_ARM
        for at, item, value, link in (
            (self.blocks, ITEM_IMAGE_TYPE, kind, last - self.blocks),
            (last, 0xFE, 0, self.blocks - last),
        ):
            items = struct.pack("<BBH", item, 1, value) + struct.pack("<BHB", ITEM_LAST, 1, 0)
            struct.pack_into("<I8siI", self.data, at, BLOCK_START, items, link, BLOCK_END)


def _filler(seed: str, size: int) -> bytes:
    """`size` bytes that are the same each time; no page of them is blank."""
    return random.Random(seed).randbytes(max(size, 0))
