"""YAML as it was written: plain text, tables and lists, each of which knows its line and column.

The parser makes these, and everything up to the desired state works on them, so that a mistake
found late still points at the place it was made. Nothing is converted: `1.20` stays "1.20" and
`on` stays "on"; whether a scalar may stand for a number or a truth value is asked of it
(`integer`, `number`, `boolean`) by whoever wants one there.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from typing import TypeAlias, Union

from provision.errors import Place, Problem

_INTEGER = re.compile(r"[-+]?[0-9]{1,18}", re.ASCII)
_NUMBER = re.compile(r"[-+]?(?:[0-9]{1,18}(?:\.[0-9]{0,18})?|\.[0-9]{1,18})", re.ASCII)
_NULLS = frozenset({"", "~", "null", "Null", "NULL"})
_TRUTHS = {
    spelling: truth
    for word, truth in {"true": True, "yes": True, "on": True}.items()
    for spelling in (word, word.capitalize(), word.upper())
} | {
    spelling: False
    for word in ("false", "no", "off")
    for spelling in (word, word.capitalize(), word.upper())
}
_DRIVE = re.compile(r"[A-Za-z]:[\\/]")
LINE_BREAK = re.compile("\r\n|[\n\r\x85\u2028\u2029]")


class Text(str):
    """A scalar. `plain` is True when it was written without quotes; `tag` is "!secret", "!env"
    or None. `line` and `column` count from 1."""

    __slots__ = ("column", "line", "plain", "tag")

    line: int
    column: int
    plain: bool
    tag: str | None

    @classmethod
    def at(
        cls, text: str, line: int, column: int, *, plain: bool = True, tag: str | None = None
    ) -> Text:
        made = cls(text)
        made.line = line
        made.column = column
        made.plain = plain
        made.tag = tag
        return made

    @property
    def null(self) -> bool:
        """Whether nothing was written here (or `null`)."""
        return self.plain and self.tag is None and self in _NULLS

    @property
    def integer(self) -> int | None:
        if self.plain and self.tag is None and _INTEGER.fullmatch(self):
            return int(self)
        return None

    @property
    def number(self) -> float | None:
        if self.plain and self.tag is None and _NUMBER.fullmatch(self):
            return float(self)
        return None

    @property
    def boolean(self) -> bool | None:
        """YAML 1.1's words, as Ansible reads them: true/false, yes/no, on/off."""
        return _TRUTHS.get(self) if self.plain and self.tag is None else None


class Table(dict[Text, "Node"]):
    """A mapping; its keys are `Text` too and know where they stand."""

    __slots__ = ("column", "line")

    line: int
    column: int

    def key(self, name: str) -> Text | None:
        """The key as written, for its place."""
        return next((key for key in self if key == name), None)

    def value(self, name: str) -> Node | None:
        """The value of a key; None where there is none or nothing was written."""
        found = self.get(name)  # type: ignore[call-overload]
        return None if isinstance(found, Text) and found.null else found


class Items(list["Node"]):
    """A sequence."""

    __slots__ = ("column", "line")

    line: int
    column: int


Node: TypeAlias = Union[Text, Table, Items]  # noqa: UP007  (a forward reference above)


class Document:
    """One text file and its name, for problems that stand in it; and the files that belong to it,
    whose lines count on from its own: a node's line says in which file it stands.

    `folder` is the file's, relative to that of the manifest ("" there, else "rooms/"), `before` the
    number of lines of the files that came earlier, `note` what is said after each problem in it.
    """

    def __init__(
        self, file: str, text: str, *, folder: str = "", before: int = 0, note: str = ""
    ) -> None:
        self.file = file
        self.text = text
        self.folder = folder
        self.before = before
        self.note = note
        self._lines: list[str] | None = None
        self._parts: list[Document] = [self]

    @property
    def path(self) -> str:
        """Where it is, relative to the manifest's folder."""
        return self.folder + re.split(r"[/\\]", self.file)[-1]

    @property
    def after(self) -> int:
        """How many lines there are up to the end of the last file."""
        last = self._parts[-1]
        return last.before + len(last._split()) + 1  # problems may stand just past the end

    def add(self, part: Document) -> None:
        """One file more, of lines after all that there are."""
        assert part.before >= self.after
        self._parts.append(part)

    def part(self, node: Node) -> Document:
        """The file that a node stands in."""
        if len(self._parts) == 1:
            return self
        at = bisect_right(self._parts, node.line - 1, key=lambda part: part.before)
        return self._parts[at - 1]

    def has_file(self, file: str) -> bool:
        """Whether a file of this name belongs to it."""
        return any(part.file == file for part in self._parts)

    def line_name(self, node: Node) -> str:
        """Where another node stands, in a message: `line 3`, or `line 3 of rooms/a.yaml`."""
        part = self.part(node)
        line = f"line {node.line - part.before}"
        return line if part is self else f"{line} of {part.file}"

    def source(self, text: Text) -> Text:
        """A path as the file that says it means it, made relative to the manifest's folder."""
        folder = self.part(text).folder
        if not folder:
            return text
        path = path_from(folder, text)
        return Text.at(path, text.line, text.column, plain=text.plain, tag=text.tag)

    def line(self, number: int) -> str | None:
        """The text of a line of this very file, counted from 1; None past the end."""
        lines = self._split()
        return lines[number - 1] if 0 < number <= len(lines) else None

    def problem(self, node: Node, path: str, message: str) -> Problem:
        part = self.part(node)
        return part.problem_at(node.line - part.before, node.column, path, message)

    def problem_at(self, line: int, column: int, path: str, message: str) -> Problem:
        """At a line of this very file."""
        place = Place(file=self.file, line=line, column=column)
        return Problem(place=place, path=path, message=message + self.note, source=self.line(line))

    def _split(self) -> list[str]:
        if self._lines is None:
            self._lines = LINE_BREAK.split(self.text)
        return self._lines


def path_from(folder: str, path: str) -> str:
    """A relative path, as a file in `folder` ("rooms/", or "" for the manifest's own) means it,
    seen from the manifest's folder. What follows the leading `..` stays as it is, templates too."""
    if path.startswith(("/", "\\")) or _DRIVE.match(path):
        return path
    above = [part for part in folder.split("/") if part]
    rest = path
    while True:
        first, slash, after = rest.partition("/")
        if first == "." and slash:
            rest = after
        elif first == ".." and above and above[-1] != "..":
            above.pop()
            rest = after
        else:
            break
        rest = rest.lstrip("/")
    if not rest:
        return "/".join(above) + "/" if above else "./"
    return "/".join([*above, rest])


def dotted(parts: Iterable[str | int]) -> str:
    """A key path as problems show it: `devices.kitchen.files[2].dest`."""
    written = ""
    for part in parts:
        if isinstance(part, int):
            written += f"[{part}]"
        else:
            name = f'"{part}"' if not part or "." in part or " " in part else str(part)
            written += f".{name}" if written else name
    return written
