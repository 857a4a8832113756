"""The chip in run mode: booting from flash, and the application that runs then.

`boot` reads the flash as the ROM does. An image that cannot boot is reported on the console again
and again, as on a chip; a program that is not MicroPython prints one line and ignores its input; a
MicroPython runs, of the version that was flashed and with its files, until it is reset.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Callable
from enum import Enum

from provision.model.board import ResetWiring
from provision.sim.app.flash_orders import FlashOrders
from provision.sim.app.interpreter import Interpreter
from provision.sim.app.receive_ring import ReceiveRing
from provision.sim.app.stream import (
    RAW_PROMPT,
    BannerReplacer,
    Frame,
    FrameSplitter,
    NewlineConverter,
    PromptDetector,
)
from provision.sim.app.transmitter import Transmitter
from provision.sim.chip.flash import Flash, Work
from provision.sim.chip.model import ChipModel, Crashed, FailedStart, MicroPythonPort, Touch
from provision.sim.event_loop import EventLoop, Timer
from provision.sim.line.uart import NoUart, Uart
from provision.sim.setup import BoardSetup, ResetCause, ResetKind, ResetRequest, Send

_CTRL_C = b"\x03"
_SOFT_REBOOT = b"MPY: soft reboot\r\n"
_FOREIGN = b"\r\nready\r\n"
_HELP = b'Type "help()" for more information.\r\n'
# After these the chip loses what it is sent before MicroPython is up. A board that is started
# because its port was opened is taken to have had power all along.
_INPUT_LOST_AFTER = frozenset(ResetCause) - {ResetCause.POWER_ON}
_CLOCK_GOES_ON = frozenset({ResetCause.DEEPSLEEP, ResetCause.SOFTWARE})
# Seconds from the ROM's message to MicroPython's start, when flash keeps a real chip's time.
_LOADING = 0.3
_USB_FIFO = 256  # bytes that its USB takes before MicroPython has room for them (tusb_config.h)
_WATCHDOG_SLACK = 1.25  # feeding is reported no oftener than every eighth of the timeout


class _Phase(Enum):
    """How far the application has come."""

    OFF = "off"
    ROM = "rom"  # the ROM, or something that is not MicroPython: nothing listens
    START = "start"  # the interpreter starts; Ctrl-C is not looked at
    SCRIPTS = "scripts"  # boot.py and main.py
    TO_PROMPT = "to prompt"  # the interpreter's own banner is to come
    REPL = "repl"


class Application:
    """What a chip runs when it is not in download mode. Off until `boot`."""

    def __init__(
        self,
        *,
        setup: BoardSetup,
        model: ChipModel,
        flash: Flash,
        loop: EventLoop,
        send: Send,
        host_full: Callable[[], bool],
        attach: Callable[[], None],
        request_reset: Callable[[ResetRequest], None],
        set_baud: Callable[[int], None],
    ) -> None:
        self._setup = setup
        self._model = model
        self._flash = flash
        self._loop = loop
        self._attach = attach
        self._request_reset = request_reset
        self._set_baud = set_baud
        self._uart = Uart(model.uart, setup.console) if model.uart else NoUart()
        self.crashed, self.touch = False, Touch.NONE
        self._orders = FlashOrders(setup, setup.directory / "application.bin")
        self._phase = _Phase.OFF
        self._timer: Timer | None = None
        self._watchdog: Timer | None = None
        self._interpreter: Interpreter | None = None
        self._port: MicroPythonPort | None = None
        self._early_input = bytearray()
        self._reads_input = False
        self._rtc = b""  # the memory that deep sleep leaves alone
        self._clock = 0  # when the chip's clock stood at nought
        usb = model.native_usb or setup.wiring is ResetWiring.USB_JTAG
        self._paced = setup.wire.paced and not usb
        self._transmitter = Transmitter(
            setup=setup,
            loop=loop,
            send=send,
            paced=self._paced,
            host_full=host_full if model.native_usb else None,
            rate=lambda: self._uart.rate,
            pause=self._pause,
        )
        self._send = self._transmitter.send
        self._ring = ReceiveRing(
            loop=loop,
            capacity=self._ring_size(),
            deliver=self._to_program,
            unread=self._unread,
            reader=lambda: self._interpreter,
        )

    @property
    def overruns(self) -> int:
        """Bytes that the receive ring dropped since the board was made."""
        return self._ring.overruns

    @property
    def takes_more(self) -> bool:
        """Whether the ring and the USB before it have room; a bridge's host never hears of it."""
        return self._interpreter is None or self._unread() < self._model.receive_ring + _USB_FIFO

    def boot(self, cause: ResetCause) -> None:
        """Start from reset: the ROM reads the flash and runs what it finds."""
        self.halt()
        if cause not in _CLOCK_GOES_ON or not self._clock:
            self._rtc = b""
            self._clock = int(time.time())
        self._uart.reset()
        self._set_baud(self._uart.rate)
        self._phase = _Phase.ROM
        self._boot(cause, first=True)

    def receive(self, data: bytes) -> None:
        """Bytes that reached the chip's UART; nobody listens before MicroPython does."""
        if self._phase in (_Phase.OFF, _Phase.ROM):
            return
        if self._phase is _Phase.START and self._cause in _INPUT_LOST_AFTER:
            return
        interpreter = self._interpreter
        if interpreter is None:  # none is installed: the board has said so
            return
        plain = b""
        while data:
            before, found, data = data.partition(_CTRL_C)
            plain += before
            # Those that came together are one question: each halts the interpreter for a while.
            rest = data.lstrip(_CTRL_C)
            found, data = found + data[: len(data) - len(rest)], rest
            if found and self._may_interrupt:
                self._ring.put(plain)
                plain = b""
                noted = interpreter.interrupt(
                    reading=self._prompts.reading, clears=self._model.native_usb
                )
                found = b"" if noted else found
            plain += found
        self._ring.put(plain)

    def cut_power(self, work: Work, count: int, on_cut: Callable[[], None]) -> None:
        """Let the power fail in the middle of the `count`th erase or program that MicroPython
        does from now on; the application is dead then, and `on_cut` called."""
        self._orders.cut_power(work, count, on_cut)

    def cancel_power_cut(self) -> None:
        """Take back what `cut_power` ordered."""
        self._orders.cancel()

    def halt(self) -> None:
        """EN low or power off: dead at once. What it was about to say is lost."""
        self._phase = _Phase.OFF
        self.crashed, self.touch = False, Touch.NONE
        for timer in (self._timer, self._watchdog):
            if timer:
                timer.cancel()
        self._timer = self._watchdog = None
        self._ring.clear()
        self._transmitter.clear()
        if self._interpreter:
            self._interpreter.kill()
            self._interpreter = None

    def become(self, setup: BoardSetup) -> None:
        """Another chip of the same kind, from the next boot on."""
        self._setup = setup

    # The ROM

    def _boot(self, cause: ResetCause, *, first: bool) -> None:
        started = self._model.start(self._setup, self._flash, cause, first=first)
        if isinstance(started, Crashed):
            self.crashed = True
            return
        self._send(started.output, baud=self._model.boot_baud)
        if isinstance(started, FailedStart):
            seconds = started.seconds / self._setup.scale
            self._timer = self._loop.after(seconds, lambda: self._boot(cause, first=False))
            return
        self._timer = None
        self.touch = started.touch
        if started.port is None:
            self._attach()
            self._send(_FOREIGN)
            return
        self._port = started.port
        self._early_input.clear()
        if not self._setup.timing:
            self._start(cause, raw=False)
            return
        seconds = _LOADING / self._setup.scale
        self._timer = self._loop.after(seconds, lambda: self._start(cause, raw=False))

    # MicroPython

    def _start(self, cause: ResetCause | None, *, raw: bool) -> None:
        """Start the interpreter; `cause` is None for a soft reset."""
        assert self._port is not None
        self._phase = _Phase.START
        self._reads_input = False
        self._raw = raw
        self._cause = cause
        self._splitter = FrameSplitter(mark := b"\xff\xfe" + os.urandom(8))
        self._newlines = NewlineConverter()
        self._prompts = PromptDetector()
        self._interrupt_character = True
        self._banner_replacer: BannerReplacer | None = None
        self._start_text = b""
        view = self._port.driver_view()
        self._interpreter = Interpreter(
            loop=self._loop,
            config=self._port.onboard_config(
                cause=cause,
                raw=raw,
                mark=mark,
                control=str(self._orders.path),
                rtc=self._rtc,
                clock=self._clock,
                view=view,
                uart=self._uart.registers,
            ),
            heap=self._port.heap,
            raw=raw,
            slow=self._paced or self._model.native_usb,
            view=view,
            on_output=self._output,
            on_exit=self._exited,
        )

    def _ring_size(self) -> int | None:
        """A chip's own USB holds the host back instead of dropping; without a wire model the ring
        has no end."""
        ring = self._setup.wire.ring
        if self._model.native_usb or (ring is None and not self._paced):
            return None
        return self._model.receive_ring if ring is None else ring

    def _unread(self) -> int:
        return len(self._early_input) + (self._interpreter.unread() if self._interpreter else 0)

    def _to_program(self, data: bytes) -> None:
        assert self._interpreter is not None
        if self._phase is _Phase.REPL or self._reads_input:
            self._interpreter.write(data)
        else:
            self._early_input += data

    @property
    def _may_interrupt(self) -> bool:
        """Whether 3 may be the interrupt character now, for all that the program has said."""
        return self._phase in (_Phase.SCRIPTS, _Phase.REPL) and self._interrupt_character

    def _release(self) -> None:
        assert self._interpreter is not None
        self._interpreter.write(bytes(self._early_input))
        self._early_input.clear()

    def _pause(self, paused: bool) -> None:
        if self._interpreter:
            self._interpreter.pause(paused)

    def _output(self, data: bytes) -> None:
        interpreter = self._interpreter
        assert interpreter is not None
        more = interpreter.may_hold_more(data)
        for part in self._splitter.feed(data):
            if self._interpreter is not interpreter:
                return  # a frame before this one ended the run
            if isinstance(part, Frame):
                self._frame(part)
            else:
                interpreter.settle()  # before anybody hears of it
                self._text(part, more=more)
        if self._interpreter is interpreter:
            interpreter.settle()

    def _text(self, text: bytes, *, more: bool = False) -> None:
        if self._phase is _Phase.TO_PROMPT:
            self._start_text += text
            self._find_prompt()
            return
        cooked = self._newlines.feed(text)
        self._prompts.feed(cooked)
        if self._prompts.reading:
            self._interrupt_character = True
        if self._banner_replacer:
            cooked = self._banner_replacer.feed(cooked, more=more)
        if cooked:
            self._send(cooked)

    def _find_prompt(self) -> None:
        """The interpreter's first words at its REPL, replaced by the chip's."""
        assert self._port is not None
        text = self._start_text
        if self._raw:
            if not text.startswith(RAW_PROMPT):
                return
            at, first = len(RAW_PROMPT), RAW_PROMPT
        else:
            if _HELP not in text:
                return
            at = text.index(_HELP) + len(_HELP)
            first = self._port.before_banner(soft_reset=self._cause is None)
            first += self._port.banner + _HELP
        self._phase = _Phase.REPL
        self._prompts.feed(first)
        self._send(first)
        self._release()
        self._text(text[at:])

    def _frame(self, frame: Frame) -> None:
        match frame.kind:
            case "V":
                assert self._port is not None
                self._banner_replacer = BannerReplacer(frame.payload, self._port.banner)
            case "E":
                self._attach()
            case "U":
                self._phase = _Phase.SCRIPTS
            case "I":
                self._reads_input = True
                self._release()
            case "B":
                self._phase = _Phase.TO_PROMPT
            case "W":
                self._send(frame.payload)
            case "K":
                self._interrupt_character = frame.payload == _CTRL_C
            case "M":
                self._rtc = frame.payload
            case "F":
                if self._interpreter and not frame.payload:
                    self._interpreter.has_written()
                elif self._interpreter:
                    self._interpreter.settle(frame.payload)
            case "C":
                self._clock = int(frame.payload)
            case "A":
                self._uart.write(*struct.unpack("<II", frame.payload))
                self._set_baud(self._uart.rate)
            case "T":
                self._feed(struct.unpack("<I", frame.payload)[0] / 1e3)
            case "S":
                self._soft_reset(raw=False)
            case "R" | "L":
                kind = ResetKind.RESET if frame.kind == "R" else ResetKind.BOOTLOADER
                self._end_with(ResetRequest(kind=kind))
            case "D":
                payload = frame.payload
                seconds = struct.unpack("<Q", payload)[0] / 1e3 if payload else None
                self._end_with(ResetRequest(kind=ResetKind.DEEPSLEEP, seconds=seconds))
            case "P":
                self._power_lost()
            case _:
                raise ValueError(f"no such frame: {frame}")

    def _feed(self, seconds: float) -> None:
        if self._watchdog:
            self._watchdog.cancel()
        self._watchdog = self._end_later(seconds, ResetKind.WATCHDOG)

    def _exited(self, mode: str | None, left: bytes) -> None:
        """The interpreter ended by itself: Ctrl-D, machine.soft_reset(), sys.exit(), a crash."""
        self._interpreter = None
        self._early_input[:0] = left
        if mode is None:
            assert self._port is not None
            words, seconds = self._port.panic
            self._send(words)
            self._phase = _Phase.ROM  # deaf
            if seconds is not None:
                kind = ResetKind.WATCHDOG if seconds else ResetKind.RESET
                self._timer = self._end_later(seconds, kind)
        else:
            self._soft_reset(raw=mode == "raw")

    def _soft_reset(self, *, raw: bool) -> None:
        if self._interpreter:
            self._interpreter.kill()
            self._interpreter = None
        self._send(_SOFT_REBOOT)
        self._uart.soft_reset()
        self._set_baud(self._uart.rate)
        self._start(None, raw=raw)

    def _power_lost(self) -> None:
        on_cut = self._orders.take_cut()
        self.halt()
        if on_cut:
            on_cut()

    def _end_later(self, seconds: float, kind: ResetKind) -> Timer:
        request = ResetRequest(kind=kind)
        return self._loop.after(seconds / self._setup.scale, lambda: self._end_with(request))

    def _end_with(self, request: ResetRequest) -> None:
        self.halt()
        self._request_reset(request)
