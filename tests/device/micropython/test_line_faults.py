"""The raw REPL and its transfers on a line that cuts, flips, drops, doubles, and falls silent.

At the other end is the agent itself on a MicroPython in memory, and the clock is the test's own.
Whatever happens the host ends in the right result or in one of our errors, in bounded time; every
path holds its old or its new content; and on a sound line the next attempt converges.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from provision.core.chips.esp.runtime import ESP32_PACES
from provision.device.micropython.board_repl import BoardRepl
from provision.device.micropython.transfer.stream_format import compose
from provision.errors import BoardError, OutOfSpace, ProvisionError
from provision.interfaces import ScanRequest
from provision.model.state import FileState, Filesystem
from tests.fakes.line import LineFaults, MemoryPort, Unplugged, VirtualClock
from tests.fakes.micropython import TEMPORARY_NAME, Flash, MicroPython
from tests.fakes.work import (
    Step,
    delete_file,
    make_directory,
    remove_directory,
    transfer_of,
    write_file,
)

LEAN = settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=1000, deadline=None, suppress_health_check=list(HealthCheck))

# Seconds of virtual time for one operation on a few kB, with every time-out met on the way: the
# stream's, the way back to the REPL, and the slow lane's.
TIME_MOST = 400.0


@dataclass
class Station:
    """A host's end and a board's, with the line between them."""

    flash: Flash = field(default_factory=Flash)
    clock: VirtualClock = field(default_factory=VirtualClock)
    pieces: Sequence[int] = (1 << 16,)
    there: LineFaults = field(default_factory=LineFaults)
    back: LineFaults = field(default_factory=LineFaults)
    deflates: bool = True
    pastes: bool = True
    told: list[str] = field(default_factory=list)  # what the host traced
    port: MemoryPort = field(init=False)

    @contextmanager
    def repl(self, slow: Sequence[float] = ()) -> Iterator[tuple[BoardRepl, MicroPython]]:
        board = MicroPython(
            self.clock, flash=self.flash, deflates=self.deflates, pastes=self.pastes
        )
        board.slow = list(slow)
        try:
            yield self.host(board), board
        finally:
            board.close()

    def host(self, board: MicroPython) -> BoardRepl:
        self.port = MemoryPort(
            board, clock=self.clock, pieces=self.pieces, there=self.there, back=self.back
        )
        return BoardRepl(
            self.port, clock=self.clock, trace=lambda _level, text: self.told.append(text)
        )

    @contextmanager
    def timed(self) -> Iterator[None]:
        begun = self.clock.now
        yield
        assert self.clock.now - begun < TIME_MOST


def ignore(_done: int, _total: int) -> None:
    pass


def files_of(repl: BoardRepl, request: ScanRequest) -> Filesystem:
    seen = repl.observe(request).filesystem
    assert seen is not None
    return seen


FOLDERS = ("/lib", "/lib/a")
PATHS = ("/main.py", "/boot.py", "/lib/x.py", "/lib/a/y.bin")
contents = st.one_of(
    st.binary(max_size=300),
    st.integers(0, 9000).map(lambda size: (b"x = 1\n" * 2000)[:size]),
    st.integers(0, 255).map(lambda seed: hashlib.sha512(bytes([seed])).digest() * 40),
)
works = st.dictionaries(st.sampled_from(PATHS), contents, min_size=1, max_size=4)
pieces = st.lists(st.integers(1, 300), min_size=1, max_size=5)
delays = st.lists(st.floats(0, 3), max_size=6)


def operations(work: dict[str, bytes]) -> list[Step]:
    return [
        *(make_directory(path) for path in FOLDERS),
        *(write_file(*one) for one in work.items()),
    ]


def request(work: dict[str, bytes]) -> ScanRequest:
    return ScanRequest(
        paths=tuple(work),
        trees=("/lib",),
        expected={
            path: FileState(size=len(data), sha256=hashlib.sha256(data).hexdigest())
            for path, data in work.items()
        },
    )


def wear(length: int) -> st.SearchStrategy[LineFaults]:
    places = st.frozensets(st.integers(0, length), max_size=3)
    return st.builds(
        LineFaults,
        flips=places,
        drops=places,
        doubles=places,
        bit=st.sampled_from([1, 2, 4, 16, 128]),
    )


def check_old_or_new(flash: Flash, *allowed: dict[str, bytes]) -> None:
    """Nothing but what was meant was ever seen under a path, and no path but those meant."""
    for path, states in flash.history.items():
        if path.endswith(TEMPORARY_NAME):
            continue
        meant = [content[path] for content in allowed if path in content]
        assert meant, f"{path} was touched"
        assert all(state is None or state in meant for state in states), path


def chunked(work: dict[str, bytes], sizes: list[int], slow: list[float]) -> None:
    station = Station(pieces=sizes)
    with station.repl(slow) as (repl, board), station.timed():
        repl.enter()
        repl.transfer(*transfer_of(operations(work)), ignore)
        assert board.lost == 0, "the receive ring overran"
        assert not board.left_deaf
        assert station.flash.files == work
        seen = files_of(repl, request(work))
        assert repl.identify().mac == "24:6f:28:00:00:01"
        assert {path: state.sha256 for path, state in seen.files.items()} == {
            path: hashlib.sha256(data).hexdigest() for path, data in work.items()
        }
        path, data = next(iter(work.items()))
        assert repl.read(path, 100) == data[:100]
        repl.leave()
    check_old_or_new(station.flash, work)


def worn_stream(
    work: dict[str, bytes], there: LineFaults, back: LineFaults, slow: list[float]
) -> None:
    """Damage while the board takes every byte as data; the programs before it are sound."""
    station = Station(there=there, back=back)
    with station.repl(slow) as (repl, board), station.timed():
        there.active = back.active = lambda: board.streaming
        repl.enter()
        try:
            repl.transfer(*transfer_of(operations(work)), ignore)
        except ProvisionError as error:
            assert error.message.isprintable()
        else:
            assert station.flash.files == work
        assert not board.left_deaf
    check_old_or_new(station.flash, work)
    converges(station, work)


def worn_line(
    work: dict[str, bytes], there: LineFaults, back: LineFaults, sizes: list[int]
) -> None:
    station = Station(there=there, back=back, pieces=sizes)
    with station.repl() as (repl, _), station.timed():
        try:
            repl.enter()
            repl.observe(request(work))
            repl.transfer(*transfer_of(operations(work)), ignore)
            repl.leave()
        except ProvisionError as error:
            assert error.message.isprintable()
        except Unplugged:
            pass
    converges(station, work)


@pytest.mark.parametrize("deflates", [True, False], ids=["stream", "fallback"])
def test_what_an_interrupted_transfer_left_goes_with_the_next(deflates: bool) -> None:
    """Also from a folder that nothing is written to any more."""
    sound, rest = {"/lib/a/y.bin": b"y"}, {f"{folder}/.provision~": b"half" for folder in FOLDERS}
    station = Station(flash=Flash(), deflates=deflates)
    station.flash.folders = set(FOLDERS)
    station.flash.files = {**sound, **rest}
    work = {**sound, "/main.py": b"new"}
    with station.repl() as (repl, _):
        repl.enter()
        repl.observe(request(work))
        repl.transfer(*transfer_of([write_file("/main.py", b"new")]), ignore)
    assert station.flash.files == work


def converges(station: Station, work: dict[str, bytes]) -> None:
    """The next run, on a sound line, in whatever state the last one left the flash."""
    station.there, station.back = LineFaults(), LineFaults()
    with station.repl() as (repl, _):
        repl.enter()
        repl.observe(request(work))
        repl.transfer(*transfer_of(operations(work)), ignore)
        assert {path: station.flash.files[path] for path in work} == work
        assert not any(path.endswith(TEMPORARY_NAME) for path in station.flash.files)


@pytest.mark.parametrize(("deflates", "pastes"), [(False, True), (False, False)])
def test_old_firmware_gets_the_same_over_mpremote(deflates: bool, pastes: bool) -> None:
    work = {"/main.py": b"x = 1\n" * 100, "/lib/x.py": bytes(range(256))}
    station = Station(deflates=deflates, pastes=pastes)
    with station.repl() as (repl, _), station.timed():
        repl.enter()
        repl.observe(request(work))
        repl.transfer(
            *transfer_of(
                [
                    *operations(work),
                    write_file("/old", b"1"),
                    delete_file("/old"),
                    remove_directory("/lib/a"),
                ]
            ),
            ignore,
        )
        assert station.flash.files == work
        assert station.flash.folders == {"/lib"}


@LEAN
@given(works, pieces, delays)
def test_any_chunking_and_any_delay_of_the_flash_end_right(
    work: dict[str, bytes], sizes: list[int], slow: list[float]
) -> None:
    chunked(work, sizes, slow)


def test_a_slow_flash_overruns_no_receive_ring() -> None:
    """An ESP32's ring, since the board has said that it is one."""
    noise = b"".join(hashlib.sha256(bytes([seed])).digest() for seed in range(200))
    work = {"/lib/a/y.bin": noise[:3000], "/lib/x.py": noise[3000:], "/main.py": b"x = 1\n"}
    station = Station()
    board = MicroPython(station.clock, flash=station.flash, ring=260)
    try:
        repl = station.host(board)
        repl.enter()
        repl.observe(request(work))
        board.slow = [0.5] * 6
        repl.transfer(*transfer_of(operations(work)), ignore)
        assert board.lost == 0, "the receive ring overran"
        assert board.slow == [], "the flash was never in the way"
        assert station.flash.files == work
    finally:
        board.close()


