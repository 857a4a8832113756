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

from examples.hands import forget, run_shift  # noqa: E402
from examples.virtual import firmware_image, run  # noqa: E402
from provision import api  # noqa: E402
from provision.sim import client, paths  # noqa: E402
from provision.station.numbers import Counter  # noqa: E402
from provision.station.telling import Teller  # noqa: E402

FLEET = HERE / "fleet.yaml"
LEDGER = HERE / "fleet.ledger"
FIRMWARE = HERE / "firmware" / "esp32-1.24.1.bin"
BOARDS = [f"station-{number:02d}" for number in range(1, 13)]
WRONG, DEAD, LOOSE = BOARDS[3], BOARDS[6], BOARDS[8]


def prepare() -> None:
    """The firmware, and the boards as they come out of their boxes."""
    firmware_image(FIRMWARE, "esp32", "1.24.1")
    if not paths.directory(BOARDS[0]).exists():
        forget(LEDGER)
    for board in BOARDS:
        client.ensure(board, {"chip": "esp8266" if board == WRONG else "esp32"})
    client.request(DEAD, "fault", fault="power-off", arguments={})


def main(screen: Teller | None = None) -> int:
    """A shift; the exit code is that of `provision station`."""
    prepare()
    return run_shift(
        api.open_station(FLEET),
        BOARDS,
        ledger=LEDGER,
        numbers=Counter(start=1000, format="{:06d}"),
        station="demo",
        loose=LOOSE,
        screen=screen,
    )


if __name__ == "__main__":
    run(main)
