"""Locate: which port each device of a run is on.

Paths, URLs and USB properties are looked up; a MAC is found by asking the boards on the ports
that nobody else in the manifest owns. A device that cannot be located carries its error instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from provision.core.planning.port_choice import candidates
from provision.core.wording import plural
from provision.errors import DeviceError, NoAnswer, PortNotFound, ProvisionError
from provision.interfaces import BootloaderFacts, Connector, Discovery, ReplFacts
from provision.model.board import BoardProfile, ResetWiring
from provision.model.chip import Chip
from provision.model.state import DesiredState, FirmwareIdentity, PortSelector

Located = str | ProvisionError


@dataclass(frozen=True, kw_only=True, slots=True)
class Probed:
    """What a board on some port says of itself."""

    address: str
    chip: Chip
    mac: str | None
    flash_size: int | None
    firmware: FirmwareIdentity | None


def locate(
    states: Sequence[DesiredState],
    discovery: Discovery,
    connector: Connector,
    *,
    owned: Sequence[PortSelector] = (),
) -> dict[str, Located]:
    """Device name to address, or to the error that says why there is none.

    `owned` are the ports of all devices of the manifest, also of those left out of this run:
    no board there is ever asked on behalf of another.
    """
    located: dict[str, Located] = {}
    wanted: dict[str, list[DesiredState]] = {}
    for state in states:
        if state.port is None:
            located[state.device] = PortNotFound(
                "the manifest names no port for it", hint="add `port:` to the device"
            )
        elif state.port.kind == "mac":
            wanted.setdefault(state.port.value.lower(), []).append(state)
        else:
            try:
                located[state.device] = discovery.resolve(state.port)
            except ProvisionError as error:
                located[state.device] = error
    if wanted:
        located.update(_by_mac(wanted, owned, discovery, connector))
    return _distinct(located)


def _by_mac(
    wanted: dict[str, list[DesiredState]],
    owned: Sequence[PortSelector],
    discovery: Discovery,
    connector: Connector,
) -> dict[str, Located]:
    board = next(iter(wanted.values()))[0].board
    named = [selector for selector in owned if selector.kind != "mac"]
    free = [port.path for port in candidates(discovery.ports(), named, board.usb)]
    found: dict[str, list[str]] = {}
    with ThreadPoolExecutor(max_workers=max(1, len(free))) as pool:
        for answer in pool.map(lambda path: _probe_quietly(connector, path, board), free):
            if answer is not None and answer.mac is not None:
                found.setdefault(answer.mac, []).append(answer.address)
    result: dict[str, Located] = {}
    for mac, states in wanted.items():
        addresses = found.get(mac, [])
        for state in states:
            if len(addresses) == 1:
                result[state.device] = addresses[0]
            elif addresses:
                result[state.device] = DeviceError(
                    f"the MAC {mac} answers on more than one port: {', '.join(addresses)}",
                    hint="unplug the one that is not meant",
                )
            else:
                asked = f"{plural(len(free), 'port')} asked"
                result[state.device] = PortNotFound(f"no board with the MAC {mac} ({asked})")
    return result


def _distinct(located: dict[str, Located]) -> dict[str, Located]:
    """Two devices on one port are both in error: which one is meant cannot be known."""
    owners: dict[str, list[str]] = {}
    for device, address in located.items():
        if isinstance(address, str):
            owners.setdefault(_canonical(address), []).append(device)
    result = dict(located)
    for devices in owners.values():
        if len(devices) > 1:
            for device in devices:
                others = ", ".join(other for other in devices if other != device)
                result[device] = DeviceError(
                    f"its port {located[device]} is also that of {others}",
                    hint="give each device a port of its own",
                )
    return result


def _canonical(address: str) -> str:
    """One spelling for one port: by-id and by-path links lead to the same /dev name, and a URL's
    options do not make another port of it."""
    if "://" not in address:
        return os.path.realpath(address)
    return re.split("[?#]", address, maxsplit=1)[0].rstrip("/")


def probe(
    connector: Connector,
    address: str,
    board: BoardProfile,
    *,
    trace: Callable[[int, str], None] | None = None,
) -> Probed:
    """Ask the board on a port who it is: at its REPL, else in its bootloader. Changes nothing;
    resets the board only where no REPL answers."""
    connection = connector.connect(
        address, board, device=address, baud=115200, trace=trace or _silent
    )
    entered = False
    try:
        try:
            facts = connection.repl(reset=False).facts()
            return _from_repl(address, facts)
        except NoAnswer:
            if board.reset is ResetWiring.NONE:
                raise
        entered = True
        return _from_bootloader(address, connection.bootloader(None, 0.0).facts())
    finally:
        try:
            if entered:
                connection.restart(None, 0.0)
            elif connection.interrupted:
                connection.resume()
        finally:
            connection.close()


def _silent(level: int, text: str) -> None:
    """Nobody listens to the conversation."""


def _probe_quietly(connector: Connector, address: str, board: BoardProfile) -> Probed | None:
    try:
        return probe(connector, address, board)
    except ProvisionError:
        return None  # a port that does not answer is not the one looked for


def _from_repl(address: str, facts: ReplFacts) -> Probed:
    return Probed(
        address=address,
        chip=facts.firmware.chip,
        mac=facts.mac,
        flash_size=facts.flash_size,
        firmware=facts.firmware,
    )


def _from_bootloader(address: str, facts: BootloaderFacts) -> Probed:
    return Probed(
        address=address,
        chip=facts.chip,
        mac=facts.mac,
        flash_size=facts.flash_size,
        firmware=None,
    )
