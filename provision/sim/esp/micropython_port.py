"""What a MicroPython of a given chip and version says of itself and what it offers.

From the sources of the ports' releases: the fields of sys.implementation and os.uname, the file
that the first boot writes, modules that came with a version, the heap.
"""

from __future__ import annotations

from collections.abc import Mapping

from provision.core.chips.esp.boot import Bootable
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
    RISCV,
)
from provision.core.chips.esp.filesystem_place import filesystem_place
from provision.core.chips.esp.image import size_bytes
from provision.core.chips.esp.partition_table import Partition
from provision.model.firmware import FilesystemPlace
from provision.model.language import record
from provision.model.state import FirmwareIdentity
from provision.sim.chip.flash import Flash
from provision.sim.chip.model import DriverView
from provision.sim.chip.said import SpeakingPort
from provision.sim.esp.chips import FACTS
from provision.sim.esp.efuses import read_efuses
from provision.sim.esp.firmware import MACHINES
from provision.sim.esp.old_driver import OldDriverView
from provision.sim.setup import BoardSetup, ResetCause

# The native-code architecture in sys.implementation._mpy (py/persistentcode.h).
_XTENSA, _XTENSAWIN, _RV32IMC = 9, 10, 11

# Chips with a register bit that makes them start in download mode (ports/esp32/mpconfigport.h).
_FORCED_DOWNLOAD = frozenset({ESP32S2, ESP32S3, ESP32C2, ESP32C3, ESP32P4})

NO_WIFI = frozenset({ESP32H2, ESP32P4})

# Bytes that gc.mem_free() reports at the prompt of the generic builds, without PSRAM. Of the C2,
# C5, C61, H2 and P4 no measurement was found: estimates, by their RAM. MicroPython begins with
# 36 KB on a C2 and 64 KB on the others, and counts what it may still take from ESP-IDF's heap
# (ports/esp32/mpconfigport.h and gccollect.c).
_FREE = {
    ESP8266: 36 << 10,
    ESP32: 160 << 10,
    ESP32S2: 110 << 10,
    ESP32S3: 220 << 10,
    ESP32C2: 110 << 10,
    ESP32C3: 190 << 10,
    ESP32C5: 180 << 10,
    ESP32C6: 220 << 10,
    ESP32C61: 160 << 10,
    ESP32H2: 150 << 10,
    ESP32P4: 300 << 10,
}
# Objects of the 64-bit unix port are twice as large as the chips'.
_WORDS = 2
# What the onboard modules take of the heap, and the garbage collector for its own tables.
_ONBOARD_HEAP = {True: 57 << 10, False: 61 << 10}  # by whether it is an ESP8266
_OVERHEAD = 1.012

_EPOCH = 946684800  # 2000-01-01, in seconds since 1970

# Seconds until an ESP8266 that loops without end is restarted.
_SOFT_WATCHDOG = 3.2

# The first release whose driver writes LittleFS' disk version 2.1, as the interpreter's own does.
_LITTLEFS_2_1 = (1, 22)

_BOOT_PY_ESP32 = """\
# This file is executed on every boot (including wake-boot from deepsleep)
#import esp
#esp.osdebug(None)
#import webrepl
#webrepl.start()
"""
_BOOT_PY_ESP8266 = """\
# This file is executed on every boot (including wake-boot from deepsleep)
#import esp
#esp.osdebug(None)
import {os}, machine
#{os}.dupterm(None, 1) # disable REPL on UART(0)
import gc
#import webrepl
#webrepl.start()
gc.collect()
"""


