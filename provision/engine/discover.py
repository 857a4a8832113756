"""Discover: what is plugged in, which device of a manifest each port is, and what the boards say.

No run: nothing is compared or changed. `app.py` gives it the ports and how to ask a board.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from provision.core.planning.port_choice import matching
from provision.engine.locate import likely_boards
from provision.errors import ProvisionError
from provision.interfaces import PortInfo
from provision.model.board import BoardProfile
from provision.model.language import record
from provision.model.state import ActualState, DesiredState

Probe = Callable[[str, BoardProfile], ActualState]
"""Asks the board at an address, as one of this profile. Raises ProvisionError when nothing
answers."""


@record
class FoundPort:
    """One port. `devices` are those of the manifest that name it, or whose MAC answered there;
    `named` says that somebody asked for this very port; `actual` and `error` are what came of
    asking the board behind it."""

    port: PortInfo
    named: bool = False
    devices: tuple[str, ...] = ()
    actual: ActualState | None = None
    error: str | None = None

    @property
    def built_in(self) -> bool:
        """Whether this is a port of the computer's own, which nobody plugged a board into: a PC
        lists up to 32 of them, mostly with nothing behind."""
        port = self.port
        asked_for = self.named or bool(self.devices)
        return port.usb_id is None and port.drive is None and not asked_for


def list_ports(ports: Sequence[PortInfo], states: Sequence[DesiredState]) -> list[FoundPort]:
    """The ports and, below them, what the manifest reaches by other ways: URLs, and paths that
    the system does not list as serial ports."""
    devices: dict[str, list[str]] = {port.path: [] for port in ports}
    others: dict[str, PortInfo] = {}
    for state in states:
        if state.port is None:
            continue
        for port in matching(state.port, ports):
            devices[port.path].append(state.device)
        value = state.port.value
        is_path = state.port.kind == "path" and not matching(state.port, ports)
        if state.port.kind == "url" or (is_path and Path(value).exists()):
            others.setdefault(value, PortInfo(path=value))
            devices.setdefault(value, []).append(state.device)
    return [
        FoundPort(port=port, devices=tuple(devices[port.path]))
        for port in (*ports, *others.values())
    ]


def named_ports(ports: Sequence[PortInfo], addresses: Sequence[str]) -> list[FoundPort]:
    """The ports that somebody named, each once: of those that are listed, all that is known; a name
    of the port's own that lasts (`/dev/serial/by-id/…`, a udev rule's) stays the way to it."""
    found: dict[str, PortInfo] = {}
    for address in addresses:
        listed = next((one for one in ports if address in (one.path, *one.links)), None)
        if listed is None:
            found.setdefault(address, PortInfo(path=address))
        elif address in listed.links:
            found.setdefault(listed.path, replace(listed, links=(address,), path=address))
        else:
            found.setdefault(listed.path, listed)
    return [FoundPort(port=port, named=True) for port in found.values()]


class Arrivals:
    """The ports that are plugged in from now on, by looking again and again.

    A port counts once it has been seen twice as it is: its links, and the leave to open it, come a
    moment after it.
    """

    def __init__(self, ports: Callable[[], Sequence[PortInfo]]) -> None:
        self._ports = ports
        self._known = {port.path for port in ports()}
        self._coming: dict[str, PortInfo] = {}

    def look(self) -> list[FoundPort]:
        """Those that have come since the last look."""
        now = {port.path: port for port in self._ports()}
        self._known &= now.keys()
        settled = [port for path, port in now.items() if self._coming.get(path) == port]
        self._known |= {port.path for port in settled}
        self._coming = {path: port for path, port in now.items() if path not in self._known}
        return [FoundPort(port=port, named=True) for port in settled]


def ask_boards(
    found: Sequence[FoundPort],
    states: Sequence[DesiredState],
    macs: Mapping[str, str],
    profiles: Sequence[BoardProfile],
    probe: Probe,
) -> list[FoundPort]:
    """The same with what the boards say, all asked at once.

    Built-in serial ports are left alone unless the manifest names them. `macs` says which device
    a MAC belongs to; a port that no device names is asked with the likeliest of `profiles`.
    """
    boards = {state.device: state.board for state in states}
    by_mac = {mac: device for device, mac in macs.items()}
    by_mac.update(
        {s.port.value.lower(): s.device for s in states if s.port and s.port.kind == "mac"}
    )

    def one(each: FoundPort) -> FoundPort:
        if each.built_in:
            return each
        board = boards.get(each.devices[0]) if each.devices else None
        try:
            actual = probe(each.port.path, board or likely_boards(each.port, profiles)[0])
        except ProvisionError as error:
            return replace(each, error=error.message)
        device = by_mac.get(actual.mac or "")
        known = (device,) if device and device not in each.devices else ()
        return replace(each, actual=actual, devices=each.devices + known)

    from concurrent.futures import ThreadPoolExecutor  # here, since few runs need it

    with ThreadPoolExecutor(max_workers=max(len(found), 1)) as pool:
        return list(pool.map(one, found))
