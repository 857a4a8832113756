"""Ports on other hosts: RFC 2217 that is quiet, whole, and says when the server is gone."""

from __future__ import annotations

import os
import random
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from serial import SerialException

from provision.core.chips.esp.chips import ESP32
from provision.core.chips.esp.firmware import read_firmware, regions
from provision.device.transport.rfc2217 import RemotePort
from provision.device.transport.serial_port import open_port
from provision.errors import NoAnswer, PortLost, Unreachable
from provision.model.endpoint import Endpoint
from provision.sim import client
from provision.sim.esp.firmware import build
from tests.bench_of_boards import Bench, bench
from tests.flashers import connected
from tests.images import profile

__all__ = ["bench"]


@pytest.fixture
def remote(bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> str:
    """The address of a virtual ESP32 behind a server."""
    monkeypatch.setenv("PROVISION_RUNTIME_DIR", str(tmp_path / "locks"))
    client.ensure("a", {"chip": "esp32"})
    address: str = client.request("a", "rfc2217")["rfc2217"]
    return address


def test_a_board_behind_a_server_is_written(bench: Bench, remote: str) -> None:
    board = profile(ESP32)
    with open_port(Endpoint(address=remote), device="a") as port:
        bootloader = connected(port, board)
        assert bootloader.raise_baud(921600) == 921600
        size = bootloader.identify().flash_size
        wanted = regions(read_firmware(build(ESP32, "1.24.1", size=300_000), "x"), board, size)
        bootloader.write(wanted, lambda _done, _total: None)
        for region in wanted:
            assert bench.flash("a")[region.offset :].startswith(region.data)
        # Every byte value comes back as it is, the Telnet escape included.
        every = bytes(range(256)) * 64
        bench_region = [type(wanted[0])(name="bytes", offset=0x300000, data=every)]
        bootloader.write(bench_region, lambda _done, _total: None)
        assert bootloader.read(0x300000, len(every)) == every
        assert bootloader.restart() is True


def test_only_what_changes_is_negotiated(remote: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    real = RemotePort.rfc2217_send_subnegotiation

    def note(self: RemotePort, option: bytes, value: bytes = b"") -> None:
        sent.append(option)
        real(self, option, value)

    monkeypatch.setattr(RemotePort, "rfc2217_send_subnegotiation", note)
    with open_port(Endpoint(address=remote), device="a") as port:
        sent.clear()
        for number in range(50):
            port.serial.timeout = number / 10
        port.serial.baudrate = 115200
        assert sent == []
        port.serial.baudrate = 57600
        assert len(sent) == 1
        with pytest.raises(ValueError, match="timeout"):
            port.serial.timeout = -1


@contextmanager
def telnet_server(answer: bytes) -> Iterator[str]:
    """A server that sends `answer` to whoever connects and hangs up when told anything else."""
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        with suppress(OSError):
            connection, _ = listener.accept()
            with connection:
                connection.sendall(answer)
                connection.recv(1)

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"rfc2217://127.0.0.1:{listener.getsockname()[1]}?timeout=0.3"
    finally:
        listener.close()
        thread.join()


def nonsense() -> bytes:
    """Telnet commands that are too short, too long, unknown, unasked."""
    generator = random.Random(3)
    words = (generator.randbytes(generator.randrange(6)).replace(b"\xff", b"") for _ in range(300))
    return b"".join(
        b"\xff\xfa" + generator.choice([b"", b"\x2c"]) + word + b"\xff\xf0" for word in words
    )


@pytest.mark.parametrize(
    "answer",
    [b"", b"login: ", nonsense(), b"\xff\xfa" + b"x" * 100_000],
    ids=["silent", "log-in", "nonsense", "endless"],
)
def test_what_speaks_no_rfc2217(
    answer: bytes, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("PROVISION_RUNTIME_DIR", str(tmp_path / "locks"))
    with telnet_server(answer) as address, pytest.raises(Unreachable) as caught:
        open_port(Endpoint(address=address), device="a")
    assert caught.value.device == "a"


def test_a_log_in_that_waits_for_a_name_speaks_no_rfc2217(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("PROVISION_RUNTIME_DIR", str(tmp_path / "locks"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"rfc2217://127.0.0.1:{listener.getsockname()[1]}?timeout=0.3"
        taken: list[socket.socket] = []

        def serve() -> None:
            taken.append(listener.accept()[0])  # kept open: it waits for a name
            taken[0].sendall(b"login: ")

        thread = threading.Thread(target=serve)
        thread.start()
        with pytest.raises(NoAnswer, match=r"does not speak RFC 2217"):
            open_port(Endpoint(address=address), device="a")
        thread.join()
        taken[0].close()


def test_a_server_that_says_nothing_is_not_said_to_speak_something_else(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    monkeypatch.setenv("PROVISION_RUNTIME_DIR", str(tmp_path / "locks"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"rfc2217://127.0.0.1:{listener.getsockname()[1]}?timeout=0.3"
        with pytest.raises(NoAnswer, match=r"took the connection and does not answer"):
            open_port(Endpoint(address=address), device="a")


def test_a_server_that_is_slow_to_speak(
    remote: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    """A virtual board whose process stands still for longer than pyserial's three seconds."""
    process = client.request("a", "status")["pid"]
    os.kill(process, signal.SIGSTOP)
    waking = threading.Timer(4.0, os.kill, (process, signal.SIGCONT))
    waking.start()
    try:
        with open_port(Endpoint(address=remote), device="a") as port:
            assert port.serial.is_open
    finally:
        waking.join()


def test_a_server_that_dies(remote: str) -> None:
    with open_port(Endpoint(address=remote), device="a") as port:
        client.stop("a")
        with pytest.raises((PortLost, NoAnswer)), port.errors():
            port.serial.timeout = 5
            while True:
                port.serial.read(1)


def test_commands_in_any_pieces_and_escapes_anywhere() -> None:
    """The reader sorts data from commands wherever the network cuts them."""
    generator = random.Random(9)
    data = bytes(generator.choices([0xFF, 0xF0, 0xFA, 0x2C, 65], k=400))
    stream = b""
    for start in range(0, len(data), 7):
        stream += data[start : start + 7].replace(b"\xff", b"\xff\xff")
        stream += b"\xff\xfa\x2c\x6b\xff\xff\xff\xf0"  # modem state 0xFF, doubled as it must be
        stream += b"\xff\xfb\x2a" + b"\xff\xf1"  # WILL something unknown; a no-operation
    for size in (1, 2, 3, 5, 64, len(stream)):
        port = RemotePort()
        port._telnet_options = []
        port._modemstate = None
        states: list[bytes] = []
        port._telnet_process_subnegotiation = states.append
        port._telnet_negotiate_option = lambda *_: None
        rest = b""
        for start in range(0, len(stream), size):
            rest = port._take(rest + stream[start : start + size])
        assert rest == b""
        assert bytes(port._received) == data
        assert set(states) == {b"\x2c\x6b\xff"}


def alone() -> RemotePort:
    """A port whose reader is called by the test, with nobody at the other end."""
    port = RemotePort()
    port._telnet_options = []
    port._modemstate = None
    return port


def test_a_server_that_never_stops_fills_no_memory() -> None:
    port = alone()
    piece = bytes(range(128)) * 512
    for _ in range(200):  # 13 MB that nobody reads
        assert port._take(piece) == b""
        assert len(port._received) <= 4 << 20
    port._take(b"the end")
    assert port._received.endswith(b"the end")


@pytest.mark.parametrize("tail", [b"x" * 100_000, b"\xff\xff" * 50_000])
def test_a_telnet_command_without_an_end_ends_the_connection(tail: bytes) -> None:
    ours, theirs = socket.socketpair()
    port = alone()
    port._socket, port.is_open = ours, True
    with ours, theirs:

        def talk() -> None:
            with suppress(OSError):  # hung up on, when it has not said all by then
                theirs.sendall(b"said\xff\xfa\x2c" + tail)

        talking = threading.Thread(target=talk)
        talking.start()
        port._telnet_read_loop()  # ends by itself, though the server goes on
        with suppress(OSError):
            ours.shutdown(socket.SHUT_RDWR)
        assert port.read(4) == b"said"
        with pytest.raises(SerialException, match="without an end"):
            port.read(1)
    talking.join()
