"""What is plugged in, as the engine needs it: ports, and the drives that boards are meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Literal, Protocol

from provision.model.language import record
from provision.model.state import PortSelector

VolumeKind = Literal["uf2", "circuitpython", "daplink"]
"""A boot loader that takes UF2 files, CircuitPython's own drive, a micro:bit or its like."""


@record
class Volume:
    """The USB drive that a board is at the moment. `path` is where it is mounted, None where it is
    not; `device` what can be mounted (`/dev/sda1`); `info` what its text file says of the board, by
    its own keys ("Board-ID"). `usb_location` is None where the system does not tell; `sent_from` is
    the port of the board that a run of ours sent to be this drive."""

    path: Path | None
    info: Mapping[str, str]
    device: str = ""
    kind: VolumeKind = "uf2"
    usb_serial: str | None = None
    usb_location: str | None = None
    usb_id: str | None = None
    sent_from: str | None = None


class Volumes(Protocol):
    """Finds the drives of boards."""

    @property
    def tells_sockets(self) -> bool:
        """Whether the system tells which USB socket a drive is at."""
        ...

    def volumes(self) -> Sequence[Volume]:
        """All that are plugged in now."""
        ...


@record
class PortInfo:
    """One serial port that is plugged in, as the operating system tells; or the `drive` of a board
    that has none while it takes firmware, whose `path` is where it is mounted, or its device."""

    path: str
    description: str = ""
    usb_id: str | None = None  # "10c4:ea60"
    serial_number: str | None = None
    location: str | None = None  # "1-1.4"
    links: tuple[str, ...] = ()  # by-id and by-path names
    drive: Volume | None = None  # what is there in place of a port: the drive of a board


class Discovery(Protocol):
    """Finds ports."""

    def ports(self) -> Sequence[PortInfo]:
        """All serial ports plugged in now."""
        ...

    def resolve(
        self, selector: PortSelector, listed: Callable[[], Sequence[PortInfo]] | None = None
    ) -> str:
        """The path or URL for a selector of any kind but `mac` and `any`; PortNotFound when
        nothing, UsageError when more than one port matches. `listed` gives the ports that are
        plugged in to whoever lists them once for many selectors."""
        ...
