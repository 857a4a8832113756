"""A board whose port goes with it in a reset and comes back, perhaps under another name."""

from __future__ import annotations

import os
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager

import pytest

from provision.core.chips.esp.chips import ESP32C3
from provision.device.connection import SerialConnection, SerialConnector
from provision.device.micropython.raw_repl import BANNER, RAW_PASTE
from provision.errors import (
    CheckFailed,
    ManualActionRequired,
    NoAnswer,
    PortBusy,
    PortLost,
    PortNotFound,
)
from provision.interfaces import PortInfo
from provision.model.board import ResetWiring
from provision.model.endpoint import Capabilities, Endpoint
from provision.model.state import PortSelector
from tests.fakes.line import Peer, VirtualClock
from tests.fakes.micropython import FRIENDLY, MicroPython
from tests.images import profile

tty = pytest.importorskip("tty", reason="pseudo terminals")

BOARD = profile(ESP32C3, reset=ResetWiring.USB_JTAG)


class Usb:
    """Boards on pseudo terminals; implements `Discovery`. `plugged` is what the system lists."""

    def __init__(self) -> None:
        self.plugged: list[PortInfo] = []
        self.asked = 0
        self.missing = 0  # how many listings a board that comes back is missing in
        self._ends: dict[str, tuple[int, int]] = {}

    def plug(self, serial_number: str | None = "C3-1") -> str:
        master, slave = os.openpty()
        tty.setraw(slave)  # no echo of what the board says before anybody listens
        path = os.ttyname(slave)
        self._ends[path] = (
            master,
            slave,
        )  # both kept, for a terminal that nobody has open hangs up
        self.plugged.append(PortInfo(path=path, usb_id="303a:1001", serial_number=serial_number))
        return path

    def unplug(self, path: str) -> None:
        for end in self._ends.pop(path):
            os.close(end)
        self.plugged = [one for one in self.plugged if one.path != path]

    def says(self, path: str, text: bytes) -> None:
        os.write(self.master(path), text)

    def master(self, path: str) -> int:
        return self._ends[path][0]

    def unplug_all(self) -> None:
        for path in list(self._ends):
            self.unplug(path)

    def ports(self) -> Sequence[PortInfo]:
        self.asked += 1
        if self.missing and self.asked > 1:
            self.missing -= 1
            return []
        return list(self.plugged)

    def resolve(
        self, selector: PortSelector, listed: Callable[[], Sequence[PortInfo]] | None = None
    ) -> str:
        return selector.value


class Now(VirtualClock):
    """The system's time."""

    now = property(lambda self: time.monotonic(), lambda self, value: None)  # type: ignore[assignment]


@contextmanager
def playing(master: int, peer: Peer) -> Iterator[None]:
    """`peer` at the board's end of a terminal, in a thread of its own."""
    end, stop = os.pipe()

    def carry() -> None:
        while True:
            os.write(master, peer.say())
            ready, _, _ = select.select([master, end], [], [], 0.01)
            if end in ready:
                return
            if master in ready:
                peer.hear(os.read(master, 4096))

    thread = threading.Thread(target=carry)
    thread.start()
    try:
        yield
    finally:
        os.close(stop)
        thread.join()
        os.close(end)


class Booted:
    """A board that prints its prompt whenever it is looked at."""

    def hear(self, data: bytes) -> None:
        raise AssertionError("a board that boots must not be disturbed")

    def say(self) -> bytes:
        return FRIENDLY


@pytest.fixture
def usb() -> Iterator[Usb]:
    made = Usb()
    yield made
    made.unplug_all()


Connect = Callable[[str], SerialConnection]


@pytest.fixture
def connect(usb: Usb) -> Iterator[Connect]:
    opened: list[SerialConnection] = []

    def to(path: str) -> SerialConnection:
        connection = SerialConnector(usb).connect(
            Endpoint(address=path), BOARD, device="kitchen", trace=lambda level, text: None
        )
        opened.append(connection)
        return connection

    yield to
    for connection in opened:
        connection.close()


def pressed(_instructions: str, _seconds: float) -> bool:
    return True


def test_a_port_that_comes_back_under_another_name_is_found_by_its_serial_number(
    usb: Usb, connect: Connect
) -> None:
    old = usb.plug()
    other = usb.plug("C3-2")
    connection = connect(old)
    connection.restart(pressed, 1.0)
    usb.unplug(old)
    new = usb.plug()
    usb.missing = 1  # the system takes a moment
    with playing(usb.master(new), Booted()):
        assert connection.await_prompt(5.0)
    os.set_blocking(usb.master(other), False)
    with pytest.raises(BlockingIOError):  # the board beside it heard nothing
        os.read(usb.master(other), 1)


