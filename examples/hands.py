"""Virtual hands at a station: they do what the screen says, so that an example can be a shift."""

from __future__ import annotations

import os
import sys
import threading
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from provision import api
from provision.interfaces import PortInfo
from provision.output.style import is_terminal
from provision.sim import client
from provision.station.ledger import Ledger
from provision.station.machine import Counts, SocketState
from provision.station.numbers import Numbers
from provision.station.orders import Orders
from provision.station.runner import Layout, Station
from provision.station.telling import Lines, Teller

HAND = 1.0  # seconds between what a hand sees and what it does


class Hands:
    """Plug boards in where a socket is free, and take them away when the screen says so; what the
    station is told goes on to the screen. `listing` is what the computer's USB lists meanwhile;
    `loose` is a board that slips out in the middle of its work, once."""

    def __init__(
        self,
        sockets: dict[str, str],
        boards: Sequence[str],
        screen: Teller,
        shift: api.Cancellation,
        *,
        loose: str | None = None,
    ) -> None:
        self._locations = sockets
        self._screen = screen
        self._shift = shift
        self._loose = loose
        self._to_do = deque(boards)
        self._at: dict[str, str] = {}  # socket -> board
        self._pulled: set[str] = set()
        self._lock = threading.Lock()
        for socket in sockets:
            self._later(self._plug_next, socket)

    def listing(self) -> list[PortInfo]:
        with self._lock:
            return [
                PortInfo(path=f"sim://{board}", usb_id="1a86:7523", location=self._locations[at])
                for at, board in self._at.items()
            ]

    def changed(self, socket: str, state: SocketState, counts: Counts) -> None:
        self._screen.changed(socket, state, counts)
        board = self._at.get(socket)
        is_loose = board is not None and board == self._loose
        if state.phase == "working" and is_loose and board not in self._pulled:
            self._pulled.add(board)
            client.request(board, "fault", fault="unplug", arguments={"bytes": 9_000})
        elif state.phase in ("passed", "failed") and board is not None:
            if is_loose and state.phase == "failed":
                self._to_do.append(board)  # once more, with a firm hand
            self._later(self._take_away, socket)
        elif state.phase == "empty":
            self._later(self._plug_next, socket)

    def progress(self, socket: str, stage: str, fraction: float | None) -> None:
        self._screen.progress(socket, stage, fraction)

    def said(self, text: str) -> None:
        self._screen.said(text)

    def close(self) -> None:
        self._screen.close()

    def _later(self, do, socket: str) -> None:
        timer = threading.Timer(HAND, do, [socket])
        timer.daemon = True
        timer.start()

    def _plug_next(self, socket: str) -> None:
        with self._lock:
            if socket in self._at or not self._to_do:
                return
            board = self._to_do.popleft()
            if board in self._pulled:
                client.request(board, "fault", fault="replug", arguments={})
            self._at[socket] = board

    def _take_away(self, socket: str) -> None:
        with self._lock:
            self._at.pop(socket, None)
            if not self._at and not self._to_do:
                self._shift.cancel()  # as Ctrl-C does


def run_shift(
    opened: api.StationManifest,
    boards: Sequence[str],
    *,
    ledger: Path,
    numbers: Numbers,
    station: str,
    loose: str | None = None,
    screen: Teller | None = None,
) -> int:
    """A shift in which these boards are plugged in, one after the other at each socket; the exit
    code is that of `provision station`. On a terminal it has the station's screen, but for
    `--plain`."""
    sockets = {name: selector.value for name, selector in opened.settings.sockets.items()}
    if screen is None and is_terminal(sys.stdout, os.environ) and "--plain" not in sys.argv:
        from provision.station.screen import Screen

        screen = Screen(sys.stdout, f"{opened.fleet}, station {station}", sockets=list(sockets))
    if screen is None:
        screen = Lines(lambda text: print(text, flush=True))
    with Ledger.open(ledger, create=True) as record:
        record.close_attempts_of(station)
        shift = api.Cancellation()
        hands = Hands(sockets, boards, screen, shift, loose=loose)
        at_work = Station(
            Orders(
                manifest=opened,
                ledger=record,
                numbers=numbers,
                station=station,
                operator="hands",
                yes=True,
                hooks=True,
                cancel=shift,
            ),
            Layout(sockets=opened.settings.sockets),
            hands.listing,
            hands,
        )
        try:
            at_work.run()
        finally:
            hands.close()
    return 130 if at_work.cut else 0


def forget(ledger: Path) -> None:
    """Boards and ledger belong together: where the boards are gone, it is of no use."""
    for suffix in ("", "-wal", "-shm"):
        ledger.with_name(ledger.name + suffix).unlink(missing_ok=True)
