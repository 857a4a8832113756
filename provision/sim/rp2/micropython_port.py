"""What a MicroPython on an RP2040 or RP2350 says of itself and what it offers.

From the sources of ports/rp2, releases 1.19 to 1.29.
"""

from __future__ import annotations

from collections.abc import Mapping

from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.core.chips.rp2.memory import XIP_BASE
from provision.model.firmware import FilesystemPlace
from provision.model.language import record
from provision.model.state import FirmwareIdentity
from provision.sim.chip.flash import Flash
from provision.sim.chip.model import DriverView
from provision.sim.chip.said import SpeakingPort
from provision.sim.rp2.firmware import RELEASES
from provision.sim.setup import BoardSetup, ResetCause

# The native-code architecture in sys.implementation._mpy (py/persistentcode.h).
_ARMV6M, _ARMV7EMSP, _RV32IMC = 4, 7, 11

# Bytes that gc.mem_free() reports at the prompt: most of the RAM, less where there is a radio.
_FREE = {RP2040: 228 << 10, RP2350: 472 << 10}
_RADIO = 40 << 10
# Objects of the 64-bit unix port are twice as large as the chips'.
_WORDS = 2
# What the onboard modules take of the heap, and the garbage collector for its own tables.
_ONBOARD_HEAP = 57 << 10
_OVERHEAD = 1.012

_FREQUENCY = {RP2040: 125_000_000, RP2350: 150_000_000}
_LONGEST_WATCHDOG = {RP2040: 8388, RP2350: 16777}  # milliseconds; since 1.21 the first was 8388

# Seconds since 1970 that the clock shows when the chip starts: 2021-01-01.
_CLOCK_START = 1609459200

# Releases since which USB comes up after boot.py has run, and not before.
_USB_AFTER_BOOT = (1, 23)


@record
class Rp2Port(SpeakingPort):
    """One firmware, as flashed, with its filesystem's place; see `MicroPythonPort`."""

    identity: FirmwareIdentity
    place: FilesystemPlace | None
    setup: BoardSetup
    flash: Flash

    @property
    def radio(self) -> bool:
        """Whether it was built for a board with Wi-Fi."""
        board = self.identity.machine.split(" with ")[0]
        return board.endswith(" W") or "Nano RP2040 Connect" in board

    @property
    def architecture(self) -> int:
        """Of its native code."""
        if self.identity.chip == RP2040:
            return _ARMV6M
        return _RV32IMC if self.identity.machine.endswith("-RISCV") else _ARMV7EMSP

    @property
    def implementation(self) -> list[tuple[str, object]]:
        releases = ((name, release.machine) for name, release in RELEASES.items())
        return self.said.implementation(
            architecture=self.architecture, build=self.said.build(releases), thread="unsafe"
        )

    @property
    def hidden(self) -> list[str]:
        """Modules of the unix port that this firmware does not have and programs look for."""
        hidden = [] if self.radio else ["network", "socket", "ssl"]
        if self.version < (1, 21):
            hidden.append("deflate")
        if self.version < (1, 23):
            hidden.append("vfs")
        return hidden

    @property
    def heap(self) -> int:
        setup = self.setup
        free = setup.heap
        if free is None:
            free = _FREE[setup.chip] - (_RADIO if self.radio else 0) + setup.psram
        return int((free * _WORDS + _ONBOARD_HEAP) * _OVERHEAD)

    @property
    def panic(self) -> tuple[bytes, float | None]:
        # `nlr_jump_fail`: it stops for a debugger, and nothing ends that.
        return b"FATAL: uncaught exception 2000b3c0\r\n", None

    def driver_view(self) -> DriverView | None:
        """An old release's own LittleFS driver is not modelled for these chips."""
        return None

    def before_banner(self, *, soft_reset: bool) -> bytes:
        return b""

    def onboard_config(
        self,
        *,
        cause: ResetCause | None,
        raw: bool,
        mark: bytes,
        control: str,
        rtc: bytes,
        clock: int,
        view: DriverView | None,
        uart: Mapping[int, int],
    ) -> dict[str, object]:
        place, mac, chip = self.place, self.setup.mac_bytes, self.setup.chip
        return {
            "mark": mark.hex(),
            "platform": "rp2",
            "implementation": self.implementation,
            "sys_version": self.said.sys_version,
            "uname": self.said.uname("rp2"),
            "hidden": self.hidden,
            "boot_interruptible": False,  # USB is not up yet, or Ctrl-C is not looked at
            "files_before_sys": self.version < (1, 21),
            "usb_after_boot": self.version >= _USB_AFTER_BOOT,
            "buffer": True,
            "path": ["", ".frozen", "/lib"],
            "cause": cause.value if cause is not None else "soft",
            "raw": raw,
            "flash": str(self.flash.path),
            "flash_base": XIP_BASE,
            "view": None,
            "control": control,
            "size": self.flash.size,
            "filesystem": None if place is None else [place.offset, place.size, "MicroPython"],
            "mac": list(mac),
            "uart": {},
            "uart_commit": None,
            "fuses": {},
            "unique_id": list(bytes.fromhex(self.setup.serial)),
            "hostname": self._hostname,
            "access_point": f"PICO{self.setup.serial[-4:]}",
            "rtc": list(rtc),
            "clock": clock,
            "clock_start": _CLOCK_START,
            "epoch": 0,
            "frequency": _FREQUENCY[chip],
            "longest_watchdog": _LONGEST_WATCHDOG[chip],
            "bootloader": True,
            "ring_io": self.version >= (1, 24),
        }

    @property
    def _hostname(self) -> str:
        return "Pico2W" if self.identity.chip == RP2350 else "PicoW"
