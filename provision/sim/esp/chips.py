"""What tells one chip from another, as its ROM and its registers show it.

One table, read by the loader (registers, commands, security info) and by whatever boots (ROM
banner, baud). Addresses and fields are those that esptool's `targets/` read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import field

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
from provision.model.chip import Chip
from provision.model.language import record
from provision.sim.esp import efuses
from provision.sim.esp.efuses import Security
from provision.sim.line.uart import ClockSelect, UartFacts
from provision.sim.line.wire import Fifo
from provision.sim.setup import BoardSetup, ResetCause

# When the UART's interrupt moves what has come to MicroPython's receive ring: ports/esp32/uart.c
# (RXFIFO_FULL_THR, RXFIFO_RX_TIMEOUT) and ports/esp8266/uart.c (uart_config).
ESP32_FIFO = Fifo(full=120, silence=1)
ESP8266_FIFO = Fifo(full=16, silence=2)

# Operations that each ROM's loader knows.
_BASIC = frozenset(range(0x02, 0x0B))
_ESP32_ROM = _BASIC | {0x0B, 0x0D, 0x0E, 0x0F, 0x10, 0x11, 0x12, 0x13}
_LATER_ROM = _ESP32_ROM | {0x14}

# The console's UART. ESP32 and S2: the 1 MHz REF_TICK, which a console of up to 1 Mbaud has, unless
# bit 27 of UART_CONF0 chooses the APB's 80 MHz; later chips have the crystal (soc/uart_reg.h,
# hal/uart_ll.h). An ESP8266 divides its 80 MHz by whole numbers, and its main.c makes UART(0) anew
# at every soft reset; the others keep what the registers hold.


def _ref_tick(base: int) -> UartFacts:
    select = ClockSelect(
        register=base + 0x20, bit=1 << 27, hertz=80_000_000, idle=0x0400_001C, most=1_000_000
    )
    return UartFacts(divider=base + 0x14, clock=1_000_000, select=select)


def _crystal(base: int, clock: int = 40_000_000) -> UartFacts:
    return UartFacts(divider=base + 0x14, clock=clock, width=12)


def _own_domain(base: int, clock: int = 40_000_000) -> UartFacts:
    """The UARTs since the ESP32-C6, whose registers count from UART_REG_UPDATE on."""
    return UartFacts(divider=base + 0x14, clock=clock, width=12, commit=base + 0x98)


DETECT_REGISTER = 0x40001000  # differs on every chip; tells the ones without security info
WATCHDOG_KEY = 0x50D83AA1


@record
class SpiRegisters:
    """Offsets of the SPI controller that drives the flash; lengths in `usr1` where no `miso`."""

    base: int
    usr: int
    usr1: int
    usr2: int
    w0: int
    miso: int | None

    @property
    def command(self) -> int:
        return self.base

    @property
    def address(self) -> int:
        return self.base + 4


@record
class WatchdogRegisters:
    """The RTC watchdog, which esptool's `--after watchdog-reset` starts."""

    config: int
    protect: int


@record
class SecurityBits:
    """Where eFuses say that secure boot or flash encryption is on: (register, bits)."""

    secure_boot: tuple[int, int]
    encryption: tuple[int, int]


@record
class ChipFacts:
    """One chip. `security_info` is the length of its answer to GET_SECURITY_INFO, 0 for none;
    `rom_flash` how much flash its ROM believes in until it is told by SPI_SET_PARAMS."""

    chip: Chip
    magic: int
    chip_id: int | None
    spi: SpiRegisters
    clock_divider: int
    banner: str
    run_mode: str
    download_mode: str
    causes: Mapping[ResetCause, str]
    security: SecurityBits | None
    identity: Callable[[BoardSetup], dict[int, int]] = field(repr=False)
    bootloader_offset: int
    uart: UartFacts
    fifo: Fifo = ESP32_FIFO
    security_info: int = 20
    status_length: int = 4
    commands: frozenset[int] = _LATER_ROM
    crystal: int = 40_000_000  # Hz, times esptool's XTAL_CLK_DIVIDER
    rom_crystal: int | None = None  # Hz that the ROM believes in, where that is not what is there
    boot_baud: int = 115200
    watchdog: WatchdogRegisters | None = None
    console_register: int | None = None  # the ROM's note of which port it talks on
    console_usb_jtag: int = 3
    rom_flash: int = 2 << 20

    def revision(self, setup: BoardSetup) -> int | None:
        """Of the chip on this board, as its eFuses say; None for one whose revision no image asks
        for."""
        return efuses.p4_revision(setup) if self.chip == ESP32P4 else None

    def fuses(self, security: Security) -> dict[int, int]:
        """What the registers that tell of security read, given what was burned."""
        if self.security is None:
            return {}
        (boot, boot_bits), (encryption, bits) = self.security.secure_boot, self.security.encryption
        burned = {boot: 0, encryption: 0}  # which may be one register
        burned[boot] |= boot_bits if security.secure_boot else 0
        burned[encryption] |= bits if security.encryption else 0
        return burned

    def security_info_reply(self, security: Security) -> bytes:
        """The answer to GET_SECURITY_INFO: flags, flash-encryption count, seven key purposes and,
        on most chips, id and version."""
        info = security.flags.to_bytes(4, "little") + bytes((security.encryption,)) + bytes(7)
        if self.chip_id is not None:
            info += self.chip_id.to_bytes(4, "little") + bytes(4)
        return info[: self.security_info]

    def rom_banner(self, cause: ResetCause, *, download: bool) -> bytes:
        """What the ROM prints first, at `boot_baud`, whichever way the chip then goes."""
        mode = self.download_mode if download else self.run_mode
        return self.banner.format(cause=self.causes[cause], mode=mode).encode()


