"""A port on another host, over RFC 2217, at the speed of the network.

pyserial's own client negotiates every setting anew whenever a timeout is assigned, sleeps while it
waits for answers, and queues single bytes: esptool, which assigns a timeout for each command,
takes twenty seconds for what takes half a second here. The protocol itself is pyserial's.
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import serial.rfc2217 as pyserial
from serial import PortNotOpenError, SerialException

from provision.device.transport.failures import NegotiationFailed, ServerSilent

_IAC = 0xFF
_SUBNEGOTIATION = 0xFA
_END = 0xF0
_NEGOTIATIONS = frozenset({0xFB, 0xFC, 0xFD, 0xFE})  # WILL, WONT, DO, DONT
_PIECE = 65536
_MAX_BUFFERED = 4 << 20
"""Bytes that wait to be read: the flash is read with half a megabyte under way. Of more, from a
board that talks while nobody listens or a server that never stops, the older half is dropped."""
_MAX_COMMAND = 1024  # bytes of one Telnet command: RFC 2217's have a handful
_JOIN = 7.0  # seconds; the reader looks up every five
_PATIENCE = 15.0
"""Seconds for each answer of the server, where the URL has no `?timeout=`. pyserial's three are too
few for one that shares its computer with others, and what it would conclude is about the server."""
_LATE = 0.5
"""Seconds more than the patience that a negotiation in vain can take: pyserial looks every 0.05."""
_COMPATIBLE_PAUSE = 0.1  # with ?ign_set_control, for servers that do not answer: as pyserial

_Base: Any = pyserial.Serial


class RemotePort(_Base):  # type: ignore[misc]
    """pyserial's RFC 2217 port with prompt answers, a byte buffer, and timeouts of its own."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self._timeout: float | None = None
        self._news = threading.Condition()
        self._received = bytearray()
        self._ended = ""
        self._agreed: dict[str, bytes] = {}
        self._connected = self._negotiated = self._heard = False
        super().__init__(*arguments, **options)

    def open(self) -> None:
        began = time.monotonic()
        try:
            self._open_once()
        except NegotiationFailed:
            if time.monotonic() - began < self._network_timeout + _LATE:
                raise
            # This process did not run meanwhile, so nothing is known of the server: ask it again.
            self._open_once()

    def _open_once(self) -> None:
        self._received.clear()
        self._ended = ""  # why nothing comes any more
        self._agreed = {}
        self._connected = self._negotiated = self._heard = False
        try:
            super().open()
        except SerialException as error:
            if self._connected and not self._negotiated:  # it answered no option that counts
                failed = NegotiationFailed if self._heard else ServerSilent
                raise failed(str(error)) from error
            raise

    def from_url(self, url: str) -> tuple[str, int]:
        self._network_timeout = _PATIENCE
        host, port = super().from_url(url)
        return host, port

    def telnet_send_option(self, action: bytes, option: bytes) -> None:
        self._connected = True  # pyserial asks for the options as soon as it is
        super().telnet_send_option(action, option)

    def close(self) -> None:
        self.is_open = False
        connection: socket.socket | None = self._socket
        self._socket: Any = None
        if connection is not None:
            with suppress(OSError):  # gone already
                connection.shutdown(socket.SHUT_RDWR)
            connection.close()
        thread: threading.Thread | None = self._thread
        self._thread: Any = None
        if thread is not None:
            thread.join(_JOIN)

    # Reading waits here, so that a timeout is nobody else's business.

    @property
    def timeout(self) -> float | None:
        return self._timeout

    @timeout.setter
    def timeout(self, seconds: float | None) -> None:
        if seconds is not None and seconds < 0:
            raise ValueError(f"Not a valid timeout: {seconds!r}")
        self._timeout = seconds

    @property
    def in_waiting(self) -> int:
        self._check_open()
        return len(self._received)

    def read(self, size: int = 1) -> bytes:
        self._check_open()
        with self._news:
            self._news.wait_for(
                lambda: len(self._received) >= size or bool(self._ended), self._timeout
            )
            if self._ended and not self._received:
                raise SerialException(f"connection failed ({self._ended})")
            data = bytes(self._received[:size])
            del self._received[:size]
        return data

    def reset_input_buffer(self) -> None:
        self._check_open()
        self.rfc2217_send_purge(pyserial.PURGE_RECEIVE_BUFFER)
        with self._news:
            self._received.clear()

    # Settings: only what differs from what was agreed is sent, and the answer is not slept for.

    def _reconfigure_port(self) -> None:
        self._negotiated = True
        if self._socket is None:
            raise SerialException("Can only operate on open ports")
        if self._write_timeout is not None:
            # What pyserial's raises, and esptool, which tries one on every port, relies on.
            raise NotImplementedError("write_timeout is currently not supported")
        if not 0 < self._baudrate < 1 << 32:
            raise ValueError(f"invalid baudrate: {self._baudrate!r}")
        wanted = {
            "baudrate": struct.pack("!I", self._baudrate),
            "datasize": struct.pack("!B", self._bytesize),
            "parity": struct.pack("!B", pyserial.RFC2217_PARITY_MAP[self._parity]),
            "stopsize": struct.pack("!B", pyserial.RFC2217_STOPBIT_MAP[self._stopbits]),
        }
        asked = [name for name, value in wanted.items() if self._agreed.get(name) != value]
        for name in asked:
            self._rfc2217_port_settings[name].set(wanted[name])
        for name in asked:
            self._await(self._rfc2217_port_settings[name].is_ready, f"option {name!r}")
            self._agreed[name] = wanted[name]
        flow = pyserial.SET_CONTROL_USE_NO_FLOW_CONTROL
        if self._rtscts:
            flow = pyserial.SET_CONTROL_USE_HW_FLOW_CONTROL
        elif self._xonxoff:
            flow = pyserial.SET_CONTROL_USE_SW_FLOW_CONTROL
        if self._agreed.get("flow") != flow:
            self.rfc2217_set_control(flow)
            self._agreed["flow"] = flow

    def rfc2217_send_purge(self, value: bytes) -> None:
        item = self._rfc2217_options["purge"]
        item.set(value)
        self._await(item.is_ready, "option 'purge'")

    def rfc2217_set_control(self, value: bytes) -> None:
        item = self._rfc2217_options["control"]
        item.set(value)
        if self._ignore_set_control_answer:
            time.sleep(_COMPATIBLE_PAUSE)  # no answer will tell when it is done
        else:
            self._await(item.is_ready, "option 'control'")

    def _await(self, ready: Callable[[], bool], what: str) -> None:
        with self._news:
            if self._news.wait_for(lambda: ready() or bool(self._ended), self._network_timeout):
                if not self._ended:
                    return
                raise SerialException(f"connection failed ({self._ended})")
        raise NegotiationFailed(f"timeout while waiting for {what}")

    # The reader thread.

    def _telnet_process_subnegotiation(self, suboption: bytes) -> None:
        with self._news:
            with suppress(TypeError):  # pyserial's, of an answer that nobody asked for
                super()._telnet_process_subnegotiation(suboption)
            self._news.notify_all()

    def _telnet_read_loop(self) -> None:
        try:
            ended = self._listen(self._socket)
        except (OSError, ValueError, LookupError, AttributeError) as error:  # closed meanwhile, too
            ended = f"the server hung up: {error}"
        with self._news:
            self._ended = ended
            self._news.notify_all()

    def _listen(self, connection: socket.socket) -> str:
        """Sort what comes until it ends; why it did."""
        rest = b""
        while self.is_open:
            try:
                piece = connection.recv(_PIECE)
            except TimeoutError:
                continue
            if not piece:
                break
            self._heard = True
            rest = self._take(rest + piece)
            if len(rest) > _MAX_COMMAND:
                return "the server sends a Telnet command without an end"
        return "the server hung up"

    def _take(self, data: bytes) -> bytes:
        """Sort what came into bytes for the reader and Telnet commands; returns the beginning of
        a command whose end has not come yet."""
        start = 0
        while (found := data.find(_IAC, start)) >= 0:
            self._keep(data[start:found])
            length = _command_length(data, found)
            if length is None:
                return data[found:]
            command = data[found : found + length]
            start = found + length
            if command[1] == _IAC:
                self._keep(b"\xff")
            elif command[1] == _SUBNEGOTIATION:
                self._telnet_process_subnegotiation(command[2:-2].replace(b"\xff\xff", b"\xff"))
            elif command[1] in _NEGOTIATIONS:
                self._telnet_negotiate_option(command[1:2], command[2:3])
        self._keep(data[start:])
        return b""

    def _keep(self, data: bytes) -> None:
        if data:
            with self._news:
                self._received += data
                if len(self._received) > _MAX_BUFFERED:
                    del self._received[: -(_MAX_BUFFERED // 2)]
                self._news.notify_all()

    def _check_open(self) -> None:
        if not self.is_open:
            raise PortNotOpenError()


def _command_length(data: bytes, start: int) -> int | None:
    """Bytes of the Telnet command at `start`, or None when it is not whole yet."""
    if len(data) < start + 2:
        return None
    if data[start + 1] in _NEGOTIATIONS:
        return 3 if len(data) >= start + 3 else None
    if data[start + 1] != _SUBNEGOTIATION:
        return 2
    position = start + 2
    while (position := data.find(_IAC, position)) >= 0:
        if len(data) < position + 2:
            return None
        if data[position + 1] == _END:
            return position + 2 - start
        position += 2  # a doubled byte inside
    return None
