"""Virtual boards as a manifest has them: a `sim://` port, and the profile of the device on it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

from provision.errors import SimulatorError
from provision.interfaces import Connection, Connector
from provision.model.board import BoardProfile
from provision.model.state import DesiredState

SCHEME = "sim://"


def board_behind(state: DesiredState, address: str) -> tuple[str, dict[str, str]]:
    """Name and settings of the board at `address`: what that leaves open is as the device has it.
    SimulatorError when it is no address of a virtual board."""
    from provision.sim.setup import parse_address

    name, query = parse_address(address)
    profile = state.board
    known = {"chip": str(profile.chip), "wiring": profile.reset.value}
    if profile.flash_size:
        known["flash"] = str(profile.flash_size)
    if state.mac:
        known["mac"] = state.mac
    return name, {**known, **query}


class BoardsAsNeeded:
    """A connector that makes the board behind a `sim://` address first, if there is none and the
    address does not say what it is to be; implements `interfaces.Connector`."""

    def __init__(self, connector: Connector, states: Sequence[DesiredState]) -> None:
        self._connector = connector
        self._states = {state.device: state for state in states}

    def connect(
        self,
        address: str,
        board: BoardProfile,
        *,
        device: str,
        baud: int,
        trace: Callable[[int, str], None],
    ) -> Connection:
        state = self._states.get(device)
        if state is not None and address.startswith(SCHEME):
            # What keeps it from being made is told when its port is opened.
            with suppress(SimulatorError, ImportError, OSError):
                _make(state, address)
        return self._connector.connect(address, board, device=device, baud=baud, trace=trace)


def _make(state: DesiredState, address: str) -> None:
    from provision.sim import link, places
    from provision.sim.setup import parse_address

    name, query = parse_address(address)
    if "chip" not in query and not places.directory(name).exists():
        link.ensure(*board_behind(state, address))
