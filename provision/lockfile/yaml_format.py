"""The text of a fleet.lock from its content, and its content from the text.

Pure. The text is sorted, so that the same content is always the same bytes. Reading collects
every mistake with its line and column; what is only unknown is kept as it was found.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from types import MappingProxyType

import yaml

from provision.core.manifest.yaml_parser import parse
from provision.core.manifest.yaml_tree import Document, Items, Node, Table, Text, dotted
from provision.errors import LockError, Problem
from provision.lockfile.entries import (
    SOURCE_CODE,
    Lock,
    LockedDevice,
    LockedFile,
    LockedFirmware,
    LockedPackage,
    bytecode_name,
)

VERSION = 1

_HEADER = "# Written by provision, to be committed with the manifest: which board is which.\n"
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}((:[0-9a-f]{2}){2})?")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_BYTECODE = re.compile(r"mpy-([0-9a-z.]+)", re.ASCII)
_CONFLICT = re.compile(r"(<<<<<<<|=======|>>>>>>>|\|\|\|\|\|\|\|)( .*)?")

Path = tuple[str, ...]


def format_lock(lock: Lock) -> str:
    """A lock as it is written."""
    content: dict[str, object] = {**lock.unknown, "version": VERSION}
    if lock.devices:
        content["devices"] = {name: _device_data(entry) for name, entry in lock.devices.items()}
    if lock.firmware:
        content["firmware"] = {key: _firmware_data(one) for key, one in lock.firmware.items()}
    if lock.packages:
        packages: dict[str, dict[str, object]] = {}
        for (request, bytecode), package in lock.packages.items():
            packages.setdefault(request, {})[bytecode_name(bytecode)] = _package_data(package)
        content["packages"] = packages
    return _HEADER + yaml.safe_dump(
        content, sort_keys=True, allow_unicode=True, default_flow_style=False, width=1000
    )


def _device_data(device: LockedDevice) -> dict[str, object]:
    return {**device.unknown, "mac": device.mac} if device.mac is not None else {**device.unknown}


def _file_data(file: LockedFile) -> dict[str, object]:
    url = {"url": file.url} if file.url else {}
    return {**file.unknown, **url, "size": file.size, "sha256": file.sha256}


def _firmware_data(firmware: LockedFirmware) -> dict[str, object]:
    return {**_file_data(firmware.file), "version": firmware.version}


def _package_data(package: LockedPackage) -> dict[str, object]:
    files = {path: _file_data(file) for path, file in package.files.items()}
    return {**package.unknown, "version": package.version, "files": files}


def parse_lock(text: str, file: str) -> Lock:
    """A lock from its text; `file` is the name that problems carry. LockError when damaged."""
    _refuse_conflicts(text, file)
    parsed = parse(text, file)
    if parsed.problems or parsed.tree is None:
        raise damaged(file, parsed.problems)
    reader = _Reader(parsed.document)
    lock = reader.lock(parsed.tree)
    if reader.problems:
        raise damaged(file, reader.problems)
    return lock


def damaged(file: str, problems: list[Problem] | tuple[Problem, ...]) -> LockError:
    """The error for a lock file that cannot be understood."""
    first = f": {problems[0].message}" if len(problems) == 1 else ""
    hint = None
    if all(problem.path.partition(".")[0] in ("firmware", "packages") for problem in problems):
        hint = (
            "restore fleet.lock from version control, or delete the damaged entries and run "
            "`provision lock`"
        )
    return LockError(f"{file} is damaged{first}", problems, hint=hint)


def _refuse_conflicts(text: str, file: str) -> None:
    document = Document(file, text)
    marks = [
        document.problem_at(number, 1, "", "a merge of version control was left unresolved here")
        for number, line in enumerate(text.splitlines(), 1)
        if _CONFLICT.fullmatch(line)
    ]
    if marks:
        raise LockError(
            f"{file} holds an unresolved merge",
            marks,
            hint="keep the lines of both sides and delete the <<<<<<<, ======= and >>>>>>> lines; "
            "where one device has two MACs, keep that of the board it is now",
        )


class _Reader:
    """Turns the tree of a lock file into a Lock, collecting what is wrong with it."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.problems: list[Problem] = []

    def lock(self, tree: Table) -> Lock:
        self._check_version(tree.value("version"))
        return Lock(
            devices=MappingProxyType(
                {
                    name: self._device(entry, ("devices", name))
                    for name, entry in self._entries(tree.value("devices"), ("devices",))
                }
            ),
            firmware=MappingProxyType(
                {
                    key: self._firmware(entry, ("firmware", key))
                    for key, entry in self._entries(tree.value("firmware"), ("firmware",))
                }
            ),
            packages=MappingProxyType(dict(self._packages(tree.value("packages")))),
            unknown=_unknown(tree, "version", "devices", "firmware", "packages"),
        )

    def _check_version(self, version: Node | None) -> None:
        if version is None:
            self.problems.append(
                self._document.problem_at(1, 1, "", "it has no `version`: is this a fleet.lock?")
            )
        elif not isinstance(version, Text) or version.integer is None:
            self._problem(version, ("version",), "the version is not a number")
        elif version.integer != VERSION:
            self._problem(version, ("version",), "written by a newer provision; update this one")

    def _device(self, entry: Table, path: Path) -> LockedDevice:
        mac = entry.value("mac")
        if mac is not None and not (isinstance(mac, Text) and _MAC.fullmatch(mac)):
            self._problem(mac, (*path, "mac"), "not a MAC like 5c:cf:7f:01:02:03")
            mac = None
        return LockedDevice(
            mac=str(mac) if isinstance(mac, Text) else None, unknown=_unknown(entry, "mac")
        )

    def _firmware(self, entry: Table, path: Path) -> LockedFirmware:
        return LockedFirmware(
            file=self._file(entry, path, "version"), version=self._text(entry, path, "version")
        )

    def _packages(self, node: Node | None) -> Iterator[tuple[tuple[str, str], LockedPackage]]:
        for request, entries in self._entries(node, ("packages",)):
            for name, entry in self._entries(entries, ("packages", request)):
                path = ("packages", request, name)
                bytecode = _BYTECODE.fullmatch(name)
                if bytecode is None and name != SOURCE_CODE:
                    self._problem(entry, path, "expected `mpy-` and a bytecode version, or `py`")
                    continue
                files = self._entries(entry.value("files"), (*path, "files"))
                yield (
                    (request, bytecode[1] if bytecode is not None else SOURCE_CODE),
                    LockedPackage(
                        version=self._text(entry, path, "version"),
                        files=MappingProxyType(
                            {
                                below: self._file(file, (*path, "files", below))
                                for below, file in files
                            }
                        ),
                        unknown=_unknown(entry, "version", "files"),
                    ),
                )

    def _file(self, entry: Table, path: Path, *others: str) -> LockedFile:
        size, sha256 = entry.value("size"), entry.value("sha256")
        number = size.integer if isinstance(size, Text) else None
        if number is None or number < 0:
            found = entry if size is None else size
            self._problem(found, path, "it needs a `size`: a number of bytes")
        if not isinstance(sha256, Text) or _SHA256.fullmatch(sha256) is None:
            found = entry if sha256 is None else sha256
            self._problem(found, path, "it needs a `sha256`: 64 lower-case hex digits")
        return LockedFile(
            url=self._text(entry, path, "url"),
            size=number or 0,
            sha256=str(sha256),
            unknown=_unknown(entry, "url", "size", "sha256", *others),
        )

    def _text(self, entry: Table, path: Path, key: str) -> str:
        value = entry.value(key)
        if value is None:
            return ""
        if not isinstance(value, Text):
            self._problem(value, (*path, key), "expected a text")
            return ""
        return "" if value.null else str(value)

    def _entries(self, node: Node | None, path: Path) -> Iterator[tuple[str, Table]]:
        """The entries of a mapping of mappings."""
        if node is None or (isinstance(node, Text) and node.null):
            return
        if not isinstance(node, Table):
            self._problem(node, path, "expected a mapping")
            return
        for key, entry in node.items():
            if isinstance(entry, Table):
                yield str(key), entry
            else:
                self._problem(entry, (*path, key), _EXPECTED[path[0]])

    def _problem(self, node: Node, path: Path, message: str) -> None:
        self.problems.append(self._document.problem(node, dotted(path), message))


_EXPECTED = {
    "devices": "expected `mac: …`",
    "firmware": "expected `version`, `size`, `sha256` and `url`",
    "packages": "expected a mapping",
}


def _unknown(table: Table, *known: str) -> Mapping[str, object]:
    return MappingProxyType(
        {str(key): _data(value) for key, value in table.items() if key not in known}
    )


def _data(node: Node) -> object:
    """A node as plain data that is written back with the same meaning."""
    if isinstance(node, Table):
        return {str(key): _data(value) for key, value in node.items()}
    if isinstance(node, Items):
        return [_data(item) for item in node]
    if node.null:
        return None
    if node.boolean is not None and node in ("true", "false"):
        return node.boolean
    if node.integer is not None and str(node.integer) == node:
        return node.integer
    return str(node)
