"""A hand at the sockets: which virtual boards `provision` finds among the serial ports of this
computer, by a listing in a file that a test changes."""

from __future__ import annotations

import json
from collections.abc import Mapping

from tests.apply.station import Station

# Of each port its path, and the USB serial number where there is one.
LISTED = """
import json, sys
from serial.tools import list_ports, list_ports_common
def comports():
    with open("ports.json") as file:
        listed = json.load(file)
    for location, (path, serial) in listed.items():
        port = list_ports_common.ListPortInfo(path, skip_link_detection=True)
        port.vid, port.pid = (0x303a, 0x4001) if serial else (0x1a86, 0x7523)
        port.location, port.serial_number = location, serial
        yield port
list_ports.comports = comports
del sys.argv[1:3]
from provision.__main__ import main
sys.exit(main())
"""


class Sockets:
    """USB locations, and the virtual board at each."""

    def __init__(self, station: Station) -> None:
        self._station = station
        self._at: dict[str, tuple[str, str | None]] = {}
        self._write()

    def plug(self, location: str, board: str, serial: str | None = None) -> None:
        self._at[location] = (f"sim://{board}", serial)
        self._write()

    def unplug(self, location: str) -> None:
        del self._at[location]
        self._write()

    def put(self, boards: Mapping[str, str]) -> None:
        """These boards at these locations, and no others."""
        self._at = {location: (f"sim://{board}", None) for location, board in boards.items()}
        self._write()

    def _write(self) -> None:
        beside = self._station.write("ports.new", json.dumps(self._at))
        beside.replace(self._station.work / "ports.json")
