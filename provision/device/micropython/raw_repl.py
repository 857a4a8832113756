"""The raw REPL's prompt on an open port: found without a reset, and given one program at a time.

This module owns the line and all that the protocol remembers from byte to byte: whether a raw
paste is open and how wide its window is, whether the prompt was only just entered. What is asked
of a board, and what stays on it between two questions, is `repl`'s. What the port raises goes
through untranslated.
"""

from __future__ import annotations

import time
from contextlib import suppress

from provision.core.wording import printable
from provision.device.transport.buffered_serial import (
    BytePort,
    Clock,
    Line,
    Silence,
    Stopping,
    Tracer,
    never,
    untraced,
)
from provision.errors import NoAnswer

BANNER = b"raw REPL; CTRL-B to exit\r\n>"
PASTE = b"\x05A\x01"
FILLER = 512
"""Bytes of filler at a time: an inflater that reads them soon leaves its frame, and the receiver
rejects the next header. Two kinds, since one alone may be a literal's code."""
FLOOD = 32
"""Ctrl-C at a time, to a board that starts: three milliseconds of a line at 115200 baud."""
ENTER_TIMEOUT = 8.0  # seconds: apps that clean up after a Ctrl-C take one or two
EXEC_TIMEOUT = 10.0
SLOWEST = 500  # bytes a second, of a line at 9600 baud and a board that compiles meanwhile
OUTPUT_MOST = 4 << 20  # bytes of an answer
# What a boot ROM or bootloader prints, over and over, when it finds nothing to start, or when the
# board was put in download mode.
_NOTHING_RUNS = (
    b"invalid header: 0x",
    b"No bootable app partitions",
    b"waiting for download",
    b"ets_main.c",
)


class Raised(Exception):
    """Code on the board raised; `traceback` is what it printed, `name` the exception's."""

    def __init__(self, traceback: str) -> None:
        super().__init__(traceback)
        self.traceback = traceback
        self.last = traceback.strip().rsplit("\n", 1)[-1].strip()
        self.name = self.last.partition(":")[0]


