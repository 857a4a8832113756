"""What tells one of Raspberry Pi's chips from another while it is in BOOTSEL and when it starts.

Read from the sources of both boot ROMs (pico-bootrom-rp2040, pico-bootrom-rp2350 A2).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.core.chips.rp2.memory import XIP_BASE
from provision.core.chips.rp2.uf2 import (
    ABSOLUTE_FAMILY,
    DATA_FAMILY,
    RP2040_FAMILY,
    RP2350_ARM_FAMILY,
    RP2350_RISCV_FAMILY,
)
from provision.model.chip import Chip
from provision.model.language import record


@record
class ChipFacts:
    """One chip.

    `label`: of the volume; `info`: INFO_UF2.TXT. `bootsel_serial`: the USB serial number in BOOTSEL
    where it is the same on every chip, None where it is the chip's own. `families` are the ids of
    UF2 blocks that are taken, `window` the addresses that count as flash (up to and with the last,
    as the ROM compares), `ram` those that count as RAM. `most_blocks` and `most_ram_blocks`: of one
    transfer. `erases_by_block_number`: which sector is erased goes by a block's number and not its
    address. `reboot_after`: seconds from the last block to the reset.
    """

    chip: Chip
    label: str
    info: str
    bootsel_serial: str | None
    families: frozenset[int]
    window: tuple[int, int]
    ram: tuple[tuple[int, int], ...]
    most_blocks: int
    most_ram_blocks: int
    erases_by_block_number: bool
    reboot_after: float

    def in_flash(self, address: int) -> bool:
        return self.window[0] <= address <= self.window[1]

    def in_ram(self, address: int) -> bool:
        return any(first <= address <= last for first, last in self.ram)


FACTS: Mapping[Chip, ChipFacts] = MappingProxyType(
    {
        RP2040: ChipFacts(
            chip=RP2040,
            label="RPI-RP2",
            info="UF2 Bootloader v3.0\nModel: Raspberry Pi RP2\nBoard-ID: RPI-RP2\n",
            bootsel_serial="E0C9125B0D9B",
            families=frozenset({RP2040_FAMILY}),
            window=(XIP_BASE, 0x20000000),
            ram=((0x20000000, 0x20042000), (0x15000000, 0x15004000)),
            most_blocks=123360,
            most_ram_blocks=1280,
            erases_by_block_number=True,
            reboot_after=1.0,
        ),
        RP2350: ChipFacts(
            chip=RP2350,
            label="RP2350",
            info="UF2 Bootloader v1.0\nModel: Raspberry Pi RP2350\nBoard-ID: RP2350\n",
            bootsel_serial=None,
            # Of a chip without a partition table.
            families=frozenset(
                {ABSOLUTE_FAMILY, DATA_FAMILY, RP2350_ARM_FAMILY, RP2350_RISCV_FAMILY}
            ),
            window=(XIP_BASE, XIP_BASE + (32 << 20)),
            ram=((0x20000000, 0x20082000), (0x13FFC000, 0x14000000)),
            most_blocks=131072,
            most_ram_blocks=2144,
            erases_by_block_number=False,
            reboot_after=0.5,
        ),
    }
)
