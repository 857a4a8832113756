"""Where the boards of a station are: which ports are a unit's, and what a look that fails costs."""

from __future__ import annotations

from pathlib import Path

from provision import api
from provision.interfaces import PortInfo
from provision.station.ledger import Ledger
from provision.station.machine import GRACE
from provision.station.numbers import Counter
from provision.station.orders import Orders
from provision.station.runner import Layout, Station, seen_port
from provision.station.telling import Lines

BRIDGE = PortInfo(path="/dev/ttyUSB0", usb_id="10c4:ea60", serial_number="0001", location="1-1")
OWN = PortInfo(path="/dev/ttyACM0", usb_id="303a:1001", serial_number="AA", location="1-2")


def test_the_number_of_a_bridge_tells_no_board_from_another() -> None:
    """Each CP2102 says 0001: a board that is plugged in quickly would be the one before."""
    assert seen_port(BRIDGE).serial is None
    assert seen_port(OWN).serial == "AA"
    assert seen_port(PortInfo(path="sim://a")).serial is None


def test_a_board_that_was_there_before_is_left_alone_and_the_next_one_is_not() -> None:
    layout = Layout(sockets={}, left_alone={seen_port(BRIDGE): 0.0, seen_port(OWN): 0.0})
    assert layout.seen([BRIDGE, OWN]) == {}
    layout = layout.after([BRIDGE, OWN], 10.0)
    layout = layout.after([], 10.0 + GRACE / 2)  # a hub that has lost it for a moment
    assert layout.seen([BRIDGE]) == {}
    layout = layout.after([], 10.0 + GRACE)
    assert layout.seen([BRIDGE]) == {"1-1": seen_port(BRIDGE)}
    # One that sleeps has no USB meanwhile, and comes back by another name perhaps.
    again = PortInfo(path="/dev/ttyACM1", usb_id="303a:1001", serial_number="AA", location="1-2")
    other = PortInfo(path="/dev/ttyACM0", usb_id="303a:1001", serial_number="BB", location="1-2")
    assert layout.seen([again]) == {}
    assert layout.seen([other]) == {"1-2": seen_port(other)}


def test_a_look_that_fails_ends_no_shift(tmp_path: Path) -> None:
    """As where what is plugged in is pulled while it is listed: other boards are in work then."""
    manifest = tmp_path / "fleet.yaml"
    manifest.write_text("devices: {unit: {board: esp32}}\nstation: {template: unit}\n")
    looks = 0

    def ports() -> list[PortInfo]:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise FileNotFoundError(2, "No such file or directory", "/dev/serial/by-id")
        orders.cancel.cancel()
        return []

    said: list[str] = []
    with Ledger.open(tmp_path / "fleet.ledger", create=True) as ledger:
        orders = Orders(
            manifest=api.open_station(manifest),
            ledger=ledger,
            numbers=Counter(),
            station="bench",
            operator="ada",
        )
        Station(orders, Layout(sockets={}), ports, Lines(said.append)).run()
    assert looks == 2
    assert said == ["0 passed, 0 failed"]