class Prompt:
    """The prompt of one board, from `enter` or `catch` to `leave`; every wait has an end."""

    def __init__(self, port: BytePort, *, trace: Tracer = untraced, clock: Clock = time) -> None:
        self.line = Line(port, clock)
        self.clock = clock
        self.trace = trace
        self.interrupted = False  # whether entering stopped an app
        self._pastes: bool | None = None  # whether the board knows raw paste
        self._fresh = False  # entered, and nothing executed yet
        self._window: int | None = None  # of a raw paste that is open already

    # Entering and leaving

    def enter(self, timeout: float = ENTER_TIMEOUT) -> None:
        """Interrupt whatever runs and take the raw REPL, without a reset; NoAnswer, with the last
        bytes heard, after `timeout` seconds."""
        self._enter(timeout)

    def _enter(self, timeout: float) -> bytes:
        """`enter`; what was heard meanwhile."""
        deadline = self.clock.monotonic() + timeout
        self._window = None
        heard = self.line.drain()
        # Interrupt, take the raw REPL and open a paste, all in one turn of the line. It works on
        # nearly every board that is met; what does not answer so is taken step by step.
        self.line.write(b"\r\x03\x03\x01" + PASTE)
        try:
            heard += self.line.until(BANNER + b"R\x01", *_NOTHING_RUNS, timeout=0.4)
            _refuse_a_chip_without_firmware(heard)
            self._window = int.from_bytes(self.line.exactly(2, 1.0), "little")
            self._pastes = True
        except Silence as silence:
            heard += silence.heard
            _refuse_a_chip_without_firmware(heard)
            self.line.drain()
            heard += self._step_by_step(deadline, heard)
            self.interrupted = True  # a prompt would have answered
        self._fresh = True
        self.interrupted = self.interrupted or b"KeyboardInterrupt" in heard
        self.trace(1, "at the raw REPL" + (", an app was interrupted" if self.interrupted else ""))
        return heard

    def catch(self, timeout: float = ENTER_TIMEOUT, *, baud: int = 115200) -> None:
        """After a reset: interrupt as early as the chip listens, before an app shuts the door.

        Until MicroPython runs its scripts a Ctrl-C is a character like others; from then on an
        app needs a millisecond to close its ears, or to sleep. So the line, which carries `baud`
        bits a second, is kept full of them.
        """
        deadline = self.clock.monotonic() + timeout
        heard = b""
        while self.clock.monotonic() < deadline and not heard.endswith(b">>> "):
            self.line.write(b"\x03" * FLOOD)
            self.clock.sleep(FLOOD * 10 / baud)
            heard = heard[-256:] + self.line.drain()
            _refuse_a_chip_without_firmware(heard)
            self._note_interrupt(heard)
        # A prompt for each Ctrl-C that was on its way; until then the ring has no room.
        self._note_interrupt(heard[-256:] + self.line.quiet(0.1, 2.0))
        self.enter(max(deadline - self.clock.monotonic(), 2.0))

    def _note_interrupt(self, heard: bytes) -> None:
        """An app that was stopped is started again in the end."""
        self.interrupted = self.interrupted or b"KeyboardInterrupt" in heard

    def await_friendly(self, timeout: float) -> bool:
        """Say nothing; whether the friendly prompt came in `timeout` seconds."""
        try:
            self.line.until(b"\r\n>>> ", timeout=timeout, limit=8192)
        except Silence:
            return False
        return True

    def leave(self) -> None:
        """Back to the friendly REPL, without a reset."""
        self._close_paste()
        self.line.write(b"\r\x02")
        with suppress(Silence):
            self.line.until(b">>> ", timeout=0.3)
        self.trace(1, "left the raw REPL")

    def soft_reset(self) -> None:
        """Start boot.py and main.py anew, in a fresh interpreter; returns at once."""
        self._close_paste()
        self.line.write(b"\r\x02\x04")
        self.trace(1, "soft reset")

    def begin_anew(self) -> None:
        """A fresh interpreter that ran boot.py alone: a soft reset that stays at the raw REPL."""
        self.line.write(b"\x04")
        try:
            self.line.until(b"soft reboot", timeout=2.0)
        except Silence as silence:
            raise NoAnswer(f"the board did not reset{evidence(silence.heard)}") from None
        self.enter()

    def recover(self) -> bool:
        """Bring back a board that stopped inside a stream, within bounds; NoAnswer if not.
        Whether it ran an app instead: then it had restarted."""
        self._window = None
        self._fill(b"\0")
        return b"KeyboardInterrupt" in self._enter(ENTER_TIMEOUT)

    def _step_by_step(self, deadline: float, heard: bytes) -> bytes:
        patience = 0.25
        attempt = 0
        # One that has not said a word by then is given up before the time is over.
        while self.clock.monotonic() < deadline and (attempt < 4 or heard.strip(b"\0\xff")):
            attempt += 1
            if attempt in (2, 5):
                self._fill(b"\0" if attempt == 2 else b"\xff")
            self.line.write(b"\r\x03\x03")
            if attempt > 3:
                self._insist()
            heard += self.line.quiet(0.05, patience)
            self.line.write(b"\x01")
            try:
                heard += self.line.until(BANNER, timeout=patience)
                # Answers to earlier attempts may still come: only silence, then one exact
                # answer, prove that the board waits for us.
                heard += self.line.quiet(0.1, 1.0)
                self.line.write(b"\r\x03\x01")
                heard += self.line.until(BANNER, timeout=1.0)
                if not self.line.quiet(0.05, 0.5):
                    return heard
            except Silence as silence:
                heard += silence.heard
                self.line.drain()
            heard = heard[-4096:]
            _refuse_a_chip_without_firmware(heard)
            patience = min(1.0, patience * 1.5)
            self.trace(2, f"no raw REPL yet{evidence(heard)}")
        if not heard.strip(b"\0\xff"):
            raise NoAnswer(
                "nothing answers on this port",
                hint="check that the cable carries data and the baud rate is right; press RESET",
            )
        raise NoAnswer(f"the board does not give its REPL{evidence(heard)}")

    def _insist(self) -> None:
        """For an app that is deaf to all Ctrl-C but one that comes at the right moment: many, at
        uneven distances. Others got three, with time to tidy up between."""
        for number in range(24):
            self.line.write(b"\x03")
            self.clock.sleep(0.004 + number % 7 * 0.003)

    def _fill(self, byte: bytes) -> None:
        """Bring back a board that waits for the rest of a stream whose host died."""
        for _ in range(6):
            self.line.write(byte * FILLER)
            self.line.write((b"\xff" if byte == b"\0" else b"\0") * FILLER)
        self.line.quiet(0.4, 1.5)  # the receiver waits for 0.2 s of silence

    # One program at a time

    def execute(
        self,
        code: bytes,
        *,
        timeout: float,
        limit: int = OUTPUT_MOST,
        stopping: Stopping = never,
    ) -> str:
        """Run code and return its output; Raised when it raises, NoAnswer when nothing comes
        for `timeout` seconds or `stopping` says so (the board is interrupted then)."""
        fresh, self._fresh = self._fresh, False
        if not fresh:
            self.start(code)
            return self.result(timeout=timeout, limit=limit, stopping=stopping)
        try:
            self.start(code)
        except NoAnswer:
            pass
        else:
            try:
                return self.result(timeout=timeout, limit=limit, stopping=stopping)
            except Raised as error:
                if error.name not in ("KeyboardInterrupt", "SyntaxError"):
                    raise
        # A Ctrl-C of ours came late, or what looked like the answer to our entering was meant
        # for a host before us: enter step by step, and once more.
        self._window = None
        self.line.quiet(0.1, 1.0)
        self._step_by_step(self.clock.monotonic() + ENTER_TIMEOUT, b"")
        self.start(code)
        return self.result(timeout=timeout, limit=limit, stopping=stopping)

    def start(self, code: bytes) -> None:
        """Give the board code to run; returns when it is running, `result` when it ends."""
        self.trace(2, f"to the board: {len(code)} bytes of code")
        try:
            if self._window is None:
                self._open_paste()
            if self._window is not None:
                self._paste(code, self._window)
            else:
                self._type(code)
        except Silence as silence:
            self._window = None
            raise NoAnswer(f"the board stopped answering{evidence(silence.heard)}") from None

    def settle(self) -> None:
        """Be at the raw REPL's prompt, nothing open and nothing on its way."""
        self._close_paste()
        self.line.drain()

    def turn(self) -> float:
        """Seconds that a few bytes take to the board and back: a raw paste is opened, and is
        there for the next program."""
        if self._window is not None or self._pastes is False:
            return 0.0
        began = self.clock.monotonic()
        try:
            self._open_paste()
        except Silence as silence:
            raise NoAnswer(f"the board stopped answering{evidence(silence.heard)}") from None
        return self.clock.monotonic() - began

    def result(
        self, *, timeout: float, limit: int = OUTPUT_MOST, stopping: Stopping = never
    ) -> str:
        """The output of the code that runs, to its end."""
        try:
            output = self.line.until(b"\x04", timeout=timeout, limit=limit, stopping=stopping)
            output = output[:-1]
            problem = self.line.until(b"\x04", timeout=EXEC_TIMEOUT, limit=limit)[:-1]
            self.line.until(b">", timeout=EXEC_TIMEOUT)
        except Silence as silence:
            self.line.write(b"\x03\x03")
            self._window = None
            raise NoAnswer(
                f"the board did not finish in {timeout:g} s{evidence(silence.heard)}",
                hint="the app's threads or interrupts may keep it busy; reset it and run again",
            ) from None
        if problem:
            raise Raised(problem.decode("utf-8", "replace"))
        return output.decode("utf-8", "replace")

    def _open_paste(self) -> None:
        if self._pastes is False:
            return
        self.line.drain()
        self.line.write(PASTE)
        answer = self.line.until(b"R\x01", b"R\x00", BANNER, timeout=2.0)
        self._pastes = answer.endswith(b"R\x01")
        if self._pastes:
            self._window = int.from_bytes(self.line.exactly(2, 1.0), "little")

    def _close_paste(self) -> None:
        if self._window is not None:
            self._window = None
            self.line.write(b"\x03")
            self.line.quiet(0.02, 0.3)

    def _paste(self, code: bytes, window: int) -> None:
        """Raw paste: the board grants a window at a time."""
        self._window = None
        if not 0 < window <= 4096:
            raise NoAnswer("the board offers a raw paste of no sense")
        credit = window
        sent = 0
        # For all of it: one that drips or babbles must not hold us for ever.
        deadline = self.clock.monotonic() + EXEC_TIMEOUT + len(code) / SLOWEST
        while sent < len(code):
            while credit == 0 or self.line.waiting():
                if self.clock.monotonic() >= deadline:
                    raise Silence(self.line.drain())
                match self.line.exactly(1, deadline - self.clock.monotonic()):
                    case b"\x01":
                        credit += window
                    case b"\x04":  # the board gives up on the code, and says why
                        self.line.write(b"\x04")
                        return
                    case _:
                        pass  # something on the board prints
            part = code[sent : sent + credit]
            self.line.write(part)
            sent += len(part)
            credit -= len(part)
        self.line.write(b"\x04")
        self.line.until(b"\x04", timeout=EXEC_TIMEOUT)

    def _type(self, code: bytes) -> None:
        """The raw REPL before MicroPython 1.13: no flow control, so in pieces with pauses."""
        for start in range(0, len(code), 128):
            self.line.write(code[start : start + 128])
            self.clock.sleep(0.015)
        self.line.write(b"\x04")
        self.line.until(b"OK", timeout=EXEC_TIMEOUT)


def _refuse_a_chip_without_firmware(heard: bytes) -> None:
    if any(words in heard for words in _NOTHING_RUNS):
        raise NoAnswer(f"nothing runs on this board{evidence(heard)}")


def evidence(heard: bytes) -> str:
    """The last bytes heard, safe to show."""
    text = printable(heard[-120:].decode("utf-8", "replace").strip())
    return f"; last heard: {text!r}" if text else ""
