"""The raw REPL on an open port: entered without a reset, and given one program at a time.

This module owns the port and all that the protocol remembers from byte to byte: whether a raw
paste is open and how wide its window is, whether the prompt was only just entered. What is asked
of a board, and what stays on it between two requests, is in `board_repl`. What the port raises
goes through untranslated.
"""

from __future__ import annotations

import re
import time
from contextlib import suppress

from provision.core.chips.registry import BOOT_FAILURES, RESET_BANNERS
from provision.core.wording import Redact, excerpt, last_heard
from provision.device.transport.buffered_serial import (
    BufferedSerial,
    BytePort,
    Clock,
    ReadTimeout,
    Stopping,
    Tracer,
    never,
    untraced,
)
from provision.errors import NoAnswer

BANNER = b"raw REPL; CTRL-B to exit\r\n>"
RAW_PASTE = b"\x05A\x01"
START_UP = b'File "_boot.py"'  # in the traceback of the firmware's own first script
CORRUPT = b"corrupt"  # what that script says, every three seconds, of what it cannot mount
FILLER = 512  # bytes at a time
EDGES = b"\x15"  # four falling edges, and a character that is no text at a prompt
FLOOD = 32
"""Ctrl-C at a time, to a board that starts: three milliseconds of a line at 115200 baud."""
ENTER_TIMEOUT = 8.0  # seconds: apps that clean up after a Ctrl-C take one or two
EXEC_TIMEOUT = 20.0  # seconds: a slow board, or an emulated one, compiles for several
START_TIMEOUT = 15.0
"""Seconds in which a fresh interpreter comes to its prompt: a first boot formats for two, a boot.py
that joins a network takes a few more."""
SLOWEST = 500  # bytes a second, of a line at 9600 baud and a board that compiles meanwhile
MAX_OUTPUT = 4 << 20  # bytes of an answer

# MicroPython's own numbers, "OSError: [Errno 2] ENOENT" or, without a name, "OSError: 39".
_ERRNO = re.compile(r"OSError: (?:\[Errno )?(\d{1,5})\b")


class BoardException(Exception):
    """Code on the board raised; `traceback` is what it printed, `name` the exception's. What is
    to be shown of it is `RawRepl.raised`."""

    def __init__(self, traceback: str) -> None:
        super().__init__(traceback)
        self.traceback = traceback
        self.last = _last_line(traceback)
        self.name = self.last.partition(":")[0]
        number = _ERRNO.match(self.last)
        self.errno = int(number[1]) if number else None  # of an OSError that has one


