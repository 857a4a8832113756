"""Where boards are found, as ports and as drives: adapters that `app.py` and `app_ports.py` share.

Beside `app.py`, the place where adapters are built. The `sim://` URL handler is registered here;
nothing else knows that such boards exist.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from provision.interfaces import Volume
from provision.output.run_log import state_directory

if TYPE_CHECKING:
    from provision.device.flashing.uf2.site import Drives
    from provision.device.transport.discovery import SerialDiscovery


SIM_HANDLERS = "provision.sim"
SIM_SCHEME = "sim"


def board_drives(*, virtual: bool = False) -> Drives:
    """The drives of boards in BOOTSEL mode, virtual ones included or alone, and what is remembered
    of them."""
    from provision.device.flashing.uf2.records import BootselRecords, FollowedVolumes
    from provision.device.flashing.uf2.site import Drives

    records = BootselRecords(state_directory() / "bootsel")
    return Drives(volumes=FollowedVolumes(_AllVolumes(virtual=virtual), records), records=records)


def serial_discovery(*, virtual: bool = False) -> SerialDiscovery:
    """Finds the ports of this computer; with `virtual` none of them."""
    from provision.device.flashing.uf2.records import BootselRecords, FollowedVolumes
    from provision.device.transport.discovery import SerialDiscovery
    from provision.device.transport.uf2_drives import SystemVolumes

    records = BootselRecords(state_directory() / "bootsel")
    if virtual:
        return SerialDiscovery(listing=tuple, links=(), volumes=_AllVolumes(virtual=True))
    return SerialDiscovery(volumes=FollowedVolumes(SystemVolumes(), records))


class _AllVolumes:
    """Implements `interfaces.Volumes`."""

    def __init__(self, *, virtual: bool) -> None:
        from provision.device.transport.uf2_drives import SystemVolumes

        self._system = None if virtual else SystemVolumes()

    @property
    def tells_sockets(self) -> bool:
        """As `Volumes.tells_sockets`; where a virtual board is, is always told."""
        return self._system is None or self._system.tells_sockets

    def volumes(self) -> Sequence[Volume]:
        """As `Volumes.volumes`."""
        from provision.device.transport.uf2_drives import read_drive

        found = [*self._system.volumes()] if self._system is not None else []
        if sys.platform == "win32":  # which has no virtual boards
            return found
        from provision.sim import client

        for each in client.volumes():
            told = read_drive(each.path)
            if told is not None:
                kind, info = told
                found.append(
                    Volume(
                        path=each.path,
                        kind=kind,
                        info=info,
                        usb_serial=each.serial,
                        usb_location=each.name,
                    )
                )
        return found


def url_fault(url: str) -> str | None:
    """What is wrong with the URL of a port, as far as it can be told without opening it."""
    from provision.device.transport import transports

    if transports.scheme_of(url) != SIM_SCHEME:
        return transports.url_fault(url)
    from provision.sim.setup import address_fault

    return address_fault(url)


def register_virtual_boards() -> None:
    """Let pyserial open sim:// URLs in this process."""
    import serial

    if SIM_HANDLERS not in serial.protocol_handler_packages:
        serial.protocol_handler_packages.append(SIM_HANDLERS)
