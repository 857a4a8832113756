"""One virtual board: the chip as a state machine, with its wiring and its port.

Power and EN decide whether it runs, the boot strap at EN's rise whether it runs the loader or the
application; bytes are exchanged between that and the one port that the host has open.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from provision.errors import SimulatorError
from provision.model.board import ResetWiring
from provision.sim.chip.flash import Flash, Work
from provision.sim.chip.model import ChipModel, Loader
from provision.sim.event_loop import EventLoop, Timer
from provision.sim.line.noise import Noise
from provision.sim.line.reset import Button, ResetCircuit
from provision.sim.line.wire import POLLED, Fifo, WireStatistics
from provision.sim.setup import (
    CONSOLE_BAUD,
    BoardSetup,
    ResetCause,
    ResetKind,
    ResetRequest,
    Send,
    WireModel,
)

_NO_APPLICATION = b"\r\nno MicroPython is here for virtual boards: pip install 'provision[sim]'\r\n"


class Mode(str, Enum):
    """What the chip is doing."""

    OFF = "off"
    RESET = "reset"  # EN held low
    DOWNLOAD = "download"
    RUN = "run"
    SLEEP = "sleep"


class Application(Protocol):
    """What runs from flash; `provision.sim.app.application` has it."""

    def boot(self, cause: ResetCause) -> None: ...
    def receive(self, data: bytes) -> None: ...
    def halt(self) -> None: ...
    def become(self, setup: BoardSetup) -> None: ...
    def cut_power(self, work: Work, count: int, on_cut: Callable[[], None]) -> None: ...
    def cancel_power_cut(self) -> None: ...

    @property
    def overruns(self) -> int:
        """Bytes that the receive ring dropped."""
        ...


class Wire(Protocol):
    """The line between the two UARTs; `provision.sim.line.wire` has it."""

    def from_host(self, data: bytes, host_baud: int, chip_baud: int) -> None: ...
    def from_chip(self, data: bytes, chip_baud: int, host_baud: int) -> None: ...
    def rates_changed(self, host_baud: int, chip_baud: int) -> None: ...
    def clear(self) -> None: ...
    def measure(self) -> WireStatistics: ...

    @property
    def statistics(self) -> WireStatistics: ...

    @property
    def backlog(self) -> float:
        """Seconds until all that the host has written is on its way."""
        ...


class MakeApplication(Protocol):
    def __call__(
        self,
        *,
        setup: BoardSetup,
        model: ChipModel,
        flash: Flash,
        loop: EventLoop,
        send: Send,
        request_reset: Callable[[ResetRequest], None],
        set_baud: Callable[[int], None],
    ) -> Application: ...


class MakeWire(Protocol):
    def __call__(
        self,
        *,
        model: WireModel,
        loop: EventLoop,
        to_chip: Callable[[bytes], None],
        to_host: Callable[[bytes], None],
        fifo: Callable[[], Fifo],
        usb: bool,
        scale: float,
    ) -> Wire: ...


class Port(Protocol):
    """One open end at the host: a connection, a terminal, a network client."""

    def deliver(self, data: bytes) -> None:
        """Bytes for the host; those it does not fetch in time are lost."""
        ...

    def rate(self) -> int | None:
        """The baud the host has set, on a port that must be asked; None where it is told."""
        ...

    def unplugged(self) -> None:
        """The cable is pulled."""
        ...


class Board:
    """Off until `power_on`."""

    def __init__(
        self,
        *,
        setup: BoardSetup,
        model: ChipModel,
        flash: Flash,
        loop: EventLoop,
        make_application: MakeApplication,
        make_wire: MakeWire,
    ) -> None:
        self.setup = setup
        self.flash = flash
        self.mode = Mode.OFF
        self.plugged = True
        self.boots = 0
        self.problem: str | None = None  # why nothing runs, where that is this machine's fault
        self.noise = Noise()
        self.host_baud = CONSOLE_BAUD
        self.baud = CONSOLE_BAUD
        self._model = model
        self._loop = loop
        self._ports: list[Port] = []
        self._loader: Loader | None = None
        self._asleep: Timer | None = None
        self._exchange: tuple[int, BoardSetup] | None = None
        self._application = make_application(
            setup=setup,
            model=model,
            flash=flash,
            loop=loop,
            send=self.send,
            request_reset=self._request_reset,
            set_baud=self._set_console_baud,
        )
        self._wire = make_wire(
            model=setup.wire,
            loop=loop,
            to_chip=self._to_chip,
            to_host=self._to_host,
            fifo=lambda: model.fifo if self.mode is Mode.RUN else POLLED,
            usb=setup.wiring is ResetWiring.USB_JTAG,
            scale=setup.scale,
        )
        self.circuit = ResetCircuit(
            wiring=setup.wiring,
            loop=loop,
            enter_reset=self._enter_reset,
            leave_reset=self._leave_reset,
        )

    @property
    def stub(self) -> bool:
        """Whether esptool's flasher stub runs."""
        return self._loader is not None and self._loader.stub

    @property
    def overruns(self) -> int:
        """Bytes that the application's receive ring dropped since the board came up."""
        return self._application.overruns

    @property
    def wire_statistics(self) -> WireStatistics:
        return self._wire.statistics

    def measure(self) -> WireStatistics:
        """What went over the wire since this was last called."""
        return self._wire.measure()

    # Power and reset

    def power_on(self) -> None:
        if self.mode is Mode.OFF:
            self.mode = Mode.RESET
            if not self.circuit.in_reset:
                self._start(ResetCause.POWER_ON, download=self.circuit.strap)

    def power_off(self) -> None:
        self._cut(Mode.OFF)

    def cut_power(self, work: Work, count: int, on_cut: Callable[[], None]) -> None:
        """Let the power fail in the middle of the `count`th erase or program from now, whoever
        does it: the loader or the application."""

        def cut() -> None:
            self.flash.cancel_power_cut()
            self._application.cancel_power_cut()
            self.power_off()
            on_cut()

        self.flash.cut_power(work, count, cut)
        self._application.cut_power(work, count, cut)

    def exchange(self, setup: BoardSetup, after: int) -> None:
        """Put another board on the same line, one with the same in its flash: at the `after`th
        start from now, or at once for 0."""
        if after:
            self._exchange = (after, setup)
        else:
            self.change_while_off(lambda: self._become(setup))

    def _become(self, setup: BoardSetup) -> None:
        self._exchange = None
        self.setup = setup
        self._application.become(setup)

    def change_while_off(self, change: Callable[[], None]) -> None:
        """Take the power away, change something, and give it back if it was there."""
        was = self.mode
        self.power_off()
        change()
        if was is not Mode.OFF:
            self.power_on()

    def press(self, *buttons: Button) -> None:
        """Press in order, and hold."""
        for button in buttons:
            self.circuit.press(button)

    def release(self, *buttons: Button) -> None:
        for button in buttons:
            self.circuit.release(button)

    def unplug(self) -> None:
        """Pull the cable: power and port go together."""
        self.plugged = False
        for port in list(self._ports):
            port.unplugged()
        self._ports.clear()
        self.power_off()

    def replug(self) -> None:
        self.plugged = True
        self.power_on()

    def close(self) -> None:
        """Let go of everything outside this process."""
        self.power_off()
        self.flash.close()

    def _enter_reset(self) -> None:
        if self.mode is not Mode.OFF:
            self._cut(Mode.RESET)

    def _leave_reset(self, download: bool) -> None:
        if self.mode is Mode.RESET:
            self._start(ResetCause.EXTERNAL, download=download)

    def _cut(self, mode: Mode) -> None:
        """Stop from outside: what the chip had sent and not yet got off is lost with it."""
        self._stop()
        self._wire.clear()
        self.mode = mode

    def _stop(self) -> None:
        """Whatever ran is dead at once."""
        if self._asleep:
            self._asleep.cancel()
            self._asleep = None
        if self._loader:
            self._loader.halt()
            self._loader = None
        self._application.halt()

    def _start(self, cause: ResetCause, *, download: bool) -> None:
        self.boots += 1
        if self._exchange is not None:
            left, setup = self._exchange
            self._exchange = (left - 1, setup)
            if left == 1:
                self._become(setup)
        self.baud = CONSOLE_BAUD if download else self.setup.console
        if not download:
            self.mode = Mode.RUN
            try:
                self._application.boot(cause)
            except SimulatorError as error:
                self.problem = f"{error.message} ({error.hint})"
                # Whoever waits for the app hears why none comes.
                self.send(_NO_APPLICATION, baud=CONSOLE_BAUD)
            return
        self.mode = Mode.DOWNLOAD
        self.send(self._model.download_banner(cause), baud=self._model.boot_baud)
        self._loader = self._model.loader(
            setup=self.setup,
            flash=self.flash,
            loop=self._loop,
            send=self.send,
            baud=lambda: self.baud,
            set_baud=self._set_baud,
            request_reset=self._request_reset,
        )

    def _request_reset(self, request: ResetRequest) -> None:
        if self.mode not in {Mode.DOWNLOAD, Mode.RUN}:
            return
        self._stop()
        self.mode = Mode.RESET
        match request.kind:
            case ResetKind.RESET:
                self._start(ResetCause.SOFTWARE, download=False)
            case ResetKind.BOOTLOADER:
                self._start(ResetCause.SOFTWARE, download=True)
            case ResetKind.WATCHDOG:
                self._start(ResetCause.WATCHDOG, download=self.circuit.strap)
            case ResetKind.DEEPSLEEP:
                self.mode = Mode.SLEEP
                if request.seconds is not None:
                    seconds = request.seconds / self.setup.scale
                    self._asleep = self._loop.after(seconds, self._wake)

    def _wake(self) -> None:
        self._asleep = None
        self._start(ResetCause.DEEPSLEEP, download=False)

    # Bytes

    @property
    def backlog(self) -> float:
        """Seconds that the line to the chip needs for what the host has written already."""
        return self._wire.backlog

    @property
    def taken(self) -> bool:
        """Whether a host has the port open."""
        return bool(self._ports)

    def has(self, port: Port) -> bool:
        return port in self._ports

    def open(self, port: Port, *, dtr: bool, rts: bool, baud: int) -> None:
        self._ports.append(port)
        self.host_baud = baud
        self.circuit.lines(dtr, rts)

    def closed(self, port: Port) -> None:
        """The host closed its end: its operating system lets both lines go at once."""
        if port in self._ports:
            self._ports.remove(port)
            if not self._ports:
                self.circuit.lines(False, False)

    def set_host_baud(self, baud: int) -> None:
        if baud != self.host_baud:
            self.host_baud = baud
            self._wire.rates_changed(self.host_baud, self._chip_baud(self.baud))

    def from_host(self, data: bytes) -> None:
        if self.mode not in {Mode.DOWNLOAD, Mode.RUN}:
            return
        self._ask_rate()
        if self._loader and not self._loader.synced:
            self.baud = self.host_baud  # the ROM measures the rate on the first bytes
        data = self.noise.to_chip(data, self.host_baud)
        self._wire.from_host(data, self.host_baud, self._chip_baud(self.baud))

    def send(self, data: bytes, *, baud: int | None = None) -> None:
        """The chip sends."""
        self._ask_rate()
        chip_baud = self._chip_baud(baud or self.baud)
        self._wire.from_chip(self.noise.to_host(data, self.host_baud), chip_baud, self.host_baud)

    def _ask_rate(self) -> None:
        for port in self._ports:
            self.set_host_baud(port.rate() or self.host_baud)

    def _chip_baud(self, baud: int) -> int:
        """USB has no baud: whatever the host sets is right."""
        return self.host_baud if self.setup.wiring is ResetWiring.USB_JTAG else baud

    def _set_baud(self, baud: int) -> None:
        """A loader waits until it has said what it has to."""
        self.baud = baud

    def _set_console_baud(self, baud: int) -> None:
        if baud != self.baud:
            self.baud = baud
            self._wire.rates_changed(self.host_baud, self._chip_baud(self.baud))

    def _to_chip(self, data: bytes) -> None:
        if self._loader:
            self._loader.receive(data)
        elif self.mode is Mode.RUN:
            self._application.receive(data)

    def _to_host(self, data: bytes) -> None:
        for port in list(self._ports):
            port.deliver(data)