_ESP_ROM = "ESP-ROM:{rom}\r\nBuild:{build}\r\nrst:{{cause}},boot:{{mode}}\r\n"

_ESP32_CAUSES = {
    ResetCause.POWER_ON: "0x1 (POWERON_RESET)",
    ResetCause.EXTERNAL: "0x1 (POWERON_RESET)",
    ResetCause.SOFTWARE: "0xc (SW_CPU_RESET)",
    ResetCause.WATCHDOG: "0x10 (RTCWDT_RTC_RESET)",
    ResetCause.DEEPSLEEP: "0x5 (DEEPSLEEP_RESET)",
}
_LATER_CAUSES = {
    ResetCause.POWER_ON: "0x1 (POWERON)",
    ResetCause.EXTERNAL: "0x1 (POWERON)",
    ResetCause.SOFTWARE: "0xc (RTC_SW_CPU_RST)",
    ResetCause.WATCHDOG: "0x10 (RTCWDT_RTC_RST)",
    ResetCause.DEEPSLEEP: "0x5 (DSLEEP)",
}
_C6_CAUSES = {
    **_LATER_CAUSES,
    ResetCause.SOFTWARE: "0xc (SW_CPU)",
    ResetCause.WATCHDOG: "0x10 (LP_WDT_SYS)",
    ResetCause.DEEPSLEEP: "0x5 (SLEEP_WAKEUP)",
}
# As ESP-IDF's esp32p4/rom/rtc.h names them.
_P4_CAUSES = {
    ResetCause.POWER_ON: "0x1 (POWERON)",
    ResetCause.EXTERNAL: "0x1 (POWERON)",
    ResetCause.SOFTWARE: "0xc (SW_CPU_RESET)",
    ResetCause.WATCHDOG: "0x10 (CHIP_LP_WDT_RESET)",
    ResetCause.DEEPSLEEP: "0x5 (PMU_SYS_PWR_DOWN_RESET)",
}


def _later_spi(base: int) -> SpiRegisters:
    return SpiRegisters(base=base, usr=0x18, usr1=0x1C, usr2=0x20, w0=0x58, miso=0x28)


def _later_security(base: int) -> SecurityBits:
    return SecurityBits(secure_boot=(base + 0x38, 1 << 20), encryption=(base + 0x34, 1 << 18))


_WAITING = "\r\nwaiting for download"

