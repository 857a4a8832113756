"""The part of the Python API that is about what is plugged in: ports and boards that are found, and
manifests that are written of them. `api.py` has it with the rest.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from provision.app import load_manifest
from provision.app_ports import ask_ports, discover_ports, plugged_in
from provision.boards import profiles
from provision.core.manifest.authoring.entries import (
    NewDevice,
    Setting,
    comment,
    is_device_name,
    next_name,
    port_setting,
    scalar,
)
from provision.core.manifest.yaml_parser import MAX_CHARACTERS
from provision.core.planning.board_guess import guess_board
from provision.core.planning.port_choice import described, lasting, matching
from provision.engine.discover import Arrivals, FoundPort, named_ports
from provision.errors import LockError, NoAnswer, PortNotFound, UsageError
from provision.interfaces import PortInfo
from provision.lockfile.entries import Lock
from provision.lockfile.merge import Merged, merge_devices
from provision.lockfile.store import read_lock, update_lock
from provision.lockfile.yaml_format import parse_lock
from provision.model.language import record
from provision.model.state import ActualState, PortSelector
from provision.project.manifest_draft import ManifestDraft, manifest_path
from provision.project.parts.main_file import STDIN, STDIN_FILE


@record
class NamedBoard:
    """A device that was written into a manifest: the board's name in it, the port where it was, its
    profile (None where the manifest's defaults say it), and what it said of itself."""

    device: str
    port: str
    board: str | None
    actual: ActualState


@record
class NewManifest:
    """The manifest that `init` wrote, and the ports that it left out, each with the reason."""

    path: Path
    devices: tuple[NamedBoard, ...]
    left_out: tuple[tuple[str, str], ...]


@record
class FleetHosts:
    """Which devices hang on which computer, by `host:`, and in which `groups` each device is;
    `anywhere` are those that name none. All in the manifest's order; `lock` is its path."""

    fleet: str
    manifest: str
    lock: str
    hosts: dict[str, tuple[str, ...]]
    anywhere: tuple[str, ...]
    groups: dict[str, tuple[str, ...]]


def hosts(
    manifest: str | Path | None = None,
    *,
    limit: Sequence[str] = (),
    secrets: Path | None = None,
) -> FleetHosts:
    """Who is to be asked to do what of a manifest. Its sources are not looked at."""
    loaded = load_manifest(manifest, secrets)
    where = loaded.hosts()
    by_host: dict[str, tuple[str, ...]] = {}
    anywhere: tuple[str, ...] = ()
    names = loaded.names(limit)
    for name in names:
        host = where[name]
        if host is None:
            anywhere += (name,)
        else:
            by_host[host] = (*by_host.get(host, ()), name)
    return FleetHosts(
        fleet=loaded.manifest.fleet,
        manifest=str(loaded.path),
        lock=str(loaded.lock_path.resolve()),
        hosts=by_host,
        anywhere=anywhere,
        groups={name: loaded.manifest.devices[name].groups for name in names},
    )


def merge_lock(
    other: str | Path,
    manifest: str | Path | None = None,
    *,
    accept_new_boards: Sequence[str] = (),
) -> Merged:
    """Add the boards that another fleet.lock knows, "-" for standard input, to that of a manifest;
    it keeps its own firmware and packages. What cannot be taken over is in the result's
    `conflicts`; `accept_new_boards` names devices, as `--limit` does, that may have another board
    than before. LockError for a lock that cannot be read or written."""
    loaded = load_manifest(manifest)
    devices = loaded.names()
    accepted = loaded.names(accept_new_boards) if accept_new_boards else ()
    if str(other) == STDIN:
        theirs = parse_lock(sys.stdin.read(MAX_CHARACTERS), STDIN_FILE)
    else:
        theirs = read_lock(Path(other))
    if not theirs.devices and str(other) != STDIN and not Path(other).exists():
        raise LockError(f"there is no {other}", hint="name the fleet.lock of a host, or - for it")
    merged: list[Merged] = []

    def merge(ours: Lock) -> Lock:
        declared = loaded.declared_macs()
        merged.append(
            merge_devices(ours, theirs, declared=declared, devices=devices, accepted=accepted)
        )
        return merged[-1].lock

    update_lock(loaded.lock_path, merge)
    return merged[-1]


def discover(manifest: str | Path | None = None, *, probe: bool = False) -> Sequence[FoundPort]:
    """The serial ports that are plugged in and, of a manifest if one is named, the devices on them
    and those on URLs.

    With `probe`, each board is asked for its chip, MAC, flash and firmware, as `actual`: that
    interrupts what runs there, and resets a board whose REPL does not answer. Ports built into the
    computer are asked only where a device is on them.
    """
    return discover_ports(manifest, probe=probe)


def init(ports: Sequence[str] = (), *, manifest: str | Path | None = None) -> NewManifest:
    """Write a first manifest of the boards that are plugged in, or of those on these ports (paths
    or URLs). They are asked for chip, MAC and flash as by `discover` with `probe`.

    UsageError where the manifest is there already, PortNotFound where nothing is plugged in,
    NoAnswer where no board answers; then nothing is written.
    """
    draft = ManifestDraft.new(str(manifest) if manifest is not None else None)
    found = [one for one in discover_ports(None, probe=True, only=ports) if not one.built_in]
    if not found:
        raise PortNotFound(
            "no serial port is plugged in",
            hint="check that the cable carries data, and on Windows that the driver of the USB "
            "bridge (CP210x VCP or CH340) is installed; or name ports: `provision init PORT`",
        )
    answered = [one for one in found if one.actual is not None]
    boards = Naming(draft)
    left_out: list[tuple[str, str]] = []
    names = (f"board-{number:0{len(str(len(answered)))}}" for number in range(1, len(found) + 1))
    for one in found:
        known = boards.known_as(one)
        if one.actual is None:
            left_out.append((described(one.port), _why(one)))
        elif known is not None:
            left_out.append((described(one.port), f"it is the board of {known} too"))
        else:
            boards.add(next(names), one)
    if not boards.named:
        raise NoAnswer(
            "no board answers: " + "; ".join(f"{port}: {why}" for port, why in left_out),
            hint="put the boards into download mode (`provision boards NAME` says how) and run "
            "`provision init` again",
        )
    boards.write([comment(f"not added: {port}: {why}") for port, why in left_out])
    return NewManifest(path=draft.path, devices=boards.named, left_out=tuple(left_out))


def naming(manifest: str | Path | None = None) -> Naming:
    """Boards are about to be named, one after the other, and go to a manifest: one that is there,
    or a new one. UsageError where devices cannot be added to it."""
    name = str(manifest) if manifest is not None else None
    if not os.path.lexists(manifest_path(name)):
        return Naming(ManifestDraft.new(name))
    loaded = load_manifest(manifest)
    learned = {device: entry.mac for device, entry in read_lock(loaded.lock_path).devices.items()}
    known = {**learned, **loaded.declared_macs()}
    macs = {mac: device for device, mac in known.items() if mac is not None}
    draft = ManifestDraft.of(loaded, macs)
    draft.check()
    return Naming(draft)


def arrivals() -> Arrivals:
    """The serial ports that are plugged in from now on."""
    return Arrivals(plugged_in)


def ports_named(addresses: Sequence[str]) -> Sequence[FoundPort]:
    """These ports, not asked yet."""
    return named_ports(plugged_in(), addresses)


def ask(found: FoundPort) -> FoundPort:
    """The same port with what the board there says of itself, or why none does."""
    (asked,) = ask_ports([replace(found, named=True)])
    return replace(asked, error=_why(asked)) if asked.actual is None else asked


def _why(asked: FoundPort) -> str:
    """Without the port, which is named beside."""
    return (asked.error or "nothing answers").removeprefix(f"{asked.port.path}: ")


@record
class _Entry:
    """A device to be written: how its port is called where nobody else is there, and the rest."""

    board: NamedBoard
    port: Setting
    settings: tuple[Setting, ...]
    owned: bool  # by a device that the manifest has already

    @property
    def mac(self) -> str | None:
        return self.board.actual.mac


class Naming:
    """Devices on their way into a manifest: boards, and what somebody calls them."""

    def __init__(self, draft: ManifestDraft) -> None:
        self._draft = draft
        self._macs = dict(draft.macs)
        self._entries: list[_Entry] = []

    @property
    def named(self) -> tuple[NamedBoard, ...]:
        """Those that were named so far."""
        return tuple(entry.board for entry in self._entries)

    @property
    def path(self) -> Path:
        """The manifest that they go to."""
        return self._draft.path

    @property
    def suggestion(self) -> str | None:
        """What the next device may be called, going by the last."""
        name = next_name(self._entries[-1].board.device) if self._entries else None
        while name is not None and name in self._names():
            name = next_name(name)
        return name

    def known_as(self, found: FoundPort) -> str | None:
        """The device that this board is already, by its MAC."""
        mac = found.actual.mac if found.actual is not None else None
        return self._macs.get(mac) if mac is not None else None

    def name_fault(self, name: str) -> str | None:
        """Why a device cannot have this name."""
        if name in self._names():
            return f"{name} is a device of {self._draft.path} already"
        if not is_device_name(name):
            return "a name is made of letters, digits, _, . and -"
        return None

    def add(self, name: str, found: FoundPort) -> NamedBoard:
        """Name a board that answered. UsageError for one that no manifest can be written for."""
        actual, port = found.actual, found.port
        assert actual is not None
        assert self.name_fault(name) is None
        try:
            where = port_setting(*lasting(port))
        except ValueError:  # a serial number of strange characters
            where = port_setting(PortSelector(kind="path", value=port.path))
        owned = any(selector_means(selector, port) for selector in self._draft.ports)
        shared = owned or any(entry.port.value == where.value for entry in self._entries)
        if shared and actual.mac is None:
            raise UsageError(
                f"{port.path}: this board tells no MAC, and its socket is another device's",
                hint="plug it into a socket of its own",
            )
        board = self._board(port, actual)
        settings = [] if board is None else [board]
        if actual.mac is not None:
            settings.append(Setting(key="mac", value=scalar(actual.mac)))
            self._macs[actual.mac] = name
        named = NamedBoard(
            device=name,
            port=port.path,
            board=board.value if board is not None else None,
            actual=actual,
        )
        self._entries.append(_Entry(board=named, port=where, settings=tuple(settings), owned=owned))
        return named

    def write(self, notes: Sequence[str] = ()) -> None:
        """Write them into the manifest; see `ManifestDraft.write`."""
        at = Counter(entry.port.value for entry in self._entries)
        self._draft.write(
            [
                NewDevice(
                    name=entry.board.device,
                    settings=(
                        _anywhere()
                        if entry.mac is not None and (entry.owned or at[entry.port.value] > 1)
                        else entry.port,
                        *entry.settings,
                    ),
                    notes=(_running(entry.board.actual),),
                )
                for entry in self._entries
            ],
            notes,
        )

    def _names(self) -> frozenset[str]:
        return self._draft.names | {entry.board.device for entry in self._entries}

    def _board(self, port: PortInfo, actual: ActualState) -> Setting | None:
        """What to write as its board; None where the manifest's defaults say it."""
        usual = self._draft.board
        fits = usual is not None and usual.chip == actual.chip
        if usual is not None and fits and usual.flash_size in (None, actual.flash_size):
            return None
        boards = profiles().values()
        if actual.chip is not None:
            machine = actual.firmware.machine if actual.firmware is not None else ""
            guess = guess_board(actual.chip, actual.flash_size, port.usb_id, boards, machine)
            if guess is not None:
                return Setting(key="board", value=scalar(guess.board.name), comment=guess.reason)
        raise UsageError(
            f"{port.path}: no board profile is of this chip",
            hint="describe the board under `boards:` in the manifest",
        )


def selector_means(selector: PortSelector, port: PortInfo) -> bool:
    """Whether a device's port is this one, that of a URL too."""
    return bool(matching(selector, [port])) or selector.value == port.path


def _anywhere() -> Setting:
    """The port of a board that was named where another one was named as well."""
    return port_setting(
        PortSelector(kind="any", value="any"),
        "wherever the board with this MAC is: others were named at the same socket",
    )


def _running(actual: ActualState) -> str:
    firmware = actual.firmware
    if firmware is None:
        return "no MicroPython answers"
    return f"runs MicroPython {firmware.version} ({firmware.machine})"
