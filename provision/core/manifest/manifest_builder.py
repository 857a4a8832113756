"""From the tree to the Manifest: layers, devices and what they refer to.

Mistakes of meaning that show without reading any source file are found here: unknown groups,
boards and firmware, ranges, names, duplicate MACs. A part that the schema refused is left out
and the rest is read on, so that one run reports everything.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Literal, cast

from provision.core.hosts import host_fault
from provision.core.manifest.device_checks import (
    ANY_PORT,
    check_devices,
    unusable_port,
    uses_variables,
)
from provision.core.manifest.model import (
    DeviceEntry,
    FirmwareEntry,
    Layer,
    Manifest,
    PortEntry,
)
from provision.core.manifest.parts.csv_text import CsvTable
from provision.core.manifest.parts.rows import row_devices
from provision.core.manifest.ranges import MAX_DEVICES, expand, is_range
from provision.core.manifest.station.section import read_station
from provision.core.manifest.table_reader import (
    NAME,
    BoardFinder,
    BoardMaker,
    BoardReader,
    BoardSources,
    read_certificate,
    read_check,
    read_files,
    read_nvs,
    read_packages,
)
from provision.core.manifest.yaml_tree import Document, Items, Node, Table, Text, dotted
from provision.core.wording import did_you_mean, quoted
from provision.errors import Problem
from provision.model.board import BoardProfile
from provision.model.plan import Rollout, Share
from provision.model.state import PortKind

_VERSION = re.compile(r"v?([0-9]+\.[0-9]+(?:\.[0-9]+)?(?:-[0-9A-Za-z.-]+)?)")
LATEST = "latest"
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
_IMAGE = re.compile(r".*\.(bin|uf2|hex|dfu|elf|app-bin)|.*/.*", re.IGNORECASE)

UrlCheck = Callable[[str], str | None]
"""What is wrong with the URL of a port, which only the transports know; None for nothing."""


def any_url(_url: str) -> None:
    """Every URL will do: where nobody is there to ask."""


def build(
    tree: Table,
    document: Document,
    *,
    unusable: frozenset[int],
    profiles: Mapping[str, BoardProfile],
    make_board: BoardMaker,
    find_board: BoardFinder,
    check_url: UrlCheck = any_url,
    tables: Mapping[str, CsvTable] = MappingProxyType({}),
) -> tuple[Manifest, tuple[Problem, ...]]:
    """The manifest as far as it can be read, and the problems found on the way.

    `unusable`: identities of nodes that the schema refused; `profiles`: the built-in ones by name;
    `tables`: those that devices come from, by their paths.
    """
    boards = BoardSources(profiles=profiles, make=make_board, find=find_board)
    reader = _Builder(document, unusable, boards, check_url, tables)
    return reader.manifest(tree), tuple(reader.problems)


class _Builder(BoardReader):
    def __init__(
        self,
        document: Document,
        unusable: frozenset[int],
        boards: BoardSources,
        check_url: UrlCheck,
        tables: Mapping[str, CsvTable],
    ) -> None:
        super().__init__(document, unusable, boards)
        self.tables = tables
        self.check_url = check_url
        self.firmware: dict[str, FirmwareEntry] = {}
        self.broken_firmware: set[str] = set()
        self.groups: dict[str, Layer] = {}
        self.broken_groups: set[str] = set()

    def manifest(self, tree: Table) -> Manifest:
        self.read_boards(tree)
        self._read_firmware(tree)
        for name, body in self.entries(tree, "groups"):
            self.check_name(name, "group", ("groups", name))
            self.groups[str(name)] = self._layer(body, ("groups", name))
        self.broken_groups.update(self.unusable_names(tree, "groups"))
        defaults = self._layer(self.table(tree, "defaults"), ("defaults",))
        devices = self._devices(tree)
        fleet = self.text(tree, "fleet")
        firmware_index, package_index = self._indexes(tree)
        manifest = Manifest(
            file=self.document.file,
            fleet=str(fleet) if fleet else "fleet",
            defaults=defaults,
            groups=MappingProxyType(self.groups),
            devices=MappingProxyType(devices),
            firmware=MappingProxyType(self.firmware),
            boards=self.boards,
            firmware_index=firmware_index,
            package_index=package_index,
            rollout=self._rollout(tree),
        )
        self.problems += check_devices(manifest, self.document)
        return self._with_station(manifest, tree)

    def _with_station(self, manifest: Manifest, tree: Table) -> Manifest:
        """Its template is no device that anything but the station applies."""
        station = read_station(self, tree, manifest.devices)
        name = self.text(self.table(tree, "station"), "template")
        devices = {key: device for key, device in manifest.devices.items() if key != name}
        return replace(manifest, devices=MappingProxyType(devices), station=station)

    def _indexes(self, tree: Table) -> tuple[str | None, str | None]:
        """One URL is that of a mirror of micropython.org, which has both."""
        mirror = self.text(tree, "index")
        if mirror is not None:
            base = mirror.rstrip("/")
            return base, f"{base}/pi/v2"
        table = self.table(tree, "index")
        firmware, packages = self.text(table, "firmware"), self.text(table, "packages")
        return str(firmware) if firmware else None, str(packages) if packages else None

    def _rollout(self, tree: Table) -> Rollout | None:
        table, path = self.table(tree, "rollout"), ("rollout",)
        if table is None:
            return None
        sizes: list[Share] = []
        for text, where in self._sizes(table, (*path, "batches")):
            size = self._share(text, where, least=1)
            sizes += [size] if size is not None else []
        written = self.node(table, "batches")
        if isinstance(written, Items) and not written:
            message = "expected sizes, as in [1, 10%, 100%]"
            self.problem(written, (*path, "batches"), message)
        failures = self.text(table, "max_failures")
        most = self._share(failures, (*path, "max_failures")) if failures is not None else None
        rollout = Rollout(batches=tuple(sizes)) if sizes else Rollout()
        return replace(rollout, max_failures=most) if most is not None else rollout

    def _sizes(
        self, table: Table, path: tuple[str | int, ...]
    ) -> Iterator[tuple[Text, tuple[str | int, ...]]]:
        """The sizes of batches as they are written, in a list or in one text with commas."""
        whole = self.text(table, "batches")
        if whole is not None:
            for part in whole.split(","):
                yield Text.at(part.strip(), whole.line, whole.column), path
        for position, text in self.texts(table, "batches"):
            yield text, (*path, position)

    def _share(self, text: Text, path: tuple[str | int, ...], *, least: int = 0) -> Share | None:
        try:
            return Share.from_text(text, least=least)
        except ValueError as error:
            self.problem(text, path, f"{quoted(text)}: {error}")
            return None

    # -- tables that devices refer to ----------------------------------------------------------

    def _read_firmware(self, tree: Table) -> None:
        for name, body in self.entries(tree, "firmware"):
            if body is None:
                self.broken_firmware.add(str(name))
                continue
            entry = self._firmware_entry(body, ("firmware", name), name)
            if entry is None:
                self.broken_firmware.add(str(name))
            else:
                self.firmware[str(name)] = entry
        self.broken_firmware.update(self.unusable_names(tree, "firmware"))

    def _firmware_entry(
        self, table: Table, path: tuple[str | int, ...], name: str | None
    ) -> FirmwareEntry | None:
        file, url = self.source(table, "file"), self.text(table, "url")
        version = self.text(table, "version")
        number = _VERSION.fullmatch(version) if version is not None else None
        board, sha256 = self.text(table, "board"), self.text(table, "sha256")
        if file is not None and url is not None:
            self.problem(url, (*path, "url"), "both `file` and `url` are given; keep one of them")
            return None
        if not any(key in table for key in ("file", "url", "version")):
            self.problem(table, path, "needs one of file, url, version")
            return None
        latest = version == LATEST
        if latest and (file is not None or url is not None):
            self.problem(
                version or table,
                (*path, "version"),
                "`latest` is for releases; beside `file` or `url` name the version of the image",
            )
            return None
        if file is None and url is None and number is None and not latest:
            return None  # what is there was refused by the schema
        verify, erase = self.text(table, "verify"), self.text(table, "erase")
        variant = self.text(table, "variant")
        return FirmwareEntry(
            node=table,
            path=dotted(path),
            name=str(name or file or url or (number[1] if number else LATEST)),
            file=file,
            url=url,
            version=number[1] if number else LATEST if latest else None,
            board=str(board) if board else None,
            variant=str(variant) if variant else None,
            preview=self.flag(table, "preview"),
            sha256=sha256.lower() if sha256 else None,
            verify=cast(Literal["banner", "flash"], str(verify or "banner")),
            erase=cast(Literal["auto", "always", "never"], str(erase or "auto")),
        )

    # -- layers --------------------------------------------------------------------------------

    def _layer(self, table: Table | None, path: tuple[str | int, ...]) -> Layer:
        if table is None:
            return Layer(path=dotted(path))
        board = self.text(table, "board")
        if board is not None and board not in self.boards:
            found = self.found_board(board, (*path, "board"))
            if found is not None:
                self.own_boards[str(board)] = found
        elif board is None and table.value("board") is not None:
            board = Text.at("", table.line, table.column)  # named, and refused by the schema
        baud, transfer_baud = self.text(table, "baud"), self.text(table, "transfer_baud")
        variables = self.table(table, "vars")
        return Layer(
            path=dotted(path),
            board=board,
            firmware=self._firmware_choice(table, path),
            host=self._host(table, path),
            port=self._port(table, path),
            baud=baud.integer if baud is not None else None,
            transfer_baud=(transfer_baud.integer or 0) if transfer_baud is not None else None,
            vars=MappingProxyType(cast(dict[str, Node], variables or {})),
            files=read_files(self, table, dotted(path)),
            packages=read_packages(self, table, dotted(path)),
            prune=tuple(text for _, text in self.texts(table, "prune")),
            nvs=read_nvs(self, table, (*path, "nvs")),
            certificate=read_certificate(self, table, (*path, "certificate")),
            check=read_check(self, table, path),
        )

    def _firmware_choice(self, table: Table, path: tuple[str | int, ...]) -> FirmwareEntry | None:
        choice = self.node(table, "firmware")
        path = (*path, "firmware")
        if isinstance(choice, Table):
            return self._firmware_entry(choice, path, None)
        if not isinstance(choice, Text) or choice.tag is not None:
            return None
        if choice in self.firmware:
            return self.firmware[choice]
        if choice in self.broken_firmware:
            return None
        version = _VERSION.fullmatch(choice)
        if version or choice == LATEST:
            number = version[1] if version else LATEST
            return FirmwareEntry(node=choice, path=dotted(path), name=number, version=number)
        known = "a key of the firmware table or a version"
        message = f"unknown firmware {quoted(choice)}; expected {known}"
        near = did_you_mean(choice, self.firmware)
        if not near and _URL.match(choice):
            near = f"; write {quoted(f'firmware: {{url: {choice}}}')} for an image on the web"
        elif not near and _IMAGE.fullmatch(choice):
            near = f"; write {quoted(f'firmware: {{file: {choice}}}')} for an image file"
        self.problem(choice, path, message + near)
        return None

    def _host(self, table: Table, path: tuple[str | int, ...]) -> Text | None:
        host = self.text(table, "host")
        if host is None or uses_variables(host):  # which is looked at once they are known
            return host
        fault = host_fault(host)
        if fault is None:
            return host
        self.problem(host, (*path, "host"), fault)
        return None

    def _port(self, table: Table, path: tuple[str | int, ...]) -> PortEntry | None:
        port = self.node(table, "port")
        if isinstance(port, Text) and port.tag is None:
            short_kind: PortKind = "url" if _URL.match(port) else "path"
            if port == ANY_PORT:
                short_kind = "any"
            return self._port_entry(port, (*path, "port"), short_kind)
        if not isinstance(port, Table):
            return None
        for kind in port:
            value = self.text(port, kind)
            if value is None:
                continue
            return self._port_entry(value, (*path, "port", kind), cast(PortKind, str(kind)))
        return None

    def _port_entry(
        self, value: Text, path: tuple[str | int, ...], kind: PortKind
    ) -> PortEntry | None:
        # What has variables is looked at once they are known.
        wrong = None
        if not uses_variables(value):
            wrong = unusable_port(kind, value) or (self.check_url(value) if kind == "url" else None)
        if wrong is not None:
            self.problem(value, path, wrong)
            return None
        return PortEntry(path=dotted(path), kind=kind, value=value)

    # -- devices -------------------------------------------------------------------------------

    def _devices(self, tree: Table) -> dict[str, DeviceEntry]:
        devices: dict[str, DeviceEntry] = {}
        table = self.table(tree, "devices")
        if "devices" not in tree:
            self.problem(tree, (), "the key 'devices' is missing")
        elif table is not None and not table:
            key = tree.key("devices")
            self.problem(key if key is not None else table, ("devices",), "there are no devices")
        for key, body in self.entries(tree, "devices"):
            for device in self._entry(key, body):
                other = devices.get(device.name)
                if other is not None:
                    there = other.row if other.row is not None else other.key
                    where = f"'{there}' on {self.document.line_name(there)}"
                    message = f"'{device.name}' is a device already ({where})"
                    self.problem(device.row or key, ("devices", key), message)
                    if device.row is None:
                        break  # a range is told once
                    continue
                devices[device.name] = device
            if len(devices) > MAX_DEVICES:
                self.problem(key, ("devices", key), f"more than {MAX_DEVICES:,} devices")
                break
        return devices

    def _entry(self, key: Text, body: Table | None) -> Iterator[DeviceEntry]:
        """The devices that an entry stands for: one, those of a range, or those of a table."""
        path = ("devices", key)
        if body is not None and "csv" in body:
            yield from self._row_entries(key, body)
            return
        try:
            members = expand(key)
        except ValueError as error:
            self.problem(key, path, str(error))
            return
        if not is_range(key):
            if not self.check_name(key, "device", path):
                return
        elif not all(NAME.fullmatch(member.name) for member in members):
            message = f"{quoted(key)} cannot name devices; use letters, digits, _, . and -"
            self.problem(key, path, message)
            return
        layer = self._layer(body, path)
        groups = self._membership(body, path)
        mac = self.text(body, "mac")
        if mac is not None and uses_variables(mac):
            message = "a MAC is a template only beside `csv`, where each row has its own"
            self.problem(mac, (*path, "mac"), message)
        for member in members:
            yield DeviceEntry(
                name=member.name,
                key=key,
                layer=layer,
                groups=groups,
                mac=mac,
                index=member.index,
                number=member.number,
            )

    def _row_entries(self, key: Text, body: Table) -> Iterator[DeviceEntry]:
        layer = self._layer(body, ("devices", key))
        groups = self._membership(body, ("devices", key))
        file = self.source(body, "csv")
        table = self.tables.get(file) if file is not None else None
        if table is not None:  # why there is none is told already
            like = DeviceEntry(name=str(key), key=key, layer=layer, groups=groups)
            yield from row_devices(self, like, body, table)

    def _membership(self, body: Table | None, path: tuple[str | int, ...]) -> tuple[str, ...]:
        names: dict[str, None] = {}
        for position, name in self.texts(body, "groups"):
            where = (*path, "groups", position)
            if name in names:
                self.problem(name, where, f"the group {quoted(name)} is listed twice")
            elif name in self.groups:
                names[str(name)] = None
            elif name not in self.broken_groups:
                message = f"unknown group {quoted(name)}"
                self.problem(name, where, message + did_you_mean(name, self.groups, or_list=True))
        return tuple(names)
