"""Locate: which port each device of a run is on.

Paths, URLs and USB properties are looked up; a MAC is found by asking the boards on the ports
that nobody else in the manifest owns. A device that cannot be located carries its error instead.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from provision.core.planning.port_choice import candidates
from provision.core.wording import plural
from provision.errors import DeviceError, NoAnswer, PortNotFound, ProvisionError
from provision.interfaces import Connector, Discovery, PortInfo
from provision.model.board import BoardProfile, ResetWiring
from provision.model.endpoint import Endpoint
from provision.model.state import ActualState, DesiredState, PortSelector

Located = str | ProvisionError


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
    boards = [state.board for states in wanted.values() for state in states]
    named = [selector for selector in owned if selector.kind != "mac"]
    usb = [bridge for board in boards for bridge in board.usb]
    free = candidates(discovery.ports(), named, usb)
    found: dict[str, list[str]] = {}
    with ThreadPoolExecutor(max_workers=max(1, len(free))) as pool:
        answers = pool.map(
            lambda port: _probe_quietly(connector, port.path, likely_boards(port, boards)), free
        )
        for port, actual in zip(free, answers, strict=True):
            if actual is not None and actual.mac is not None:
                found.setdefault(actual.mac, []).append(port.path)
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


def likely_boards(port: PortInfo, boards: Sequence[BoardProfile]) -> list[BoardProfile]:
    """One of these boards for each way in which the one behind this port may have to be asked;
    those sold with the port's USB bridge first. One that only a person can reset is asked as the
    others are: it answers at its REPL or not at all."""
    resettable = [board for board in boards if board.reset is not ResetWiring.NONE]
    likeliest = sorted(resettable or boards, key=lambda board: port.usb_id not in board.usb)
    ways: dict[tuple[str, ResetWiring], BoardProfile] = {}
    for board in likeliest:
        ways.setdefault((board.chip.family, board.reset), board)
    return list(ways.values())


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
                    f"its port {located[device]} is also the port of {others}",
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
) -> ActualState:
    """Ask the board on a port who it is: at its REPL, else by its flasher. Changes nothing;
    resets the board only where no REPL answers."""
    connection = connector.connect(
        Endpoint(address=address), board, device=address, trace=trace or _untraced
    )
    entered = False
    try:
        try:
            return connection.repl(reset=False).identify()
        except NoAnswer:
            if not connection.capabilities.resets:
                raise
        entered = True
        return connection.flasher(None, 0.0).identify()
    finally:
        try:
            if entered:
                connection.restart(None, 0.0)
            elif connection.interrupted:
                connection.resume()
        finally:
            connection.close()


def _untraced(level: int, text: str) -> None:
    """Nobody listens to the conversation."""


def _probe_quietly(
    connector: Connector, address: str, boards: Sequence[BoardProfile]
) -> ActualState | None:
    for board in boards:
        try:
            return probe(connector, address, board)
        except ProvisionError:
            continue  # a port that does not answer is not the one looked for
    return None
