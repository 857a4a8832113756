"""Where a board is plugged in, by all that tells it from others: for finding its port again when
its USB went with a reset and came back, perhaps under another name.
"""

from __future__ import annotations

from provision.device.transport.owner import port_key
from provision.device.transport.serial_port import Port
from provision.device.transport.transports import transport_of
from provision.interfaces import Discovery, PortInfo


class Whereabouts:
    """`usb` is the port as it was listed while it was there; `place` the USB socket of a board that
    is, or was meanwhile, another USB device, None where nothing tells."""

    def __init__(self, discovery: Discovery) -> None:
        self.usb: PortInfo | None = None
        self.place: str | None = None
        self._discovery = discovery

    def remember(self, port: Port) -> None:
        """While the port is there: what tells it when it comes back. Not earlier, since to look
        through a system's ports costs as much as a board where nothing changes."""
        address = port.address
        if self.usb is None and port.transport.is_local:
            self.usb = next(
                (one for one in self._discovery.ports() if address in (one.path, *one.links)), None
            )

    def address_now(self, address: str) -> str:
        """The port with the same USB serial number and id, wherever it is now, or of several the
        one on the same socket; of a board that was another USB device, the one on its socket; else
        the same name."""
        was, place = self.usb, self.place
        numbered = was is not None and was.serial_number is not None
        if not transport_of(address).is_local or not (numbered or place):
            return address
        ports = [port for port in self._discovery.ports() if port.drive is None]
        if was is not None and numbered:
            own = (was.usb_id, was.serial_number)
            same = [port for port in ports if (port.usb_id, port.serial_number) == own]
            if len(same) > 1:  # bridges of one make may have one number, as "0001"
                same = [port for port in same if port.location == was.location]
            if same:
                return same[0].path
        at_place = (port.path for port in ports if place and place_of(port.path, port) == place)
        return next(at_place, address)


def place_of(address: str, usb: PortInfo | None) -> str | None:
    """The USB socket that a board is on: of a port of this computer as its listing has it; what a
    URL names is where it is. None where nothing tells."""
    if not transport_of(address).is_local:
        return port_key(address).partition("://")[2]
    location = usb.location if usb is not None else None
    return location.partition(":")[0] if location is not None else None
