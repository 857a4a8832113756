"""One port with a board behind it: taken from its app to its REPL, to download mode and back.

The port is opened once and owned until it is closed; the REPL and the flasher speak over the same
pyserial object. This is where transport, MicroPython and flasher meet: none of them knows another.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import replace
from typing import TypeVar, cast

from provision.core.wording import Redact, excerpt, last_heard
from provision.device import console
from provision.device.flashing.registry import FLASHERS, AttachedFlasher
from provision.device.flashing.uf2.site import Drives, site_of
from provision.device.micropython.board_repl import BoardRepl
from provision.device.micropython.transfer import small_update
from provision.device.micropython.transfer.line_rate import LineRate, RateMemory
from provision.device.transport.buffered_serial import (
    BytePort,
    ReadTimeout,
    Stopping,
    never,
)
from provision.device.transport.reset_pulse import pulse_reset
from provision.device.transport.serial_port import Port, absent_port, open_port
from provision.device.transport.whereabouts import Whereabouts
from provision.errors import (
    CheckFailed,
    Interrupted,
    ManualActionRequired,
    NoAnswer,
    PortBusy,
    PortDenied,
    PortLost,
    PortNotFound,
    Unreachable,
)
from provision.interfaces import Discovery, Operator, Progress, Say, Terminal
from provision.model.board import BoardProfile, ResetWiring
from provision.model.endpoint import Capabilities, Endpoint
from provision.model.plan import FileAction
from provision.model.state import Content

# An app that cleans up after a Ctrl-C takes a second or two; a board that is silent for longer
# is asked again after a reset, where there is a way to reset it.
REPL_TIMEOUT = 6.0
# From EN's rise to the prompt an ESP32 takes about two seconds; an app may be slow to give in.
BOOT_TIMEOUT = 6.0
# Seconds for a board's own USB to come back after a reset; the system names it within two.
USB_RETURN_TIMEOUT = 10.0
# The same of one that has just been written: it makes its filesystem before its USB.
USB_RETURN_AFTER_FLASHING = 20.0
# What a port may be until the system has named it and given the leave to open it.
_MEANWHILE = (PortNotFound, PortLost, PortDenied, PortBusy)
SOFT_RESET_TIMEOUT = 3.0  # seconds in which a board says that it restarts its interpreter


T = TypeVar("T")


class SerialConnector:
    """Opens real ports and pyserial URLs; implements `interfaces.Connector`. `redact` masks the
    secrets that a board may say, before anything is cut from it; `rates` gives the memory of a
    line, by what tells it; `drives` are where boards are that take their firmware as a file."""

    def __init__(
        self,
        discovery: Discovery,
        *,
        redact: Redact = str,
        rates: Callable[[str], RateMemory] | None = None,
        drives: Drives | None = None,
    ) -> None:
        self._discovery = discovery
        self._redact = redact
        self._rates = rates
        self._drives = drives

    def connect(
        self,
        endpoint: Endpoint,
        board: BoardProfile,
        *,
        device: str,
        trace: Callable[[int, str], None],
    ) -> SerialConnection:
        try:
            port = open_port(endpoint, device=device)
            trace(1, f"opened {endpoint.address} at {endpoint.baud} baud")
        except PortNotFound:
            by_drive = FLASHERS[board.chip.family].by_drive
            if not (by_drive and self._drives and self._drives.holds(endpoint.address)):
                raise
            port = absent_port(endpoint, device=device)
            trace(1, f"{endpoint.address} is in BOOTSEL mode")
        return SerialConnection(
            port,
            board,
            endpoint,
            trace=trace,
            discovery=self._discovery,
            redact=self._redact,
            rates=self._rates,
            drives=self._drives,
        )


class SerialConnection:
    """Implements `interfaces.Connection`."""

    def __init__(
        self,
        port: Port,
        board: BoardProfile,
        endpoint: Endpoint,
        *,
        trace: Callable[[int, str], None],
        discovery: Discovery,
        redact: Redact = str,
        rates: Callable[[str], RateMemory] | None = None,
        drives: Drives | None = None,
    ) -> None:
        self._adopt(port)
        self._drives = drives
        self._kind = FLASHERS[board.chip.family]
        self._line = LineRate(
            allowed=self._highest_rate,
            memory=(lambda: rates(self._port.name)) if rates is not None else None,
        )
        self._redact = redact
        self._where = Whereabouts(discovery)
        self._board = board
        self._endpoint = endpoint
        self._trace = trace
        self._repl: BoardRepl | None = None
        self._flasher: AttachedFlasher | None = None
        self._booting = False  # reset and not yet heard of
        self._restarted = False  # its interpreter alone
        self._heard = b""  # what came with the answer to that

    def _adopt(self, port: Port) -> None:
        self._port = port
        # pyserial's own typing forgets that every port can say how many bytes are waiting.
        self._bytes = cast("BytePort", port.serial)

    @property
    def capabilities(self) -> Capabilities:
        can = self._port.capabilities(self._board)
        if self._kind.by_drive:  # what runs on the board reads it, or nobody does
            return replace(can, reads_flash=self._repl is not None and self._port.serial.is_open)
        return can

    @property
    def interrupted(self) -> bool:
        return self._repl is not None and self._repl.raw.interrupted

    def repl(self, *, reset: bool) -> BoardRepl:
        if reset:
            self.restart(None, 0.0)
        self._flasher = None
        if not self._port.serial.is_open and not self._booting:
            raise NoAnswer(
                "the board is in BOOTSEL mode: nothing runs on it",
                hint="`provision apply` with a `firmware:` for it writes one; to have it run what "
                "it has, unplug it and plug it in again",
            )
        repl = self._past_a_return(self._enter_repl)
        self._booting, self._heard = False, b""
        self._repl = repl
        if self._kind.by_drive and self._drives is not None:
            self._drives.records.back(address=self._endpoint.address, place=self._where.place)
        return repl

    def _past_a_return(self, attempt: Callable[[], T]) -> T:
        """Once more where a port has gone with a reset, as soon as it is back."""
        try:
            with self._port.errors():
                return attempt()
        except PortLost:
            if not self._booting:
                raise
        self._reopen()
        with self._port.errors():
            return attempt()

    def _new_repl(self) -> BoardRepl:
        with self._port.errors():  # it sets the port's timeout, which a port that is gone refuses
            return BoardRepl(
                self._bytes,
                errors=self._port.errors,
                lossless=lambda: self.capabilities.lossless,
                line=self._line,
                trace=self._trace,
                redact=self._redact,
            )

    def _highest_rate(self) -> int:
        """What manifest, board profile and link allow while files are sent; 0 for no other rate."""
        if not self.capabilities.has_rate:
            return 0
        said = self._endpoint.transfer_baud
        board = self._board.transfer_baud
        return board if said is None else min(said, board)

    def _enter_repl(self) -> BoardRepl:
        repl = self._new_repl()
        if self._booting:
            repl.interrupt_boot(BOOT_TIMEOUT, baud=self._endpoint.baud)
        else:
            repl.enter(REPL_TIMEOUT)
        return repl

    def _reopen(self) -> None:
        """Find the port of a board that went with its USB in a reset and came back, perhaps
        under another name: a native USB port is made by the very chip that restarts."""
        seconds = USB_RETURN_AFTER_FLASHING if self._where.place else USB_RETURN_TIMEOUT
        deadline = time.monotonic() + seconds
        missing = self._come_back(lambda: time.monotonic() >= deadline, _MEANWHILE)
        if missing is not None:
            raise missing

    def _come_back(
        self, over: Stopping, waited_for: tuple[type[Unreachable], ...]
    ) -> Unreachable | None:
        """Open the port again as soon as it is there; what kept it away once it is `over`."""
        device, address = self._port.device, self._port.address
        self._port.close()
        began = time.monotonic()
        while True:
            try:
                endpoint = replace(self._endpoint, address=self._where.address_now(address))
                self._adopt(open_port(endpoint, device=device))
            except waited_for as error:
                if over():
                    return error
                # A reset's is awaited by the moment; one that somebody has unplugged need not be.
                soon = time.monotonic() - began < USB_RETURN_TIMEOUT
                time.sleep(0.1 if soon else 1.0)  # no event, on all systems, for a port that comes
            else:
                self._trace(1, f"the port came back as {self._port.address}")
                return None

    def await_prompt(self, timeout: float) -> bool:
        return self._past_a_return(lambda: self._new_repl().await_prompt(timeout))

    def flasher(self, operator: Operator | None, timeout: float) -> AttachedFlasher:
        if not self.capabilities.flashes:
            raise NoAnswer(
                f"no board can be reset or flashed over {self._port.address}",
                hint="press RESET and run again where no MicroPython answers; to flash the board, "
                "reach it by its serial port or an rfc2217:// URL",
            )
        self._where.remember(self._port)
        site = None
        if self._kind.by_drive and self._drives is not None:
            site = site_of(
                self._drives, self._where, self._port, self._endpoint.address, self._repl
            )
        else:
            self._repl = None

        def wait(left: float) -> bool:
            return operator is not None and operator(self._board.download, left)

        self._flasher = self._kind.attach(
            self._port,
            self._board,
            wait_for_operator=wait if operator is not None else None,
            operator_seconds=timeout,
            trace=self._trace,
            site=site,
        )
        return self._flasher

    def restart(self, operator: Operator | None, timeout: float) -> None:
        self._where.remember(self._port)
        flasher, self._flasher = self._flasher, None
        repl, self._repl = self._repl, None
        self._heard = b""
        if repl is not None and self._port.serial.is_open:
            restarted = self._reset_by(repl)
        elif flasher is not None:
            restarted = flasher.restart()
        else:
            restarted = self._pulse_reset()
        with suppress(PortLost) if self._kind.by_drive else nullcontext(), self._port.errors():
            if self._port.serial.baudrate != self._endpoint.baud:
                self._port.serial.baudrate = self._endpoint.baud
        what, act = "RESET button", "Press RESET."
        if self._kind.by_drive:
            what, act = "power", "Unplug it and plug it in again."
        if not restarted and (operator is None or not operator(act, timeout)):
            raise ManualActionRequired(f"nothing but its {what} restarts this board", hint=act)
        self._booting = True
        self._trace(1, "reset into run mode")

    def _reset_by(self, repl: BoardRepl) -> bool:
        try:
            repl.hard_reset()
            self._heard = repl.raw.serial.read_available()
        except NoAnswer:  # it restarted by itself
            return self._pulse_reset()
        except (PortLost, OSError):
            if self._port.wiring(self._board) is not ResetWiring.USB:
                raise
            # its USB has gone with it
        return True

    def _pulse_reset(self) -> bool:
        with self._port.errors():
            return pulse_reset(self._port, self._port.wiring(self._board))

    def resume(self) -> None:
        if self._repl is not None:
            self._repl.soft_reset()
            self._repl = None

    def start_app(self) -> None:
        assert self._repl is not None, "the REPL is to be taken first"
        repl, self._repl = self._repl, None
        repl.soft_reset()
        with self._port.errors():
            try:
                repl.raw.serial.read_until(b"soft reboot\r\n", timeout=SOFT_RESET_TIMEOUT)
            except ReadTimeout as timed_out:
                said = repl.raw.last_heard(timed_out.heard)
                raise NoAnswer(f"the board did not restart its interpreter{said}") from None
            self._heard = repl.raw.serial.read_available()
        self._restarted = True

    def update(
        self,
        mac: str,
        actions: Sequence[FileAction],
        contents: Mapping[str, Content],
        progress: Progress,
    ) -> bool:
        assert self._repl is not None, "the REPL is to be taken first"
        lossless, chip = self.capabilities.lossless, self._board.chip
        with self._port.errors():
            return small_update.update(
                self._repl.raw, mac, actions, contents, progress, chip=chip, lossless=lossless
            )

    def console(self, pattern: str, timeout: float, stopping: Stopping = never) -> str:
        if self._booting and self._port.wiring(self._board) is ResetWiring.USB:
            with suppress(NoAnswer):  # what the app said first went to a port that was not there
                self.repl(reset=False)
                self.resume()
        begun, self._heard = self._heard, b""
        found, heard = self._past_a_return(
            lambda: console.wait_for_line(self._bytes, pattern, timeout, stopping, begun)
        )
        if found is None and stopping():
            raise Interrupted("the run was cancelled")
        if found is None:
            raise CheckFailed(
                f"no line with {pattern!r} on the console in {timeout:g} s"
                f"{last_heard(console.without_prompt(heard), self._redact)}"
            )
        return excerpt(found, self._redact)

    def listen(self, seconds: float, stopping: Stopping = never) -> str:
        begun, self._heard = self._heard, b""
        heard = self._past_a_return(
            lambda: console.read_lines(self._bytes, seconds, stopping, begun)
        )
        return excerpt(heard, self._redact, 4000)

    def run_code(self, code: bytes, say: Say, stopping: Stopping) -> str:
        assert self._repl is not None, "the REPL is to be taken first"
        with self._port.errors():
            return console.run_at_repl(self._repl.raw, code, say, stopping, self._redact)

    def interact(self, terminal: Terminal, stopping: Stopping) -> bool:
        assert self._repl is not None, "the REPL is to be taken first"
        self._repl.leave()
        with self._port.errors():
            return console.interact(self._bytes, terminal, stopping, self._redact)

    def follow(
        self, say: Say, note: Callable[[str], None], seconds: float | None, stopping: Stopping
    ) -> None:
        deadline = None if seconds is None else time.monotonic() + seconds

        def over() -> bool:
            return stopping() or (deadline is not None and time.monotonic() >= deadline)

        while not over():
            try:
                self.hear(say, over, patience=console.PATIENCE)
            except Unreachable as lost:
                note(f"{lost.message}; waiting for it to come back")
                if self.reconnect(over):
                    note(f"{self._port.address} is back")

    def hear(self, say: Say, stopping: Stopping, *, patience: float) -> None:
        self._where.remember(self._port)
        lines = console.Lines(say, self._redact, amid=not (self._booting or self._restarted))
        heard, self._heard = self._heard, b""
        self._restarted = False
        try:
            lines.hear(heard)
            with self._port.errors():
                console.follow(self._bytes, lines.hear, stopping, patience)
            self._booting = False
        finally:
            lines.close()  # also what had come of its last line

    def reconnect(self, stopping: Stopping) -> bool:
        self._repl = self._flasher = None
        self._heard, self._restarted, self._booting = b"", False, False
        return self._come_back(stopping, (Unreachable,)) is None

    def close(self) -> None:
        self._port.close()
