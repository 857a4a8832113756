"""One device for each row of a table: `desk-{{ seat }}: {csv: class.csv, mac: "{{ mac }}"}`. Pure.

The columns are variables of their row's device, in its name and its MAC too; their values are text.
A column whose name is no variable's is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from provision.core.manifest.device_checks import normal_mac, uses_variables
from provision.core.manifest.model import DeviceEntry
from provision.core.manifest.parts.csv_text import CsvTable
from provision.core.manifest.table_reader import NAME, TableReader
from provision.core.manifest.template import render_path
from provision.core.manifest.yaml_tree import Node, Table, Text
from provision.core.wording import listed, quoted
from provision.errors import TemplateError

TAKEN = frozenset({"name", "fleet", "board"})
"""What templates of a device have already."""

_VARIABLE = re.compile(r"[A-Za-z_]\w{0,99}", re.ASCII)
_NAMED = re.compile(r"\{\{-?\s*([A-Za-z_]\w{0,99})\s*-?\}\}", re.ASCII)


def row_devices(
    reader: TableReader, like: DeviceEntry, body: Table, table: CsvTable
) -> Iterator[DeviceEntry]:
    """The devices of an entry with `csv`, in the order of the rows, each as `like` with its own
    name, MAC and variables. What is wrong with one is told to the reader, and it is left out."""
    columns = _variables(table.columns)
    key, path = like.key, ("devices", like.key)
    if not _usable(reader, key, body, table):
        return
    mac = reader.text(body, "mac")
    for row in table.rows:
        cells = {name: row[at] for name, at in columns.items()}
        at, address = key, None
        try:
            name = _rendered(key, cells, row[0])
            if mac is not None:
                at = mac
                address = _rendered(mac, cells, row[0])
        except TemplateError as error:  # so it is for every row
            where = (*path, "mac") if at is mac else path
            reader.problem(at, where, f"{error.problem.message}; {_known(table, columns)}")
            return
        if not NAME.fullmatch(name):
            message = f"{quoted(name)} cannot name a device; use letters, digits, _, . and -"
            reader.problem(name, path, message)
            continue
        if address and normal_mac(address, None) is None:
            expected = 'expected a MAC address such as "5c:cf:7f:01:02:03"'
            where = ("devices", name, "mac")
            reader.problem(address, where, f"{expected}, got {quoted(address)}")
        variables: dict[str, Node] = {**like.layer.vars, **cells}
        yield replace(
            like,
            name=str(name),
            layer=replace(like.layer, vars=MappingProxyType(variables)),
            mac=address or None,
            row=name,
        )


def _variables(columns: Sequence[Text]) -> dict[str, int]:
    """The columns that are variables, and which each is."""
    return {str(name): at for at, name in enumerate(columns) if _VARIABLE.fullmatch(name)}


def _usable(reader: TableReader, key: Text, body: Table, table: CsvTable) -> bool:
    """Whether rows can be told apart by the key, and columns from other variables."""
    columns, path = _variables(table.columns), ("devices", key)
    if not uses_variables(key):
        such = next((name for name in columns if name not in TAKEN), "column")
        message = f"a device for each row needs a name for each, as `{key}-{{{{ {such} }}}}`"
        reader.problem(key, path, f"{message}; {_known(table, columns)}")
        return False
    named = _NAMED.fullmatch(key)
    own = {*TAKEN} - ({named[1]} if named is not None else set())
    usable = True
    for column in table.columns:
        if column in own:
            message = (
                f"the column {quoted(column)} has the name of a variable that every device has; "
                "rename it"
            )
            reader.problem(column, path, message)
            usable = False
    variables = reader.table(body, "vars")
    for name in variables if variables is not None else ():
        if name in columns:
            message = f"{quoted(name)} is a column of {table.file} too; keep one of them"
            reader.problem(name, (*path, "vars", name), message)
            usable = False
    return usable


def _rendered(template: Text, cells: Mapping[str, Text], otherwise: Text) -> Text:
    """What a template makes of a row, at the cell that it names first."""
    values = {name: str(cell) for name, cell in cells.items()}
    text = render_path(template, variables=values).strip()
    at = next((cells[one[1]] for one in _NAMED.finditer(template) if one[1] in cells), otherwise)
    return Text.at(text, at.line, at.column, plain=False)


def _known(table: CsvTable, columns: Collection[str]) -> str:
    if not columns:
        return f"no column of {table.file} has the name of a variable: letters, digits and _"
    return f"{table.file} has the columns {listed([*columns])}"
