"""Colour, and whether to use it: NO_COLOR, FORCE_COLOR, TERM and the terminal decide.

A handful of ANSI codes for lines that need no more; only the live display uses rich.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, TextIO

from provision.model.event import Outcome

Colour = Literal["red", "green", "yellow", "blue", "magenta", "cyan", "bold", "dim"]

_CODES: dict[Colour, str] = {
    "red": "31",
    "green": "32",
    "yellow": "33",
    "blue": "34",
    "magenta": "35",
    "cyan": "36",
    "bold": "1",
    "dim": "2",
}

OUTCOME_COLOURS: dict[Outcome, Colour] = {
    "ok": "green",
    "changed": "yellow",
    "pending": "cyan",
    "failed": "red",
    "rolled-back": "red",
    "refused": "red",
    "unreachable": "red",
    "interrupted": "red",
    "skipped": "dim",
}


def is_terminal(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """Whether lines on this stream can be redrawn."""
    return stream.isatty() and environment.get("TERM") != "dumb"


def wants_colour(stream: TextIO, environment: Mapping[str, str]) -> bool:
    """NO_COLOR (https://no-color.org) wins over FORCE_COLOR, which wins over the terminal."""
    if environment.get("NO_COLOR"):
        return False
    if environment.get("FORCE_COLOR", "0") not in ("", "0"):
        return True
    return is_terminal(stream, environment)


class Style:
    """Paints text, or does not."""

    def __init__(self, colour: bool) -> None:
        self.colour = colour

    def __call__(self, text: str, *colours: Colour) -> str:
        if not self.colour or not text:
            return text
        return f"\x1b[{';'.join(_CODES[each] for each in colours)}m{text}\x1b[0m"

    def outcome(self, outcome: Outcome, width: int = 0) -> str:
        """An outcome's word in its colour, padded to a width."""
        return self(outcome.ljust(width), OUTCOME_COLOURS[outcome])


PLAIN = Style(colour=False)
