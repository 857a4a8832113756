"""Espressif's chips as a virtual board asks for them: `ChipModel` for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from provision.core.chips.esp.boot import Bootable, NotBootable, boot_of
from provision.core.chips.esp.chips import ESP8266
from provision.core.chips.esp.filesystem_place import filesystem_place
from provision.core.chips.esp.image import size_bytes
from provision.errors import SimulatorError
from provision.model.chip import Chip
from provision.model.firmware import FilesystemPlace
from provision.model.language import record
from provision.sim.chip.flash import Flash
from provision.sim.chip.model import FailedStart, Started
from provision.sim.esp.boot_output import boot_lines, calibration_fault, failed_boot
from provision.sim.esp.chips import FACTS, ChipFacts
from provision.sim.esp.efuses import read_efuses
from provision.sim.esp.firmware import MACHINES, build, default_machine
from provision.sim.esp.loader import Loader
from provision.sim.esp.micropython_port import EspPort
from provision.sim.event_loop import EventLoop
from provision.sim.line.noise import Noise
from provision.sim.line.uart import UartFacts
from provision.sim.line.wire import Fifo
from provision.sim.setup import BoardSetup, ResetCause, ResetRequest, Send

# Receive rings of the ports, less the byte that tells full from empty (ringbuf.h).
_RING = {ESP8266: 255}
_RING_ESP32 = 259


@record(kw_only=False)
class EspModel:
    """One chip; see `ChipModel`."""

    facts: ChipFacts

    native_usb = False  # a bridge's, or a peripheral's that the program does not run
    straps_at_every_start = False
    program_unit = 32

    @property
    def boot_baud(self) -> int:
        return self.facts.boot_baud

    @property
    def uart(self) -> UartFacts:
        return self.facts.uart

    @property
    def fifo(self) -> Fifo:
        return self.facts.fifo

    @property
    def receive_ring(self) -> int:
        return _RING.get(self.facts.chip, _RING_ESP32)

    def waits_in_download(self, flash: Flash) -> bool:
        """It tries again and again."""
        return False

    def start(
        self, setup: BoardSetup, flash: Flash, cause: ResetCause, *, first: bool
    ) -> Started | FailedStart:
        chip = self.facts.chip
        found = self._boot(flash, setup)
        if isinstance(found, Bootable):
            found = calibration_fault(found, flash) or found
        if not isinstance(found, Bootable):
            return failed_boot(chip, found, cause, first=first)
        output = self.facts.rom_banner(cause, download=False) + boot_lines(chip, found.boot)
        if found.identity is None:
            return Started(output=output, port=None)
        port = EspPort(identity=found.identity, found=found, setup=setup, flash=flash)
        return Started(output=output, port=port)

    def _boot(self, flash: Flash, setup: BoardSetup | None = None) -> Bootable | NotBootable:
        """What its ROM finds, where this chip's looks: the tool's own table is not asked."""
        revision = self.facts.revision(setup) if setup is not None else None
        start = self.facts.bootloader_offset
        with flash.whole() as view:
            return boot_of(view, self.facts.chip, start=start, revision=revision)

    def download_banner(self, cause: ResetCause) -> bytes:
        return self.facts.rom_banner(cause, download=True)

    def loader(
        self,
        *,
        setup: BoardSetup,
        flash: Flash,
        loop: EventLoop,
        noise: Noise,
        send: Send,
        baud: Callable[[], int],
        set_baud: Callable[[int], None],
        request_reset: Callable[[ResetRequest], None],
    ) -> Loader:
        return Loader(
            facts=self.facts,
            setup=setup,
            flash=flash,
            security=read_efuses(setup.directory),
            loop=loop,
            send=send,
            baud=baud,
            set_baud=set_baud,
            request_reset=request_reset,
        )

    def download_serial(self, setup: BoardSetup) -> str | None:
        return None

    def install(self, flash: Flash, image: bytes) -> None:
        flash.program(self.facts.bootloader_offset, image)

    def foreign_image(self, flash_size: int) -> bytes:
        return build(self.facts.chip, "1.0", flash_size=flash_size, micropython=False)

    def machine(self, board: str | None, flash_size: int | None) -> str:
        chip = self.facts.chip
        if board is None:
            return default_machine(chip, flash_size)
        name, _, variant = board.partition("-")
        machine = MACHINES.get((name, variant or None), board)
        if machine != board and not machine.replace("-", "").endswith(chip.name.upper()):
            raise ValueError(f"{board} is not a release for the {chip.label}")
        return machine

    def image(
        self, version: str, *, machine: str, flash_size: int | None, date: str, size: int | None
    ) -> bytes:
        return build(
            self.facts.chip, version, machine=machine, flash_size=flash_size, date=date, size=size
        )

    def break_application(self, flash: Flash) -> None:
        found = self._boot(flash)
        if not isinstance(found, Bootable):
            return  # it loops already
        segment = max(found.app.segments, key=lambda part: part.size)
        for place in range(segment.offset, segment.offset + segment.size):
            byte = flash.read(place, 1)[0]
            if byte:
                flash.program(place, bytes([byte & byte - 1]))
                return

    def filesystem_place(self, setup: BoardSetup, flash: Flash) -> FilesystemPlace:
        found = self._boot(flash, setup)
        if not isinstance(found, Bootable) or found.identity is None:
            raise SimulatorError(
                f"the virtual board {setup.name} has no MicroPython that boots, so no filesystem",
                hint="install a firmware first (`provision sim firmware` builds one)",
            )
        place = filesystem_place(
            found.identity,
            found.partitions,
            flash_size=flash.size,
            header_size=size_bytes(found.boot.flash_size),
        )
        if place is None:
            raise SimulatorError(
                f"the firmware of the virtual board {setup.name} has no LittleFS",
                hint="install MicroPython 1.13 or newer",
            )
        return place


MODELS: Mapping[Chip, EspModel] = {chip: EspModel(facts) for chip, facts in FACTS.items()}
