"""CSV text to cells that know their line and column, as spreadsheets and people write it. Pure.

Cells are separated by commas, semicolons (what Excel writes where the comma is a decimal point) or
tabs: by what the first line has most of, or by what Excel's own `sep=;` above it says. A cell in
quotation marks may hold all of that, and line breaks; around others, blanks do not count.
"""

from __future__ import annotations

import codecs
import re
from bisect import bisect_right
from collections.abc import Iterator

from provision.core.manifest.ranges import MAX_DEVICES
from provision.core.manifest.yaml_parser import NotText, decode
from provision.core.manifest.yaml_tree import LINE_BREAK, Document, Text
from provision.core.wording import plural, quoted
from provision.errors import Problem
from provision.model.language import record

MAX_BYTES = 16 * 1024 * 1024
MAX_COLUMNS = 1_000
_SEPARATORS = (",", ";", "\t")
_SEP = re.compile(r"sep=([^\r\n])[ \t]*(?:\r\n|\n|\r|$)", re.IGNORECASE)
_QUOTED = re.compile(r'"([^"]*(?:""[^"]*)*)"(?!")[ ]*')
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_UTF_16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


@record
class CsvTable:
    """The names of the columns, and rows with as many cells each; blank rows are left out. `file`
    is its name for messages. A column without a name has nothing in it."""

    file: str
    columns: tuple[Text, ...]
    rows: tuple[tuple[Text, ...], ...]


def decode_csv(data: bytes, file: str) -> str:
    """UTF-8, or UTF-16 that says so by its byte order mark, as text; ValueError as `decode`."""
    if data.startswith(_UTF_16):
        try:
            return data.decode("utf-16")
        except UnicodeDecodeError as error:
            before = data[: error.start].decode("utf-16", "replace")
            line = before.count("\n") + 1
            raise NotText(file, line, 1, data[error.start]) from None
    return decode(data, file)


class _Unreadable(Exception):
    """Reading cannot go on; at this place."""

    def __init__(self, at: int, message: str) -> None:
        super().__init__(message)
        self.at = at
        self.message = message


def parse_csv(document: Document) -> tuple[CsvTable | None, tuple[Problem, ...]]:
    """The table in a document; None where there is none to be had. Each row that has not as many
    cells as the first is a problem, and left out."""
    cells = _Cells(document)
    problems: list[Problem] = []
    columns: tuple[Text, ...] | None = None
    rows: list[tuple[Text, ...]] = []

    def problem(cell: Text, message: str) -> None:
        problems.append(document.problem(cell, "", message))

    try:
        for row in cells.rows():
            if columns is None:
                columns = tuple(row)
                if len(columns) > MAX_COLUMNS:
                    problem(row[0], f"more than {MAX_COLUMNS:,} columns")
                    return None, tuple(problems)
                continue
            if len(rows) >= MAX_DEVICES:
                problem(row[0], f"more than {MAX_DEVICES:,} rows")
                return None, tuple(problems)
            extra = next((cell for cell in row[len(columns) :] if cell), None)
            names = f"{plural(len(columns), 'column')} of line {columns[0].line - document.before}"
            if extra is not None:
                problem(extra, f"one cell more than the {names}")
            elif len(row) < len(columns):
                problem(row[0], f"only {plural(len(row), 'cell')} for the {names}")
            else:
                rows.append(tuple(row[: len(columns)]))
        if columns is None:
            problems.append(document.problem_at(1, 1, "", f"{document.file} has no columns"))
            return None, tuple(problems)
    except _Unreadable as stop:
        problem(cells.text("", stop.at), stop.message)
        return None, tuple(problems)
    problems += _column_problems(columns, rows, document)
    if not rows and not problems:
        problem(columns[0], "there is no row below the names of the columns")
    return CsvTable(file=document.file, columns=columns, rows=tuple(rows)), tuple(problems)


def _column_problems(
    columns: tuple[Text, ...], rows: list[tuple[Text, ...]], document: Document
) -> Iterator[Problem]:
    first: dict[str, Text] = {}
    for at, name in enumerate(columns):
        if not name:
            filled = next((row[at] for row in rows if row[at]), None)
            if filled is not None:
                yield document.problem(name, "", "a column with cells and without a name")
            continue
        if first.setdefault(str(name), name) is not name:
            yield document.problem(name, "", f"the column {quoted(name)} is there twice")


class _Cells:
    def __init__(self, document: Document) -> None:
        self.document = document
        self.source = document.text.removeprefix("\ufeff")
        self._starts = [0, *(found.end() for found in LINE_BREAK.finditer(self.source))]

    def text(self, value: str, at: int) -> Text:
        """A cell that stands there."""
        line = bisect_right(self._starts, at)
        column = at - self._starts[line - 1] + 1
        return Text.at(value, line + self.document.before, column, plain=False)

    def rows(self) -> Iterator[list[Text]]:
        """The rows with anything in them."""
        source = self.source
        control = _CONTROL.search(source)
        if control is not None:
            shown = f"U+{ord(control.group()):04X}"
            what = f"the character {shown} is not allowed; is it a CSV file, saved as UTF-8?"
            raise _Unreadable(control.start(), what)
        at, separator = self._start()
        plain = re.compile(rf"[^{re.escape(separator)}\r\n]*")
        row: list[Text] = []
        while True:
            cell, at = self._cell(at, plain)
            row.append(cell)
            following = source[at : at + 1]
            if following == separator:
                at += 1
                continue
            if following and following not in "\r\n":
                what = 'something stands after the closing quotation mark; write "" for one inside'
                raise _Unreadable(at, what)
            if any(row):
                yield row
            if not following:
                return
            row = []
            at += 2 if source.startswith("\r\n", at) else 1

    def _cell(self, at: int, plain: re.Pattern[str]) -> tuple[Text, int]:
        source = self.source
        start = at
        while source[start : start + 1] == " ":
            start += 1
        if source[start : start + 1] == '"':
            found = _QUOTED.match(source, start)
            if found is None:
                raise _Unreadable(start, "this quotation mark is never closed")
            return self.text(found[1].replace('""', '"'), start), found.end()
        bare = plain.match(source, at)
        assert bare is not None
        written = bare.group()
        left = len(written) - len(written.lstrip())
        return self.text(written.strip(), at + (left if written.strip() else 0)), bare.end()

    def _start(self) -> tuple[int, str]:
        """Where the first line is, and what separates its cells."""
        told = _SEP.match(self.source)
        if told is not None and told[1] not in '" ':
            return told.end(), told[1]
        lines = (line for line in re.split(r"[\r\n]", self.source) if line.strip(" \t,;"))
        names = re.sub(r'"[^"]*"', "", next(lines, self.source))
        return 0, max(_SEPARATORS, key=names.count)
