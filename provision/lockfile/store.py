"""fleet.lock: what runs before this one have learned, committed beside the manifest.

Its `devices:` say which board each device was, as ssh's known hosts do. Other sections belong to
others and are kept as they are. A lock that cannot be understood is an error with its line and is
never overwritten; what can be is replaced whole, under a lock, so that two runs at once lose
nothing.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

import yaml

from provision.atomic_files import locked, sweep, write_atomic
from provision.core.manifest.yaml_tree import Document, Items, Node, Table, Text, dotted
from provision.core.manifest.yaml_tree_reader import NotText, decode, parse
from provision.errors import LockError, Problem

VERSION = 1

_HEADER = "# Written by provision, to be committed with the manifest: which board is which.\n"
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_CONFLICT = re.compile(r"(<<<<<<<|=======|>>>>>>>|\|\|\|\|\|\|\|)( .*)?")
_NOTHING: Mapping[str, object] = MappingProxyType({})

Entry = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class Lock:
    """The content of a lock file: `devices` by name, and every other section as it was found.

    An entry is `{"mac": "5c:cf:7f:01:02:03"}` and whatever else stands there.
    """

    devices: Mapping[str, Entry] = field(default_factory=lambda: MappingProxyType({}))
    sections: Mapping[str, object] = field(default_factory=lambda: MappingProxyType({}))

    def mac_of(self, device: str) -> str | None:
        """The MAC learned for a device, six lower-case hex pairs with colons, or None."""
        mac = self.devices.get(device, _NOTHING).get("mac")
        return mac if isinstance(mac, str) else None

    def devices_with(self, mac: str) -> tuple[str, ...]:
        """The devices that this MAC was learned for, sorted; more than one after a renaming."""
        return tuple(sorted(name for name in self.devices if self.mac_of(name) == mac))

    def with_macs(self, macs: Mapping[str, str]) -> Lock:
        """The same lock with the MACs of these devices learned, or learned anew."""
        entries = {
            device: {**self.devices.get(device, _NOTHING), "mac": mac}
            for device, mac in macs.items()
        }
        return replace(self, devices={**self.devices, **entries})

    def with_section(self, name: str, content: object) -> Lock:
        """The same lock with one section (`firmware`, `packages`) replaced; None removes it."""
        sections = {key: value for key, value in self.sections.items() if key != name}
        return replace(self, sections=sections if content is None else {**sections, name: content})

    def text(self) -> str:
        """As it is written: sorted, so that the same knowledge is always the same bytes."""
        content: dict[str, object] = {**self.sections, "version": VERSION}
        if self.devices:
            content["devices"] = {name: dict(entry) for name, entry in self.devices.items()}
        return _HEADER + yaml.safe_dump(
            content, sort_keys=True, allow_unicode=True, default_flow_style=False, width=1000
        )


def read_lock(path: Path) -> Lock:
    """The lock at a path; an empty one where there is no file. LockError when it is damaged."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return Lock()
    except OSError as error:
        raise LockError(
            f"{path} cannot be read: {error.strerror}", hint="check its permissions"
        ) from error
    try:
        return parse_lock(decode(data, str(path)), str(path))
    except NotText as error:
        raise _damaged(str(path), [error.problem]) from None


def parse_lock(text: str, file: str) -> Lock:
    """A lock from its text; `file` is the name that problems carry. LockError when damaged."""
    _refuse_conflicts(text, file)
    parsed = parse(text, file)
    if parsed.problems or parsed.tree is None:
        raise _damaged(file, parsed.problems)
    reading = _Reading(parsed.document)
    lock = reading.lock(parsed.tree)
    if reading.problems:
        raise _damaged(file, reading.problems)
    return lock


