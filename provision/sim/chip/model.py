"""What a virtual board asks of its kind of chip: all that differs between one chip and another.

Board and application are the same for every chip; a family of chips implements `ChipModel` in a
folder of its own (`provision/sim/esp`) and is listed in `provision/sim/families.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Protocol

from provision.model.firmware import FilesystemPlace
from provision.model.language import record
from provision.sim.chip.flash import Flash
from provision.sim.event_loop import EventLoop
from provision.sim.line.noise import Noise
from provision.sim.line.uart import UartFacts
from provision.sim.line.wire import Fifo
from provision.sim.setup import BoardSetup, ResetCause, ResetRequest, Send


class Loader(Protocol):
    """One stay in download mode; made anew at every reset into it."""

    @property
    def synced(self) -> bool:
        """Whether it has found out at which rate the host speaks."""
        ...

    @property
    def stub(self) -> bool:
        """Whether a program that the host loaded answers in the ROM's place."""
        ...

    @property
    def volume(self) -> Path | None:
        """The folder that stands for the volume that the host sees; None where it sees none."""
        ...

    def receive(self, data: bytes) -> None: ...
    def halt(self) -> None: ...


class DriverView(Protocol):
    """The filesystem as a firmware's driver sees it, where the interpreter that runs in its place
    has another: a file that the onboard modules work on for one run of the interpreter."""

    @property
    def path(self) -> Path: ...

    def settle(self, answer: bytes = b"") -> None:
        """Have in flash what the firmware's driver would have written by now. `answer` goes to a
        program that waits for that."""
        ...

    def close(self) -> None:
        """The run is over."""
        ...


class MicroPythonPort(Protocol):
    """A MicroPython as it was flashed: its version, on its chip."""

    @property
    def banner(self) -> bytes:
        """As the REPL prints it, line end included."""
        ...

    @property
    def panic(self) -> tuple[bytes, float | None]:
        """What is printed when the interpreter crashes, and the seconds until a reset ends that:
        by a watchdog, or 0 by the firmware itself. None where nothing ends it."""
        ...

    @property
    def heap(self) -> int:
        """Bytes of heap for the unix port that runs in its place."""
        ...

    def before_banner(self, *, soft_reset: bool) -> bytes:
        """What the REPL prints before its banner when it starts."""
        ...

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
        """Everything that the onboard modules must know; `cause` is None after a soft reset,
        `mark` starts a frame to the supervisor, `control` is the file of its orders, `rtc` the
        memory that deep sleep leaves alone, `clock` when the chip's clock stood at nought, `uart`
        the registers of the console's UART."""
        ...

    def driver_view(self) -> DriverView | None:
        """For the next run of the interpreter; None where its driver is the firmware's."""
        ...


class Touch(Enum):
    """How a program on a chip with its own USB is told to leave for download mode by its port
    alone: at 1200 baud."""

    NONE = "none"
    RATE = "rate"  # as soon as the host has set it
    HANG_UP = "hang-up"  # when the host lets DTR and RTS go


@record
class Started:
    """The chip has come to an application. `output` is what it printed until then; `port` is None
    for an application that is not MicroPython."""

    output: bytes
    port: MicroPythonPort | None
    touch: Touch = Touch.NONE


@record(kw_only=False)
class Crashed:
    """The chip has jumped into what is no program: nothing is heard of it until it is reset."""


@record
class FailedStart:
    """One way through the ROM that ends in a reset: what is printed (all at the ROM's baud), and
    the seconds until the next attempt."""

    output: bytes
    seconds: float


class ChipModel(Protocol):
    """One chip."""

    @property
    def native_usb(self) -> bool:
        """Whether its port is the running program's own: there once that has its USB up, gone with
        the program, held back instead of overrun."""
        ...

    @property
    def straps_at_every_start(self) -> bool:
        """Whether it looks at its boot strap when a program restarts it, too."""
        ...

    @property
    def boot_baud(self) -> int:
        """The rate at which the ROM prints."""
        ...

    @property
    def uart(self) -> UartFacts | None:
        """The UART that its console is on; None for one on its own USB."""
        ...

    @property
    def program_unit(self) -> int:
        """Bytes that MicroPython's LittleFS programs at once."""
        ...

    @property
    def fifo(self) -> Fifo:
        """How its UART hands on what it hears while MicroPython runs."""
        ...

    @property
    def receive_ring(self) -> int:
        """Bytes that MicroPython's receive ring takes before it drops what is not read."""
        ...

    def waits_in_download(self, flash: Flash) -> bool:
        """Whether a chip with this flash goes to download mode by itself."""
        ...

    def start(
        self, setup: BoardSetup, flash: Flash, cause: ResetCause, *, first: bool
    ) -> Started | FailedStart | Crashed:
        """Boot what the flash holds, `first` after `cause`, else after an attempt that failed."""
        ...

    def download_banner(self, cause: ResetCause) -> bytes:
        """What the ROM prints when it goes to download mode."""
        ...

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
        """Download mode, from reset on. `noise` is for a chip that is not reached by its port."""
        ...

    def download_serial(self, setup: BoardSetup) -> str | None:
        """The USB serial number that it shows in download mode; None where it shows none."""
        ...

    # What is put into the flash past every protocol, while the board does not run.

    def install(self, flash: Flash, image: bytes) -> None:
        """Write a release image where a flasher would; ValueError for one that does not fit."""
        ...

    def foreign_image(self, flash_size: int) -> bytes:
        """A sound image that is not MicroPython."""
        ...

    def machine(self, board: str | None, flash_size: int | None) -> str:
        """What a release of that name says of its board in its banner, or the name itself where it
        is of no release; the generic release's without one. ValueError for another chip's."""
        ...

    def image(
        self, version: str, *, machine: str, flash_size: int | None, date: str, size: int | None
    ) -> bytes:
        """A release image with invented content; UsageError for what cannot be one."""
        ...

    def break_application(self, flash: Flash) -> None:
        """Clear one bit of the application, so that the chip does not start it."""
        ...

    def filesystem_place(self, setup: BoardSetup, flash: Flash) -> FilesystemPlace:
        """Where the firmware has its filesystem; SimulatorError when nothing there boots or what
        boots has none."""
        ...
