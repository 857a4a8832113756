"""What a chip prints between reset and application, and what it does when there is none.

Read from boards and from an emulator that runs the real mask ROM. When an image cannot boot, the
chip prints why and resets: after its watchdog's time if the ROM gave up, at once if the
second-stage bootloader or the application did.
"""

from __future__ import annotations

from provision.core.chips.esp.boot import Bootable, NotBootable
from provision.core.chips.esp.chips import (
    ESP32,
    ESP32C5,
    ESP32C6,
    ESP32C61,
    ESP32H2,
    ESP32P4,
    ESP8266,
)
from provision.core.chips.esp.image import EspImage, size_bytes
from provision.model.chip import Chip
from provision.sim.chip.flash import Flash
from provision.sim.chip.model import FailedStart
from provision.sim.esp.chips import FACTS
from provision.sim.setup import ResetCause

# Seconds until a chip starts again. The ROM's watchdog is what the logs of boot-looping boards
# suggest, the bootloader's reset comes as soon as it has printed its complaint.
WATCHDOG_SECONDS = {ESP8266: 8.2}
_WATCHDOG = 0.4
_RESET = 0.1
_ROM_REPEATS = 8  # how often the ROM complains before the watchdog ends it

_BOOTLOADER_CAUSES = {
    ESP32: "0x3 (SW_RESET)",
    **dict.fromkeys((ESP32C5, ESP32C6, ESP32C61, ESP32H2), "0x3 (LP_SW_HPSYS)"),
    ESP32P4: "0x3 (SW_SYS_RESET)",
}
_WATCHDOG_CAUSES = {
    ESP32: "0x10 (RTCWDT_RTC_RESET)",
    **dict.fromkeys((ESP32C5, ESP32C6, ESP32C61, ESP32H2), "0x7 (TG0_WDT_HPSYS)"),
    ESP32P4: "0x7 (HP_SYS_HP_WDT_RESET)",
}
_BRIEF = frozenset({ESP32C5, ESP32C61, ESP32P4})  # whose ROM says nothing of the SPI pins


def boot_lines(chip: Chip, image: EspImage) -> bytes:
    """What the ROM prints while it loads `image`."""
    mode = image.flash_mode.upper()
    if chip == ESP8266:
        lines = []
        for segment in image.segments:
            lines.append(f"load 0x{segment.address:08x}, len {segment.size}, room 16 ")
            lines += [f"tail {segment.size % 16}", f"chksum 0x{image.checksum:02x}"]
        lines.append(f"csum 0x{image.checksum:02x}")
    elif chip == ESP32:
        lines = [
            "configsip: 0, SPIWP:0xee",
            "clk_drv:0x00,q_drv:0x00,d_drv:0x00,cs0_drv:0x00,hd_drv:0x00,wp_drv:0x00",
            f"mode:{mode}, clock div:2",
        ]
        for number, segment in enumerate(image.segments):
            if number:
                lines.append(f"ho 0 tail {segment.size % 16} room 4")
            lines.append(f"load:0x{segment.address:08x},len:{segment.size}")
        lines.append(f"entry 0x{image.entry:08x}")
    else:
        lines = ["SPIWP:0xee", f"mode:{mode}, clock div:1"]
        if chip in _BRIEF:
            lines = [f"SPI mode:{mode}, clock div:1"]
        lines += [f"load:0x{part.address:08x},len:0x{part.size:x}" for part in image.segments]
        lines.append(f"entry 0x{image.entry:08x}")
    return "".join(line + "\r\n" for line in lines).encode()


def failed_boot(chip: Chip, found: NotBootable, cause: ResetCause, *, first: bool) -> FailedStart:
    """An attempt to boot what cannot; `first` after `cause`, else after the one before."""
    facts = FACTS[chip]
    if first:
        banner = facts.rom_banner(cause, download=False).decode()
    elif chip == ESP8266:
        dead = found.stage == "rom"
        banner = facts.banner.format(cause="4" if dead else "2", mode=facts.run_mode)
        banner += "wdt reset\r\n" if dead else ""
    elif found.stage == "rom":
        again = _WATCHDOG_CAUSES.get(chip, "0x7 (TG0WDT_SYS_RST)")
        banner = facts.banner.format(cause=again, mode=facts.run_mode)
    else:
        again = _BOOTLOADER_CAUSES.get(chip, "0x3 (RTC_SW_SYS_RST)")
        banner = facts.banner.format(cause=again, mode=facts.run_mode)
    complaint = list(found.complaint)
    if found.stage == "rom" and chip != ESP8266:
        complaint *= _ROM_REPEATS
        if facts.chip != ESP32 and not first:
            complaint.insert(0, "Saved PC:0x4004d1f8")
    elif found.stage == "bootloader":
        complaint = [
            line.replace("E ", f"E ({40 + 6 * number}) ", 1) if line.startswith("E ") else line
            for number, line in enumerate(complaint)
        ]
    text = banner + "".join(line + "\r\n" for line in complaint)
    seconds = _RESET if found.stage != "rom" else WATCHDOG_SECONDS.get(chip, _WATCHDOG)
    return FailedStart(output=text.encode(), seconds=seconds)


def calibration_fault(found: Bootable, flash: Flash) -> NotBootable | None:
    """An ESP8266 whose header names more than 4 MB looks for its radio's calibration at the end
    of that, and loops when nothing was ever written there."""
    size = size_bytes(found.boot.flash_size)
    if found.boot.chip != ESP8266 or size is None or size <= 4 << 20:
        return None
    place = size - 0x4000
    if place + 1 <= flash.size and flash.read(place, 1) == b"\x05":
        return None
    return NotBootable(
        stage="app",
        complaint=("rf_cal[0] !=0x05,is 0xFF",) * 3,
        message="there is no esp_init_data where the flash size in the image's header puts it",
    )
