"""The RFC 2217 client against pyserial's own server, whose serial port is a loop."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
import serial
import serial.rfc2217

from provision.device.transport.rfc2217 import RemotePort
from provision.device.transport.serial_port import open_port
from provision.errors import PortLost
from provision.model.endpoint import Endpoint


class Server:
    """Serves one client; what arrives at the loop comes back."""

    def __init__(self) -> None:
        self.port = serial.serial_for_url("loop://", timeout=0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"rfc2217://127.0.0.1:{self._listener.getsockname()[1]}"
        self._ours, self._stop = socket.socketpair()
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        with suppress(OSError):
            connection, _ = self._listener.accept()
            with connection:
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._speak(connection)

    def _speak(self, connection: Any) -> None:
        manager = serial.rfc2217.PortManager(self.port, _Writing(connection))
        while True:
            ready, _, _ = select.select([connection, self._ours], [], [], 0.02)
            if self._ours in ready:
                return
            if connection in ready:
                data = connection.recv(1024)
                if not data:
                    return
                self.port.write(b"".join(manager.filter(data)))
            waiting = self.port.read(self.port.in_waiting)
            if waiting:
                connection.sendall(b"".join(manager.escape(waiting)))

    def close(self) -> None:
        self._stop.close()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        self._ours.close()
        self.port.close()


class _Writing:
    def __init__(self, connection: socket.socket) -> None:
        self.write = connection.sendall


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server()
    yield made
    made.close()


@pytest.mark.parametrize("options", ["", "?ign_set_control"])
def test_bytes_go_and_come_back_whole(server: Server, options: str) -> None:
    every = bytes(range(256)) * 4
    endpoint = Endpoint(address=server.address + options, baud=57600)
    with open_port(endpoint, device="a", timeout=5) as port:
        port.serial.write(every)
        assert port.serial.read(len(every)) == every
        assert server.port.baudrate == 57600


@pytest.mark.parametrize("flow", ["rtscts", "xonxoff"])
def test_flow_control_is_asked_of_the_server(server: Server, flow: str) -> None:
    with open_port(Endpoint(address=server.address), device="a") as port:
        setattr(port.serial, flow, True)
        assert getattr(server.port, flow)
        setattr(port.serial, flow, False)
        assert not getattr(server.port, flow)


def test_what_came_before_can_be_thrown_away(server: Server) -> None:
    with open_port(Endpoint(address=server.address), device="a", timeout=5) as port:
        port.serial.write(b"old")
        assert port.serial.read(1) == b"o"
        port.serial.reset_input_buffer()
        port.serial.write(b"new")
        assert port.serial.read(3) == b"new"


@pytest.mark.parametrize("baud", [0, 1 << 32])
def test_a_rate_that_no_message_can_carry_is_refused(server: Server, baud: int) -> None:
    with open_port(Endpoint(address=server.address), device="a") as port:
        with pytest.raises(ValueError, match="baudrate"):
            port.serial.baudrate = baud
        port.serial.baudrate = 115200


def test_esptools_write_timeout_is_refused_as_pyserials_own_client_does(server: Server) -> None:
    with (
        open_port(Endpoint(address=server.address), device="a") as port,
        pytest.raises(NotImplementedError),
    ):
        port.serial.write_timeout = 1


def test_a_closed_port_says_so(server: Server) -> None:
    port = open_port(Endpoint(address=server.address), device="a")
    port.close()
    for use in (port.serial.read, lambda: port.serial.in_waiting, port.serial.reset_input_buffer):
        with pytest.raises(PortLost, match="closed"), port.errors():
            use()
    with pytest.raises(serial.SerialException, match="open"):
        RemotePort(None)._reconfigure_port()
