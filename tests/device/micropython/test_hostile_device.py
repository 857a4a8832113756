"""A board that lies: every answer that the host reads is a stranger's, and ends in a value that is
safe to use or in one of our errors, in bounded time and memory, whatever it says and however long.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.device.micropython import scan_protocol as scan
from provision.device.micropython.board_repl import BoardRepl
from provision.device.micropython.replies import MalformedReply, read_identity, read_mount_reply
from provision.device.micropython.scan_protocol import ScanQuery
from provision.errors import ProvisionError
from provision.interfaces import ScanRequest
from provision.model.state import ActualState, FileState, Filesystem, FirmwareIdentity
from tests.bounds import memory_below
from tests.fakes.line import MemoryPort, VirtualClock
from tests.fakes.micropython import BANNER, FRIENDLY, MicroPython
from tests.fakes.work import Lie, delete_file, make_directory, transfer_of, write_content

LEAN = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
TIME_MOST = 700.0  # seconds of virtual time for one call
MEMORY_MOST = 40 << 20  # bytes

REQUEST = ScanRequest(
    paths=("/main.py", "/lib/x.py"),
    trees=("/lib", "/data"),
    expected={"/main.py": FileState(size=3, sha256="ab" * 32)},
)
WORK = [
    make_directory("/lib"),
    write_content("/lib/x.py", Lie(data=b"x = 1\n" * 300)),
    delete_file("/old.py"),
]
FACTS = (
    b"('\\x02', 'v1.24.1 on 2024-11-29', 'Generic ESP32 module with ESP32', "
    b"b'$o(\\x00\\x00\\x01', 4194304, 11014)\r\n"
)
SUMS = b"('\\x02', b'" + b"A" * 172 + b"\\n', (4096, 4096, 512, 500), 512)\r\n"


def ignore(_done: int, _total: int) -> None:
    pass


CALLS: dict[str, Callable[[BoardRepl], object]] = {
    "enter": lambda repl: None,
    "observe": lambda repl: repl.observe(REQUEST),
    "transfer": lambda repl: repl.transfer(*transfer_of(WORK), ignore),
    "read": lambda repl: repl.read("/main.py", 1000),
    "evaluate": lambda repl: repl.evaluate("app.ready", 5),
    "leave": lambda repl: repl.leave(),
    "hard reset": lambda repl: repl.hard_reset(),
    "await prompt": lambda repl: repl.await_prompt(10),
    "catch": lambda repl: repl.interrupt_boot(),
}


def check_value(value: object) -> None:
    """Whatever is given to the rest of the program must be fit to be shown, stored and sent."""
    match value:
        case str():
            assert value.isprintable()
            assert len(value) <= 4001
        case bytes():
            assert len(value) <= 1000
        case ActualState(firmware=FirmwareIdentity() as firmware, filesystem=Filesystem() as seen):
            assert firmware.machine.isprintable()
            assert firmware.version.isprintable()
            assert value.mac is None or len(value.mac) == 17
            for path in (*seen.files, *seen.directories):
                assert path.startswith("/")
                path.encode()
            for state in seen.files.values():
                assert state.size is None or 0 <= state.size < 1 << 64


def ask(repl: BoardRepl, clock: VirtualClock, name: str) -> None:
    begun = clock.now
    try:
        check_value(CALLS[name](repl))
    except ProvisionError as error:
        assert error.message.isprintable()
        assert len(error.message) < 1000
        assert error.hint
    assert clock.now - begun < TIME_MOST, name


# One that speaks the protocol, and whose programs print anything.

atoms = st.one_of(
    st.sampled_from([
        FACTS, SUMS, b"\x02=\r\n", b"\x02", b"\x01A", b"\x01\x01\x01", b"\r\n",
        b"('/a', 0, (5,))\r\n",
        b"('/a', 0, (5,), b'')\r\n", b"('/\\ud800', 0, (5,))\r\n",
        b"('/data/\\x1b[2J', 0, (5,))\r\n",
        b"('/../../etc/passwd', 16384, ())\r\n", b"('/lib', 16384, (0,), b'')\r\n",
        b"('/main.py', 0, (99999999999999999999999,), b'')\r\n", b"(" * 300, b"-" * 1000,
        b"9" * 5000,
        b"'\\d'\r\n", b"1e999\r\n", b"\xff\xfe\x80", b"\x1b[2J\x1b]0;owned\x07",
        b"KeyboardInterrupt",
        b"Traceback (most recent call last):\r\n", b"ImportError: no module\r\n",
        b"MemoryError: \r\n",
        b"OSError: 28\r\n", b"OSError: [Errno 28] ENOSPC\r\n", b"ValueError: sha256\r\n",
        b"[" * 900,
        b"True", b"b'" + b"\\xcd" * 32 + b"'\r\n", b"10000000000\r\n", b"R\x01\x00\x00", b">",
        b"OK",
        b"('\x02', 'mounted', ('/sd',))\r\n", b"('\x02', 'other', ())\r\n",
        b"('\x02', 'flash', (1,))\r\n",
        FACTS + b"\x02=\r\n", FACTS + SUMS, FACTS.replace(b"ESP32'", b"STM32'"), b"1" + b"0" * 4400,
        b"\x00" * 2000, b"b'" + b"A" * 3000, "\u202e\u2066".encode(), b"A" * 20_000,
    ]),
    st.binary(max_size=40),
    st.text(max_size=20).map(lambda text: text.encode("utf-8", "surrogatepass")),
)  # fmt: skip
# A program's output cannot hold the byte that ends it; what follows it is the babbler's part.
said = st.lists(atoms, max_size=5).map(lambda parts: b"".join(parts).replace(b"\x04", b""))
problems = st.one_of(st.just(b""), st.just(b""), said)
lies = st.lists(st.tuples(said, problems), min_size=1, max_size=8)


def lied_to(told: list[tuple[bytes, bytes]], names: list[str], deflates: bool) -> None:
    clock = VirtualClock()
    board = MicroPython(clock, lies=itertools.chain(told, itertools.cycle(told)))
    try:
        repl = BoardRepl(MemoryPort(board, clock=clock), clock=clock)
        repl.agent.deflates = deflates
        repl.enter()
        for name in names:
            ask(repl, clock, name)
    finally:
        board.close()


# One that knows no protocol at all.


class Babbler:
    """Says the next of its answers at each thing it hears, and then `endless`, for ever."""

    def __init__(self, answers: Sequence[bytes], endless: bytes, at_once: bool) -> None:
        self._answers = iter(answers)
        self._endless = endless
        self._now = endless if at_once else b""
        self._done = at_once

    def hear(self, data: bytes) -> None:
        if not self._done:
            try:
                self._now += next(self._answers)
            except StopIteration:
                self._done = True

    def say(self) -> bytes:
        said, self._now = self._now, b""
        if self._done and self._endless:
            said += self._endless * (1 + 2000 // len(self._endless))
        return said


tokens = st.one_of(
    atoms,
    st.sampled_from([
        BANNER, BANNER + b"R\x01\x80\x00", BANNER + b"R\x01\x00\x00", BANNER + b"R\x01\xff\xff",
        BANNER + b"R\x01\x01\x00", b"R\x01\x80\x00", b"R\x00", b"R\x01", b"\x01", b"\x04",
        b"\x04\x04>", b"OK",
        b"OK\x04\x04>", FRIENDLY, b">>> ", b"\r\n>>> ", b"\x02", b"\x02\x04\x04>",
        b"\x01A\x01\x01\x01",
        b"\x01Z", b"\x04" + FACTS + b"\x02=\r\n\x04\x04>", b"\x04" + FACTS + SUMS + b"\x04\x04>",
        b"invalid header: 0x", b"waiting for download", b"=== ",
    ]),
)  # fmt: skip
answers = st.lists(st.lists(tokens, max_size=4).map(b"".join), max_size=20)
endless = st.one_of(
    st.just(b""),
    st.sampled_from([
        b"\x01", b"\x04", b">", b"x", b"\n", b"\0", BANNER, BANNER + b"R\x01\x80\x00", b">>> ",
        b"R\x01\x80\x00\x01\x04\x04\x04>", b"OK\x04\x04>", b"\x02\x04\x04>", b"R\x01\x01\x00\x01",
    ]),
    tokens.filter(bool),
)  # fmt: skip


FLOODS = [b"x", b"\x01", b"\n", b"('/a', 0, (1,))\r\n"]


def babbled_at(said: list[bytes], ever: bytes, at_once: bool, names: list[str]) -> None:
    clock = VirtualClock()
    port = MemoryPort(Babbler(said, ever, at_once), clock=clock)
    repl = BoardRepl(port, clock=clock)
    begun = clock.now
    try:
        repl.enter()
    except ProvisionError as error:
        assert error.message.isprintable()
    assert clock.now - begun < TIME_MOST
    for name in names:
        ask(repl, clock, name)
        port.looks = 0


calls = st.lists(st.sampled_from(list(CALLS)), min_size=1, max_size=4)


@LEAN
@given(lies, calls, st.booleans())
def test_a_liar_is_read_safely(
    told: list[tuple[bytes, bytes]], names: list[str], deflates: bool
) -> None:
    lied_to(told, names, deflates)


@LEAN
@given(answers, endless, st.booleans(), calls)
def test_a_babbler_is_left_in_bounded_time(
    said: list[bytes], ever: bytes, at_once: bool, names: list[str]
) -> None:
    babbled_at(said, ever, at_once, names)


@pytest.mark.slow
@LONG
@given(lies, calls, st.booleans())
def test_three_thousand_liars(
    told: list[tuple[bytes, bytes]], names: list[str], deflates: bool
) -> None:
    lied_to(told, names, deflates)


@pytest.mark.slow
@LONG
@given(answers, endless, st.booleans(), calls)
def test_three_thousand_babblers(
    said: list[bytes], ever: bytes, at_once: bool, names: list[str]
) -> None:
    babbled_at(said, ever, at_once, names)


@pytest.fixture
def memory() -> Iterator[None]:
    with memory_below(MEMORY_MOST):
        yield


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize(
    ("name", "ever"),
    [*((name, b"x") for name in CALLS), *(("observe", flood) for flood in FLOODS[1:])],
)
def test_a_flood_is_bounded_in_time_and_memory(name: str, ever: bytes) -> None:
    babbled_at([BANNER + b"R\x01\x80\x00"], ever, False, [name])


# The pure half, with nothing but text in between.

QUERY = ScanQuery(request=REQUEST)


@LEAN
@given(st.lists(st.one_of(atoms, st.just(b"\r\n")), max_size=8).map(b"".join))
def test_an_answer_is_read_or_refused(said: bytes) -> None:
    text = said.decode("utf-8", "replace")
    for read in (scan.read_scan_reply, scan.read_listing, read_identity, read_mount_reply):
        try:
            value = read(text)
        except (MalformedReply, ProvisionError):
            continue
        if isinstance(value, scan.ScanReply):
            value.buckets_to_list(QUERY)
            scan.filesystem(QUERY, value, ())


@pytest.mark.parametrize(
    "line",
    ["(" * 2000, "'\\d'", "9" * 2000, "1e400", "{1: 2}", "[1]", "1_000", "0x10", "'\\ud800'",
    "f'{1}'",
     "...", "-" * 2000 + "1", "('a'", "'" * 1999, "__import__('os')", "x" * 3000,
     # In the shape of a listing: a path that is text, and numbers and bytes in other words.
     "('/a', 0, (1,))", "(b'/a', 0, (0x10,))", "(b'/a', 0, (1_0,))", "(B'/a', 0, (1,))",
     "(b'/a', 0, (" + "9" * 1000 + ",))", "(b'/a', 0, (1,), B'')", "(rb'/a', 0, (1,))",
     "(b'/a', 0, (1,), *())"],
    ids=lambda line: line[:12],
)  # fmt: skip
def test_what_no_micropython_prints_is_no_answer(line: str) -> None:
    for read in (scan.read_listing, read_identity, scan.read_scan_reply):
        with pytest.raises(MalformedReply):
            read(line)


def test_a_listing_without_end_is_refused() -> None:
    with pytest.raises(ProvisionError, match="more than"):
        scan.read_listing("('/a', 0, (1,))\n" * 60_000)
