"""Raspberry Pi's chips as a virtual board asks for them: `ChipModel` for each."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from provision.core.chips.rp2.memory import PAGE, SECTOR
from provision.errors import SimulatorError
from provision.model.chip import Chip
from provision.model.firmware import FilesystemPlace
from provision.model.language import record
from provision.sim.chip.flash import Flash
from provision.sim.chip.model import Crashed, FailedStart, Started, Touch
from provision.sim.event_loop import EventLoop
from provision.sim.line.noise import Noise
from provision.sim.line.uart import UartFacts
from provision.sim.line.wire import POLLED, Fifo
from provision.sim.rp2.bootsel import Bootsel
from provision.sim.rp2.chips import FACTS, ChipFacts
from provision.sim.rp2.firmware import RELEASES, build, default_machine, read_uf2
from provision.sim.rp2.micropython_port import Rp2Port
from provision.sim.rp2.program import program_in, starts
from provision.sim.setup import CONSOLE_BAUD, BoardSetup, ResetCause, ResetRequest, Send

# The only board of MicroPython's that is built to leave for BOOTSEL at 1200 baud.
_TOUCHED_BOARD = "Arduino Nano RP2040 Connect"


@record(kw_only=False)
class Rp2Model:
    """One chip; see `ChipModel`."""

    facts: ChipFacts

    native_usb = True
    straps_at_every_start = True
    uart: UartFacts | None = None
    boot_baud = CONSOLE_BAUD  # the ROM prints nothing
    fifo: Fifo = POLLED
    program_unit = PAGE
    receive_ring = 511  # MICROPY_HW_STDIN_BUFFER_LEN, less the byte that tells full from empty

    def waits_in_download(self, flash: Flash) -> bool:
        with flash.whole() as view:
            return not starts(view, self.facts.chip)

    def start(
        self, setup: BoardSetup, flash: Flash, cause: ResetCause, *, first: bool
    ) -> Started | FailedStart | Crashed:
        with flash.whole() as view:
            program = program_in(view, self.facts.chip)
        if not program.whole:
            return Crashed()
        if program.identity is None:
            if not program.usb_stdio:
                return Crashed()  # as far as a host can tell
            return Started(output=b"", port=None, touch=Touch.RATE)
        port = Rp2Port(
            identity=program.identity, place=program.filesystem, setup=setup, flash=flash
        )
        touched = _TOUCHED_BOARD in program.identity.machine
        return Started(output=b"", port=port, touch=Touch.HANG_UP if touched else Touch.NONE)

    def download_banner(self, cause: ResetCause) -> bytes:
        return b""

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
    ) -> Bootsel:
        return Bootsel(
            facts=self.facts,
            setup=setup,
            flash=flash,
            loop=loop,
            noise=noise,
            request_reset=request_reset,
        )

    def download_serial(self, setup: BoardSetup) -> str | None:
        return self.facts.bootsel_serial or setup.serial.upper()

    def install(self, flash: Flash, image: bytes) -> None:
        """Whole sectors around each page are erased, as BOOTSEL does it."""
        pages = read_uf2(image)
        if any(offset < 0 or offset + len(page) > flash.size for offset, page in pages):
            raise ValueError(f"it has blocks beyond the {flash.size} bytes of flash")
        for sector in sorted({offset // SECTOR for offset, _ in pages}):
            flash.erase_sector(sector * SECTOR)
        for offset, page in pages:
            flash.program(offset, page)

    def foreign_image(self, flash_size: int) -> bytes:
        return build(self.facts.chip, "1.0", flash_size=flash_size, micropython=False)

    def machine(self, board: str | None, flash_size: int | None) -> str:
        if board is None:
            return default_machine(self.facts.chip)
        name, _, variant = board.partition("-")
        release = RELEASES.get((name, variant or None))
        if release is None:
            return board
        if f" with {self.facts.chip.label}" not in release.machine:
            raise ValueError(f"{board} is not a release for the {self.facts.chip.label}")
        return release.machine

    def image(
        self, version: str, *, machine: str, flash_size: int | None, date: str, size: int | None
    ) -> bytes:
        return build(
            self.facts.chip,
            version,
            machine=machine,
            flash_size=flash_size,
            date=date,
            size=size,
        )

    def break_application(self, flash: Flash) -> None:
        """One bit behind what the ROM looks at."""
        with flash.whole() as view:
            if not starts(view, self.facts.chip):
                return
        for place in range(0x1000, flash.size):
            byte = flash.read(place, 1)[0]
            if byte:
                flash.program(place, bytes([byte & byte - 1]))
                return

    def filesystem_place(self, setup: BoardSetup, flash: Flash) -> FilesystemPlace:
        with flash.whole() as view:
            program = program_in(view, self.facts.chip) if starts(view, self.facts.chip) else None
        if program is None or program.identity is None:
            raise SimulatorError(
                f"the virtual board {setup.name} has no MicroPython that starts, so no filesystem",
                hint="install a firmware first (`provision sim firmware` builds one)",
            )
        if program.filesystem is None:
            raise SimulatorError(
                f"the firmware of the virtual board {setup.name} has no filesystem",
                hint="install one that has",
            )
        return program.filesystem


MODELS: Mapping[Chip, Rp2Model] = {chip: Rp2Model(facts) for chip, facts in FACTS.items()}
