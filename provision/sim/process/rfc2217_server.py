"""A board's port on the network, by RFC 2217: data, baud and reset lines over TCP.

pyserial's own `PortManager` speaks the protocol; this hands it something like a serial port to
manage. One client at a time, on this machine only.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator

from serial.rfc2217 import PortManager

from provision.sim.chip.board import Board
from provision.sim.event_loop import EventLoop
from provision.sim.line.write_buffer import WriteBuffer
from provision.sim.process.backpressure import Backpressure

_CHUNK = 65536
_USB_CHUNK = 512
_IAC = b"\xff"


class _ManagedPort:
    """As much of a `serial.Serial` as PortManager sets and reads."""

    def __init__(self, board: Board) -> None:
        self.bytesize = 8
        self.parity = "N"
        self.stopbits = 1
        self.xonxoff = self.rtscts = False
        self.cts = self.dsr = True
        self.ri = self.cd = False
        self._board = board
        self._dtr = self._rts = False
        self._break = False

    @property
    def baudrate(self) -> int:
        return self._board.host_baud

    @baudrate.setter
    def baudrate(self, rate: int) -> None:
        self._board.set_host_baud(rate)

    @property
    def dtr(self) -> bool:
        return self._dtr

    @dtr.setter
    def dtr(self, state: bool) -> None:
        self._dtr = state
        self._board.set_lines(self._dtr, self._rts)

    @property
    def rts(self) -> bool:
        return self._rts

    @rts.setter
    def rts(self, state: bool) -> None:
        self._rts = state
        self._board.set_lines(self._dtr, self._rts)

    @property
    def break_condition(self) -> bool:
        return self._break

    @break_condition.setter
    def break_condition(self, state: bool) -> None:
        self._break = state
        if state:
            self._board.from_host(b"\0")

    def reset_input_buffer(self) -> None:
        """Nothing is held back here."""

    def reset_output_buffer(self) -> None:
        """Nothing is held back here."""


class Server:
    """Listens on a port of 127.0.0.1 as long as the board's process lives."""

    def __init__(self, *, board: Board, loop: EventLoop, port: int = 0) -> None:
        self._board = board
        self._loop = loop
        self._listener = socket.create_server(("127.0.0.1", port))
        self._listener.setblocking(False)
        self._client: _Client | None = None
        loop.watch(self._listener.fileno(), self._accept)

    @property
    def port(self) -> int:
        number: int = self._listener.getsockname()[1]
        return number

    @property
    def url(self) -> str:
        return f"rfc2217://127.0.0.1:{self.port}"

    def close(self) -> None:
        if self._client:
            self._client.close()
        self._loop.unwatch(self._listener.fileno())
        self._listener.close()

    def _accept(self) -> None:
        try:
            client, _ = self._listener.accept()
        except OSError:
            return
        if self._client:
            self._client.readable()  # it may have hung up already
        if self._client or self._board.taken or not self._board.present:
            client.close()
            return
        self._client = _Client(client, self._board, self._loop, self._ended)

    def _ended(self) -> None:
        self._client = None


class _Client:
    def __init__(
        self, client: socket.socket, board: Board, loop: EventLoop, ended: Callable[[], None]
    ) -> None:
        self._socket = client
        self._board = board
        self._loop = loop
        self._ended = ended
        client.setblocking(False)
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._output = WriteBuffer(loop, client.fileno())
        board.open(self, dtr=False, rts=False, baud=board.host_baud)
        self._manager = PortManager(_ManagedPort(board), self)  # type: ignore[arg-type]
        self._backpressure = Backpressure(
            board=board, loop=loop, fd=client.fileno(), readable=self.readable
        )

    def write(self, data: bytes) -> None:
        """PortManager's answers."""
        self._output.put(data)

    yields = False

    @property
    def full(self) -> bool:
        return self._output.full

    def deliver(self, data: bytes) -> None:
        self._output.put(data.replace(_IAC, _IAC + _IAC))

    def rate(self) -> None:
        """It is told by PortManager."""

    def unplugged(self) -> None:
        self.close()

    def readable(self) -> None:
        if self._socket.fileno() < 0:
            return
        try:
            data = self._socket.recv(_USB_CHUNK if self._board.native_usb else _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        # Line changes happen inside the filter: what came before one has to go before it.
        for byte in self._filtered(data):
            self._board.from_host(byte)
        if self._socket.fileno() >= 0 and self._board.native_usb:
            self._backpressure.apply()

    def _filtered(self, data: bytes) -> Iterator[bytes]:
        if _IAC not in data and self._manager.mode == 0 and self._manager.suboption is None:
            yield data
            return
        held = bytearray()
        for start in range(len(data)):
            held += b"".join(self._manager.filter(data[start : start + 1]))
            if self._manager.mode and held:
                yield bytes(held)
                held.clear()
        if held:
            yield bytes(held)

    def close(self) -> None:
        if self._socket.fileno() < 0:
            return
        self._output.clear()
        self._backpressure.close()
        with contextlib.suppress(OSError):
            self._socket.close()
        self._board.closed(self)
        self._ended()
