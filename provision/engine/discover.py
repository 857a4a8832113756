"""Discover: what is plugged in, which device of a manifest each port is, and what the boards say.

No run: nothing is compared or changed. `app.py` gives it the ports and how to ask a board.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

from provision.core.planning.port_choice import matching
from provision.engine.locate import likely_boards
from provision.errors import ProvisionError
from provision.interfaces import PortInfo
from provision.model.board import BoardProfile
from provision.model.state import ActualState, DesiredState

Probe = Callable[[str, BoardProfile], ActualState]
"""Asks the board at an address, as one of this profile. Raises ProvisionError when nothing
answers."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundPort:
    """One port. `devices` are those of the manifest that name it, or whose MAC answered there;
    `actual` and `error` are what came of asking the board behind it."""

    port: PortInfo
    devices: tuple[str, ...] = ()
    actual: ActualState | None = None
    error: str | None = None

    @property
    def built_in(self) -> bool:
        """Whether this is a port of the computer's own, which nobody plugged a board into: a PC
        lists up to 32 of them, mostly with nothing behind."""
        return self.port.usb_id is None and not self.devices


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

    with ThreadPoolExecutor(max_workers=max(len(found), 1)) as pool:
        return list(pool.map(one, found))