def test_a_flash_is_given_the_time_that_it_was_seen_to_take() -> None:
    """As an emulated one, that takes seconds for a sector, and compacts now and then."""
    work = {f"/{number}.bin": bytes([number]) * 500 for number in range(3)}
    station = Station()
    with station.repl((60.0, 10.0, 3.0)) as (repl, board):  # taken from the end
        repl.enter()
        repl.observe(request(work))
        repl.transfer(*transfer_of(operations(work)), ignore)
        assert board.slow == [], "the flash was never in the way"
        assert not [text for text in station.told if "no ack" in text]
        assert station.flash.files == work


@LEAN
@given(works, wear(1200), wear(20), delays)
# A doubled ack made the host go on behind the operation that the damage had stopped.
@example(
    work={"/main.py": b""},
    there=LineFaults(doubles=frozenset([26])),
    back=LineFaults(doubles=frozenset([3])),
    slow=[],
)
def test_a_damaged_stream_ends_right_or_in_an_error(
    work: dict[str, bytes], there: LineFaults, back: LineFaults, slow: list[float]
) -> None:
    worn_stream(work, there, back, slow)


@LEAN
@given(works, wear(4000), wear(900), pieces)
def test_a_damaged_line_ends_and_the_next_run_converges(
    work: dict[str, bytes], there: LineFaults, back: LineFaults, sizes: list[int]
) -> None:
    worn_line(work, there, back, sizes)


