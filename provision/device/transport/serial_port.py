"""A port, opened exclusively: a serial path or any pyserial URL, locked, without resetting.

One process owns a port (DESIGN's safety rule 6). Three locks see to it: a lock file of this
user's that names the owner, pyserial's flock on the terminal itself, and TIOCEXCL against
programs that know of neither. Opening leaves DTR equal to RTS: on every board with automatic
download two transistors make equal lines do nothing.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager, suppress
from functools import cached_property
from types import TracebackType
from typing import BinaryIO

import serial

from provision.device.transport.owner import Owner, claim, other_owners, port_key
from provision.device.transport.serial_errors import busy, refuse_bad_url, translating
from provision.device.transport.transports import scheme_of, transport_of
from provision.device.transport.wiring import UsbId, capabilities_of, usb_id_of, wiring_over
from provision.errors import Unreachable
from provision.model.board import BoardProfile, ResetWiring
from provision.model.endpoint import Capabilities, Endpoint

if sys.platform != "win32":
    import fcntl
    import termios


class Port:
    """One port, open and owned from construction to `close`.

    `serial` is pyserial's object, to be given to esptool or mpremote as it is. Put calls on it
    inside `errors()`, so that what it raises arrives as one of our errors with the device named.
    """

    def __init__(
        self, connection: serial.SerialBase, claim: BinaryIO, *, address: str, device: str
    ):
        self.serial = connection
        self.address = address
        self.device = device
        self.transport = transport_of(address)
        self.has_lines = self.transport.has_lines(connection)  # whether DTR and RTS arrive
        self._claim = claim

    @cached_property
    def usb_id(self) -> UsbId | None:
        """Vendor and product of a port that is on this computer's USB."""
        return usb_id_of(self.address) if self.transport.is_local else None

    @property
    def name(self) -> str:
        """What tells this line from others, bridge included."""
        if self.usb_id is None:
            return self.address
        vendor, product = self.usb_id
        return f"{self.address} {vendor:04x}:{product:04x}"

    def wiring(self, board: BoardProfile) -> ResetWiring:
        """How this board is reset over this port."""
        return wiring_over(board.reset, has_lines=self.has_lines, usb_id=self.usb_id)

    def capabilities(self, board: BoardProfile) -> Capabilities:
        """What can be done over this port, with this board at its end."""
        wiring = self.wiring(board)
        flashes = self.transport.flashes
        if wiring is ResetWiring.USB and self.transport.names_host:
            flashes = False  # the drive that takes its firmware is that host's
        return capabilities_of(wiring, flashes=flashes, usb_id=self.usb_id)

    def release(self) -> None:
        """Close the line and stay the port's owner: the board is about to be something else."""
        with suppress(OSError, ValueError):
            _unlock_terminal(self.serial)
        with suppress(OSError):
            self.serial.close()

    def errors(self) -> AbstractContextManager[None]:
        """Translates what pyserial and the system raise inside; other errors pass unchanged."""
        return translating(self.address, self.device)

    def close(self) -> None:
        """Give the port up; a port that is gone already, or closed, is no error."""
        if self._claim.closed:
            return
        try:
            # Closing a port that was unplugged fails in as many ways as using it does.
            with suppress(OSError, ValueError):
                _unlock_terminal(self.serial)
                if sys.platform == "win32":
                    # Windows would drop DTR first, which an auto-reset circuit reads as a reset.
                    self.serial.rts = False
                    self.serial.dtr = False
            # pyserial forgets to close a socket whose other end is gone.
            conversation = getattr(self.serial, "_socket", None)
            with suppress(OSError):
                self.serial.close()
            if conversation is not None:
                conversation.close()
        finally:
            with suppress(OSError):
                self._claim.truncate(0)
            self._claim.close()

    def __enter__(self) -> Port:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_port(endpoint: Endpoint, *, device: str, timeout: float = 1.0) -> Port:
    """Open and lock a path or URL; reads wait up to `timeout` seconds.

    Raises PortNotFound, PortBusy (naming the owner where the system tells), PortDenied, or
    another Unreachable; whatever it raises, nothing is left open or locked.
    """
    address = endpoint.address
    refuse_bad_url(address, device)
    held = _claimed(address, device)
    try:
        others = other_owners(address)
        if others:  # they took no lock, and would read half of what the board answers
            raise busy(address, others).on(device)
        with translating(address, device, opening=True):
            connection = transport_of(address).unopened(
                address, baudrate=endpoint.baud, timeout=timeout, exclusive=True
            )
            connection.dtr = True
            connection.rts = True
            connection.open()
            try:
                _lock_terminal(connection)
            except BaseException:
                connection.close()
                raise
    except BaseException:
        held.close()
        raise
    return Port(connection, held, address=address, device=device)


def absent_port(endpoint: Endpoint, *, device: str) -> Port:
    """A port that is not there, owned for when its board makes it again: nothing can be said over
    it, which is PortLost. PortBusy as `open_port`."""
    held = _claimed(endpoint.address, device)
    try:
        connection = transport_of(endpoint.address).unopened(
            endpoint.address, baudrate=endpoint.baud
        )
    except BaseException:
        held.close()
        raise
    return Port(connection, held, address=endpoint.address, device=device)


def _claimed(address: str, device: str) -> BinaryIO:
    try:
        held = claim(address, device)
    except OSError as error:
        raise Unreachable(
            f"{address} cannot be locked: {error.strerror}",
            hint="see that the directory for locks has room, or set PROVISION_RUNTIME_DIR",
            device=device,
        ) from error
    if held is None or isinstance(held, Owner):
        raise busy(address, [held] if held else other_owners(address)).on(device)
    return held


def _lock_terminal(connection: serial.SerialBase) -> None:
    """Keep out programs that take no flock. The mark outlives a killed process on a pseudo
    terminal, whose board stays up, so those are left to the flock alone."""
    if sys.platform != "win32" and _is_real_terminal(connection):
        fcntl.ioctl(connection.fileno(), termios.TIOCEXCL)


def _unlock_terminal(connection: serial.SerialBase) -> None:
    if sys.platform != "win32" and connection.is_open and _is_real_terminal(connection):
        fcntl.ioctl(connection.fileno(), termios.TIOCNXCL)


def _is_real_terminal(connection: serial.SerialBase) -> bool:
    name = connection.port
    if not name or scheme_of(name):
        return False
    return not port_key(name).startswith(("/dev/pts/", "/dev/ttys"))
