"""The section `station:` of a manifest: read, and its mistakes told where they stand.

The template is a device as any other, but that no command except `station` applies it: it has no
port of its own, and no board.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from types import MappingProxyType
from typing import cast

from provision.core.manifest.device_checks import uses_variables
from provision.core.manifest.model import DeviceEntry, StationEntry
from provision.core.manifest.table_reader import NAME, TableReader
from provision.core.manifest.yaml_tree import Items, Table, Text
from provision.core.wording import did_you_mean, quoted
from provision.model.state import PortKind, PortSelector
from provision.model.station import CounterSettings, Hook, StationSettings, TableSettings

_FORMAT = re.compile(r"[\w.-]{0,40}\{(?::0?[0-9]{0,2}[dxX]?)?\}[\w.-]{0,40}", re.ASCII)
_PATH = ("station",)


def read_station(
    reader: TableReader, tree: Table, devices: Mapping[str, DeviceEntry]
) -> StationEntry | None:
    """The station of a manifest, None where it has none or one that cannot be read; then the
    reader has the problems."""
    table = reader.table(tree, "station")
    if table is None:
        return None
    template = _template(reader, table, devices)
    serial = _serial(reader, table)
    name = reader.text(table, "name") or Text.at(
        "{{ serial }}", table.line, table.column, plain=False
    )
    if not re.search(r"\b(serial|mac)\b", name) or not uses_variables(name):
        message = f"{quoted(name)} would be every unit's name; put {{{{ serial }}}} into it"
        reader.problem(name, (*_PATH, "name"), message)
    sockets = _sockets(reader, table)
    hooks = {key: _hook(reader, table, key) for key in ("before", "after")}
    ledger = reader.text(table, "ledger")
    if template is None or serial is None:
        return None
    return StationEntry(
        node=table,
        template=template,
        name=name,
        settings=StationSettings(
            template=template.name,
            name=str(name),
            serial=serial,
            sockets=MappingProxyType(sockets),
            ledger=str(ledger) if ledger else None,
            before=hooks["before"],
            after=hooks["after"],
        ),
    )


def _template(
    reader: TableReader, table: Table, devices: Mapping[str, DeviceEntry]
) -> DeviceEntry | None:
    name = reader.text(table, "template")
    path = (*_PATH, "template")
    if name is None:
        return None  # the schema has said so
    device = devices.get(name)
    if device is None:
        message = f"there is no device {quoted(name)} to make units like"
        reader.problem(name, path, message + did_you_mean(name, devices, or_list=True))
        return None
    if device.index is not None or device.row is not None:
        what = "a range" if device.row is None else "a table"
        reader.problem(name, path, f"{quoted(name)} is one of {what}; name a device of its own")
        return None
    if device.layer.port is not None:
        reader.problem(
            device.layer.port.value,
            device.layer.port.path,
            f"{quoted(name)} is the station's template and has no port; boards are found at the "
            "station's sockets",
        )
    if device.mac is not None:
        message = f"{quoted(name)} is the station's template, and each unit has a MAC of its own"
        reader.problem(device.mac, f"{device.layer.path}.mac", message)
    return device


def _serial(reader: TableReader, table: Table) -> CounterSettings | TableSettings | None:
    serial = reader.table(table, "serial")
    path = (*_PATH, "serial")
    if serial is None:
        return CounterSettings() if "serial" not in table else None
    if "counter" in serial and "csv" in serial:
        reader.problem(serial, path, "both `counter` and `csv` are given; keep one of them")
        return None
    csv = reader.source(serial, "csv")
    if csv is not None:
        key = reader.text(serial, "key")
        return TableSettings(file=str(csv), key=str(key) if key else "serial")
    key = serial.key("key")
    if key is not None:
        reader.problem(key, (*path, "key"), "`key` names a column of `csv`, which is not given")
        return None
    return _counter(reader, reader.table(serial, "counter"), (*path, "counter"))


def _counter(
    reader: TableReader, counter: Table | None, path: tuple[str, ...]
) -> CounterSettings | None:
    if counter is None:
        return CounterSettings()
    start, end = reader.text(counter, "start"), reader.text(counter, "end")
    written = reader.text(counter, "format")
    first = start.integer if start is not None and start.integer is not None else 1
    last = end.integer if end is not None else None
    if end is not None and last is not None and last < first:
        reader.problem(end, (*path, "end"), f"the last number, {last}, is below the first, {first}")
        return None
    if written is not None and not _FORMAT.fullmatch(written):
        message = f"{quoted(written)} cannot write a number; expected one such as '{{:06d}}'"
        reader.problem(written, (*path, "format"), message)
        return None
    widest = _widest(str(written or ""))
    if widest is not None:
        room = f"does not fit into {quoted(str(written))}, which ends at {widest}"
        for key, node, value in (("start", start, first), ("end", end, last)):
            if value is not None and value > widest:
                reader.problem(node or counter, (*path, key), f"{value} {room}")
                return None
        last = last if last is not None else widest
    return CounterSettings(start=first, end=last, format=str(written) if written else "{}")


def _widest(written: str) -> int | None:
    """The last number that a format of fixed width, such as `{:06d}`, has room for; None of one
    that has no such width."""
    width = re.search(r"\{:0([0-9]+)([dxX]?)\}", written)
    if width is None or int(width[1]) < 1:
        return None
    return int((16 if width[2] in ("x", "X") else 10) ** int(width[1])) - 1


def _sockets(reader: TableReader, table: Table) -> dict[str, PortSelector]:
    sockets: dict[str, PortSelector] = {}
    owners: dict[PortSelector, str] = {}
    body = reader.table(table, "sockets")
    for name in body or ():
        path = (*_PATH, "sockets", str(name))
        if not NAME.fullmatch(name):
            message = f"{quoted(name)} cannot name a socket; use letters, digits, _, . and -"
            reader.problem(name, path, message)
            continue
        kind: PortKind = "location"
        value = reader.text(body, name)
        place = reader.table(body, name)
        for key in place or ():
            value, kind = reader.text(place, key), cast(PortKind, str(key))
        if value is None:
            continue
        selector = PortSelector(kind=kind, value=str(value))
        if selector in owners:
            message = f"{quoted(value)} is the socket {owners[selector]} already"
            reader.problem(value, path, message)
        owners[selector] = str(name)
        sockets[str(name)] = selector
    return sockets


def _hook(reader: TableReader, table: Table, key: str) -> Hook | None:
    hook = reader.table(table, key)
    if hook is None:
        return None
    command = reader.node(hook, "command")
    path = (*_PATH, key, "command")
    words: list[str] = []
    if isinstance(command, Items):
        words = [str(text) for _, text in reader.texts(hook, "command")]
    elif isinstance(command, Text):
        try:
            words = shlex.split(command)
        except ValueError as error:
            message = f"{quoted(command)} cannot be taken apart into words: {error}"
            reader.problem(command, path, message)
            return None
        if not words:
            reader.problem(command, path, "names no program")
    if not words:
        return None
    timeout = reader.text(hook, "timeout")
    seconds = timeout.number if timeout is not None else None
    return Hook(command=tuple(words), timeout=seconds if seconds is not None else 60.0)
