"""One virtual board: the chip as a state machine, with its wiring and its port.

Power and EN decide whether it runs, the boot strap at EN's rise whether it runs the loader or the
application; bytes are exchanged between that and the one port that the host has open.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from provision.errors import SimulatorError
from provision.model.board import ResetWiring
from provision.sim.chip.flash import Flash, Work
from provision.sim.chip.model import ChipModel, Loader, Touch
from provision.sim.chip.parts import MakeApplication, MakeWire, Mode, Port
from provision.sim.event_loop import EventLoop, Timer
from provision.sim.line.noise import Noise
from provision.sim.line.reset import Button, ResetCircuit
from provision.sim.line.unheard import Unheard
from provision.sim.line.wire import POLLED, WireStatistics
from provision.sim.setup import (
    CONSOLE_BAUD,
    BoardSetup,
    ResetCause,
    ResetKind,
    ResetRequest,
)

_TOUCH_BAUD = 1200
_TOUCH_DELAY = 0.25  # seconds that MicroPython lets pass between the host's hanging up and leaving
_WAIT = 0.06  # seconds until a host that is held back may try again


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
        self._aside: list[Port] = []  # those that have made way
        self._loader: Loader | None = None
        self._asleep: Timer | None = None
        self._exchange: tuple[int, BoardSetup] | None = None
        self._usb = model.native_usb or setup.wiring is ResetWiring.USB_JTAG
        self._attached = not model.native_usb
        self._unheard = Unheard()
        self._touched: Timer | None = None
        self.on_port: Callable[[bool], None] = lambda _: None  # it has come, or gone
        self._application = make_application(
            setup=setup,
            model=model,
            flash=flash,
            loop=loop,
            send=self.send,
            host_full=lambda: any(port.full for port in self._ports),
            attach=self._attach,
            request_reset=self._request_reset,
            set_baud=self._set_console_baud,
        )
        self._wire = make_wire(
            model=setup.wire,
            loop=loop,
            to_chip=self._to_chip,
            to_host=self._to_host,
            fifo=lambda: model.fifo if self.mode is Mode.RUN else POLLED,
            usb=self._usb,
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
    def native_usb(self) -> bool:
        """Whether its port is the running program's own."""
        return self._model.native_usb

    @property
    def download_serial(self) -> str | None:
        """The USB serial number that it shows in download mode, if it shows one."""
        return self._model.download_serial(self.setup)

    @property
    def present(self) -> bool:
        """Whether the host's system has its port."""
        return self.plugged and self._attached

    @property
    def settled(self) -> bool:
        """Whether what it does now goes on until something from outside happens."""
        return self._attached or self.mode is not Mode.RUN or self._application.crashed

    @property
    def volume(self) -> Path | None:
        """The folder that stands for the volume that the host's system has of it, if it has one."""
        return self._loader.volume if self._loader else None

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
        self._drop_ports()
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
        """Whatever ran is dead at once, and its own USB with it."""
        for timer in (self._asleep, self._touched):
            if timer:
                timer.cancel()
        self._asleep = self._touched = None
        if self._loader:
            self._loader.halt()
            self._loader = None
        self._application.halt()
        if self._model.native_usb:
            self._attached = False
            self._unheard.clear()
            self._drop_ports()

    def _drop_ports(self) -> None:
        ports = [*self._ports, *self._aside]
        self._ports, self._aside = [], []
        for port in ports:
            port.unplugged()
        self.on_port(False)

    def _attach(self) -> None:
        """The program has its USB up."""
        if not self._attached:
            self._attached = True
            self.on_port(True)

    def _start(self, cause: ResetCause, *, download: bool) -> None:
        self.boots += 1
        if self._exchange is not None:
            left, setup = self._exchange
            self._exchange = (left - 1, setup)
            if left == 1:
                self._become(setup)
        download = download or self._model.waits_in_download(self.flash)
        self.baud = CONSOLE_BAUD if download else self.setup.console
        if not download:
            self.mode = Mode.RUN
            try:
                self._application.boot(cause)
            except SimulatorError as error:
                self.problem = f"{error.message} ({error.hint})"
                # Whoever waits for the app hears why none comes.
                self._attach()
                self.send(f"\r\n{self.problem}\r\n".encode(), baud=CONSOLE_BAUD)
            return
        self.mode = Mode.DOWNLOAD
        self.send(self._model.download_banner(cause), baud=self._model.boot_baud)
        self._loader = self._model.loader(
            setup=self.setup,
            flash=self.flash,
            loop=self._loop,
            noise=self.noise,
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
                self._start(ResetCause.SOFTWARE, download=self._strap_at_restart)
            case ResetKind.RAM:
                self.mode = Mode.RUN  # nothing is known of such a program
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
        self._start(ResetCause.DEEPSLEEP, download=self._strap_at_restart)

    @property
    def _strap_at_restart(self) -> bool:
        return self._model.straps_at_every_start and self.circuit.strap

    # Bytes

    @property
    def backlog(self) -> float:
        """Seconds that the line to the chip needs for what the host has written already."""
        if self._model.native_usb and not self._application.takes_more:
            return _WAIT
        return self._wire.backlog

    @property
    def taken(self) -> bool:
        """Whether a host has the port open."""
        return not all(port.yields for port in self._ports)

    def has(self, port: Port) -> bool:
        return port in self._ports or port in self._aside

    def open(self, port: Port, *, dtr: bool, rts: bool, baud: int) -> None:
        if not port.yields:
            self._aside += [each for each in self._ports if each.yields]
            self._ports = [each for each in self._ports if not each.yields]
        self._ports.append(port)
        self.host_baud = baud
        self._maybe_leave(Touch.RATE, 0.0)
        self.circuit.lines(dtr, rts)
        if unheard := self._unheard.take():
            port.deliver(unheard)

    def set_lines(self, dtr: bool, rts: bool) -> None:
        """The host sets both lines of its port at once."""
        self.circuit.lines(dtr, rts)
        if not dtr and not rts:
            self._maybe_leave(Touch.HANG_UP, _TOUCH_DELAY / self.setup.scale)

    def closed(self, port: Port) -> None:
        """The host closed its end: its operating system lets both lines go at once."""
        if port in self._ports:
            self._ask_rate()
            self._ports.remove(port)
            if not self._ports:
                self.set_lines(False, False)
                self._ports, self._aside = self._aside, []
        elif port in self._aside:
            self._aside.remove(port)

    def set_host_baud(self, baud: int) -> None:
        if baud != self.host_baud:
            self.host_baud = baud
            self._wire.rates_changed(self.host_baud, self._chip_baud(self.baud))
            self._maybe_leave(Touch.RATE, 0.0)

    def _maybe_leave(self, how: Touch, seconds: float) -> None:
        """For download mode, if the program that runs leaves for it at 1200 baud, and `how`."""
        running = self.mode is Mode.RUN and self._attached
        if running and self.host_baud == _TOUCH_BAUD and self._application.touch is how:
            request = ResetRequest(kind=ResetKind.BOOTLOADER)
            self._touched = self._loop.after(seconds, lambda: self._request_reset(request))

    def from_host(self, data: bytes) -> None:
        if self.mode not in {Mode.DOWNLOAD, Mode.RUN} or not self._attached:
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
        return self.host_baud if self._usb else baud

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
        if self._model.native_usb and self._attached and not self._ports:
            self._unheard.put(data)
