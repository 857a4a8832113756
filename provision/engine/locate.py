"""Locate: which port each device of a run is on.

Paths, URLs and USB properties are looked up; a MAC is found by asking the boards on the ports
that nobody else in the manifest owns. Where boards may have changed places, those on the run's own
ports are asked as well, and each device follows its board. A device that cannot be located carries
its error instead.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Callable, Mapping, Sequence

from provision.core.planning.port_choice import candidates
from provision.core.wording import plural
from provision.errors import DeviceError, NoAnswer, PortNotFound, ProvisionError
from provision.interfaces import Connector, Discovery, PortInfo
from provision.model.board import BoardProfile, ResetWiring
from provision.model.endpoint import Endpoint
from provision.model.language import record
from provision.model.state import ActualState, DesiredState, PortSelector

Located = str | ProvisionError


def locate(
    states: Sequence[DesiredState],
    discovery: Discovery,
    connector: Connector,
    *,
    owned: Sequence[PortSelector] = (),
    match_by_mac: bool = False,
) -> dict[str, Located]:
    """Device name to address, or to the error that says why there is none.

    `owned` are the ports of all devices of the manifest, also of those left out of this run:
    no board there is ever asked on behalf of another. But with `match_by_mac` a device whose MAC
    is known is also looked for on the ports of the others in `states`.
    """
    listed = functools.cache(discovery.ports)  # a listing takes longer than all else here
    located: dict[str, Located] = {}
    wanted: dict[str, list[DesiredState]] = {}
    for state in states:
        port = state.port
        if port is None:
            located[state.device] = PortNotFound(
                "the manifest names no port for it", hint="add `port:` to the device"
            )
        elif port.kind == "mac":
            wanted.setdefault(port.value.lower(), []).append(state)
        elif port.kind == "any" and state.mac is not None:
            wanted.setdefault(state.mac, []).append(state)
        elif port.kind == "any":
            located[state.device] = PortNotFound(
                "its port may be any, and nothing says which board it is",
                hint="declare its `mac:`, or name its port until a first apply has learned it",
            )
        else:
            try:
                located[state.device] = discovery.resolve(port, listed)
            except ProvisionError as error:
                located[state.device] = error
    if match_by_mac:
        located = _distinct(located)  # a port that two devices name is nobody's
        for state in states:
            by_port = state.port is not None and state.port.kind not in ("mac", "any")
            if by_port and state.mac is not None:
                wanted.setdefault(state.mac, []).append(state)
    if wanted:
        seats = {
            state.device: address
            for state in states
            if match_by_mac and isinstance(address := located.get(state.device), str)
        }
        found = _ask(states, seats, _free_ports(wanted, owned, listed()), connector)
        located.update(_by_mac(wanted, found, seats))
        _leave_taken_seats(located, seats, found, wanted)
    return _distinct(located)


@record(slots=False)
class _Answers:
    """On which addresses each MAC answered, and how many were asked."""

    by_mac: Mapping[str, list[str]]
    asked: int


def _free_ports(
    wanted: Mapping[str, list[DesiredState]],
    owned: Sequence[PortSelector],
    ports: Sequence[PortInfo],
) -> list[PortInfo]:
    usb = [bridge for states in wanted.values() for state in states for bridge in state.board.usb]
    return candidates(ports, owned, usb)


def _ask(
    states: Sequence[DesiredState],
    seats: Mapping[str, str],
    free: Sequence[PortInfo],
    connector: Connector,
) -> _Answers:
    """Ask the boards on the seats of devices and on the free ports, all at once."""
    boards = [state.board for state in states]
    ways = {port.path: likely_boards(port, boards) for port in free}
    for state in states:
        if state.device in seats:
            others = likely_boards(PortInfo(path=seats[state.device]), boards)
            mine = (state.board.chip.family, state.board.reset)
            ways[seats[state.device]] = [
                state.board,
                *(one for one in others if (one.chip.family, one.reset) != mine),
            ]
    by_mac: dict[str, list[str]] = {}
    from concurrent.futures import ThreadPoolExecutor  # here, since few runs need it

    with ThreadPoolExecutor(max_workers=max(1, len(ways))) as pool:
        answers = pool.map(lambda one: _probe_quietly(connector, one[0], one[1]), ways.items())
        for address, actual in zip(ways, answers, strict=True):
            if actual is not None and actual.mac is not None:
                by_mac.setdefault(actual.mac, []).append(address)
    return _Answers(by_mac=by_mac, asked=len(ways))


def _by_mac(
    wanted: Mapping[str, list[DesiredState]], found: _Answers, seats: Mapping[str, str]
) -> dict[str, Located]:
    result: dict[str, Located] = {}
    for mac, states in wanted.items():
        addresses = found.by_mac.get(mac, [])
        for state in states:
            if len(addresses) == 1:
                result[state.device] = addresses[0]
            elif addresses:
                result[state.device] = DeviceError(
                    f"the MAC {mac} answers on more than one port: {', '.join(addresses)}",
                    hint="unplug the one that is not meant",
                )
            elif state.device not in seats:
                asked = f"{plural(found.asked, 'port')} asked"
                result[state.device] = PortNotFound(f"no board with the MAC {mac} ({asked})")
    return result


def _leave_taken_seats(
    located: dict[str, Located],
    seats: Mapping[str, str],
    found: _Answers,
    wanted: Mapping[str, list[DesiredState]],
) -> None:
    """A device whose own board answers nowhere does not get the one that another followed to its
    port."""
    followed = {
        addresses[0]: states[0].device
        for mac, states in wanted.items()
        if len(addresses := found.by_mac.get(mac, [])) == 1
    }
    for device, seat in seats.items():
        owner = followed.get(seat)
        if located[device] == seat and owner is not None and owner != device:
            located[device] = PortNotFound(
                f"on its port {seat} is the board of {owner}, and its own answers on none "
                f"({plural(found.asked, 'port')} asked)",
                hint="plug its board in, or leave it out with --limit",
            )


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
            if not connection.capabilities.resets and connection.capabilities.reads_flash:
                raise
        entered = connection.capabilities.reads_flash  # else it is asked where it is
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
