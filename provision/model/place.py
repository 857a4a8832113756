"""Where in a file something stands, and what is wrong there."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """A position in a text file; `line` and `column` count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, kw_only=True, slots=True)
class Problem:
    """One located mistake: `fleet.yaml:14:9: devices.kitchen.board: unknown board …`.

    `path` is the dotted key path inside the document ("" at its top); `source` is the text of
    the line it stands on, for a caret below it, or None where there is no line to show.
    """

    place: Place
    path: str
    message: str
    source: str | None = None

    @property
    def sort_key(self) -> tuple[str, int, int, str, str]:
        """By file, then line, then column."""
        place = self.place
        return (place.file, place.line, place.column, self.path, self.message)

    def __str__(self) -> str:
        where = f"{self.place}: {self.path}: " if self.path else f"{self.place}: "
        return where + self.message
