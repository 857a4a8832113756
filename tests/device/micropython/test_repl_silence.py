"""A board that stops answering between two steps is an error that says so, wherever it happens."""

from __future__ import annotations

import pytest

from provision.device.micropython.board_repl import BoardRepl
from provision.device.micropython.raw_repl import BANNER, RawRepl
from provision.errors import NoAnswer
from provision.interfaces import ScanRequest
from tests.fakes.line import MemoryPort, VirtualClock


class Fading:
    """A port whose board takes the raw REPL, and says nothing any more."""

    timeout: float | None = None
    baudrate = 115200

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._entered = False

    @property
    def in_waiting(self) -> int:
        return len(self._waiting)

    def read(self, size: int, /) -> bytes:
        part = bytes(self._waiting[:size])
        del self._waiting[:size]
        return part

    def write(self, data: bytes, /) -> int:
        if not self._entered:
            self._entered = True
            self._waiting += BANNER + b"R\x01\x80\x00"
        return len(data)


def test_silence_while_the_line_is_timed() -> None:
    repl = BoardRepl(Fading())
    repl.enter()
    repl.raw.settle()
    with pytest.raises(NoAnswer, match="stopped answering"):
        repl.raw.round_trip_time()


class Blank:
    """A chip without firmware: its boot ROM complains now and then, and hears nothing."""

    complaint = b""

    def hear(self, data: bytes) -> None:
        self.complaint = b"invalid header: 0xffffffff\r\n"  # not an answer: it does so anyway

    def say(self) -> bytes:
        said, self.complaint = self.complaint, b""
        return said


def test_a_chip_without_firmware_is_known_by_its_first_word() -> None:
    clock = VirtualClock()
    with pytest.raises(NoAnswer, match="nothing runs on this board"):
        BoardRepl(MemoryPort(Blank(), clock), clock=clock).enter()
    assert clock.now < 0.1, "its complaint was not listened to"


class NeverAnew(Fading):
    """One that does not reset when it is told to."""

    def write(self, data: bytes, /) -> int:
        if data.startswith(b"\r\x03"):
            self._waiting += BANNER + b"R\x01\x80\x00"
        return len(data)


def test_silence_when_the_interpreter_is_to_begin_anew() -> None:
    raw = RawRepl(NeverAnew())
    raw.enter()
    with pytest.raises(NoAnswer, match="did not reset"):
        raw.restart_interpreter()


class Thinking(Fading):
    """One that takes what it is to evaluate, and does not come to an end with it."""

    def write(self, data: bytes, /) -> int:
        if self._entered and data.endswith(b"\x04"):
            self._waiting += b"\x04"
        return super().write(data)


def test_an_evaluation_ends_when_the_run_is_stopped() -> None:
    repl = BoardRepl(Thinking())
    repl.enter()
    with pytest.raises(NoAnswer, match="did not finish"):
        repl.evaluate("app.ready()", 1e9, stopping=lambda: True)


class Swamped:
    """One that stops its app at the first Ctrl-C, and has a prompt for each of the others."""

    def __init__(self, late: bool) -> None:
        self._said = b""
        self._stopped = False
        self._late = late  # told after a prompt already

    def hear(self, data: bytes) -> None:
        if set(data) == {3} and not self._stopped:
            self._stopped = True
            stop = b"\r\nKeyboardInterrupt: \r\n" + b">>> \r\n" * 100 + b">>> "
            self._said += b"\r\n>>> " if self._late else stop
            self._then = stop if self._late else b""
        elif data.startswith(b"\r\x03\x03\x01"):
            self._said += BANNER + b"R\x01\x80\x00"

    def say(self) -> bytes:
        said, self._said = self._said, b""
        if said.endswith(b"\r\n>>> ") and self._late:
            self._said, self._late = self._then, False
        return said


