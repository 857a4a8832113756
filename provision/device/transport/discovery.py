"""Which serial ports are plugged in, as pyserial and the links below /dev tell."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from provision.core.planning.port_choice import choose, not_found, plugged_in
from provision.device.transport.uf2_drives import SystemVolumes, description, is_bootsel
from provision.errors import PortNotFound, UsageError
from provision.interfaces import PortInfo, Volumes
from provision.model.state import PortSelector


class SerialDiscovery:
    """Finds ports of this computer; implements `interfaces.Discovery`.

    `listing` gives what the system lists, `links` the directories whose symbolic links are
    other names of ports, in the order they are shown. A board in BOOTSEL mode has no port and is
    one of `volumes`: it is listed as what stands in the port's place.
    """

    def __init__(
        self,
        listing: Callable[[], Iterable[ListPortInfo]] = list_ports.comports,
        links: Sequence[Path] = (
            Path("/dev/serial/by-id"),
            Path("/dev/serial/by-path"),
            Path("/dev"),
        ),
        volumes: Volumes | None = None,
    ) -> None:
        self._listing = listing
        self._links = links
        self._volumes = volumes or SystemVolumes()

    def ports(self) -> Sequence[PortInfo]:
        """All serial ports plugged in now, in natural order; then the boards in BOOTSEL mode."""
        links = self._links_by_target()
        ports = [_info(one, links.get(one.device, ())) for one in sorted(self._listing())]
        return [*ports, *(port for port in self.drives() if is_bootsel(port.drive))]

    def drives(self) -> Sequence[PortInfo]:
        """The drives of boards that are plugged in, also of those that are not provisioned."""
        return [
            PortInfo(
                path=str(volume.path or volume.device),
                description=description(volume),
                usb_id=volume.usb_id,
                serial_number=volume.usb_serial,
                location=volume.usb_location,
                drive=volume,
            )
            for volume in self._volumes.volumes()
        ]

    def resolve(
        self, selector: PortSelector, listed: Callable[[], Sequence[PortInfo]] | None = None
    ) -> str:
        """The path or URL for a selector of any kind but `mac` and `any`.

        A path stays as it is written, so that messages use the user's own name for it.
        PortNotFound when nothing, UsageError when more than one port matches, both naming what
        is plugged in. `listed` as in `interfaces.Discovery`.
        """
        listed = listed or self.ports
        if selector.kind == "url":
            return selector.value
        if selector.kind in ("mac", "any"):
            raise UsageError(f"{selector} can only be found by asking the boards")
        if selector.kind != "path":
            return choose(selector, listed()).path
        if sys.platform == "win32":
            known = {port.path.upper() for port in listed()}
            there = selector.value.upper().removeprefix("\\\\.\\") in known
        else:
            there = Path(selector.value).exists()
        if not there:
            drives = (port.drive for port in listed())
            there = any(drive and drive.sent_from == selector.value for drive in drives)
        if not there:
            raise PortNotFound(f"{not_found(selector)}; {plugged_in(listed())}")
        return selector.value

    def _links_by_target(self) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for directory in self._links:
            try:
                entries = sorted(directory.iterdir())
            except OSError:  # the last port below it was unplugged, or there never was one
                continue
            for link in entries:
                if link.is_symlink():
                    target = str(link.resolve())
                    found[target] = (*found.get(target, ()), str(link))
        return found


def _info(one: ListPortInfo, links: tuple[str, ...]) -> PortInfo:
    return PortInfo(
        path=one.device,
        description="" if one.description in (None, "n/a") else one.description,
        usb_id=None if one.vid is None else f"{one.vid:04x}:{one.pid or 0:04x}",
        serial_number=one.serial_number or None,
        location=one.location or None,
        links=links,
    )
