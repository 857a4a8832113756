"""Which ports there are, and what boards on them say, for what is asked without a run.

Beside `app.py`, the place where adapters are built.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

from provision.app import load_manifest, this_host
from provision.app_drives import board_drives, register_virtual_boards, serial_discovery
from provision.core.hosts import is_at
from provision.core.wording import Redact
from provision.engine.discover import FoundPort, ask_boards, list_ports, named_ports
from provision.interfaces import PortInfo
from provision.lockfile.store import read_lock
from provision.model.state import DesiredState
from provision.output.scrub import scrub
from provision.project.user.known_secrets import Lookup


def discover_ports(
    manifest: str | Path | None, *, probe: bool, only: Sequence[str] = ()
) -> Sequence[FoundPort]:
    """The serial ports that are plugged in and, of a manifest, the devices on them and on URLs, or
    `only` those that are named; with `probe`, what each board says of itself."""
    states: Sequence[DesiredState] = ()
    macs: dict[str, str] = {}
    redact: Redact = str
    if manifest is not None:
        loaded = load_manifest(manifest, lookup=Lookup.NOW if probe else Lookup.LATER)
        redact = loaded.redactor.text
        host = this_host()
        states = [state for state in loaded.states() if is_at(state.host, host)]
        lock = read_lock(loaded.lock_path)
        declared = loaded.declared_macs()
        known = {name: declared.get(name) or lock.mac_of(name) for name in loaded.names()}
        macs = {device: mac for device, mac in known.items() if mac is not None}
    ports = plugged_in()
    found = named_ports(ports, only) if only else list_ports(ports, states)
    asked = ask_ports(found, states, macs, redact) if probe else found
    return asked if only else [*asked, *_other_drives(ports)]


def _other_drives(ports: Sequence[PortInfo]) -> Sequence[FoundPort]:
    """The drives of boards that are not provisioned, as what they are."""
    known = {port.path for port in ports}
    return [
        FoundPort(port=drive, error=drive.description)
        for drive in serial_discovery().drives()
        if drive.path not in known
    ]


def plugged_in() -> Sequence[PortInfo]:
    """The serial ports of this computer."""
    return serial_discovery().ports()


def ask_ports(
    found: Sequence[FoundPort],
    states: Sequence[DesiredState] = (),
    macs: Mapping[str, str] = MappingProxyType({}),
    redact: Redact = str,
) -> Sequence[FoundPort]:
    """These ports with what the board on each says of itself; see `engine.discover.ask_boards`."""
    from provision.boards import profiles
    from provision.device.connection import SerialConnector
    from provision.engine.locate import probe

    register_virtual_boards()
    connector = SerialConnector(serial_discovery(), redact=redact, drives=board_drives())
    boards = tuple(profiles().values())
    asked = ask_boards(
        found, states, macs, boards, lambda address, board: probe(connector, address, board)
    )
    return scrub(asked, redact)
