"""Which board was sent to BOOTSEL mode from which port: an RP2040 does not say there who it is, and
a board that a run left there when it was cut off must be found again by the next.

A record is made before the board is sent and removed once something runs on it again: that the
drive went proves no more than that the copy has ended. In between a board in BOOTSEL mode at that
USB socket is taken to be the one that was sent; what runs on it afterwards proves it, or not.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

from provision.atomic_files import private_directory, state_not_written, write_atomic
from provision.interfaces import Volume, Volumes
from provision.model.language import record

_ID = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){7}")
_ID_DIGITS = 16
_MOST = 4096  # bytes of a record


@record
class Sent:
    """A board on its way: its id, the port it was on, and its USB socket where that is known."""

    mac: str
    address: str
    place: str | None = None


class BootselRecords:
    """One small file for each port, in a folder of the user's state."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def sent(self, sent: Sent) -> None:
        """This board is about to be in BOOTSEL mode; durable when this returns. What is remembered
        of it elsewhere, or of another board at its socket, is out of date."""
        try:
            for one in self.all():
                at_socket = sent.place is not None and one.place == sent.place
                if one.address != sent.address and (one.mac == sent.mac or at_socket):
                    self._path(one.address).unlink(missing_ok=True)
            private_directory(self._folder)
            write_atomic(self._path(sent.address), json.dumps(asdict(sent)).encode(), mode=0o600)
        except OSError as error:
            raise state_not_written(self._folder, error) from error

    def all(self) -> Sequence[Sent]:
        """The boards that were sent, and have not been back since."""
        found = (_read(path) for path in sorted(self._folder.glob("*.json")))
        return [one for one in found if one is not None]

    def back(self, *, address: str, place: str | None) -> None:
        """It runs: whatever is in BOOTSEL mode there from now on came otherwise."""
        for one in self.all():
            if one.address == address or (place is not None and one.place == place):
                try:
                    self._path(one.address).unlink(missing_ok=True)
                except OSError as error:
                    raise state_not_written(self._folder, error) from error

    def _path(self, address: str) -> Path:
        return self._folder / f"{hashlib.sha256(address.encode()).hexdigest()[:24]}.json"


def _read(path: Path) -> Sent | None:
    try:
        with path.open("rb") as file:
            said = json.loads(file.read(_MOST))
        mac, address, place = said["mac"], said["address"], said["place"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not (isinstance(mac, str) and _ID.fullmatch(mac) and isinstance(address, str)):
        return None
    return Sent(mac=mac, address=address, place=place if isinstance(place, str) else None)


class FollowedVolumes:
    """The drives of boards, those that were sent to be one with who they are; implements
    `interfaces.Volumes`. What has an id of its own keeps that."""

    def __init__(self, volumes: Volumes, records: BootselRecords) -> None:
        self._volumes = volumes
        self._records = records

    @property
    def tells_sockets(self) -> bool:
        """As `Volumes.tells_sockets`."""
        return self._volumes.tells_sockets

    def volumes(self) -> Sequence[Volume]:
        """As `Volumes.volumes`."""
        found = self._volumes.volumes()
        records = self._records.all() if found else ()
        placed = {one.place: one for one in records if one.place is not None}
        unplaced = [one for one in records if one.place is None]
        nowhere = [each for each in found if each.usb_location is None and each.kind == "uf2"]
        only = unplaced[0] if len(unplaced) == len(nowhere) == 1 else None

        def followed(volume: Volume) -> Volume:
            sent = placed.get(volume.usb_location) if volume.usb_location is not None else only
            if sent is None or volume.kind != "uf2":
                return volume
            told = len(volume.usb_serial or "") == _ID_DIGITS
            serial = volume.usb_serial if told else sent.mac.replace(":", "")
            return replace(volume, usb_serial=serial, sent_from=sent.address)

        return tuple(map(followed, found))
