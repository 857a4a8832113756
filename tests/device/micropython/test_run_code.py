"""Where code that runs at a raw REPL ends, and what it has printed until there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from provision.device.micropython.raw_repl import BANNER, RAW_PASTE, RawRepl
from provision.device.micropython.run_code import run_code
from provision.errors import BoardRestarted, Interrupted, NoAnswer
from tests.fakes.line import MemoryPort, VirtualClock

TRACEBACK = b'Traceback (most recent call last):\r\n  File "<stdin>", line 1\r\n'
END = "end"  # in a script: the program is over, and the raw REPL answers from here on


@dataclass
class Board:
    """Implements `Peer`. Once it has code it prints its script: bytes, and silences in seconds."""

    clock: VirtualClock
    script: Sequence[bytes | float | str]
    pastes: bool = True
    on_interrupt: Sequence[bytes | float | str] | None = None  # what comes after a Ctrl-C instead
    state: str = "prompt"
    input: bytes = b""  # what the program was sent
    _said: bytearray = field(default_factory=bytearray)
    _after: float = 0.0
    over: bool = False

    def hear(self, data: bytes) -> None:
        if self.state == "running":
            self.input += data
            if b"\x03" in data and self.on_interrupt is not None:
                self.script, self.on_interrupt, self._after = self.on_interrupt, None, 0.0
            return
        if RAW_PASTE in data:
            self._said += b"R\x01\x80\x00" if self.pastes else BANNER
            self.state = "paste" if self.pastes else "prompt"
        if data.endswith(b"\x04"):
            self._said += b"\x04" if self.state == "paste" else b"OK"
            self.state = "running"
        elif data == b"\x03":
            self.state = "prompt"

    def say(self) -> bytes:
        begun = self.state == "running" or self.over
        if begun and not self._said and self.script and self.clock.now >= self._after:
            match self.script[0]:
                case bytes(text):
                    self._said += text
                case float(seconds):
                    self._after = self.clock.now + seconds
                case _:
                    self.state, self.over = "prompt", True
            self.script = self.script[1:]
        said = bytes(self._said)
        self._said.clear()
        return said


def run(
    *script: bytes | float | str,
    stop_after: float | None = None,
    on_interrupt: Sequence[bytes | float | str] | None = None,
    pastes: bool = True,
) -> tuple[bytes, str, Board]:
    """What is heard of it, the traceback, and the board."""
    clock = VirtualClock()
    board = Board(clock, script, pastes, on_interrupt)
    heard = bytearray()
    raw = RawRepl(MemoryPort(board, clock), clock=clock)
    traceback = run_code(
        raw,
        b"pass",
        heard.extend,
        lambda: stop_after is not None and clock.now > stop_after,
    )
    return bytes(heard), traceback, board


@pytest.mark.parametrize("pastes", [True, False])
@pytest.mark.parametrize(
    ("script", "heard", "raised"),
    [
        ((b"a\r\n\x04\x04>", END), b"a\r\n", ""),
        ((b"a\r\n", 3.0, b"b\r\n", b"\x04", b"\x04", b">", END), b"a\r\nb\r\n", ""),
        ((b"\x04" + TRACEBACK + b"OSError: 2\r\n\x04>", END), b"", "OSError: 2"),
        ((b"\x04" + TRACEBACK, 0.4, b"OSError: 2\r\n\x04>", END), b"", "OSError: 2"),
        ((b"\x04MemoryError: memory allocation failed\r\n\x04>", END), b"",
         "MemoryError: memory allocation failed"),
        # The bytes of the end, printed by the code.
        ((b"a\x04b\x04>c\r\n\x04\x04>", END), b"a\x04b\x04>c\r\n", ""),
        ((b"a\x04\x04>", 8.0, b"b\x04\x04>", END), b"a\x04\x04>b", ""),
        ((b"\x04" + TRACEBACK + b"\x04>", 8.0, b"b\x04\x04>", END), b"\x04" + TRACEBACK + b"\x04>b",
         ""),
        ((b"a\x04\x04" + TRACEBACK + b"E: \x04\r\n\x04>", END), b"a\x04",
         "E: \x04"),
        # Something prints on, at any place of the end and after it.
        ((b"a\x04no", b"ise\r\n\x04", b"noise\r\n>", END, *[0.1, b"noise\r\n"] * 30),
         b"anoise\r\n", ""),
        ((b"a\x04noise\r\n" + TRACEBACK + b"OSError: 2\r\n\x04noise>", END, *[0.1, b"noise"] * 30),
         b"anoise\r\n", "OSError: 2"),
        # A fresh interpreter.
        ((b"a\x04\x04\r\nMPY: soft reboot\r\n" + BANNER, END), b"a", ""),
        ((b"say: " + BANNER, 8.0, b"b\x04\x04>", END), b"say: " + BANNER + b"b", ""),
    ],
)  # fmt: skip
def test_the_end_is_found(
    script: tuple[bytes | float | str, ...], heard: bytes, raised: str, *, pastes: bool
) -> None:
    got, traceback, board = run(*script, pastes=pastes)
    assert got == heard
    assert traceback.strip().rpartition("\n")[2].strip() == raised
    assert board.state == "prompt"


def test_output_is_told_as_it_comes() -> None:
    """Though the byte that ends it is in it, and no silence comes."""
    clock = VirtualClock()
    board = Board(clock, (b"\x04", *[b"more\r\n", 0.05] * 200, b"\x04\x04>", END))
    times: list[float] = []
    raw = RawRepl(MemoryPort(board, clock), clock=clock)
    run_code(raw, b"pass", lambda data: times.append(clock.now) if data else None, lambda: False)
    assert len(times) > 3


def test_a_program_is_not_sent_what_it_has_not_asked_for() -> None:
    _, _, board = run(b"a\x04>\r\n", 0.5, b"> ", 7.0, b">", 2.0, b"\x04\x04>", END)
    assert board.input == b""


@pytest.mark.parametrize(
    "said",
    [b"ets Jul 29 2019 12:21:46\r\n\r\nrst:0xc (SW_CPU_RESET),boot:0x12\r\n",
     b"MicroPython v1.24.1 on 2024-11-29; Generic\r\nType \"help()\"\r\n>>> "],
)  # fmt: skip
def test_a_board_that_restarts(said: bytes) -> None:
    with pytest.raises(BoardRestarted, match="restarted before the code had ended"):
        run(b"a\r\n", said)


def test_ctrl_c_ends_code_that_heeds_it() -> None:
    ended = (b"\x04" + TRACEBACK + b"KeyboardInterrupt: \r\n\x04>", END)
    with pytest.raises(Interrupted):
        run(*[b"a\r\n", 0.5] * 100, stop_after=2.0, on_interrupt=ended)
    with pytest.raises(NoAnswer, match="does not heed Ctrl-C"):
        run(*[b"a\r\n", 0.5] * 100, stop_after=2.0)