def test_its_repl_is_taken_where_it_came_back(usb: Usb, connect: Connect) -> None:
    old = usb.plug()
    connection = connect(old)
    connection.restart(pressed, 1.0)
    usb.unplug(old)
    new = usb.plug()
    board = MicroPython(Now())
    with closing(board), playing(usb.master(new), board):
        repl = connection.repl(reset=False)
        assert repl.identify().mac == "24:6f:28:00:00:01"
        connection.resume()
        connection.resume()  # nothing is left to do


def test_the_systems_ports_are_looked_through_before_a_reset_only(
    usb: Usb, connect: Connect
) -> None:
    path = usb.plug()
    connection = connect(path)
    board = MicroPython(Now())
    with closing(board), playing(usb.master(path), board):
        connection.repl(reset=False).identify()
    assert usb.asked == 0
    connection.restart(pressed, 1.0)
    assert usb.asked == 1


def test_a_port_lost_without_a_reset_is_an_error(usb: Usb, connect: Connect) -> None:
    path = usb.plug()
    connection = connect(path)
    usb.unplug(path)
    usb.plug()
    with pytest.raises(PortLost):
        connection.repl(reset=False)
    with pytest.raises(PortLost):
        connection.await_prompt(1.0)
    with pytest.raises(PortLost):
        connection.listen(1.0)


def test_a_port_that_stays_away_is_an_error(
    usb: Usb, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provision.device.connection.USB_RETURN_TIMEOUT", 0.15)
    path = usb.plug(serial_number=None)
    connection = connect(path)
    connection.restart(pressed, 1.0)
    usb.unplug(path)
    # Busy where another test was given the number of this terminal meanwhile.
    with pytest.raises((PortNotFound, PortLost, PortBusy)):
        connection.await_prompt(1.0)


def test_a_board_that_only_its_button_restarts_says_so(usb: Usb, connect: Connect) -> None:
    connection = connect(usb.plug())  # a terminal has no reset lines
    with pytest.raises(ManualActionRequired, match="RESET"):
        connection.restart(None, 0.0)
    with pytest.raises(ManualActionRequired, match="RESET"):
        connection.restart(lambda instructions, seconds: False, 1.0)


def test_a_terminal_has_no_reset_lines_and_tells(usb: Usb, connect: Connect) -> None:
    capabilities = connect(usb.plug()).capabilities
    assert capabilities == Capabilities(resets=False, lossless=False, flashes=True, has_rate=True)


def test_over_a_raw_socket_nothing_is_reset_or_flashed(usb: Usb, connect: Connect) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        connection = connect(f"socket://127.0.0.1:{server.getsockname()[1]}")
        assert connection.capabilities == Capabilities(resets=False, lossless=False, flashes=False)
        with pytest.raises(NoAnswer, match="can be reset or flashed over socket://") as caught:
            connection.flasher(pressed, 1.0)
        assert "rfc2217://" in caught.value.hint
        with pytest.raises(ManualActionRequired, match="RESET"):
            connection.restart(None, 0.0)


def test_what_the_app_prints_is_waited_for(usb: Usb, connect: Connect) -> None:
    path = usb.plug()
    connection = connect(path)
    usb.says(path, b"booting\r\nready: kitchen\r\n")
    assert connection.console("ready: (.*)", 5.0) == "ready: kitchen"
    with pytest.raises(CheckFailed):
        connection.console("never", 0.05)


class Prompt:
    """A board at its raw REPL that is up again, and has said its only word, by the time that the
    answer to its reset is read."""

    def __init__(self) -> None:
        self._heard = b""
        self._pasting = False

    def hear(self, data: bytes) -> None:
        self._heard += data

    def say(self) -> bytes:
        if self._pasting and self._heard.endswith(b"\x04"):
            self._heard, self._pasting = b"", False
            return b"\x04\x04\x04>booting\r\nready: kitchen\r\n"
        if RAW_PASTE in self._heard:
            self._heard, self._pasting = b"", True
            return BANNER + b"R\x01\x00\x10"
        return b""


@pytest.mark.parametrize("listens", [False, True])
def test_an_app_that_is_quicker_than_this_computer_is_heard(
    usb: Usb, connect: Connect, listens: bool
) -> None:
    path = usb.plug()
    connection = connect(path)
    with playing(usb.master(path), Prompt()):
        connection.repl(reset=False)
        connection.restart(None, 0.0)
        heard = connection.listen(0.1) if listens else connection.console("ready: ", 1.0)
    assert heard.strip().endswith("ready: kitchen")


def test_a_check_ends_whatever_its_pattern_and_the_line(usb: Usb, connect: Connect) -> None:
    path = usb.plug()
    connection = connect(path)
    usb.says(path, b"\x07" + b"a" * 3000 + b"\r\n")
    with pytest.raises(CheckFailed, match="no line with"):
        connection.console("^(a+)+!$", 0.2)
