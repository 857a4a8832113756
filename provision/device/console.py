"""What a board prints while it works: of code that is run at its raw REPL, and of its app.

Bytes come in here and lines go out, secrets masked whatever pieces they came in.
"""

from __future__ import annotations

import codecs
import re
import time
from collections.abc import Callable, Iterator
from contextlib import closing

from provision.core.manifest.console_pattern import compile_console
from provision.core.wording import CUT, Redact
from provision.device.micropython.raw_repl import RawRepl
from provision.device.micropython.run_code import run_code
from provision.device.transport.buffered_serial import (
    MAX_READ,
    BufferedSerial,
    BytePort,
    ReadTimeout,
    Stopping,
)
from provision.device.transport.console_lines import ConsoleLines
from provision.interfaces import Say, Terminal

MAX_CONSOLE = 64 * 1024  # bytes of output that are kept while waiting for a line
PATIENCE = 0.25  # seconds that a read waits, and so until a run that is stopped has ended
PAUSE = 0.1
"""Seconds between two reads, so that they are few and large: many boards that print at once cost a
wake-up for each."""
MUCH = 1200
"""Bytes that a driver may hold before they are read: it has room for 4096 at least. Where so much
has come there is no pause, or a shorter one at a rate that would bring more."""
END_KEY = b"\x1d"  # Ctrl-]
KEY_LATENCY = 0.02  # seconds that a key may wait on a port that cannot be waited for with it
AHEAD = 96  # bytes that are sent before their echo has come
NO_ECHO = 0.05  # seconds: a program that reads its input echoes none
LONGEST_LINE = 4096
HOLD = 0.02  # seconds
_PROMPTS = (b">>> ", b"... ", b"=== ")
UNFINISHED = 1.0
"""Seconds after which a line is said though its end has not come."""
PROMPT = 0.25  # the same of one that ends in a space, as prompts do


