"""A MicroPython release for these chips: what a `.uf2` is, and what of it goes where.

Version and board are read from the banner inside the image, the filesystem's place from the binary
info: the only places that cannot disagree with what the board will do.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import field

from provision.core.chips.identity import read_banner
from provision.core.chips.rp2.binary_info import BinaryInfo, BlockDevice, read_binary_info
from provision.core.chips.rp2.memory import SECTOR
from provision.core.chips.rp2.releases import chip_of_machine
from provision.core.chips.rp2.uf2 import MAGIC, RP2350_RISCV_FAMILY, read_uf2
from provision.core.wording import printable
from provision.errors import ImageError
from provision.model.firmware import LITTLEFS_BLOCK, FilesystemPlace, Firmware, Region
from provision.model.language import record

_CIRCUITPYTHON = re.compile(rb"Adafruit CircuitPython ([\x21-\x7e]{1,40})")
_ARM, _RISCV = "ARM", "RISC-V"


@record(slots=False)
class Rp2Firmware(Firmware):
    """`data` is what the file writes to flash, from offset `base` on; `uf2` is the file."""

    uf2: bytes = field(repr=False)
    family: int
    info: BinaryInfo

    @property
    def file(self) -> bytes:
        return self.uf2

    @property
    def size(self) -> int:
        return len(self.uf2)

    @property
    def architecture(self) -> str:
        """Of the processor cores that it runs on."""
        return _RISCV if self.family == RP2350_RISCV_FAMILY else _ARM


def recognises(data: bytes) -> bool:
    """Whether the bytes claim to be a UF2 file, for whichever chip."""
    return data.startswith(MAGIC)


def read_firmware(data: bytes, name: str) -> Rp2Firmware:
    """Read a release image; `name` is what messages call it (a file name). ImageError where it is
    damaged, cut short, for another chip, or not MicroPython."""
    uf2 = read_uf2(data, name)
    chip = uf2.chip
    if uf2.offset:
        raise ImageError(
            f"{name} begins at 0x{uf2.offset:x} of the flash, and an {chip.label} starts from 0: "
            "it is part of an image, or a filesystem alone",
            hint="choose the image of a release for this board from micropython.org/download",
        )
    info = read_binary_info(lambda at, size: uf2.data[at : at + size], len(uf2.data))
    identity = read_banner(uf2.data, chip)
    if identity is None:
        raise _not_micropython(uf2.data, chip.label, info, name)
    named = chip_of_machine(identity.machine)
    if named is not None and named != chip:
        raise ImageError(
            f"{name} is damaged: its blocks are for the {chip.label}, and what is in them is "
            f"MicroPython for the {named.label}",
            hint="build or download the image again",
        )
    return Rp2Firmware(
        name=name,
        data=uf2.data,
        identity=identity,
        base=uf2.offset,
        uf2=data,
        family=uf2.family,
        info=info or BinaryInfo(),
    )


def _not_micropython(data: bytes, chip: str, info: BinaryInfo | None, name: str) -> ImageError:
    circuitpython = _CIRCUITPYTHON.search(data)
    if circuitpython is not None:
        what = f"CircuitPython {circuitpython[1].decode('ascii')}, which is another Python"
    elif info is not None and info.program:
        what = f"'{printable(info.program)}', not MicroPython"
    else:
        what = "not of MicroPython: there is no MicroPython banner in it"
    return ImageError(
        f"{name} is a sound {chip} image, but {what}",
        hint="download a release for this board from micropython.org/download",
    )


def filesystem_device(info: BinaryInfo) -> BlockDevice | None:
    """Where a MicroPython keeps its files, by its own word: the one part of the flash that it
    writes to."""
    writable = [device for device in info.block_devices if device.writable]
    named = [device for device in writable if device.name == "MicroPython"]
    found = named or writable
    return found[0] if len(found) == 1 else None


def place_of(info: BinaryInfo, flash_size: int | None) -> FilesystemPlace | None:
    """The filesystem of a firmware by its binary info; None where it says none that LittleFS could
    be in, or one that lies beyond the flash."""
    device = filesystem_device(info)
    if device is None or device.offset % SECTOR or device.size < 2 * LITTLEFS_BLOCK:
        return None
    if flash_size is not None and device.end > flash_size:
        return None
    return FilesystemPlace(offset=device.offset, blocks=device.size // LITTLEFS_BLOCK)


def regions(firmware: Rp2Firmware) -> tuple[Region, ...]:
    """Exactly the bytes that are to be in flash: the program, and what else the image brings, but
    nothing where the board keeps its own files."""
    device = filesystem_device(firmware.info)
    end = len(firmware.data) if device is None else min(len(firmware.data), device.offset)
    program = firmware.data[:end].rstrip(b"\xff")
    parts = [Region(name="firmware", offset=0, data=program)]
    if device is not None and (rest := firmware.data[device.end :].rstrip(b"\xff")):
        parts.append(Region(name="behind the filesystem", offset=device.end, data=rest))
    return tuple(parts)


def describe(firmware: Rp2Firmware) -> Mapping[str, object]:
    """What the file and the binary info in it say, as JSON data."""
    info = firmware.info
    return {
        "uf2": {"family": f"0x{firmware.family:08x}", "architecture": firmware.architecture},
        "program": info.program,
        "pico_board": info.board,
        "sdk": info.sdk,
        "partitions": [
            {
                "name": device.name,
                "kind": "read-write" if device.writable else "read-only",
                "offset": device.offset,
                "size": device.size,
            }
            for device in info.block_devices
        ],
    }
