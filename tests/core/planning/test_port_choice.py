"""By which name a port is found again."""

from __future__ import annotations

import pytest

from provision.core.planning.port_choice import choose, lasting
from provision.interfaces import PortInfo
from provision.model.state import PortKind

BY_PATH = "/dev/serial/by-path/pci-0000:00:14.0-usb-0:1.4:1.0-port0"
BY_ID = "/dev/serial/by-id/usb-1a86_USB_Serial-if00-port0"  # of every CH340
CH340 = PortInfo(path="/dev/ttyUSB0", usb_id="1a86:7523", location="1-1.4", links=(BY_ID, BY_PATH))


@pytest.mark.parametrize(
    ("port", "kind", "value"),
    [
        (CH340, "path", BY_PATH),
        (PortInfo(path="COM3", usb_id="1a86:7523", location="1-1.4"), "location", "1-1.4"),
        (PortInfo(path="COM3", usb_id="1a86:7523", serial_number="0001", location="1-1.4"),
         "location", "1-1.4"),
        (PortInfo(path="COM3", usb_id="10c4:ea60", serial_number="A7"), "serial", "A7"),
        (PortInfo(path="COM3", usb_id="1a86:7523"), "path", "COM3"),
        (PortInfo(path="/dev/ttyAMA0"), "path", "/dev/ttyAMA0"),
        (PortInfo(path="rfc2217://host:4000"), "url", "rfc2217://host:4000"),
    ],
)  # fmt: skip
def test_the_name_that_lasts(port: PortInfo, kind: PortKind, value: str) -> None:
    selector, why = lasting(port)
    assert (selector.kind, selector.value) == (kind, value)
    assert (port.usb_id is not None) == bool(why)
    if kind != "url":
        assert choose(selector, [PortInfo(path="/dev/other", location="1-1.40"), port]) == port
