"""One connection to a board's socket: a request and its answer, or an open port."""

from __future__ import annotations

import contextlib
import json
import select
import socket
from collections.abc import Callable
from typing import Any, Protocol

from provision.errors import SimulatorError
from provision.sim import port_frames
from provision.sim.chip.board import Board
from provision.sim.client import failure
from provision.sim.event_loop import EventLoop
from provision.sim.line.write_buffer import WriteBuffer
from provision.sim.process.backpressure import Backpressure

_REQUEST_LIMIT = 1 << 20
_CHUNK = 1 << 18
_USB_CHUNK = 512
_USB_BUFFER = 4096  # what the driver of a USB port holds for a program that does not read


class RequestHandler(Protocol):
    """Answers one request; SimulatorError when it cannot be done."""

    def handle(self, request: dict[str, Any]) -> dict[str, Any]: ...


class Connection:
    """Watches its socket until the other side hangs up."""

    def __init__(
        self,
        *,
        connection: socket.socket,
        loop: EventLoop,
        board: Board,
        requests: RequestHandler,
        on_close: Callable[[Connection], None],
    ) -> None:
        self._socket = connection
        self._board = board
        self._requests = requests
        self._on_close = on_close
        self._request: bytearray | None = bytearray()
        self._frames = port_frames.FrameReader()
        self._output = WriteBuffer(loop, connection.fileno())
        self._port = False
        self._lines = (False, False)
        self._chunk = _CHUNK
        if board.native_usb:
            # Both sides notice at once when the other one does not read.
            self._chunk = _USB_CHUNK
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _USB_BUFFER)
        connection.setblocking(False)
        self._backpressure = Backpressure(
            board=board, loop=loop, fd=connection.fileno(), readable=self.readable
        )

    @property
    def port(self) -> bool:
        """Whether this is the open port, and not a request."""
        return self._port

    def readable(self) -> None:
        if self._socket.fileno() < 0:
            return
        try:
            data = self._socket.recv(self._chunk)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
        elif self._request is not None:
            self._request += data
            if b"\n" in self._request:
                line, _, rest = bytes(self._request).partition(b"\n")
                self._request = None
                self._answer(line, rest)
            elif len(self._request) > _REQUEST_LIMIT:
                self.close()
        elif self._port:
            self._frames_in(data)
            if self._socket.fileno() >= 0:
                self._backpressure.apply()

    def notice_hang_up(self) -> None:
        """Where the host is gone, take what it had written, as a driver would have, and close."""
        while self._socket.fileno() >= 0 and _hung_up(self._socket):
            self.readable()

    yields = False

    @property
    def full(self) -> bool:
        return self._output.full

    def deliver(self, data: bytes) -> None:
        self._output.put(data)

    def rate(self) -> None:
        """It is told by a frame."""

    def unplugged(self) -> None:
        self._port = False
        self.close()

    def close(self) -> None:
        if self._socket.fileno() < 0:
            return
        self._output.clear()
        self._backpressure.close()
        self._socket.close()
        if self._port:
            self._port = False
            self._board.closed(self)
        self._on_close(self)

    def _answer(self, line: bytes, rest: bytes) -> None:
        try:
            request = json.loads(line)
            if request.get("do") == "open":
                answer = self._requests.handle(
                    {"do": "may-open", "query": request.get("query", {})}
                )
                self._reply(answer)
                self._port = True
                self._lines = (bool(request["dtr"]), bool(request["rts"]))
                dtr, rts = self._lines
                self._board.open(self, dtr=dtr, rts=rts, baud=int(request["baud"]))
                self._frames_in(rest)
            else:
                self._reply(self._requests.handle(request))
        except SimulatorError as error:
            self._reply(failure(error))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            self._reply(failure(SimulatorError(f"invalid request: {error!r}")))

    def _reply(self, answer: dict[str, Any]) -> None:
        self._output.put(json.dumps(answer).encode() + b"\n")

    def _frames_in(self, data: bytes) -> None:
        with contextlib.suppress(ValueError):
            for kind, payload in self._frames.feed(data):
                if not self._port:
                    return
                self._frame(kind, payload)
            return
        self.close()

    def _frame(self, kind: bytes, payload: bytes) -> None:
        match kind:
            case port_frames.DATA:
                self._board.from_host(payload)
            case port_frames.LINES:
                self._board.set_lines(bool(payload[0] & 1), bool(payload[0] & 2))
            case port_frames.BAUD:
                self._board.set_host_baud(int.from_bytes(payload, "big"))
            case port_frames.BREAK:
                if payload[0]:
                    # A break is one long zero byte to the other side.
                    self._board.from_host(b"\0")
            case _:
                raise ValueError(f"unknown frame {kind!r}")


def _hung_up(connection: socket.socket) -> bool:
    events = select.poll()
    events.register(connection, 0)
    return any(event & select.POLLHUP for _, event in events.poll(0))
