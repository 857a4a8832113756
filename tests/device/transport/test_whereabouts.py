"""Where a board's port is again, when its USB went and came back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from provision.device.transport.whereabouts import Whereabouts, place_of
from provision.interfaces import PortInfo
from provision.model.state import PortSelector

OWN = PortInfo(path="/dev/ttyUSB1", usb_id="10c4:ea60", serial_number="0001", location="1-1.2")
OTHER = replace(OWN, path="/dev/ttyUSB0", location="1-1.1")
PICO = PortInfo(path="/dev/ttyACM0", usb_id="2e8a:0005", serial_number="e6", location="1-1.4:1.0")
SECOND = replace(OWN, path="/dev/ttyUSB2", location="1-1.2:1.1")


class Listed:
    """Implements `interfaces.Discovery`."""

    def __init__(self, ports: Sequence[PortInfo]) -> None:
        self._ports = ports

    def ports(self) -> Sequence[PortInfo]:
        return self._ports

    def resolve(self, selector: PortSelector, listed: object = None) -> str:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("was", "place", "ports", "now"),
    [
        (OWN, None, [replace(OWN, path="/dev/ttyUSB7", location="1-1.3")], "/dev/ttyUSB7"),
        (OWN, None, [OTHER, replace(OWN, path="/dev/ttyUSB7")], "/dev/ttyUSB7"),
        (SECOND, None, [replace(OWN, location="1-1.2:1.0"), SECOND], SECOND.path),
        (OWN, None, [OTHER, replace(OTHER, path="/dev/ttyUSB5", location="1-1.5")], OWN.path),
        (OWN, None, [PICO], OWN.path),
        (PICO, "1-1.4", [OTHER, replace(PICO, path="/dev/ttyACM3", usb_id="2e8a:0009")],
         "/dev/ttyACM3"),
        (None, None, [PICO], OWN.path),
    ],
)  # fmt: skip
def test_where_it_is_now(
    was: PortInfo | None, place: str | None, ports: list[PortInfo], now: str
) -> None:
    where = Whereabouts(Listed(ports))
    where.usb, where.place = was, place
    assert where.address_now(was.path if was is not None else OWN.path) == now


def test_a_socket_is_that_of_the_device_and_not_of_one_of_its_interfaces() -> None:
    assert place_of(PICO.path, PICO) == "1-1.4"
    assert place_of(PICO.path, None) is None
    assert place_of("sim://attic?chip=rp2040", None) == "attic"
