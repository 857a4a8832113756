"""Bytes of a board's console as lines of text, in whatever pieces they come.

A line is kept until its end has come, so that a secret in it is seen whole, however much is read at
a time. One that is too long, or that nothing follows for a while, as a prompt, is said in pieces:
at each cut a part of a secret is masked, as `wording.excerpt` does it.
"""

from __future__ import annotations

import codecs
import re

from provision.core.wording import CUT, Redact
from provision.interfaces import Say

LONGEST = 4096
"""Characters of a line that are kept; a longer one is said in pieces."""

_RETURNS = re.compile("\r+\n?")


class ConsoleLines:
    """Give it what comes by `feed`; `say` is called with the lines that have ended, all at once:
    what every line costs is paid hundreds of times a second and board."""

    def __init__(self, say: Say, redact: Redact = str, *, amid: bool = False) -> None:
        """`amid` where it may begin in the middle of a line, and so of a secret."""
        self._say = say
        self._redact = redact
        # Bytes that are no text are shown as `\xff`.
        self._decoder = codecs.getincrementaldecoder("utf-8")("backslashreplace")
        self._rest = ""  # of a line whose end has not come
        self._cut = amid  # whether something came before of that line

    @property
    def waiting(self) -> bool:
        """Whether something has come that was not said."""
        return bool(self._rest) or bool(self._decoder.getstate()[0])

    @property
    def rest(self) -> str:
        """What has come of a line that has not ended."""
        return self._rest

    def feed(self, data: bytes) -> None:
        """More has come. A carriage return alone ends a line too, as a progress display's; at the
        end of what has come it may be half of a line's end."""
        ended, end, rest = (self._rest + self._decoder.decode(data)).rpartition("\n")
        lines = _lines(ended) if end else []
        *more, self._rest = _lines(rest)
        self._say_lines(lines + more)
        while len(self._rest) > LONGEST:
            piece, self._rest = self._rest[:LONGEST], self._rest[LONGEST:]
            self._say_piece(piece, ended=False)
        if rest.endswith("\r"):
            self._rest += "\r"

    def flush(self) -> None:
        """Say what has come of a line that has not ended: nothing has followed for a while. A
        character of which a part has come is waited for."""
        rest, self._rest = self._rest, ""
        if rest.endswith("\r"):
            self._say_lines([rest.rstrip("\r")])
        elif rest:
            self._say_piece(rest, ended=False)

    def close(self) -> None:
        """Nothing comes any more: say what is left."""
        self._rest += self._decoder.decode(b"", final=True)
        self.flush()

    def _say_lines(self, lines: list[str]) -> None:
        if self._cut and lines:
            self._say_line(lines.pop(0))
        if not lines:
            return
        text = "\n".join(lines)
        if CUT in text or max(map(len, lines)) > LONGEST:
            for line in lines:
                self._say_line(line)
        else:
            self._say(self._redact(text).split("\n"), True)

    def _say_line(self, line: str) -> None:
        while len(line) > LONGEST:
            piece, line = line[:LONGEST], line[LONGEST:]
            self._say_piece(piece, ended=False)
        self._say_piece(line, ended=True)
        self._cut = False

    def _say_piece(self, piece: str, *, ended: bool) -> None:
        before, after = CUT if self._cut else "", "" if ended else CUT
        masked = self._redact(f"{before}{piece}{after}")
        self._cut = True
        self._say([masked.removeprefix(before).removesuffix(after)], ended)


def _lines(text: str) -> list[str]:
    text = text.rstrip("\r").replace("\r\n", "\n")
    return (_RETURNS.sub("\n", text) if "\r" in text else text).split("\n")
