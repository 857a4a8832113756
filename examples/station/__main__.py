"""`python3 examples/station`: a shift at a station of eight sockets, with nothing but Python.

Twelve virtual boards are plugged in one after the other by virtual hands, which do what the screen
says: leave a board in, take it away, plug the next one in. One board is of another kind, one is
dead, and one is unplugged in the middle of its work and plugged in again. What stays is the ledger
(`provision ledger --ledger examples/station/fleet.ledger list`) and a label a unit in
examples/station/labels. Run it again: every board is recognised, keeps its number, and is only
looked at.
"""

from __future__ import annotations

import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[0] = str(HERE.parent.parent)

from examples.environment import enter  # noqa: E402 - found through the line above

enter("sim")

import os  # noqa: E402
import subprocess  # noqa: E402
import threading  # noqa: E402
from collections import deque  # noqa: E402

from provision import api  # noqa: E402
from provision.interfaces import PortInfo  # noqa: E402
from provision.output.style import is_terminal  # noqa: E402
from provision.sim import client, paths  # noqa: E402
from provision.station.ledger import Ledger  # noqa: E402
from provision.station.machine import SocketState  # noqa: E402
from provision.station.numbers import Counter  # noqa: E402
from provision.station.runner import Layout, Station  # noqa: E402
from provision.station.machine import Counts
from provision.station.telling import Lines, Teller  # noqa: E402
from provision.station.orders import Orders  # noqa: E402

FLEET = HERE / "fleet.yaml"
LEDGER = HERE / "fleet.ledger"
FIRMWARE = HERE / "firmware" / "esp32-1.24.1.bin"
BOARDS = [f"station-{number:02d}" for number in range(1, 13)]
WRONG, DEAD, LOOSE = BOARDS[3], BOARDS[6], BOARDS[8]
HAND = 1.0  # seconds between what a hand sees and what it does


class Hands:
    """Plug boards in where a socket is free, and take them away when the screen says so; what the
    station is told goes on to the screen. `listing` is what the computer's USB lists meanwhile."""

    def __init__(self, sockets: dict[str, str], screen: Teller, shift: api.Cancellation) -> None:
        self._locations = sockets
        self._screen = screen
        self._shift = shift
        self._to_do = deque(BOARDS)
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
        if state.phase == "working" and board == LOOSE and board not in self._pulled:
            self._pulled.add(board)
            client.request(board, "fault", fault="unplug", arguments={"bytes": 9_000})
        elif state.phase in ("passed", "failed") and board is not None:
            if board == LOOSE and state.phase == "failed":
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


def provision(*arguments: str) -> None:
    """Run a command of the tool."""
    subprocess.run([sys.executable, "-m", "provision", *arguments], check=True, capture_output=True)


def prepare() -> None:
    """The firmware, and the boards as they come out of their boxes. Boards and ledger belong
    together: where the boards are gone, the ledger is of no use."""
    if not FIRMWARE.exists():
        FIRMWARE.parent.mkdir(exist_ok=True)
        provision("sim", "firmware", "--chip", "esp32", "--version", "1.24.1", "-o", str(FIRMWARE))
    if not paths.directory(BOARDS[0]).exists():
        for suffix in ("", "-wal", "-shm"):
            LEDGER.with_name(LEDGER.name + suffix).unlink(missing_ok=True)
    for board in BOARDS:
        client.ensure(board, {"chip": "esp8266" if board == WRONG else "esp32"})
    client.request(DEAD, "fault", fault="power-off", arguments={})


def main(screen: Teller | None = None) -> int:
    """A shift; the exit code is that of `provision station`."""
    prepare()
    opened = api.open_station(FLEET)
    sockets = {name: selector.value for name, selector in opened.settings.sockets.items()}
    if screen is None and is_terminal(sys.stdout, os.environ) and "--plain" not in sys.argv:
        from provision.station.screen import Screen

        screen = Screen(sys.stdout, f"{opened.fleet}, station demo", sockets=list(sockets))
    if screen is None:
        screen = Lines(lambda text: print(text, flush=True))
    with Ledger.open(LEDGER, create=True) as ledger:
        ledger.close_attempts_of("demo")
        shift = api.Cancellation()
        hands = Hands(sockets, screen, shift)
        station = Station(
            Orders(
                manifest=opened,
                ledger=ledger,
                numbers=Counter(start=1000, format="{:06d}"),
                station="demo",
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
            station.run()
        finally:
            hands.close()
    return 130 if station.cut else 0


if __name__ == "__main__":
    sys.exit(main())