_FACTS = (
    ChipFacts(
        chip=ESP8266,
        magic=0xFFF0C101,
        chip_id=None,
        security_info=0,
        status_length=2,
        commands=_BASIC,
        spi=SpiRegisters(base=0x60000200, usr=0x1C, usr1=0x20, usr2=0x24, w0=0x40, miso=None),
        clock_divider=0x60000014,
        crystal=52_000_000,
        boot_baud=74880,
        banner="\r\n ets Jan  8 2013,rst cause:{cause}, boot mode:({mode})\r\n\r\n",
        run_mode="3,6",
        download_mode="1,6",
        causes={
            ResetCause.POWER_ON: "1",
            ResetCause.EXTERNAL: "2",
            ResetCause.SOFTWARE: "2",
            ResetCause.WATCHDOG: "4",
            ResetCause.DEEPSLEEP: "5",
        },
        security=None,
        rom_flash=4 << 20,
        identity=efuses.esp8266_identity,
        bootloader_offset=0,
        uart=UartFacts(divider=0x60000014, clock=80_000_000, fraction=False, soft_reset=True),
        fifo=ESP8266_FIFO,
    ),
    ChipFacts(
        chip=ESP32,
        magic=0x00F01D83,
        chip_id=None,
        security_info=0,
        commands=_ESP32_ROM,
        spi=SpiRegisters(base=0x3FF42000, usr=0x1C, usr1=0x20, usr2=0x24, w0=0x80, miso=0x2C),
        clock_divider=0x3FF40014,
        banner="ets Jul 29 2019 12:21:46\r\n\r\nrst:{cause},boot:{mode}\r\n",
        run_mode="0x13 (SPI_FAST_FLASH_BOOT)",
        download_mode="0x3 (DOWNLOAD_BOOT(UART0/UART1/SDIO_REI_REO_V2))" + _WAITING,
        causes=_ESP32_CAUSES,
        security=SecurityBits(secure_boot=(0x3FF5A018, 1 << 4), encryption=(0x3FF5A000, 1 << 20)),
        identity=efuses.esp32_identity,
        bootloader_offset=0x1000,
        uart=_ref_tick(0x3FF40000),
    ),
    ChipFacts(
        chip=ESP32S2,
        magic=0x000007C6,
        chip_id=None,
        security_info=12,
        spi=_later_spi(0x3F402000),
        clock_divider=0x3F400014,
        banner=_ESP_ROM.format(rom="esp32s2-rc4-20191025", build="Oct 25 2019"),
        run_mode="0x8 (SPI_FAST_FLASH_BOOT)",
        download_mode="0x0 (DOWNLOAD(USB/UART0/1/SPI))" + _WAITING,
        causes=_LATER_CAUSES,
        security=_later_security(0x3F41A000),
        watchdog=WatchdogRegisters(config=0x3F408094, protect=0x3F4080AC),
        console_register=0x3FFFFD14,
        identity=efuses.esp32s2_identity,
        bootloader_offset=0x1000,
        uart=_ref_tick(0x3F400000),
    ),
    ChipFacts(
        chip=ESP32S3,
        magic=0x00000009,
        chip_id=9,
        spi=_later_spi(0x60002000),
        clock_divider=0x60000014,
        banner=_ESP_ROM.format(rom="esp32s3-20210327", build="Mar 27 2021"),
        run_mode="0x8 (SPI_FAST_FLASH_BOOT)",
        download_mode="0x0 (DOWNLOAD(USB/UART0))" + _WAITING,
        causes=_LATER_CAUSES,
        security=_later_security(0x60007000),
        watchdog=WatchdogRegisters(config=0x60008098, protect=0x600080B0),
        console_register=0x3FCEF14C,
        console_usb_jtag=4,
        identity=efuses.esp32s3_identity,
        bootloader_offset=0,
        uart=_crystal(0x60000000),
    ),
    ChipFacts(
        chip=ESP32C3,
        magic=0x1B31506F,
        chip_id=5,
        spi=_later_spi(0x60002000),
        clock_divider=0x60000014,
        banner=_ESP_ROM.format(rom="esp32c3-api1-20210207", build="Feb  7 2021"),
        run_mode="0xd (SPI_FAST_FLASH_BOOT)",
        download_mode="0x5 (DOWNLOAD(USB/UART0/1))" + _WAITING,
        causes=_LATER_CAUSES,
        security=_later_security(0x60008800),
        watchdog=WatchdogRegisters(config=0x60008090, protect=0x600080A8),
        console_register=0x3FCDF07C,
        identity=efuses.esp32c3_identity,
        bootloader_offset=0,
        uart=_crystal(0x60000000),
    ),
    ChipFacts(
        chip=ESP32C2,
        magic=0x6F51306F,
        chip_id=12,
        spi=_later_spi(0x60002000),
        clock_divider=0x60000014,
        # The crystal of Espressif's modules, which its ROM takes for 40 MHz: it prints at 74880.
        crystal=26_000_000,
        rom_crystal=40_000_000,
        boot_baud=74880,
        banner=_ESP_ROM.format(rom="esp8684-api2-20220127", build="Jan 27 2022"),
        run_mode="0xc (SPI_FAST_FLASH_BOOT)",
        download_mode="0x4 (DOWNLOAD(UART0))" + _WAITING,
        causes=_LATER_CAUSES,
        security=SecurityBits(secure_boot=(0x60008830, 1 << 21), encryption=(0x60008830, 1 << 7)),
        watchdog=WatchdogRegisters(config=0x60008084, protect=0x6000809C),
        identity=efuses.esp32c2_identity,
        bootloader_offset=0,
        uart=_crystal(0x60000000, 26_000_000),
    ),
    ChipFacts(
        chip=ESP32C5,
        magic=0x63E1406F,
        chip_id=23,
        spi=_later_spi(0x60003000),
        clock_divider=0x60000014,
        crystal=48_000_000,
        banner=_ESP_ROM.format(rom="esp32c5-eco2-20250121", build="Jan 21 2025"),
        run_mode="0x18 (SPI_FAST_FLASH_BOOT)",
        download_mode="0x14 (DOWNLOAD(USB/UART0))" + _WAITING,
        causes=_C6_CAUSES,
        security=SecurityBits(secure_boot=(0x600B4838, 1 << 25), encryption=(0x600B4834, 1 << 16)),
        watchdog=WatchdogRegisters(config=0x600B1C00, protect=0x600B1C18),
        console_register=0x4085F514,
        identity=efuses.esp32c5_identity,
        bootloader_offset=0x2000,
        uart=_own_domain(0x60000000, 48_000_000),
    ),
    ChipFacts(
        chip=ESP32C61,
        magic=0x2421606F,
        chip_id=20,
        spi=_later_spi(0x60003000),
        clock_divider=0x60000014,
        banner=_ESP_ROM.format(rom="esp32c61-eco3-20250228", build="Feb 28 2025"),
        run_mode="0xc (SPI_FAST_FLASH_BOOT)",
        download_mode="0x4 (DOWNLOAD(USB/UART0))" + _WAITING,
        causes=_C6_CAUSES,
        security=SecurityBits(secure_boot=(0x600B4834, 1 << 26), encryption=(0x600B4830, 1 << 23)),
        watchdog=WatchdogRegisters(config=0x600B1C00, protect=0x600B1C18),
        identity=efuses.esp32c61_identity,
        bootloader_offset=0,
        uart=_own_domain(0x60000000),
    ),
    ChipFacts(
        chip=ESP32H2,
        magic=0xD7B73E80,
        chip_id=16,
        spi=_later_spi(0x60003000),
        clock_divider=0x60000014,
        crystal=32_000_000,
        banner=_ESP_ROM.format(rom="esp32h2-20221101", build="Nov  1 2022"),
        run_mode="0xc (SPI_FAST_FLASH_BOOT)",
        download_mode="0x4 (DOWNLOAD(USB/UART0))" + _WAITING,
        causes=_C6_CAUSES,
        security=_later_security(0x600B0800),
        watchdog=WatchdogRegisters(config=0x600B1C00, protect=0x600B1C1C),
        console_register=0x4084FEFC,
        identity=efuses.esp32h2_identity,
        bootloader_offset=0,
        uart=_own_domain(0x60000000, 32_000_000),
    ),
    ChipFacts(
        chip=ESP32P4,
        magic=0x0ADDBAD0,
        chip_id=18,
        spi=_later_spi(0x5008D000),
        clock_divider=0x500CA014,
        banner=_ESP_ROM.format(rom="esp32p4-eco2-20240710", build="Jul 10 2024"),
        run_mode="0x30f (SPI_FAST_FLASH_BOOT)",
        download_mode="0x307 (DOWNLOAD(USB/UART0/SPI))" + _WAITING,
        causes=_P4_CAUSES,
        security=_later_security(0x5012D000),
        watchdog=WatchdogRegisters(config=0x50116000, protect=0x50116018),
        console_register=0x4FF3FEC8,
        console_usb_jtag=6,
        identity=efuses.esp32p4_identity,
        bootloader_offset=0x2000,
        uart=_own_domain(0x500CA000),
    ),
    ChipFacts(
        chip=ESP32C6,
        magic=0x2CE0806F,
        chip_id=13,
        spi=_later_spi(0x60003000),
        clock_divider=0x60000014,
        banner=_ESP_ROM.format(rom="esp32c6-20220919", build="Sep 19 2022"),
        run_mode="0xc (SPI_FAST_FLASH_BOOT)",
        download_mode="0x4 (DOWNLOAD(USB/UART0/SDIO_REI_FEO))" + _WAITING,
        causes=_C6_CAUSES,
        security=_later_security(0x600B0800),
        watchdog=WatchdogRegisters(config=0x600B1C00, protect=0x600B1C18),
        console_register=0x4087F580,
        identity=efuses.esp32c6_identity,
        bootloader_offset=0,
        uart=_own_domain(0x60000000),
    ),
)

FACTS: Mapping[Chip, ChipFacts] = {facts.chip: facts for facts in _FACTS}
