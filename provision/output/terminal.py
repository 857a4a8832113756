"""The terminal that a board's prompt is shown on: raw while it is, and as it was afterwards.

What a board prints is untrusted here too. It may move the cursor and colour its text, as line
editing does. What retitles the terminal, writes its clipboard or asks it to answer is taken out.
"""

from __future__ import annotations

import codecs
import re
import select
import sys
import time
from typing import Any

from provision.errors import UsageError

_MOST_TYPED = 4096  # bytes that are taken at once, of what was pasted

_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]"
    r"|[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)"
    r"|[ -/]*[0-OQ-WYZ\\`-~])"
)
_HARMLESS = re.compile(r"\x1b\[[0-9;]*[@A-HJKPmX]")  # cursor, erasing, inserting, colour
_BEGUN = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|[\]PX^_][^\x07\x1b\x9c]*\x1b?|[ -/]*)\Z")
_LONGEST = 256  # characters of a sequence whose end is waited for
_CONTROLS = re.compile(
    "[\x00-\x06\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)


class TerminalText:
    """Bytes of a board, in whatever pieces they come, as text that does no more to a terminal than
    line editing needs."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._begun = ""  # of a sequence whose end has not come

    def feed(self, data: bytes) -> str:
        text = self._begun + self._decoder.decode(data)
        begun = _BEGUN.search(text)
        self._begun = ""
        if begun is not None and len(begun[0]) <= _LONGEST:
            text, self._begun = text[: begun.start()], begun[0]
        shown = []
        end = 0
        for found in _SEQUENCE.finditer(text):
            shown.append(_plain(text[end : found.start()]))
            shown.append(found[0] if _HARMLESS.fullmatch(found[0]) else "")
            end = found.end()
        shown.append(_plain(text[end:]))
        return "".join(shown)


def _plain(text: str) -> str:
    return _CONTROLS.sub(lambda found: ascii(found[0])[1:-1], text).replace("\x1b", "\\x1b")


class Terminal:
    """Implements `interfaces.Terminal` for standard input and output, by mpremote's console."""

    def __init__(self) -> None:
        """UsageError where these are no terminal."""
        if not (sys.stdin.isatty() and sys.stdout.isatty()):
            raise UsageError(
                "a prompt needs a terminal, and this is none",
                hint="`provision run` runs code without one",
            )
        self._console: Any = None
        self._text = TerminalText()

    def open(self) -> None:
        """Every key is the board's from here on."""
        from mpremote.console import Console

        console = Console()
        self._console = console
        console.enter()

    def close(self) -> None:
        """As it was before; a second call does nothing."""
        console, self._console = self._console, None
        if console is not None:
            try:
                console.write(b"\r\n")
            finally:
                console.exit()

    def wait(self, seconds: float, descriptor: int | None) -> bool:
        """Until something is typed or this file is readable; whether the file is."""
        if sys.platform == "win32":
            time.sleep(min(seconds, 0.02))  # a poll: it waits for keys or a port, never for either
            return True
        others = [descriptor] if descriptor is not None else []
        readable = select.select([sys.stdin.fileno(), *others], [], [], seconds)[0]
        return descriptor in readable

    def typed(self) -> bytes | None:
        """What was typed; None once nothing can be any more."""
        keys = bytearray()
        while len(keys) < _MOST_TYPED:
            key = self._console.readchar()
            if key is None:
                break
            if not key:
                return bytes(keys) or None
            keys += key
        return bytes(keys)

    def show(self, data: bytes) -> None:
        self._console.write(self._text.feed(data).encode())
