"""What a running MicroPython on these chips needs: how fast it may be fed, and its registers."""

from __future__ import annotations

import re

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
from provision.core.chips.family import Pace, RateRegisters
from provision.model.chip import Chip

_EUI_64 = re.compile(r"(?:[0-9a-f]{2}:){3}ff:fe:(?:[0-9a-f]{2}:){2}[0-9a-f]{2}")

RESET_BANNER = b"\nrst:0x"
"""How the boot ROM of an ESP32 says why it starts, on a line of its own: in a file's name, as the
board tells it, no line ends. An ESP8266's speaks at another rate."""

BOOT_FAILURES = (
    b"invalid header: 0x",
    b"No bootable app partitions",
    b"waiting for download",
    b"ets_main.c",
)

RESERVED_NVS = frozenset(
    {"nvs.net80211", "phy", "misc", "dhcp_state", "bt_config.conf", "nimble_bond"}
)
"""What ESP-IDF's own libraries keep in NVS: Wi-Fi's settings and its log mask, the calibration of
the radio, the last address of DHCP, and the bonds of both Bluetooth stacks."""

# The ESP8266's flash routines block interrupts: only the UART's own 128 bytes take what comes.
ESP8266_PACES = (
    Pace(block=4096, window=13, lead=120),
    Pace(block=4096, window=12, lead=120),
    Pace(block=2048, window=11, lead=120),
    Pace(block=1024, window=10, lead=120),
)
# The others take bytes into a ring of 260 meanwhile, and mostly have the heap for a window of
# 32 kB, which makes Python text a tenth smaller than one of 4 kB.
ESP32_PACES = (
    Pace(block=8192, window=15, lead=240),
    Pace(block=4096, window=14, lead=240),
    Pace(block=4096, window=12, lead=240),
    Pace(block=1024, window=10, lead=240),
)


def base_mac(mac: str) -> str:
    """The six bytes by which all else knows a chip. Those with IEEE 802.15.4 (ESP32-C5, -C6, -H2)
    have a MAC of eight besides, which esptool shows first: ff:fe in the middle of the six."""
    return mac[:9] + mac[15:] if _EUI_64.fullmatch(mac) else mac


def _usual_fuses(base: int) -> tuple[tuple[int, int], ...]:
    """Where most chips since the ESP32-S2 have them."""
    return ((base + 0x38, 1 << 20), (base + 0x34, 0b111 << 18))


# EFUSE_SECURE_BOOT_EN and EFUSE_SPI_BOOT_CRYPT_CNT of esptool's targets; of an ESP32, ABS_DONE and
# FLASH_CRYPT_CNT.
_FUSES = {
    ESP32: ((0x3FF5A018, 0b11 << 4), (0x3FF5A000, 0x7F << 20)),
    ESP32S2: _usual_fuses(0x3F41A000),
    ESP32S3: _usual_fuses(0x60007000),
    ESP32C2: ((0x60008830, 1 << 21), (0x60008830, 0b111 << 7)),
    ESP32C3: _usual_fuses(0x60008800),
    ESP32C5: ((0x600B4838, 1 << 25), (0x600B4834, 0b111 << 16)),
    ESP32C6: _usual_fuses(0x600B0800),
    ESP32C61: ((0x600B4834, 1 << 26), (0x600B4830, 0b111 << 23)),
    ESP32H2: _usual_fuses(0x600B0800),
    ESP32P4: _usual_fuses(0x5012D000),
}


# UART_CLKDIV and UART_CONF0 (soc/uart_reg.h). Where the console runs on the 1 MHz REF_TICK, which
# divides to none of the usual rates, bit 27 of UART_CONF0 gives it the APB's 80 MHz. Chips since
# the ESP32-C6 keep their UARTs in a clock domain of their own: UART_REG_UPDATE. What an ESP8266
# inflates at 80 MHz is about the bytes of 921600 baud, with nothing in hand: so that is not tried.
_RATES = {
    ESP8266: RateRegisters(divider=0x60000014, sixteenths=False, highest=460_800),
    ESP32: RateRegisters(
        divider=0x3FF40014, fast_clock=(0x3FF40020, 1 << 27, 80_000_000), highest=921_600
    ),
    ESP32S2: RateRegisters(
        divider=0x3F400014, fast_clock=(0x3F400020, 1 << 27, 80_000_000), highest=921_600
    ),
    ESP32S3: RateRegisters(divider=0x60000014, highest=921_600),
    ESP32C2: RateRegisters(divider=0x60000014, highest=921_600),
    ESP32C3: RateRegisters(divider=0x60000014, highest=921_600),
    ESP32C5: RateRegisters(divider=0x60000014, commit=0x60000098, highest=921_600),
    ESP32C6: RateRegisters(divider=0x60000014, commit=0x60000098, highest=921_600),
    ESP32C61: RateRegisters(divider=0x60000014, commit=0x60000098, highest=921_600),
    ESP32H2: RateRegisters(divider=0x60000014, commit=0x60000098, highest=921_600),
    ESP32P4: RateRegisters(divider=0x500CA014, commit=0x500CA098, highest=921_600),
}


def rate_registers(chip: Chip) -> RateRegisters | None:
    """How a REPL on UART0 is made faster."""
    return _RATES.get(chip)


def security_fuses(chip: Chip) -> tuple[tuple[int, int], ...]:
    """Addresses and bits that are not 0 where secure boot or flash encryption was ever on: as far
    as a board can be proved by its REPL. None on an ESP8266, which has neither."""
    return () if chip == ESP8266 else _FUSES[chip]


def paces(chip: Chip) -> tuple[Pace, ...]:
    """How a stream may be cut for a chip, the best first."""
    return ESP8266_PACES if chip == ESP8266 else ESP32_PACES
