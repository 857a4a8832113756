"""What esptool's own chip classes say, against the tables of the tool and of its virtual boards."""

from __future__ import annotations

import pytest

from provision.core.chips.esp.chips import CHIPS, ESP32, ESP8266
from provision.core.chips.esp.image import CHIP_IDS, OTHER_CHIP_IDS
from provision.core.chips.esp.runtime import security_fuses
from provision.device.flashing.esptool.library import esptool
from provision.model.chip import Chip
from provision.sim.esp.chips import FACTS

ROMS = esptool().chips
LATER = [chip for chip in CHIPS if chip not in (ESP8266, ESP32)]


@pytest.mark.parametrize("chip", CHIPS)
def test_the_registers_of_a_virtual_board(chip: Chip) -> None:
    rom, facts = ROMS[chip.name], FACTS[chip]
    assert facts.bootloader_offset == rom.BOOTLOADER_FLASH_OFFSET
    spi = facts.spi
    assert (spi.base, spi.usr, spi.usr1, spi.usr2, spi.w0, spi.miso) == (
        rom.SPI_REG_BASE, rom.SPI_USR_OFFS, rom.SPI_USR1_OFFS, rom.SPI_USR2_OFFS, rom.SPI_W0_OFFS,
        rom.SPI_MISO_DLEN_OFFS,
    )  # fmt: skip
    assert (facts.chip_id is None) == rom.USES_MAGIC_VALUE
    if rom.USES_MAGIC_VALUE:
        assert facts.magic == rom.MAGIC_VALUE
    if facts.watchdog is not None:
        assert facts.watchdog.config == rom.RTC_CNTL_WDTCONFIG0_REG
        assert facts.watchdog.protect == rom.RTC_CNTL_WDTWPROTECT_REG


@pytest.mark.parametrize("chip", LATER)
def test_the_fuses_that_a_repl_is_asked_for(chip: Chip) -> None:
    rom = ROMS[chip.name]
    boot, encryption = security_fuses(chip)
    assert boot == (rom.EFUSE_SECURE_BOOT_EN_REG, rom.EFUSE_SECURE_BOOT_EN_MASK)
    assert encryption == (rom.EFUSE_SPI_BOOT_CRYPT_CNT_REG, rom.EFUSE_SPI_BOOT_CRYPT_CNT_MASK)
    known = FACTS[chip].security
    assert known is not None
    assert known.secure_boot == boot
    register, bit = known.encryption
    assert register == encryption[0]
    assert bit & encryption[1] == bit


def test_every_chip_that_esptool_knows_has_a_name_here() -> None:
    """A chip that is new to esptool is one to add, or to name in errors."""
    ids = {rom.IMAGE_CHIP_ID: rom.CHIP_NAME for rom in ROMS.values() if rom.IMAGE_CHIP_ID}
    ours = {number: chip.label for chip, number in CHIP_IDS.items() if number}
    assert {**ours, **OTHER_CHIP_IDS} == ids
