"""Where a board is, as a flasher has to know it that meets it elsewhere than on its port."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Literal, Protocol

from provision.device.flashing.uf2.drive import Bootsel, boards_in_bootsel, is_at
from provision.device.flashing.uf2.records import BootselRecords
from provision.device.transport.serial_port import Port
from provision.device.transport.whereabouts import Whereabouts, place_of
from provision.errors import PortLost
from provision.interfaces import Volumes
from provision.model.language import record
from provision.model.state import ActualState


@record(slots=False)
class Drives:
    """The drives of boards, and what is remembered of the boards that were sent to be one."""

    volumes: Volumes
    records: BootselRecords

    def holds(self, address: str) -> bool:
        """Whether this address is that of a board in BOOTSEL mode."""
        return self._at(address) is not None

    def place_of(self, address: str) -> str | None:
        """The USB socket of the board in BOOTSEL mode at this address; None where nothing tells."""
        board = self._at(address)
        return board.volume.usb_location if board is not None else None

    def _at(self, address: str) -> Bootsel | None:
        place = place_of(address, None)
        boards = boards_in_bootsel(self.volumes.volumes())
        return next((each for each in boards if is_at(each, address, place)), None)


@record(slots=False)
class Site:
    """`place` is the board's USB socket, None where the system does not tell; `name` what it is
    remembered by. `absent`: its port is not there. `running` is who answered at its REPL just now,
    `usb_serial` the serial number of its port. `bootloader` sends it to its boot loader by its
    REPL, `touch` by its port alone, opened at 1200 baud and closed, which many firmwares heed and
    few builds of MicroPython; False where that cannot be tried. Both give the port up. `read` reads
    the flash as what runs there reads it, None where nothing does."""

    drives: Drives
    name: str
    place: str | None
    absent: bool
    running: ActualState | None
    usb_serial: str | None
    bootloader: Callable[[], bool]
    touch: Callable[[], bool]
    read: Callable[[int, int], bytes | None]


class RunningBoard(Protocol):
    """A board at its REPL."""

    def identify(self) -> ActualState: ...

    def hard_reset(self, into: Literal["reset", "bootloader"]) -> None: ...

    def read_flash(self, offset: int, size: int) -> bytes | None: ...


def site_of(
    drives: Drives, where: Whereabouts, port: Port, address: str, repl: RunningBoard | None
) -> Site:
    """Where the board at this port is, whose manifest has it at `address`; `where` knows its USB
    socket from now on."""
    absent, usb = not port.serial.is_open, where.usb
    where.place = place_of(address, usb) or (drives.place_of(address) if absent else None)

    def bootloader() -> bool:
        if repl is None:
            return False
        with suppress(PortLost):  # it has gone while it was told to
            repl.hard_reset("bootloader")
        port.release()
        return True

    def touch() -> bool:
        with suppress(PortLost), port.errors():
            port.serial.baudrate = 1200
            port.serial.rts = False
            port.serial.dtr = False
        port.release()
        return True

    def read(offset: int, size: int) -> bytes | None:
        return repl.read_flash(offset, size) if repl is not None else None

    return Site(
        drives=drives,
        name=address,
        place=where.place,
        absent=absent,
        running=repl.identify() if repl is not None else None,
        usb_serial=usb.serial_number if usb is not None else None,
        bootloader=bootloader,
        touch=touch,
        read=read,
    )
