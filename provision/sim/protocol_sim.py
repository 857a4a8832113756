"""pyserial's handler for `sim://NAME`: the serial port of a virtual board.

Registered by `serial.protocol_handler_packages.append("provision.sim")`, and then opened like any
port, by `serial.serial_for_url`. It behaves as the device file of a USB bridge does: exclusive,
reset lines raised on opening and dropped on closing, gone when the cable is pulled.
"""

from __future__ import annotations

import array
import contextlib
import errno
import os
import select
import socket
import sys
import time
from typing import Any, ClassVar

from serial.serialutil import (
    PortNotOpenError,
    SerialBase,
    SerialException,
    SerialTimeoutException,
    Timeout,
)

from provision.errors import SimulatorError
from provision.sim import client, port_frames
from provision.sim.setup import parse_address

if sys.platform != "win32":
    import fcntl
    import termios

_CHUNK = 65536
_USB_CHUNK = 512
_USB_PATIENCE = 1.0  # seconds
_DRIVER_BUFFER = 4096
_LOST = "device reports readiness to read but returned no data (device disconnected?)"


class Serial(SerialBase):
    """A port that is a virtual board; see pyserial for what the methods do."""

    opened: ClassVar[dict[int, Serial]] = {}

    # Of the base class, which keeps the settings.
    _port: str | None
    _baudrate: int
    _timeout: float | None
    _write_timeout: float | None
    _inter_byte_timeout: float | None
    _break_state: bool

    _socket: socket.socket | None = None
    _abort_read: tuple[int, int] | None = None
    _abort_write: tuple[int, int] | None = None
    _set_baud: int | None = None
    _unsent = b""  # of a frame that has begun
    _chunk = _CHUNK
    _patience: float | None = None

    def open(self) -> None:
        if self._port is None:
            raise SerialException("Port must be configured before it can be used.")
        if self.is_open:
            raise SerialException("Port is already open.")
        try:
            name, query = parse_address(self._port)
            self._socket, native_usb = client.open_port(
                name, query, dtr=self._dtr_state, rts=self._rts_state, baud=self._baudrate
            )
        except client.NoSuchBoard as error:
            raise _refused(errno.ENOENT, self._port, error) from error
        except client.BoardTaken as error:
            # The words of pyserial when flock() fails, which tools look for.
            raise SerialException(
                errno.EAGAIN,
                f"Could not exclusively lock port {self._port}: "
                f"[Errno {errno.EAGAIN}] {error.message}",
            ) from error
        except SimulatorError as error:
            raise _refused(errno.EIO, self._port, error) from error
        self._socket.setblocking(False)
        self._unsent = b""
        self._chunk = _USB_CHUNK if native_usb else _CHUNK
        self._patience = _USB_PATIENCE if native_usb else None
        # What a driver holds of a write: a slow line makes the writer wait.
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _DRIVER_BUFFER)
        self._set_baud = self._baudrate
        self._abort_read = os.pipe()
        self._abort_write = os.pipe()
        for fd in (*self._abort_read, *self._abort_write):
            os.set_blocking(fd, False)
        self.is_open = True
        self.opened[self._socket.fileno()] = self

    def close(self) -> None:
        self.is_open = False
        if self._socket is None:
            return
        self.opened.pop(self._socket.fileno(), None)
        self._socket.close()
        self._socket = None
        for pipe in (self._abort_read, self._abort_write):
            for fd in pipe or ():
                os.close(fd)
        self._abort_read = self._abort_write = None

    def fileno(self) -> int:
        """Readable whenever there are bytes to read, or the cable was pulled."""
        return self._open_socket().fileno()

    @property
    def fd(self) -> int | None:
        """As pyserial's own on POSIX: what mpremote's prompt waits for."""
        return None if self._socket is None else self._socket.fileno()

    @property
    def in_waiting(self) -> int:
        count = array.array("i", [0])
        fcntl.ioctl(self._open_socket().fileno(), termios.FIONREAD, count)
        return count[0]

    def read(self, size: int = 1) -> bytes:
        connection = self._open_socket()
        got = bytearray()
        timeout = _until(self._timeout)
        while len(got) < size:
            left: float | None = timeout.time_left()
            pause = self._inter_byte_timeout if got else None
            if pause is not None:
                left = pause if left is None else min(left, pause)
            if not _wait(connection, self._abort_read, select.POLLIN, left):
                break
            part = self._receive(connection, size - len(got))
            got += part
            if timeout.expired():
                break
        return bytes(got)

    def write(self, data: Any, /) -> int:
        connection = self._open_socket()
        payload = bytes(memoryview(data))
        timeout = _until(self._write_timeout)
        for start in range(0, len(payload), self._chunk):
            part = payload[start : start + self._chunk]
            self._send(connection, port_frames.pack(port_frames.DATA, part), timeout)
        return len(payload)

    def flush(self) -> None:
        """Wait until the board's end has taken everything written."""
        connection = self._open_socket()
        count = array.array("i", [1])
        while self.is_open:
            fcntl.ioctl(connection.fileno(), termios.TIOCOUTQ, count)
            if not count[0]:
                return
            time.sleep(0.001)  # the system has no event for a socket that has drained

    def reset_input_buffer(self) -> None:
        connection = self._open_socket()
        with contextlib.suppress(BlockingIOError):
            while self._receive(connection, _CHUNK):
                pass

    def reset_output_buffer(self) -> None:
        """Bytes written are on the wire already: nothing can be called back."""
        self._open_socket()

    def cancel_read(self) -> None:
        if self._abort_read:
            os.write(self._abort_read[1], b"x")

    def cancel_write(self) -> None:
        if self._abort_write:
            os.write(self._abort_write[1], b"x")

    def set_lines(self, dtr: bool, rts: bool) -> None:
        """Both lines in one step, as the driver's TIOCMSET does."""
        self._dtr_state, self._rts_state = dtr, rts
        self._tell(port_frames.lines(dtr, rts))

    @property
    def cts(self) -> bool:
        self._open_socket()
        return True

    @property
    def dsr(self) -> bool:
        self._open_socket()
        return True

    @property
    def ri(self) -> bool:
        self._open_socket()
        return False

    @property
    def cd(self) -> bool:
        self._open_socket()
        return True

    def _reconfigure_port(self) -> None:
        # Bytes are whole here: word length, parity and stop bits make no difference.
        if self._socket is not None and self._baudrate != self._set_baud:
            self._set_baud = self._baudrate
            self._tell(port_frames.baud(self._baudrate))

    def _update_rts_state(self) -> None:
        self._tell(port_frames.lines(self._dtr_state, self._rts_state))

    def _update_dtr_state(self) -> None:
        self._tell(port_frames.lines(self._dtr_state, self._rts_state))

    def _update_break_state(self) -> None:
        self._tell(port_frames.pack(port_frames.BREAK, bytes((self._break_state,))))

    def _tell(self, frame: bytes) -> None:
        # On USB, lines and rate do not wait behind data; here they do, but not for ever.
        with contextlib.suppress(SerialTimeoutException):
            self._send(self._open_socket(), frame, _until(self._patience))

    def _open_socket(self) -> socket.socket:
        if self._socket is None or not self.is_open:
            raise PortNotOpenError()
        return self._socket

    def _receive(self, connection: socket.socket, size: int) -> bytes:
        try:
            data = connection.recv(size)
        except BlockingIOError:
            raise
        except OSError as error:
            raise SerialException(errno.EIO, f"read failed: {error}") from error
        if not data:
            raise SerialException(errno.EIO, _LOST)
        return data

    def _send(self, connection: socket.socket, frame: bytes, timeout: Timeout) -> None:
        """Send a frame behind what is left of one before: a part of one would spoil all that
        follow."""
        whole = len(frame)
        frame = self._unsent + frame
        while frame:
            try:
                sent = connection.send(frame)
            except BlockingIOError:
                sent = 0
            except OSError as error:
                raise SerialException(errno.EIO, f"write failed: {error}") from error
            frame = frame[sent:]
            if not frame:
                break
            if not _wait(connection, self._abort_write, select.POLLOUT, timeout.time_left()):
                self._unsent = frame if len(frame) < whole else frame[: len(frame) - whole]
                raise SerialTimeoutException("Write timeout")
        self._unsent = b""


def _wait(
    connection: socket.socket,
    abort: tuple[int, int] | None,
    event: int,
    seconds: float | None,
) -> bool | None:
    """True when the socket is ready, False after the time, None when it was called off."""
    poll = select.poll()
    poll.register(connection, event)
    if abort:
        poll.register(abort[0], select.POLLIN)
    ready = dict(poll.poll(None if seconds is None else seconds * 1000))
    if abort and abort[0] in ready:
        os.read(abort[0], 1000)
        return None
    return bool(ready)


def _until(seconds: float | None) -> Timeout:
    return Timeout(seconds)  # type: ignore[arg-type]  # None is for ever, whatever the stub says


def _refused(number: int, port: str, error: SimulatorError) -> SerialException:
    hint = f" ({error.hint})" if error.hint else ""
    return SerialException(
        number, f"could not open port {port}: [Errno {number}] {error.message}{hint}"
    )