class RawRepl:
    """The raw REPL of one board, from `enter` or `interrupt_boot` to `leave`; every wait has an
    end."""

    def __init__(
        self,
        port: BytePort,
        *,
        trace: Tracer = untraced,
        clock: Clock = time,
        redact: Redact = str,
    ) -> None:
        """`redact` masks the secrets that a board may say; see `wording.excerpt`."""
        self.serial = BufferedSerial(port, clock)
        self.redact = redact
        self.clock = clock
        self.trace = trace
        self.interrupted = False  # whether an app was stopped, or its state lost
        self.start_up_cut = False  # whether it was the firmware's own first script
        self.fresh = False  # whether the interpreter was restarted to be rid of the app
        self.boot_cut = False  # and boot.py interrupted, since it spoils that one too
        self._has_raw_paste: bool | None = None  # whether the board knows raw paste
        self._just_entered = False  # entered, and nothing executed yet
        self._paste_window: int | None = None  # of a raw paste that is open already

    # Entering and leaving

    def enter(self, timeout: float = ENTER_TIMEOUT) -> None:
        """Interrupt whatever runs and take the raw REPL, without a reset; NoAnswer, with the last
        bytes heard, after `timeout` seconds."""
        self._enter(timeout)

    def _enter(self, timeout: float) -> bytes:
        """`enter`; what was heard meanwhile."""
        deadline = self.serial.deadline(timeout)
        self._paste_window = None
        heard = self.serial.read_available()
        # Interrupt, take the raw REPL and open a paste, all in one round trip. It works on
        # nearly every board that is met; what does not answer so is taken step by step.
        self.serial.write(b"\r\x03\x03\x01" + RAW_PASTE)
        try:
            heard += self.serial.read_until(BANNER + b"R\x01", *BOOT_FAILURES, timeout=0.4)
            self._raise_without_firmware(heard)
            self._paste_window = int.from_bytes(self.serial.read_exactly(2, 1.0), "little")
            self._has_raw_paste = True
        except ReadTimeout as timed_out:
            heard += timed_out.heard
            self._raise_without_firmware(heard)
            self.serial.read_available()
            heard += self._step_by_step(deadline, heard)
            self.interrupted = True  # a prompt would have answered
        self._just_entered = True
        self._note_interrupt(heard)
        self.trace(1, "at the raw REPL" + (", an app was interrupted" if self.interrupted else ""))
        return heard

    def interrupt_boot(self, timeout: float = ENTER_TIMEOUT, *, baud: int = 115200) -> None:
        """After a reset: interrupt as early as the chip listens, before an app can refuse.

        Until MicroPython runs its scripts a Ctrl-C is a character like others; from then on an
        app needs a millisecond to disable Ctrl-C, or to sleep. So the line, which carries `baud`
        bits a second, is kept full of them.
        """
        deadline = self.serial.deadline(timeout)
        self._interrupt_until(b">>> ", deadline, baud)
        self.enter(max(self.serial.left(deadline), 2.0))

    def _interrupt_until(self, prompt: bytes, deadline: float, baud: int = 115200) -> None:
        heard = b""
        while self.serial.left(deadline) > 0 and prompt not in heard:
            self.serial.write(b"\x03" * FLOOD)
            self.clock.sleep(FLOOD * 10 / baud)  # as long as the line carries them
            heard = heard[-256:] + self.serial.read_available()
            self._raise_without_firmware(heard)
            self._note_interrupt(heard)
        # A prompt for each Ctrl-C that was on its way; until then the ring has no room.
        self._note_interrupt(heard[-256:] + self.serial.read_until_quiet(0.1, 2.0))

    def _note_interrupt(self, heard: bytes) -> None:
        """An app that was stopped is started again in the end."""
        self.interrupted = self.interrupted or b"KeyboardInterrupt" in heard
        self.start_up_cut = self.start_up_cut or START_UP in heard

    def await_friendly(self, timeout: float) -> bool:
        """Say nothing; whether the friendly prompt came in `timeout` seconds."""
        try:
            self.serial.read_until(b"\r\n>>> ", timeout=timeout, limit=8192)
        except ReadTimeout:
            return False
        return True

    def leave(self) -> None:
        """Back to the friendly REPL, without a reset."""
        self._close_paste()
        self.serial.write(b"\r\x02")
        with suppress(ReadTimeout):
            self.serial.read_until(b">>> ", timeout=0.3)
        self.trace(1, "left the raw REPL")

    def soft_reset(self) -> None:
        """Start boot.py and main.py anew, in a fresh interpreter; returns at once."""
        self._close_paste()
        self.serial.write(b"\r\x02\x04")
        self.trace(1, "soft reset")

    def restart_interpreter(self, *, interrupting: bool = False) -> None:
        """A fresh interpreter that ran boot.py alone: a soft reset that stays at the raw REPL.

        Nothing is sent while it starts, unless `interrupting`, for a boot.py that spoils it. Before
        1.21 a Ctrl-C would end the firmware's own first script, before it has mounted the
        filesystem or amid its first set-up. What comes to no prompt is interrupted after
        `START_TIMEOUT` seconds: a boot.py that is all of an app. So is a firmware that repeats for
        ever that its filesystem is corrupt.
        """
        self._close_paste()
        self.serial.write(b"\x04")
        try:
            self.serial.read_until(b"soft reboot", timeout=2.0)
        except ReadTimeout as timed_out:
            raise NoAnswer(f"the board did not reset{self.last_heard(timed_out.heard)}") from None
        self.interrupted = self.fresh = True
        self.boot_cut = self.boot_cut or interrupting  # whoever asks for another one later
        heard, ends = b"", (BANNER, CORRUPT, *BOOT_FAILURES)
        if self.boot_cut:
            self._interrupt_until(BANNER, self.serial.deadline(START_TIMEOUT))
        else:
            with suppress(ReadTimeout):
                heard = self.serial.read_until(*ends, timeout=START_TIMEOUT, limit=8192)
        self._raise_without_firmware(heard)
        if not heard.endswith(BANNER):
            self.enter()

    def recover(self) -> bool:
        """Bring back a board that stopped inside a stream, within bounds; NoAnswer if not.
        Whether it ran an app instead: then it had restarted."""
        self._paste_window = None
        self._unblock_receiver(b"\0")
        self.serial.restore_rate()
        return b"KeyboardInterrupt" in self._enter(ENTER_TIMEOUT)

    def _step_by_step(self, deadline: float, heard: bytes) -> bytes:
        timeout, attempt = 0.25, 0
        # One that has not said a word by then is given up before the time is over.
        while self.serial.left(deadline) > 0 and (attempt < 4 or heard.strip(b"\0\xff")):
            attempt += 1
            if attempt in (2, 5):
                self._unblock_receiver(b"\0" if attempt == 2 else b"\xff")
            self.serial.write(b"\r\x03\x03")
            if attempt > 3:
                self._flood_interrupts()
            heard += self.serial.read_until_quiet(0.05, timeout)
            self.serial.write(b"\x01")
            try:
                heard += self.serial.read_until(BANNER, timeout=timeout)
                # Answers to earlier attempts may still come: only silence, then one exact
                # answer, prove that the board waits for us.
                heard += self.serial.read_until_quiet(0.1, 1.0)
                self.serial.write(b"\r\x03\x01")
                heard += self.serial.read_until(BANNER, timeout=1.0)
                if not self.serial.read_until_quiet(0.05, 0.5):
                    return heard
            except ReadTimeout as timed_out:
                heard += timed_out.heard
                self.serial.read_available()
            heard = heard[-4096:]
            self._raise_without_firmware(heard)
            timeout = min(1.0, timeout * 1.5)
            self.trace(2, f"no raw REPL yet{self.last_heard(heard)}")
        if not heard.strip(b"\0\xff"):
            raise NoAnswer(
                "nothing answers on this port",
                hint="check that the cable carries data and the baud rate is right; press RESET",
            )
        raise NoAnswer(
            f"could not interrupt the running program to reach the REPL{self.last_heard(heard)}"
        )

    def _flood_interrupts(self) -> None:
        """For an app that heeds no Ctrl-C but one that comes at the right moment: many, at uneven
        distances. Others got three, with time to tidy up between."""
        for number in range(24):
            self.serial.write(b"\x03")
            self.clock.sleep(0.004 + number % 7 * 0.003)

    def _unblock_receiver(self, byte: bytes) -> None:
        """Bring back a board left amid a stream: an inflater that reads `byte` (0, 255) leaves its
        frame, if that is no literal's code; at a raised rate it hears a byte or more an edge."""
        both = [byte * FILLER, bytes([byte[0] ^ 255]) * FILLER]
        self.serial.carry(both * 3 + [EDGES * FILLER] * 9)
        self.serial.read_until_quiet(0.4, 1.5)  # the receiver waits for 0.2 s of silence

    # One program at a time

    def execute(
        self,
        code: bytes,
        *,
        timeout: float,
        limit: int = MAX_OUTPUT,
        stopping: Stopping = never,
    ) -> str:
        """Run code and return its output; BoardException when it raises, NoAnswer when nothing
        comes for `timeout` seconds or `stopping` says so (the board is interrupted then)."""
        fresh, self._just_entered = self._just_entered, False
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
            except BoardException as error:
                if error.name not in ("KeyboardInterrupt", "SyntaxError"):
                    raise
        # A Ctrl-C of ours came late, or what looked like the answer to our entering was meant
        # for a host before us: enter step by step, and once more.
        self._paste_window = None
        self.serial.read_until_quiet(0.1, 1.0)
        self._step_by_step(self.serial.deadline(ENTER_TIMEOUT), b"")
        self.start(code)
        return self.result(timeout=timeout, limit=limit, stopping=stopping)

    def start(self, code: bytes) -> None:
        """Give the board code to run; returns when it is running, `result` when it ends."""
        self.trace(2, f"to the board: {len(code)} bytes of code")
        try:
            if self._paste_window is None:
                self._open_paste()
            if self._paste_window is not None:
                self._paste(code, self._paste_window)
            else:
                self._send_in_pieces(code)
        except ReadTimeout as timed_out:
            self._paste_window = None
            raise self._stopped(timed_out) from None

    def settle(self) -> None:
        """Be at the raw REPL's prompt, nothing open and nothing on its way."""
        self._close_paste()
        self.serial.read_available()

    def round_trip_time(self) -> float:
        """Seconds that a few bytes take to the board and back: a raw paste is opened, and is
        there for the next program."""
        if self._paste_window is not None or self._has_raw_paste is False:
            return 0.0
        began = self.clock.monotonic()
        try:
            self._open_paste()
        except ReadTimeout as timed_out:
            raise self._stopped(timed_out) from None
        return self.clock.monotonic() - began

    def result(self, *, timeout: float, limit: int = MAX_OUTPUT, stopping: Stopping = never) -> str:
        """The output of the code that runs, to its end."""
        try:
            output = self.serial.read_until(
                b"\x04", *RESET_BANNERS, timeout=timeout, limit=limit, stopping=stopping
            )
            if output.endswith(RESET_BANNERS):
                self._paste_window = None
                raise NoAnswer(
                    f"the board restarted{self.last_heard(output)}",
                    hint="its app's watchdog may do that, or its power supply; run again",
                )
            output = output[:-1]
            problem = self.serial.read_until(b"\x04", timeout=EXEC_TIMEOUT, limit=limit)[:-1]
            self.serial.read_until(b">", timeout=EXEC_TIMEOUT)
        except ReadTimeout as timed_out:
            self.serial.write(b"\x03\x03")
            self._paste_window = None
            raise NoAnswer(
                f"the board did not finish in {timeout:g} s{self.last_heard(timed_out.heard)}",
                hint="the app's threads or interrupts may keep it busy; reset it and run again",
            ) from None
        if problem:
            raise BoardException(problem.decode("utf-8", "replace"))
        return output.decode("utf-8", "replace")

    def _stopped(self, timed_out: ReadTimeout) -> NoAnswer:
        return NoAnswer(f"the board stopped answering{self.last_heard(timed_out.heard)}")

    def _open_paste(self) -> None:
        if self._has_raw_paste is False:
            return
        self.serial.read_available()
        self.serial.write(RAW_PASTE)
        answer = self.serial.read_until(b"R\x01", b"R\x00", BANNER, timeout=2.0)
        self._has_raw_paste = answer.endswith(b"R\x01")
        if self._has_raw_paste:
            self._paste_window = int.from_bytes(self.serial.read_exactly(2, 1.0), "little")

    def _close_paste(self) -> None:
        if self._paste_window is not None:
            self._paste_window = None
            self.serial.write(b"\x03")
            self.serial.read_until_quiet(0.02, 0.3)

    def _paste(self, code: bytes, window: int) -> None:
        """Raw paste: the board grants a window at a time."""
        self._paste_window = None
        if not 0 < window <= 4096:
            raise NoAnswer(f"invalid raw-paste window from the board: {window}")
        credit = window
        sent = 0
        # For all of it: one that drips or babbles must not hold us for ever.
        deadline = self.serial.deadline(EXEC_TIMEOUT + len(code) / SLOWEST)
        while sent < len(code):
            while credit == 0 or self.serial.available():
                left = self.serial.left(deadline)
                if left <= 0:
                    raise ReadTimeout(self.serial.read_available())
                match self.serial.read_exactly(1, left):
                    case b"\x01":
                        credit += window
                    case b"\x04":  # the board gives up on the code, and says why
                        self.serial.write(b"\x04")
                        return
                    case _:
                        pass  # something on the board prints
            part = code[sent : sent + credit]
            self.serial.write(part)
            sent += len(part)
            credit -= len(part)
        self.serial.write(b"\x04")
        self.serial.read_until(b"\x04", timeout=EXEC_TIMEOUT)

    def _send_in_pieces(self, code: bytes) -> None:
        """The raw REPL before MicroPython 1.13: no flow control, so in pieces with pauses."""
        for start in range(0, len(code), 128):
            self.serial.write(code[start : start + 128])
            self.clock.sleep(0.015)  # the board says nothing while it takes them
        self.serial.write(b"\x04")
        self.serial.read_until(b"OK", timeout=EXEC_TIMEOUT)

    # What the board says, for messages

    def excerpt(self, text: str, limit: int = 200) -> str:
        """The beginning of what the board said, safe to show."""
        return excerpt(text, self.redact, limit)

    def raised(self, error: BoardException) -> str:
        """The last line of a traceback, safe to show; a secret in it may have more lines."""
        return excerpt(_last_line(self.redact(error.traceback)), self.redact)

    def last_heard(self, heard: bytes) -> str:
        """`; last heard: '…'`, the end of what was heard, safe to show; "" for nothing."""
        return last_heard(heard.decode("utf-8", "replace"), self.redact)

    def _raise_without_firmware(self, heard: bytes) -> None:
        if any(words in heard for words in BOOT_FAILURES):
            raise NoAnswer(f"nothing runs on this board{self.last_heard(heard)}")


def _last_line(traceback: str) -> str:
    return traceback.strip().rsplit("\n", 1)[-1].strip()
