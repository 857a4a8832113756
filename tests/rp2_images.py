"""Small images for the RP2040 and RP2350 as bytes of flash and as UF2 files, put together here by
hand from pico-sdk's headers, so that what reads them is not tested against its own writer."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from provision.core.chips.rp2.chips import RP2040
from provision.model.chip import Chip

XIP = 0x10000000
RAM = 0x20000000
FAMILIES = {"rp2040": 0xE48BFF56, "rp2350": 0xE48BFF59}
MACHINES = {"rp2040": "Raspberry Pi Pico with RP2040", "rp2350": "Raspberry Pi Pico2 with RP2350"}
KB = 1024


def program(
    chip: Chip = RP2040,
    version: str = "1.24.1",
    *,
    machine: str | None = None,
    filesystem: tuple[int, int] | None = (640 * KB, 1408 * KB),
    size: int = 24 * KB,
    banner: bytes | None = None,
    in_ram: bool = False,
) -> bytes:
    """What lies in flash: 256 bytes of second-stage loader on an RP2040, the header of the binary
    info, its entries (with `in_ram` at addresses to which they are copied), a banner."""
    image = bytearray(size)
    start = 0x200
    entries_at, texts_at = 0x1800, 0x2800
    base = RAM - entries_at if in_ram else XIP
    entries: list[bytes] = []
    texts = bytearray()

    def text(value: str) -> int:
        at = texts_at + len(texts)
        texts.extend(value.encode() + b"\0")
        return base + at

    def string(number: int, value: str) -> bytes:
        return struct.pack("<HHII", 6, 0x5052, number, text(value))

    entries.append(string(0x02031C86, "MicroPython"))
    entries.append(string(0x11A9BC3A, f"v{version}"))
    entries.append(string(0xB63CFFBB, "pico"))
    entries.append(string(0x5360B3AB, "2.0.0"))
    entries.append(struct.pack("<HHIi", 5, 0x5052, 0x68F465DE, XIP + size))
    entries.append(struct.pack("<HHII", 6, 0x504D, 0x4A99D719, text("asyncio")))
    if filesystem is not None:
        offset, length = filesystem
        entries.append(
            struct.pack("<HHIIIIH", 7, 0x504D, text("MicroPython"), XIP + offset, length, 0, 0b11)
        )
    pointers = []
    at = entries_at
    for entry in entries:
        pointers.append(base + at)
        image[at : at + len(entry)] = entry
        at += len(entry) + -len(entry) % 4
    image[texts_at : texts_at + len(texts)] = texts
    list_at, copies_at = 0x400, 0x700
    image[list_at : list_at + 4 * len(pointers)] = struct.pack(f"<{len(pointers)}I", *pointers)
    copies = [XIP + entries_at, RAM, RAM + 0x2000, 0] if in_ram else [0]
    image[copies_at : copies_at + 4 * len(copies)] = struct.pack(f"<{len(copies)}I", *copies)
    end = XIP + list_at + 4 * len(pointers)
    image[start : start + 20] = struct.pack(
        "<5I", 0x7188EBF2, XIP + list_at, end, XIP + copies_at, 0xE71AA390
    )
    machine = machine or MACHINES[chip.name]
    said = banner
    if said is None:
        said = f"MicroPython v{version} on 2024-11-29; {machine}".encode()
    image[0x3000 : 0x3000 + len(said)] = said
    image[: len(b"boot2")] = b"boot2"
    return bytes(image)


def block(
    payload: bytes,
    *,
    address: int = XIP,
    number: int = 0,
    count: int = 1,
    family: int = FAMILIES["rp2040"],
    flags: int = 0x2000,
    size: int = 256,
) -> bytes:
    """One block of a UF2 file."""
    header = struct.pack("<8I", 0x0A324655, 0x9E5D5157, flags, address, size, number, count, family)
    return header + payload.ljust(476, b"\0") + struct.pack("<I", 0x0AB16F30)


def blocks(data: bytes, family: int, *, base: int = XIP) -> list[bytes]:
    """The blocks that write these bytes to flash."""
    pages = [data[at : at + 256].ljust(256, b"\xff") for at in range(0, len(data), 256)]
    return [
        block(page, address=base + 256 * number, number=number, count=len(pages), family=family)
        for number, page in enumerate(pages)
    ]


def e10_block() -> bytes:
    """The block that pico-sdk puts first for an RP2350 (its erratum E10)."""
    payload = b"\xef" * 256 + struct.pack("<I", 0x9957E304)
    return block(payload, address=0x10FFFF00, count=2, family=0xE48BFF57, flags=0xA000)


def uf2(chip: Chip = RP2040, version: str = "1.24.1", **options: object) -> bytes:
    """A release as micropython.org has it."""
    data = program(chip, version, **options)  # type: ignore[arg-type]
    rows: Sequence[bytes] = blocks(data, FAMILIES[chip.name])
    first = b"" if chip == RP2040 else e10_block()
    return first + b"".join(rows)
