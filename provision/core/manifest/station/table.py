"""The table that a station's numbers come from: a CSV file with a row for each unit. Pure."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Mapping
from io import StringIO
from types import MappingProxyType

from provision.core.manifest.table_reader import NAME
from provision.core.wording import quoted

MOST_ROWS = 100_000
_SEPARATORS = (",", ";", "\t")
_VARIABLE = re.compile(r"[A-Za-z_]\w{0,99}", re.ASCII)


def read_rows(text: str, key: str, *, built_in: Collection[str]) -> Mapping[str, Mapping[str, str]]:
    """The rows of a CSV text in their order, by the number in the column `key`; ValueError says
    what is wrong, in which line. Cells are separated by commas, or as a spreadsheet of another
    country or a copy from one has it, by semicolons or tabs: by what the first line has most of.
    No column may have the name of a variable that is `built_in`."""
    text = text.removeprefix("\ufeff")
    first = text.partition("\n")[0]
    separator = max(_SEPARATORS, key=first.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=separator, strict=True)
    rows: dict[str, Mapping[str, str]] = {}
    lines: dict[str, int] = {}
    try:
        header = [name.strip() for name in next(reader, [])]
        _check_header(header, key, {*built_in} - {key})
        at = header.index(key)
        for cells in reader:
            if not any(cell.strip() for cell in cells):
                continue
            where = f"line {reader.line_num}"
            if len(cells) != len(header):
                raise ValueError(f"{where} has {len(cells)} cells, and the first {len(header)}")
            number = cells[at].strip()
            if not NAME.fullmatch(number):
                raise ValueError(
                    f"{where}: {quoted(number)} cannot be a number of a unit; use letters, "
                    "digits, _, . and -"
                )
            if number in rows:
                raise ValueError(f"{where}: {quoted(number)} is in line {lines[number]} already")
            if len(rows) >= MOST_ROWS:
                raise ValueError(f"more than {MOST_ROWS:,} rows")
            lines[number] = reader.line_num
            rows[number] = MappingProxyType(dict(zip(header, cells, strict=True)))
    except csv.Error as error:
        raise ValueError(f"line {reader.line_num}: {error}") from None
    if not rows:
        raise ValueError("no row has a number")
    return MappingProxyType(rows)


def _check_header(header: list[str], key: str, taken: Collection[str]) -> None:
    if key not in header:
        raise ValueError(f"there is no column {quoted(key)} among {quoted(', '.join(header))}")
    for name in header:
        if not _VARIABLE.fullmatch(name):
            raise ValueError(
                f"the column {quoted(name)} cannot be a variable; use letters, digits and _"
            )
        if name in taken:
            raise ValueError(f"the column {quoted(name)} has the name of a built-in variable")
        if header.count(name) > 1:
            raise ValueError(f"the column {quoted(name)} is there twice")