def update_lock(path: Path, change: Callable[[Lock], Lock]) -> Lock:
    """Read, change and write the lock as one step among all runs; returns what stands there now.

    `change` is given what the file holds at that moment, so that it adds to what others wrote.
    Nothing is written when it changes nothing. LockError when the file is damaged or cannot be
    written; then it is as it was.
    """
    with locked("fleet", str(path.resolve())):
        before = read_lock(path)
        after = change(before)
        if after != before:
            sweep(path)
            try:
                write_atomic(path, after.text().encode())
            except OSError as error:
                raise LockError(
                    f"{path} cannot be written: {error.strerror}",
                    hint="see that its directory is writable and has room, then run again",
                ) from error
        return after


class FleetLock:
    """The lock of one run: read when made, added to as devices are learned, from any thread."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = read_lock(path)
        self._turn = threading.Lock()
        self._queue = threading.Lock()
        self._learned: dict[str, str] = {}  # and not written yet

    def known(self, device: str) -> str | None:
        """The MAC learned for a device, or None."""
        return self._lock.mac_of(device)

    @property
    def waiting(self) -> tuple[str, ...]:
        """The devices whose MACs are learned and not written yet."""
        with self._queue:
            return tuple(self._learned)

    def learn(self, device: str, mac: str) -> None:
        """Keep a device's MAC; durable when this returns.

        To read, write and flush the file takes longer the more devices it has, and a fleet's
        are done at about the same time: what has queued up meanwhile is written in one turn.
        """
        if self.known(device) == mac:
            return
        with self._queue:
            self._learned[device] = mac
        taken: dict[str, str] = {}

        def add(lock: Lock) -> Lock:
            with self._queue:
                taken.update(self._learned)
                self._learned.clear()
            return lock.with_macs(taken)

        with self._turn:
            if not self.waiting:
                return  # the turn before has written it
            try:
                self._lock = update_lock(self._path, add)
            except BaseException:
                with self._queue:  # each of the others is to try, and to fail, by itself
                    self._learned = taken | self._learned
                    self._learned.pop(device, None)
                raise


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


def _damaged(file: str, problems: list[Problem] | tuple[Problem, ...]) -> LockError:
    first = f": {problems[0].message}" if len(problems) == 1 else ""
    return LockError(f"{file} is damaged{first}", problems)


class _Reading:
    """Turns the tree of a lock file into a Lock, collecting what is wrong with it."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self.problems: list[Problem] = []

    def lock(self, tree: Table) -> Lock:
        version = tree.value("version")
        if version is None:
            self.problems.append(
                self._document.problem_at(1, 1, "", "it has no `version`: is this a fleet.lock?")
            )
        elif not isinstance(version, Text) or version.integer is None:
            self._problem(version, "version", "the version is not a number")
        elif version.integer != VERSION:
            self._problem(version, "version", "written by a newer provision; update this one")
        return Lock(
            devices=MappingProxyType(self._devices(tree.value("devices"))),
            sections=MappingProxyType(
                {
                    str(key): _data(value)
                    for key, value in tree.items()
                    if key not in ("version", "devices")
                }
            ),
        )

    def _devices(self, node: Node | None) -> dict[str, Entry]:
        if node is None:
            return {}
        if not isinstance(node, Table):
            self._problem(node, "devices", "expected one entry a device")
            return {}
        found: dict[str, Entry] = {}
        for name, entry in node.items():
            path = dotted(("devices", name))
            if not isinstance(entry, Table):
                self._problem(entry, path, "expected `mac: …`")
                continue
            mac = entry.value("mac")
            if mac is not None and not (isinstance(mac, Text) and _MAC.fullmatch(mac)):
                self._problem(mac, f"{path}.mac", "not a MAC like 5c:cf:7f:01:02:03")
                continue
            found[str(name)] = MappingProxyType(
                {str(key): _data(value) for key, value in entry.items()}
            )
        return found

    def _problem(self, node: Node, path: str, message: str) -> None:
        self.problems.append(self._document.problem(node, path, message))


def _data(node: Node) -> object:
    """A node as plain data that `text` writes back with the same meaning."""
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
