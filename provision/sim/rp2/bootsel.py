"""BOOTSEL: the boot ROM's volume, and what it does with what a host copies onto it.

No serial port is there. The volume is a folder in the board's own (`volume_folder`); the ROM
erases, programs and at last resets as `uf2_receiver` says. When the chip leaves BOOTSEL, the volume
is gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from provision.sim.chip.flash import Flash, PowerLost
from provision.sim.event_loop import EventLoop, Timer
from provision.sim.line.noise import Noise
from provision.sim.paths import VOLUMES
from provision.sim.rp2.chips import ChipFacts
from provision.sim.rp2.uf2_receiver import Page, Uf2Receiver
from provision.sim.rp2.volume_folder import VolumeFolder
from provision.sim.setup import BoardSetup, ResetKind, ResetRequest

_AT_A_TIME = 256  # sectors, between two looks at everything else
_HIGH_SPEED_BAUD = 480_000_000  # what noise takes the USB for

_INDEX = (
    '<html><head><meta http-equiv="refresh" content="0;URL='
    "'https://raspberrypi.com/device/RP2?version={version}'\"/></head><body>Redirecting to "
    "<a href='https://raspberrypi.com/device/RP2?version={version}'>raspberrypi.com</a>"
    "</body></html>"
)


def volume_path(facts: ChipFacts, directory: Path) -> Path:
    """The folder that is there while a board, whose own folder is `directory`, is in BOOTSEL."""
    return directory / VOLUMES / facts.label


class Bootsel:
    """One stay in BOOTSEL; see `Loader`."""

    synced = True  # no baud
    stub = False

    def __init__(
        self,
        *,
        facts: ChipFacts,
        setup: BoardSetup,
        flash: Flash,
        loop: EventLoop,
        noise: Noise,
        request_reset: Callable[[ResetRequest], None],
    ) -> None:
        self._facts = facts
        self._setup = setup
        self._flash = flash
        self._loop = loop
        self._noise = noise
        self._request_reset = request_reset
        self._receiver = Uf2Receiver(facts)
        self._sectors: Iterator[bytes] | None = None
        self._timer: Timer | None = None
        version = facts.bootsel_serial or setup.serial[-12:]
        files = {
            "INDEX.HTM": _INDEX.format(version=version).encode(),
            "INFO_UF2.TXT": facts.info.encode(),
        }
        self._volume: VolumeFolder | None = VolumeFolder(
            volume_path(facts, setup.directory), files, loop=loop, on_write=self._written
        )

    @property
    def volume(self) -> Path | None:
        return self._volume.path if self._volume else None

    def receive(self, data: bytes) -> None:
        """Nothing comes by a serial port: there is none."""

    def halt(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._volume:
            self._volume.close()
            self._volume = None

    def _written(self) -> None:
        if self._timer is None:
            self._work()

    def _work(self) -> None:
        """Take the sectors that have come, one after the other, each for as long as the flash
        needs for it."""
        self._timer = None
        for _ in range(_AT_A_TIME):
            sector = self._next()
            if sector is None:
                return
            page = self._receiver.take(sector)
            if page is None:
                continue
            try:
                seconds = self._write(page)
            except PowerLost:
                return
            if self._volume is None:
                return
            if self._receiver.complete:
                self._reset_later()
                return
            if seconds:
                self._timer = self._loop.after(seconds, self._work)
                return
        self._timer = self._loop.after(0, self._work)

    def _next(self) -> bytes | None:
        """The next sector that reaches the chip whole."""
        while self._volume is not None:
            if self._sectors is None:
                self._sectors = self._volume.sectors()
            sector = next(self._sectors, None)
            if sector is None:
                self._sectors = None
                return None
            arrived = self._noise.to_chip(sector, _HIGH_SPEED_BAUD)
            if len(arrived) == len(sector):
                return arrived
        return None

    def _write(self, page: Page) -> float:
        """Seconds that it takes. What lies beyond the flash's size comes in at its beginning: a
        flash chip has no more address lines than it needs."""
        if page.offset is None:
            return 0.0
        size, seconds = self._flash.size, 0.0
        if page.erase is not None:
            seconds += self._flash.erase_sector(page.erase % size)
        seconds += self._flash.program(page.offset % size, page.data)
        return seconds * self._setup.timing / self._setup.scale

    def _reset_later(self) -> None:
        """The volume stays for a moment, and takes nothing more."""
        kind = ResetKind.RAM if self._receiver.ram else ResetKind.RESET
        seconds = self._facts.reboot_after / self._setup.scale if self._setup.timing else 0.0
        self._timer = self._loop.after(
            seconds, lambda: self._request_reset(ResetRequest(kind=kind))
        )