class Lines:
    """Lines of a console, an unfinished one among them when nothing has followed for a while."""

    def __init__(
        self,
        say: Say,
        redact: Redact,
        *,
        amid: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lines = ConsoleLines(say, redact, amid=amid)
        self._clock = clock
        self._heard_at = 0.0

    def hear(self, data: bytes) -> None:
        """What came; b"" where nothing did."""
        now = self._clock()
        if data:
            self._heard_at = now
            self._lines.feed(data)
        elif self._lines.waiting:
            patience = PROMPT if self._lines.rest.endswith(" ") else UNFINISHED
            if now - self._heard_at >= patience:
                self._lines.flush()

    def close(self) -> None:
        self._lines.close()


class MaskedScreen:
    """What a board prints at its prompt, for `show`, byte for byte but for secrets, which are
    masked whatever pieces they come in: a line is held until its end has come, or nothing has
    followed for HOLD seconds. What is typed key by key comes back so, and is not masked."""

    def __init__(
        self,
        show: Callable[[bytes], None],
        redact: Redact,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._show = show
        self._redact = redact
        self._clock = clock
        self._decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        self._held = ""
        self._cut = False  # whether a part of the line that is held was shown
        self._heard_at = 0.0

    @property
    def waiting(self) -> bool:
        """Whether something is held."""
        return bool(self._held)

    def hear(self, data: bytes) -> None:
        """What came; b"" where nothing did."""
        now = self._clock()
        if data:
            self._heard_at = now
            ended, end, self._held = (self._held + self._decoder.decode(data)).rpartition("\n")
            if end:
                self._say(ended + end, ended=True)
        if len(self._held) > LONGEST_LINE or (self._held and now - self._heard_at >= HOLD):
            self.flush()

    def close(self) -> None:
        """Nothing comes any more: show what is left."""
        self._held += self._decoder.decode(b"", final=True)
        self.flush()

    def flush(self) -> None:
        """Show what is held; a character of which a part has come is waited for."""
        held, self._held = self._held, ""
        if held:
            self._say(held, ended=False)

    def _say(self, text: str, *, ended: bool) -> None:
        before, after = CUT if self._cut else "", "" if ended else CUT
        masked = self._redact(f"{before}{text}{after}")
        self._cut = not ended
        shown = masked.removeprefix(before).removesuffix(after)
        self._show(shown.encode("utf-8", "surrogateescape"))


def follow(
    port: BytePort, heard: Callable[[bytes], None], over: Stopping, patience: float = PATIENCE
) -> None:
    """Give `heard` what comes, until `over` says so, which is asked every `patience` seconds at
    least; nothing is sent."""
    port.timeout = patience
    pause = min(PAUSE, patience, MUCH * 10 / port.baudrate)
    while not over():
        data = port.read(min(MAX_READ, max(1, port.in_waiting)))
        heard(data)
        if 0 < len(data) < 2 * MUCH:
            time.sleep(pause)  # fewer wake-ups: what comes meanwhile waits in the driver's buffer


def wait_for_line(
    port: BytePort, pattern: str, timeout: float, stopping: Stopping, begun: bytes = b""
) -> tuple[str | None, str]:
    """The first line that comes in which a regular expression is found, None where none does in
    `timeout` seconds or until `stopping` says so; and all that was heard. `begun` has come
    already."""
    found: list[str] = []
    matches = compile_console(pattern)
    deadline = time.monotonic() + timeout

    def look(text: str) -> bool:
        for line in text.splitlines():
            for start in possible_starts(line):
                if matches(start):
                    found.append(line)
                    return True
                if stopping() or time.monotonic() > deadline:  # however long the line is
                    break
        return False

    heard = read_lines(port, timeout, stopping, begun, look)
    return next(iter(found), None), heard


def read_lines(
    port: BytePort,
    seconds: float,
    stopping: Stopping,
    begun: bytes = b"",
    enough: Callable[[str], bool] = lambda _text: False,
) -> str:
    """What the board prints in whole lines until `enough` or `stopping` says so, or the time is
    over; `begun` has come already."""
    deadline = time.monotonic() + seconds
    heard = ""
    line = BufferedSerial(port, read=begun)
    while (left := deadline - time.monotonic()) > 0 and not stopping():
        try:
            text = line.read_until(
                b"\n", timeout=left, limit=MAX_CONSOLE, stopping=stopping
            ).decode("utf-8", "replace")
        except ReadTimeout as timed_out:
            rest = timed_out.heard.decode("utf-8", "replace")
            enough(rest)  # a line that has no end, as a prompt
            return heard + rest
        heard = (heard + text)[-MAX_CONSOLE:]
        if enough(text):
            break
    return heard


def interact(port: BytePort, terminal: Terminal, over: Stopping, redact: Redact) -> bool:
    """The friendly prompt on a terminal; see `interfaces.Connection.interact`.

    What is pasted goes out in pieces that a receive ring of 256 bytes holds, each when the echo of
    the one before has come, or none comes.
    """
    descriptor = _descriptor(port)
    port.timeout = 0.0 if descriptor is not None else KEY_LATENCY
    outgoing = bytearray(b"\r\x02")  # the banner, and a prompt
    unanswered, sent_at = 0, 0.0
    line = b""  # what stands in the board's last line
    readable = True
    with closing(MaskedScreen(terminal.show, redact)) as screen:
        while not over():
            data = b""
            if readable or descriptor is None:
                # One byte is asked for at least: of a port that is gone there is none, and that
                # is told.
                data = port.read(min(MAX_READ, max(1, port.in_waiting)))
                line = (line + data)[-LONGEST_LINE:].rpartition(b"\n")[2]
                unanswered = max(0, unanswered - len(data))
            screen.hear(data)
            keys = terminal.typed()
            typed, end, _ = (keys or b"").partition(END_KEY)
            outgoing += typed
            if outgoing and (unanswered < AHEAD // 2 or time.monotonic() - sent_at > NO_ECHO):
                piece = bytes(outgoing[:AHEAD])
                del outgoing[:AHEAD]
                port.write(piece)
                unanswered, sent_at = len(piece), time.monotonic()
            if end or keys is None:
                break
            if descriptor is not None:
                soon = outgoing or screen.waiting
                readable = terminal.wait(KEY_LATENCY if soon else PATIENCE, descriptor)
    at_prompt = line.startswith(_PROMPTS)
    if at_prompt and line != _PROMPTS[0]:
        port.write(b"\x03")  # of a line, or of lines, that were begun
    return at_prompt


def _descriptor(port: BytePort) -> int | None:
    try:
        number = port.fileno()  # type: ignore[attr-defined]
    except (AttributeError, OSError):  # a port that is no file
        return None
    return int(number)


def run_at_repl(raw: RawRepl, code: bytes, say: Say, stopping: Stopping, redact: Redact) -> str:
    """Run code; see `interfaces.Connection.run_code`."""
    lines = Lines(say, redact)
    try:
        return run_code(raw, code, lines.hear, stopping)
    finally:
        lines.close()


# What no app prints: bytes that are no text, control characters but for tabs and colours.
_NOISE = re.compile("[\ufffd\x00-\x08\x0b-\x1a\x1c-\x1f\x7f]")


def possible_starts(line: str) -> Iterator[str]:
    """The line from wherever the app's own may start: an ESP8266's boot ROM speaks at another
    rate, and what that leaves on the line stands before the app's first words, without an end."""
    yield line
    noise = _NOISE.search(line)
    if noise is not None:
        yield from (line[start:] for start in range(noise.end(), len(line)))


# What MicroPython prints when an app has ended: it hides the app's own last words.
_PROMPT = re.compile(r"(?m)^(MicroPython v.*|Type \"help\(\)\".*|>>> ?)$\s*")


def without_prompt(heard: str) -> str:
    """What an app printed, without the banner and the prompt that follow when it ends."""
    return _PROMPT.sub("", heard.replace("\r\n", "\n")).strip()
