"""Code of the user's at a board's raw REPL: its output as it comes, whatever bytes it is made of.

The raw REPL ends what a program prints by the byte 4, ends its traceback by another, and waits at
a `>`. A program may print these bytes too, and a thread or a timer may print on when it has ended.
So the end is where these bytes came last before the raw REPL answers.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from provision.core.chips.registry import RESET_BANNERS
from provision.device.micropython.raw_repl import BANNER, RAW_PASTE, RawRepl
from provision.device.transport.buffered_serial import ReadTimeout, Stopping
from provision.errors import BoardRestarted, Interrupted, NoAnswer

QUIET = 0.15  # seconds without a byte: what came last may be the end
ASK_AFTER = 1.0  # seconds, before a board that prints on is asked whether the code has ended
ASK_EVERY = 5.0
HOLD = 2.0  # seconds that output of a board that prints on is held back, as it may be the end
STOP_TIMEOUT = 5.0  # seconds for code to heed Ctrl-C: it may tidy up
_KEPT = 256 * 1024  # bytes from the first that may be the end on

_EOT = b"\x04"
_END = b"\x04>"
_TRACEBACK = b"Traceback (most recent call last):"
# An exception for whose traceback there was no memory.
_BARE = re.compile(rb"\s*\w*(?:Error|Exception|Interrupt|Iteration|Exit)(?::[^\n]*)?\s*")
# What a board says that has restarted and whose chip said nothing of it.
_PROMPT = re.compile(rb"MicroPython v[^\n]*\n[^\n]*\r\n>>> \Z")
_BEGUN = re.compile(rb"\x04+(?:\s*MPY: soft reboot[^\x04]*|Traceback[^\x04]*(?:\x04>?)?|>)?\Z")
_RESET = re.compile(rb"\x04*\s*MPY: soft reboot\s*" + re.escape(BANNER) + rb"\Z")


def run_code(raw: RawRepl, code: bytes, heard: Callable[[bytes], None], stopping: Stopping) -> str:
    """Run code, and give `heard` what it prints, b"" where nothing comes for a moment; returns its
    traceback, "" where nothing was raised.

    Code that resets the interpreter (`sys.exit()` does) has ended. BoardRestarted where the board
    itself restarts. Once `stopping` says so the code is interrupted: Interrupted, or NoAnswer where
    it does not heed that.
    """
    raw.start(code)
    return _Output(raw, heard).follow(stopping)


class _Output:
    """What comes from the board: up to the first byte 4 it is said at once, from there on held
    until it is known whether that is the end."""

    def __init__(self, raw: RawRepl, heard: Callable[[bytes], None]) -> None:
        self._raw = raw
        self._serial = raw.serial
        self._heard = heard
        self._held = bytearray()
        self._said = 0  # how much of it was said
        self._last = b""  # the end of all that came
        self._asked = 0  # how much of it was there when the board was last asked for its end
        self._ask_at: float | None = None  # when to ask a board that prints on

    def follow(self, stopping: Stopping) -> str:
        serial = self._serial
        give_up: float | None = None
        again, hold_until = 0.0, serial.deadline(HOLD)
        while True:
            data = serial.read_some(QUIET)
            if data:
                self._take(data)
            elif self._last.endswith(BANNER) and self._answers():
                self._raw.interrupted = True  # a fresh interpreter, whose main.py did not run
                return self._fresh(stopped=give_up is not None)
            self._refuse_restart()
            if self._looks_ended(quiet=not data) and self._answers():
                return self._end(stopped=give_up is not None)
            if not data or serial.left(hold_until) <= 0:
                self._say_what_is_no_end()
                hold_until = serial.deadline(HOLD)
            if not data:
                self._heard(b"")
            if stopping():
                give_up = give_up if give_up is not None else serial.deadline(STOP_TIMEOUT)
                if serial.left(give_up) <= 0:
                    raise NoAnswer("the code on the board does not heed Ctrl-C")
                if serial.left(again) <= 0:
                    serial.write(b"\x03")
                    again = serial.deadline(1.0)

    def _take(self, data: bytes) -> None:
        self._last = (self._last + data)[-512:]
        if not self._held:
            before, mark, rest = data.partition(_EOT)
            if before:
                self._heard(before)
            data = mark + rest
        self._held += data
        if len(self._held) > _KEPT:
            self._say(len(self._held) - _KEPT // 2)
            del self._held[: self._said]
            self._said = 0

    def _say(self, end: int) -> None:
        if end > self._said:
            self._heard(bytes(self._held[self._said : end]))
            self._said = end

    def _say_what_is_no_end(self) -> None:
        """Bytes like others, by now, but for what may be the beginning of the end."""
        begun = _BEGUN.search(self._held, self._said)
        self._say(begun.start() if begun else len(self._held))

    def _end(self, *, stopped: bool) -> str:
        """Say what is held and was not said, but for the end itself; returns the traceback."""
        held = bytes(self._held)
        second = held.rindex(_EOT)
        if held.endswith(_EOT, 0, second):  # the usual case, whatever the code has printed before
            first = second - 1
        else:
            first = held.rfind(_EOT + _TRACEBACK)  # a message of an exception may hold the byte
            if first < 0:
                first = held.rindex(_EOT, 0, second)
        self._say(first)
        self._said = max(self._said, first + 1)
        problem = held[first + 1 : second]
        at = problem.find(_TRACEBACK)  # a thread may have printed before it
        if at < 0:
            at = 0 if _BARE.fullmatch(problem) else len(problem)
        self._say(first + 1 + at)
        if stopped:
            raise Interrupted("the run was cancelled")
        return problem[at:].decode("utf-8", "backslashreplace")

    def _fresh(self, *, stopped: bool) -> str:
        """The interpreter was reset, which it has said; what it answered since is held as well."""
        held = self._held[: self._asked]
        self._say(len(_RESET.sub(b"", held)))
        if stopped:
            raise Interrupted("the run was cancelled")
        return ""

    def _refuse_restart(self) -> None:
        if any(banner in self._last for banner in RESET_BANNERS) or _PROMPT.search(self._last):
            said = self._raw.last_heard(self._last)
            raise BoardRestarted(f"the board restarted before the code had ended{said}")

    def _looks_ended(self, *, quiet: bool) -> bool:
        """Whether it is time to ask the board. It is not asked without need: a program that runs
        takes the question for input of its own."""
        second = self._held.rfind(_EOT)
        if self._held.find(_EOT) == second or self._held.find(b">", second) < 0:
            return False
        if self._ask_at is None:
            self._ask_at = self._serial.deadline(ASK_AFTER)
        at_end = quiet and self._held.endswith(_END) and len(self._held) != self._asked
        return at_end or self._serial.left(self._ask_at) <= 0

    def _answers(self) -> bool:
        """Whether the raw REPL answers; what came before its answer is held."""
        self._serial.write(RAW_PASTE)
        self._asked = len(self._held)
        try:
            answer = self._serial.read_until(b"R\x01", b"R\x00", BANNER, timeout=1.0)
        except ReadTimeout:  # what came is there still
            self._ask_at = self._serial.deadline(ASK_EVERY)
            self._last = b""
            return False
        self._held += answer
        self._serial.write(b"\x03")  # out of the paste again
        self._serial.read_until_quiet(0.02, 0.3)
        return True