@pytest.mark.slow
@LONG
@given(works, wear(1200), wear(20), delays)
def test_a_thousand_damaged_streams(
    work: dict[str, bytes], there: LineFaults, back: LineFaults, slow: list[float]
) -> None:
    worn_stream(work, there, back, slow)


@pytest.mark.slow
@LONG
@given(works, wear(4000), wear(900), pieces)
def test_a_thousand_damaged_lines(
    work: dict[str, bytes], there: LineFaults, back: LineFaults, sizes: list[int]
) -> None:
    worn_line(work, there, back, sizes)


NAMED: list[Step] = [
    delete_file("/old.py"),
    make_directory("/lib"),
    write_file("/lib/app.py", b"x = 1\n" * 20),
]


def flipped(position: int, bit: int) -> None:
    """One bit of a stream that is mostly names: no other path may be touched, and all is told."""
    station = Station(there=LineFaults(flips=frozenset([position]), bit=bit))
    station.flash.files = {"/old.py": b"", "/nld.py": b"", "/old.pz": b"", "/oldnpy": b""}
    others = station.flash.files.keys() - {"/old.py"}
    with station.repl() as (repl, board), station.timed():
        station.there.active = lambda: board.streaming
        repl.enter()
        repl.transfer(*transfer_of(NAMED), ignore)
    assert station.flash.files.keys() == others | {"/lib/app.py"}
    assert station.flash.files["/lib/app.py"] == b"x = 1\n" * 20
    assert station.flash.folders == {"/lib"}