@record
class EspPort(SpeakingPort):
    """One firmware, as flashed; see `MicroPythonPort`. `found` is where it lies in `flash`."""

    identity: FirmwareIdentity
    found: Bootable
    setup: BoardSetup
    flash: Flash

    @property
    def esp8266(self) -> bool:
        return self.identity.chip == ESP8266

    @property
    def platform(self) -> str:
        return "esp8266" if self.esp8266 else "esp32"

    @property
    def architecture(self) -> int:
        """Of its native code."""
        if self.esp8266:
            return _XTENSA
        if self.identity.chip in RISCV:
            return _RV32IMC if self.version >= (1, 24) else 0
        return _XTENSAWIN

    @property
    def implementation(self) -> list[tuple[str, object]]:
        return self.said.implementation(
            architecture=self.architecture,
            build=self.said.build(MACHINES.items()),
            thread=None if self.esp8266 else "GIL",
        )

    @property
    def uname(self) -> list[tuple[str, object]]:
        """An ESP8266's release is that of the vendor's SDK."""
        return self.said.uname(self.platform, "2.2.0-dev(9422289)" if self.esp8266 else None)

    @property
    def small(self) -> bool:
        """The build for 512 KB of flash, without filesystem and many modules."""
        return "(512K)" in self.identity.machine

    @property
    def hidden(self) -> list[str]:
        """Modules of the unix port that this firmware does not have and programs look for."""
        hidden = []
        if self.version < (1, 21) or self.small:
            hidden.append("deflate")
        if self.version < (1, 23):
            hidden.append("vfs")
        return hidden

    @property
    def bootloader(self) -> bool:
        """Whether there is machine.bootloader()."""
        return self.identity.chip in _FORCED_DOWNLOAD and self.version >= (1, 23)

    @property
    def wlan(self) -> bool:
        """Whether there is network.WLAN: not without Wi-Fi in the chip or beside it."""
        return self.identity.chip not in NO_WIFI or "wifi" in self.identity.machine.lower()

    @property
    def boot_py(self) -> str:
        if not self.esp8266:
            return _BOOT_PY_ESP32
        return _BOOT_PY_ESP8266.format(os="os" if self.version >= (1, 21) else "uos")

    @property
    def heap(self) -> int:
        """Bytes of heap for the unix port, so that twice the chip's memory is free at the prompt:
        its own measure (`setup.heap` if given) and any PSRAM."""
        setup = self.setup
        free = setup.heap if setup.heap is not None else _FREE[setup.chip] + setup.psram
        return int((free * _WORDS + _ONBOARD_HEAP[self.esp8266]) * _OVERHEAD)

    @property
    def panic(self) -> tuple[bytes, float | None]:
        # `nlr_jump_fail` of either port: nothing was there to take a MemoryError of the REPL's own.
        if self.esp8266:
            return b"NLR jump failed\r\n", _SOFT_WATCHDOG
        return b"NLR jump failed, val=0x3ffc4d20\r\n", 0.0

    @property
    def place(self) -> FilesystemPlace | None:
        return filesystem_place(
            self.identity,
            self.found.partitions,
            flash_size=self.flash.size,
            header_size=size_bytes(self.found.boot.flash_size),
        )

    def driver_view(self) -> DriverView | None:
        place = self.place
        if place is None or self.version >= _LITTLEFS_2_1:
            return None
        return OldDriverView(self.flash, place, self.setup.directory)

    def before_banner(self, *, soft_reset: bool) -> bytes:
        if not self.esp8266:
            return b""
        # This port's REPL starts as if Ctrl-B had been typed.
        return b"\r\n" if soft_reset else b"\r\n\r\n"

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
        header = size_bytes(self.found.boot.flash_size)
        esp8266 = self.esp8266
        seen = header if esp8266 and header is not None else self.flash.size
        place = self.place
        partitions = list(self.found.partitions)
        label = "vfs"
        if place is not None and not esp8266 and all(part.name != label for part in partitions):
            partitions.append(
                Partition(name=label, type=1, subtype=0x81, offset=place.offset, size=place.size)
            )
        mac = self.setup.mac_bytes
        paths = ["", ".frozen", "/lib"]
        running = next(
            (part.name for part in partitions if part.offset == self.found.app.offset), ""
        )
        return {
            "mark": mark.hex(),
            "platform": self.platform,
            "implementation": self.implementation,
            "sys_version": self.said.sys_version,
            "uname": self.uname,
            "hidden": self.hidden,
            "boot_interruptible": self.version < (1, 21),
            "files_before_sys": self.version < (1, 21),
            "buffer": not self.small,
            "path": [*paths, "/"] if esp8266 else paths,
            "boot_py": self.boot_py,
            "cause": cause.value if cause is not None else "soft",
            "raw": raw,
            "flash": str(self.flash.path),
            "view": str(view.path) if view is not None else None,
            "control": control,
            "size": self.flash.size,
            "header_size": seen,
            "flash_id": self.flash.jedec_id,
            "user_start": _user_start(seen) if esp8266 else 0x200000,
            "filesystem": None if place is None else [place.offset, place.size, label],
            "partitions": [
                [part.type, part.subtype, part.offset, part.size, part.name, False]
                for part in partitions
            ],
            "running": running,
            "mac": list(mac),
            "uart": dict(uart),
            "uart_commit": FACTS[self.setup.chip].uart.commit,
            "fuses": FACTS[self.setup.chip].fuses(read_efuses(self.setup.directory)),
            "unique_id": [mac[5], mac[4], mac[3], 0] if esp8266 else list(mac),
            "hostname": f"mpy-{self.platform}",
            "access_point": f"MicroPython-{mac[3:].hex()}" if esp8266 else f"ESP_{mac[3:].hex()}",
            "wlan": self.wlan,
            "rtc": list(rtc),
            "clock": clock,
            "clock_start": 0,
            "epoch": _EPOCH,
            "bootloader": self.bootloader,
            "ring_io": self.version >= (1, 24),
        }


def _user_start(size: int) -> int:
    return 0x100000 if size >= 2 << 20 else 0x98000
