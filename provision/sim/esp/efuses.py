"""A board's eFuses: what its maker burned, which tells who it is, and what concerns security.

The latter is kept in a file in the board's directory: faults burn it; the loader and MicroPython
read it. The former are registers by address, for each chip those that esptool's `targets/` read.
"""

from __future__ import annotations

import json
import struct
from dataclasses import asdict
from pathlib import Path

from provision.model.language import record
from provision.sim.setup import BoardSetup

_FILE = "efuses.json"

_P4_REVISION = 103
# Codes of eFuses for the memory inside a chip's package, by its size in bytes.
_EMBEDDED_C2 = {4 << 20: 1, 2 << 20: 2, 1 << 20: 3}
_EMBEDDED_C6 = {4 << 20: 1, 8 << 20: 2}
_EMBEDDED_C61_PSRAM = {2 << 20: 1, 8 << 20: 2}
_EMBEDDED_C5_PSRAM = {4 << 20: 1, 8 << 20: 2}
_EMBEDDED_H2 = {4 << 20: 1, 2 << 20: 2, 1 << 20: 3}


@record
class Security:
    """What is burned into the eFuses; `download` is secure download mode, which shuts most of
    the ROM loader."""

    secure_boot: bool = False
    encryption: bool = False
    download: bool = False

    @property
    def flags(self) -> int:
        return (1 if self.secure_boot else 0) | (4 if self.download else 0)


def read_efuses(directory: Path) -> Security:
    """What the eFuses of the board in this directory say."""
    path = directory / _FILE
    return Security(**json.loads(path.read_text(encoding="utf-8"))) if path.exists() else Security()


def burn_efuses(directory: Path, **fuses: bool) -> Security:
    """Burn those given as true; what the eFuses say then. A fuse that is burned stays burned."""
    burned = asdict(read_efuses(directory))
    now = {name: burned[name] or fuses.get(name, False) for name in burned}
    (directory / _FILE).write_text(json.dumps(now), encoding="utf-8")
    return Security(**now)


def esp8266_identity(setup: BoardSetup) -> dict[int, int]:
    mac = setup.mac_bytes
    return {
        0x3FF00050: mac[5] << 24,
        0x3FF00054: 0x02000000 | mac[3] << 8 | mac[4],
        0x3FF00058: 0x00009000,
        0x3FF0005C: mac[0] << 16 | mac[1] << 8 | mac[2],
    }


def esp32_identity(setup: BoardSetup) -> dict[int, int]:
    high, low = struct.unpack(">II", bytes(2) + setup.mac_bytes)
    clock_8m = 128
    return {
        0x3FF5A004: low,
        0x3FF5A008: high,
        0x3FF5A00C: 1 << 9 | 1 << 13 | 1 << 15,  # package D0WD, rated 240 MHz, revision bit 0
        0x3FF5A010: clock_8m,
        0x3FF5A014: 1 << 20 | 1 << 24,  # revision bit 1, minor 1
        0x3FF6607C: 1 << 31,  # revision bit 2: v3
        0x3FF5F06C: (40_000_000 * 40 // (15625 * clock_8m)) << 7,  # a 40 MHz crystal
    }


def _efuse_mac(base: int, mac: bytes, extension: int = 0) -> dict[int, int]:
    """The MAC as every chip since the ESP32-S2 keeps it, in block 1 of its eFuses."""
    high, low = struct.unpack(">II", bytes(2) + mac)
    return {base + 0x44: low, base + 0x48: extension << 16 | high}


def esp32s2_identity(setup: BoardSetup) -> dict[int, int]:
    psram = {0: 0, 2 << 20: 1, 4 << 20: 2}.get(setup.psram, 0)
    return {
        **_efuse_mac(0x3F41A000, setup.mac_bytes),
        0x3F41A050: 1 << 18 | psram << 28,  # v1.0, no flash in the package
        0x3F41A06C: 1 << 4,  # calibration data of the first kind
    }


def esp32s3_identity(setup: BoardSetup) -> dict[int, int]:
    psram = {8 << 20: 1, 2 << 20: 2, 16 << 20: 3, 4 << 20: 4}.get(setup.psram, 0)
    vendor = 1 << 7 if psram else 0
    return {
        **_efuse_mac(0x60007000, setup.mac_bytes),
        0x60007050: 2 << 18,  # v0.2
        0x60007054: vendor | (psram & 3) << 3,
        0x60007058: (psram >> 2) << 19,
    }


def esp32c3_identity(setup: BoardSetup) -> dict[int, int]:
    return {**_efuse_mac(0x60008800, setup.mac_bytes), 0x60008850: 4 << 18}  # v0.4


def esp32c2_identity(setup: BoardSetup) -> dict[int, int]:
    # Its block 2 begins where the others have block 1's second word, with the MAC.
    high, low = struct.unpack(">II", bytes(2) + setup.mac_bytes)
    embedded = _EMBEDDED_C2.get(setup.flash_size, 0)
    return {
        0x60008840: low,
        0x60008844: 1 << 20 | 1 << 16 | high,  # v1.1, for esptool's stub runs on no v0
        0x6000885C: embedded << 29 | 1 << 24,
    }


def esp32c5_identity(setup: BoardSetup) -> dict[int, int]:
    psram = _EMBEDDED_C5_PSRAM.get(setup.psram, 0)
    return {
        **_efuse_mac(0x600B4800, setup.mac_bytes, extension=0xFFFE),
        0x600B484C: 1 << 4 | psram << 19 | (1 if psram else 0) << 22,  # v1.0
        0x60096110: 48 << 24,  # MHz that the ROM takes its crystal for
    }


def esp32c61_identity(setup: BoardSetup) -> dict[int, int]:
    psram = _EMBEDDED_C61_PSRAM.get(setup.psram, 0)
    return {
        **_efuse_mac(0x600B4800, setup.mac_bytes),
        0x600B484C: 1 << 4 | psram << 19,  # v1.0
    }


def esp32h2_identity(setup: BoardSetup) -> dict[int, int]:
    embedded = _EMBEDDED_H2.get(setup.flash_size, 0)
    temperature = 1 if embedded else 0
    return {
        **_efuse_mac(0x600B0800, setup.mac_bytes, extension=0xFFFE),
        0x600B0850: 1 << 18 | embedded << 24 | temperature << 27,  # v0.1
    }


def p4_revision(setup: BoardSetup) -> int:
    return setup.revision if setup.revision is not None else _P4_REVISION


def esp32p4_identity(setup: BoardSetup) -> dict[int, int]:
    major, minor = divmod(p4_revision(setup), 100)
    return {
        **_efuse_mac(0x5012D000, setup.mac_bytes),
        0x5012D04C: (major >> 2) << 23 | (major & 3) << 4 | minor,
    }


def esp32c6_identity(setup: BoardSetup) -> dict[int, int]:
    embedded = _EMBEDDED_C6.get(setup.flash_size, 0)
    return {
        **_efuse_mac(0x600B0800, setup.mac_bytes, extension=0xFFFE),
        0x600B0850: 1 << 18 | (1 if embedded else 0) << 24,  # v0.1, QFN32 with flash inside
        0x600B0854: embedded,
    }
