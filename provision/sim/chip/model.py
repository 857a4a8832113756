"""What a virtual board asks of its kind of chip: all that differs between one chip and another.

Board and application are the same for every chip; a family of chips implements `ChipModel` in a
folder of its own (`provision/sim/esp`) and is listed in `provision/sim/families.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from provision.model.firmware import FilesystemPlace
from provision.sim.chip.flash import Flash
from provision.sim.event_loop import EventLoop
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
    def panic(self) -> tuple[bytes, float]:
        """What is printed when the interpreter crashes, and the seconds until a reset ends that:
        by a watchdog, or 0 by the firmware itself."""
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


@dataclass(frozen=True, kw_only=True, slots=True)
class Started:
    """The chip has come to an application. `output` is what it printed until then; `port` is None
    for an application that is not MicroPython."""

    output: bytes
    port: MicroPythonPort | None


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedStart:
    """One way through the ROM that ends in a reset: what is printed (all at the ROM's baud), and
    the seconds until the next attempt."""

    output: bytes
    seconds: float


class ChipModel(Protocol):
    """One chip."""

    @property
    def boot_baud(self) -> int:
        """The rate at which the ROM prints."""
        ...

    @property
    def uart(self) -> UartFacts:
        """The UART that its console is on."""
        ...

    @property
    def fifo(self) -> Fifo:
        """How its UART hands on what it hears while MicroPython runs."""
        ...

    @property
    def receive_ring(self) -> int:
        """Bytes that MicroPython's receive ring takes before it drops what is not read."""
        ...

    def start(
        self, setup: BoardSetup, flash: Flash, cause: ResetCause, *, first: bool
    ) -> Started | FailedStart:
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
        send: Send,
        baud: Callable[[], int],
        set_baud: Callable[[int], None],
        request_reset: Callable[[ResetRequest], None],
    ) -> Loader:
        """Download mode, from reset on."""
        ...

    # What is put into the flash past every protocol, while the board does not run.

    def install(self, flash: Flash, image: bytes) -> None:
        """Write a release image where a flasher would; ValueError for one that does not fit."""
        ...

    def foreign_image(self, flash_size: int) -> bytes:
        """A sound image that is not MicroPython."""
        ...

    def break_application(self, flash: Flash) -> None:
        """Clear one bit of the application, so that the chip does not start it."""
        ...

    def filesystem_place(self, setup: BoardSetup, flash: Flash) -> FilesystemPlace:
        """Where the firmware has its filesystem; SimulatorError when nothing there boots or what
        boots has none."""
        ...