LENGTH = len(compose(*transfer_of(NAMED), ESP32_PACES[0]).data)


@pytest.mark.parametrize("part", range(4))
def test_a_flipped_bit_touches_no_other_path(part: int) -> None:
    for place in range(part * 3, LENGTH, 12):
        flipped(place, 1 << place % 8)


@pytest.mark.slow
@pytest.mark.parametrize("bit", [1 << number for number in range(8)])
def test_no_flipped_bit_touches_another_path(bit: int) -> None:
    for place in range(LENGTH):
        flipped(place, bit)


@pytest.mark.parametrize(("deflates", "size"), [(True, 2000), (True, 5000), (False, 2000)])
def test_a_full_board_says_so_and_keeps_what_it_had(deflates: bool, size: int) -> None:
    station = Station(deflates=deflates)
    station.flash.files = {"/main.py": b"old"}
    station.flash.room = 1000
    with station.repl() as (repl, _), station.timed():
        repl.enter()
        with pytest.raises(OutOfSpace, match=r"/main\.py does not fit"):
            repl.transfer(
                *transfer_of([write_file("/main.py", bytes(range(250)) * (size // 250))]), ignore
            )
        assert station.flash.files == {"/main.py": b"old"}
        with pytest.raises(BoardError, match="/no/where"):
            repl.transfer(*transfer_of([write_file("/no/where", b"1")]), ignore)


class Update(RuleBasedStateMachine):
    """One board through any number of hosts that come, look, write, and die at any byte."""

    @initialize()
    def plug_in(self) -> None:
        self.station = Station()
        self.board = MicroPython(self.station.clock, flash=self.station.flash)
        self.meant: dict[str, bytes] = {}
        self.allowed: list[dict[str, bytes]] = []

    def teardown(self) -> None:
        if hasattr(self, "board"):
            self.board.close()

    @rule(work=works, slow=delays)
    def update(self, work: dict[str, bytes], slow: list[float]) -> None:
        self.allowed.append(work)
        self.board.slow = list(slow)
        with self.station.timed():
            repl = self.station.host(self.board)
            repl.enter()
            repl.observe(request(work))
            repl.transfer(*transfer_of(operations(work)), ignore)
            repl.leave()
        for path, data in work.items():
            assert self.station.flash.files[path] == data
        assert not any(path.endswith(TEMPORARY_NAME) for path in self.station.flash.files)

    @rule(work=works, cut=st.integers(0, 4000))
    def host_dies(self, work: dict[str, bytes], cut: int) -> None:
        self.allowed.append(work)
        self.station.there = LineFaults(cut=cut)
        repl = self.station.host(self.board)
        try:
            with self.station.timed():
                repl.enter()
                repl.observe(request(work))
                repl.transfer(*transfer_of(operations(work)), ignore)
        except (ProvisionError, Unplugged):
            pass
        finally:
            self.station.there = LineFaults()

    @rule(count=st.integers(1, 2))
    def noise(self, count: int) -> None:
        self.board.hear(b"\x00\xff" * count)

    @rule()
    def look(self) -> None:
        repl = self.station.host(self.board)
        with self.station.timed():
            repl.enter()
            seen = files_of(repl, request(dict(self.station.flash.files)))
            repl.leave()
        assert {path: state.sha256 for path, state in seen.files.items()} == {
            path: hashlib.sha256(data).hexdigest()
            for path, data in self.station.flash.files.items()
            if not path.endswith(TEMPORARY_NAME)
        }

    @invariant()
    def every_path_is_whole(self) -> None:
        if hasattr(self, "station"):
            check_old_or_new(self.station.flash, *self.allowed)


TestUpdate = Update.TestCase
TestUpdate.settings = settings(
    max_examples=12, stateful_step_count=6, deadline=None, suppress_health_check=list(HealthCheck)
)


class TestUpdateLong(Update.TestCase):  # type: ignore[name-defined, misc]
    pytestmark = pytest.mark.slow
    settings = settings(
        max_examples=300,
        stateful_step_count=15,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