@pytest.mark.parametrize("late", [False, True])
def test_an_app_that_a_flood_stopped_is_not_forgotten(late: bool) -> None:
    clock = VirtualClock()
    prompt = RawRepl(MemoryPort(Swamped(late), clock), clock=clock)
    prompt.interrupt_boot()
    assert prompt.interrupted


class Full:
    """One without memory for a program, however often it starts anew and is interrupted then."""

    def __init__(self) -> None:
        self._said = b""
        self._program = False
        self.starts = 0

    def hear(self, data: bytes) -> None:
        if data.endswith(b"\x01"):
            self._program = data.endswith(b"\x05A\x01")
            self._said += b"" if data == b"\x05A\x01" else BANNER
            self._said += b"R\x01\x00\x10" if self._program else b""
        elif data == b"\x03":
            self._program = False
        elif data.endswith(b"\x04") and self._program:
            self._program = False
            self._said += b"\x04\x04Traceback:\r\nMemoryError: \r\n\x04>"
        elif data == b"\x04":
            self.starts += 1
            self._said += b"OK\r\nMPY: soft reboot\r\n" + BANNER

    def say(self) -> bytes:
        said, self._said = self._said, b""
        return said


def test_a_board_that_has_no_memory_from_its_start_is_told() -> None:
    board, clock = Full(), VirtualClock()
    repl = BoardRepl(MemoryPort(board, clock), clock=clock)
    repl.enter()
    with pytest.raises(NoAnswer, match="MemoryError:, from a fresh interpreter too") as told:
        repl.observe(ScanRequest())
    assert "its boot.py takes all memory" in told.value.hint
    assert board.starts <= 4


class Starting:
    """One whose fresh interpreter takes three seconds, in which nothing may disturb it."""

    def __init__(self, clock: VirtualClock) -> None:
        self._clock = clock
        self._said = b""
        self._ready: float | None = None
        self.disturbed = b""

    def hear(self, data: bytes) -> None:
        if self._ready is not None and self._clock.now < self._ready:
            self.disturbed += data
        elif data == b"\x04":
            self._said += b"OK\r\nMPY: soft reboot\r\n"
            self._ready = self._clock.now + 3.0
        elif data.startswith(b"\r\x03\x03\x01"):
            self._said += BANNER + b"R\x01\x80\x00"

    def say(self) -> bytes:
        said, self._said = self._said, b""
        if self._ready is not None and self._clock.now >= self._ready:
            said, self._ready = said + b"joined the network\r\n" + BANNER, None
        return said


def test_a_fresh_interpreter_starts_undisturbed() -> None:
    """Before 1.21 a Ctrl-C would hit the firmware's own first script."""
    clock = VirtualClock()
    board = Starting(clock)
    raw = RawRepl(MemoryPort(board, clock), clock=clock)
    raw.enter()
    assert not raw.interrupted
    raw.restart_interpreter()
    assert board.disturbed == b""
    assert clock.now < 4.0
    assert raw.interrupted, "its app must be started again"


class Packets:
    """A board at its prompt behind a bridge that sends a packet of 60 bytes each time it is sent
    one, and where those end: anywhere in one of the prompts."""

    def __init__(self, before: int) -> None:
        self._said = b"#" * before
        self._packet = b""

    def hear(self, data: bytes) -> None:
        if set(data) == {3}:
            self._said += b"\r\n>>> " * len(data)
            self._packet, self._said = self._said[:60], self._said[60:]
        elif data.startswith(b"\r\x03\x03\x01"):
            self._packet = BANNER + b"R\x01\x80\x00"

    def say(self) -> bytes:
        packet, self._packet = self._packet, b""
        return packet


@pytest.mark.parametrize("before", range(6))
def test_a_prompt_is_seen_wherever_a_packet_ends(before: int) -> None:
    clock = VirtualClock()
    prompt = RawRepl(MemoryPort(Packets(before), clock), clock=clock)
    prompt.interrupt_boot(timeout=6.0)
    assert clock.now < 3.0, "it was flooded until the time was over"
