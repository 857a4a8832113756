"""A station: its project, its ledger, and a hand at its sockets: which virtual boards `provision`
finds among the serial ports of this computer, by a listing in a file that a test changes."""

from __future__ import annotations

import json
from collections.abc import Mapping

from provision.core.chips.esp.chips import ESP32
from provision.model.chip import Chip
from provision.station.ledger import Ledger
from provision.station.records import Unit
from tests.apply.station import Station

MANIFEST = """
fleet: pv
devices:
  unit:
    board: %s
    firmware: {file: %s, version: 1.24.1}
    files:
      - main.py
      - {src: id.j2, dest: /id.txt, template: true}
    check: {expression: "open('/id.txt').read() != ''", timeout: 20}
station:
  template: unit
  name: "PV-{{ serial }}"
  serial: {counter: {start: 1000, format: "{:06d}"}}
  sockets: %s
"""


def write_station(
    station: Station,
    *,
    chip: Chip = ESP32,
    board: str = "esp32",
    sockets: str = "{left: 1-1, right: {location: 1-2}}",
    app: str = "print('ready')\n",
) -> None:
    """A project whose station makes units PV-001000 and so on."""
    station.write("fleet.yaml", MANIFEST % (board, station.firmware(chip), sockets))
    station.write("main.py", app)
    station.write("id.j2", "{{ name }} {{ serial }} {{ mac }} {{ station }}")


def units(station: Station) -> dict[str, Unit]:
    """What the ledger has, by number; its integrity is checked."""
    with Ledger.open(station.work / "fleet.ledger", check=True) as ledger:
        return {unit.number: unit for unit in ledger.units()}


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

# Before LISTED, for boards that are a drive in BOOTSEL mode: what is listed then is the drive, in
# place of the port, which is there only while a program runs that has one.
DRIVES = """
import json
from dataclasses import replace
from pathlib import Path
from provision.device.flashing.uf2 import site
from provision.device.transport import whereabouts
from provision.device.transport.discovery import SerialDiscovery
from provision.device.transport.uf2_drives import read_drive
from provision.interfaces import Volume
from provision.sim import client
from serial.tools import list_ports
def status(url):
    return client.request(url.removeprefix("sim://"), "status")
class Drives:
    tells_sockets = True
    def volumes(self):
        with open("ports.json") as file:
            listed = json.load(file)
        for location, (url, _) in listed.items():
            at = status(url)
            told = read_drive(Path(at["volume"])) if at["volume"] else None
            if told is not None:
                yield Volume(path=Path(at["volume"]), kind=told[0], info=told[1],
                             usb_serial=at["download_serial"], usb_location=location)
def present():
    for port in list_ports.comports():
        at = status(port.device)
        if at["present"]:
            port.vid, port.pid, port.serial_number = 0x2e8a, 0x0005, at["serial"]
            yield port
def __init__(self, listing=present, links=(), volumes=None):
    self._listing, self._links, self._volumes = present, (), Drives()
SerialDiscovery.__init__ = __init__
# A virtual board's USB socket is its name; here it is where it is plugged in.
def socket(url):
    with open("ports.json") as file:
        return next((place for place, (path, _) in json.load(file).items() if path == url), url)
by_system, volumes = whereabouts.place_of, client.volumes
def place_of(address, usb):
    return socket(address) if address.startswith("sim://") else by_system(address, usb)
whereabouts.place_of = site.place_of = place_of
client.volumes = lambda: [replace(one, name=socket("sim://" + one.name)) for one in volumes()]
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
