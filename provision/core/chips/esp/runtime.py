"""What a running MicroPython on these chips needs: how fast it may be fed, where its eFuses are."""

from __future__ import annotations

from provision.core.chips.esp.chips import ESP32, ESP32C3, ESP32C6, ESP32S2, ESP32S3, ESP8266
from provision.core.chips.family import Pace
from provision.model.chip import Chip

RESET_BANNER = b"\nrst:0x"
"""How the boot ROM of an ESP32 says why it starts, on a line of its own: in a file's name, as the
board tells it, no line ends. An ESP8266's speaks at another rate."""

BOOT_FAILURES = (
    b"invalid header: 0x",
    b"No bootable app partitions",
    b"waiting for download",
    b"ets_main.c",
)

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

# Where each later chip has its eFuses; the offsets and bits are those of esptool's targets.
_EFUSES = {
    ESP32S2: 0x3F41A000,
    ESP32S3: 0x60007000,
    ESP32C3: 0x60008800,
    ESP32C6: 0x600B0800,
}
_ESP32_EFUSES = 0x3FF5A000


def security_fuses(chip: Chip) -> tuple[tuple[int, int], ...]:
    """Addresses and bits that are not 0 where secure boot or flash encryption was ever on: as far
    as a board can be proved by its REPL. None on an ESP8266, which has neither."""
    if chip == ESP8266:
        return ()
    if chip == ESP32:
        return ((_ESP32_EFUSES + 0x18, 0b11 << 4), (_ESP32_EFUSES, 0x7F << 20))
    return ((_EFUSES[chip] + 0x38, 1 << 20), (_EFUSES[chip] + 0x34, 0b111 << 18))


def paces(chip: Chip) -> tuple[Pace, ...]:
    """How a stream may be cut for a chip, the best first."""
    return ESP8266_PACES if chip == ESP8266 else ESP32_PACES
