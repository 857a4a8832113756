"""Files sent at a raised rate on virtual boards: proved before use, restored on every way out."""

from __future__ import annotations

import hashlib
import random
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import serial

from provision.core.chips.esp.chips import CHIPS, ESP32, ESP32C6, ESP8266
from provision.core.chips.family import Pace
from provision.core.chips.registry import family_of
from provision.device.micropython import agent_source
from provision.device.micropython.board_repl import BoardRepl
from provision.device.micropython.transfer.line_rate import (
    ANSWER,
    CALL,
    HELD,
    KEEP,
    PROBE,
    LineRate,
)
from provision.device.micropython.transfer.stream_transfer import StreamUnsupported, transfer
from provision.device.transport.buffered_serial import ReadTimeout
from provision.errors import BoardError
from provision.interfaces import ScanRequest
from provision.model.chip import Chip
from provision.model.state import FileState
from provision.sim import client
from tests.bench_of_boards import Bench, bench
from tests.device.micropython import unit
from tests.device.micropython.unit import BASE, NAME
from tests.fakes.work import transfer_of, write_file

pytest.importorskip("micropython_unix")

__all__ = ["bench"]

DATA = random.Random(1).randbytes(12_000)
RECEIVER = agent_source.bare("receive")[0]


@dataclass
class Memory:
    """Implements `RateMemory`."""

    rate: int | None = None
    kept: list[int] = field(default_factory=list)

    def known(self) -> int | None:
        return self.rate

    def remember(self, rate: int) -> None:
        self.rate = rate
        self.kept.append(rate)


class Dead(BaseException):
    """The host is no more."""


class Unit(unit.Unit):
    """And what was traced of it, on a line at its rate."""

    def __init__(self, work: Path, chip: Chip, version: str, settings: str) -> None:
        super().__init__(work, chip, version, f"&wire=on&latency=1ms{settings}")
        self.memory = Memory()
        self.highest = 921_600
        self.said: list[str] = []

    def entered(self, port: serial.Serial) -> BoardRepl:
        line = LineRate(allowed=lambda: self.highest, memory=lambda: self.memory)
        repl = BoardRepl(port, line=line, trace=lambda _level, text: self.said.append(text))
        repl.enter()
        repl.identify()
        return repl

    def abandon(self, data: bytes, write: Callable[[bytes], None]) -> None:
        """A host that dies while it sends a file: each time it writes `write` may raise Dead, and
        then nothing of it is carried out any more. Its port is closed by the system."""
        self.said.clear()
        with self.port() as port:
            repl = self.entered(port)
            alive = port.write

            def writing(words: bytes) -> int | None:
                write(words)
                return alive(words)

            port.write = writing
            repl.raw.recover = lambda: False  # type: ignore[method-assign]
            with pytest.raises(Dead):
                repl.transfer(*transfer_of([write_file("/a.bin", data)]), lambda *_: None)

    def send(
        self, data: bytes = DATA, progress: Callable[[int, int], None] = lambda _done, _all: None
    ) -> int:
        """Write a file; at which rate it went in the end."""
        self.said.clear()
        with self.repl() as repl:
            repl.transfer(*transfer_of([write_file("/a.bin", data)]), progress)
            state = FileState(size=len(data), sha256=hashlib.sha256(data).hexdigest())
            seen = repl.observe(ScanRequest(paths=("/a.bin",), expected={"/a.bin": state}))
            assert seen.filesystem is not None
            assert seen.filesystem.files == {"/a.bin": state}
        return self.rate()

    def rate(self) -> int:
        went = [text for text in self.said if text.startswith("the line is at ")]
        return int(went[-1].split()[4]) if went else BASE

    def at_rest(self) -> bool:
        """Whether it answers at its own rate, with Ctrl-C an interrupt, at the first word."""
        with self.port() as port:
            repl = BoardRepl(port)
            repl.enter()
            answer = repl.evaluate("6 * 7", 5)
            repl.leave()
        return answer == "42" and not repl.raw.interrupted


@pytest.fixture
def make(bench: Bench) -> Callable[..., Unit]:
    def made(chip: Chip = ESP32, version: str = "1.24.1", settings: str = "") -> Unit:
        return Unit(bench.work, chip, version, settings)

    return made


@pytest.mark.parametrize(
    "chip",
    [
        chip if chip in (ESP32, ESP32C6, ESP8266) else pytest.param(chip, marks=pytest.mark.slow)
        for chip in CHIPS
    ],
)
def test_every_chip_goes_as_fast_as_it_can_and_back(make: Callable[..., Unit], chip: Chip) -> None:
    unit = make(chip)
    registers = family_of(chip).rate_registers(chip)
    assert registers is not None
    assert unit.send() == registers.highest
    assert unit.memory.kept == []  # the best is what is tried anyway
    assert unit.at_rest()


def test_no_higher_than_is_allowed_and_not_for_what_is_small(make: Callable[..., Unit]) -> None:
    unit = make()
    assert unit.send(DATA[:500]) == BASE
    assert unit.send(bytes(20_000)) == BASE  # which deflates to nothing
    assert unit.send(DATA[:4_000]) == 921_600
    for highest, rate in ((0, BASE), (BASE, BASE), (300_000, 230_400)):
        unit.highest = highest
        assert unit.send() == rate
    assert unit.memory.kept == []


@pytest.mark.parametrize(("bridge", "rate"), [(460_800, 460_800), (115_200, BASE)])
def test_a_bridge_that_holds_less_ends_there_and_is_remembered(
    make: Callable[..., Unit], bridge: int, rate: int
) -> None:
    unit = make(settings=f"&bridge={bridge}")
    assert unit.send() == rate
    assert unit.memory.kept == [rate]
    assert any("does not hold 921600" in text for text in unit.said)
    assert unit.send(DATA[::-1]) == rate
    assert not any("does not hold" in text for text in unit.said)
    assert unit.at_rest()


def test_a_probe_of_which_one_bit_is_wrong_proves_nothing(make: Callable[..., Unit]) -> None:
    unit = make()
    with unit.repl() as repl:
        serial = repl.raw.serial
        read_until = serial.read_until

        def damaging(*endings: bytes, **options: Any) -> bytes:
            heard = read_until(*endings, **options)
            return heard.replace(PROBE[60:64], bytes([PROBE[60] ^ 1]) + PROBE[61:64])

        serial.read_until = damaging  # type: ignore[assignment]
        unit.highest = 230_400
        repl.transfer(*transfer_of([write_file("/a.bin", DATA)]), lambda *_: None)
    assert unit.rate() == BASE
    assert unit.memory.kept == [BASE]


def test_a_line_that_corrupts_above_a_rate_ends_below_it(make: Callable[..., Unit]) -> None:
    unit = make()
    noise = {"flip": 0.002, "above": 230_400, "seed": 4}
    client.request(NAME, "fault", fault="noise", arguments=noise)
    data = random.Random(2).randbytes(40_000)
    assert unit.send(data) == 230_400
    assert unit.memory.rate == 230_400


def test_whatever_ends_it_the_board_is_at_its_own_rate(make: Callable[..., Unit]) -> None:
    class Stop(BaseException):
        pass

    unit = make()

    def progress(done: int, _total: int) -> None:
        if done > 3000:
            raise Stop

    with pytest.raises(Stop):
        unit.send(random.Random(3).randbytes(40_000), progress)
    assert unit.rate() == 921_600
    assert unit.at_rest()
    unit.said.clear()
    with unit.repl() as repl, pytest.raises(BoardError, match=r"/none/b\.bin"):
        repl.transfer(*transfer_of([write_file("/none/b.bin", DATA)]), lambda *_: None)
    assert unit.rate() == 921_600
    assert unit.at_rest()
    assert unit.memory.kept == []


class AtTheStream:
    """Dead when so many bytes of a stream are written."""

    def __init__(self, unit: Unit) -> None:
        self.unit = unit
        self.left = 6000

    def __call__(self, words: bytes) -> None:
        self.left -= len(words) * (self.unit.rate() > BASE)
        if self.left < 0:
            raise Dead


class AtTheWord:
    """Dead before, or after, a word of the exchange."""

    def __init__(self, word: bytes, *, after: bool = False) -> None:
        self.word = word
        self.after = after
        self.over = False

    def __call__(self, words: bytes) -> None:
        if self.over or (words == self.word and not self.after):
            raise Dead
        self.over = words == self.word


@pytest.mark.parametrize(
    ("chip", "wiring"),
    [(ESP32, "none"), (ESP8266, "auto"), pytest.param(ESP8266, "none", marks=pytest.mark.slow)],
)
def test_a_host_that_dies_amid_it_leaves_a_board_that_the_next_one_finds(
    make: Callable[..., Unit], chip: Chip, wiring: str
) -> None:
    unit = make(chip, settings=f"&wiring={wiring}")
    boots = client.request(NAME, "status")["boots"]
    unit.abandon(random.Random(5).randbytes(40_000), AtTheStream(unit))
    assert unit.rate() > BASE
    assert unit.send() > BASE
    assert client.request(NAME, "status")["boots"] == boots  # without a reset


def test_a_host_that_dies_before_the_receiver_leaves_a_board_that_is_found(
    make: Callable[..., Unit],
) -> None:
    unit = make(settings="&wiring=none")
    boots = client.request(NAME, "status")["boots"]
    unit.abandon(DATA, AtTheWord(RECEIVER))
    assert unit.send() == 921_600
    assert client.request(NAME, "status")["boots"] == boots


@pytest.mark.parametrize(
    "damage",
    # The last one is waited for as long as a slow board may take.
    ["another program", "not deflated", pytest.param("without an end", marks=pytest.mark.slow)],
)
def test_a_receiver_that_arrives_damaged_is_not_run(make: Callable[..., Unit], damage: str) -> None:
    inflated = zlib.decompress(RECEIVER, -15)
    other = inflated.replace(b"gc.collect()", b'uos.mkdir("/other")')
    assert other != inflated
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -agent_source.PACK_WINDOW, 9)
    sent = {
        "another program": squeezer.compress(other) + squeezer.flush(),
        "not deflated": b"\x06" + RECEIVER[1:],
        "without an end": RECEIVER[:-3],
    }[damage]
    unit = make()
    damaged: list[int] = []  # the rate at which it was
    with unit.repl() as repl:
        alive = repl.raw.serial.write

        def damaging_once(words: bytes) -> None:
            if words == RECEIVER and not damaged:
                damaged.append(unit.rate())
                words = sent
            alive(words)

        repl.raw.serial.write = damaging_once  # type: ignore[method-assign]
        repl.transfer(*transfer_of([write_file("/a.bin", DATA)]), lambda *_: None)
        assert repl.read("/a.bin", 20_000) == DATA
        assert "other" not in repl.evaluate("__import__('os').listdir('/')", 5)
    assert unit.rate() < damaged[0]  # since nobody knows whether the line did it
    assert unit.at_rest()


def test_a_board_without_memory_for_what_is_asked_of_it_says_so_and_is_at_its_own_rate(
    make: Callable[..., Unit],
) -> None:
    unit = make(ESP8266)
    with unit.repl() as repl:
        exchange = repl.line.exchange(repl.raw, ESP8266)
        assert exchange is not None
        actions, contents = transfer_of([write_file("/a.bin", DATA)])
        more_than_its_heap = [Pace(block=60_000, window=15, lead=120)]
        with pytest.raises(StreamUnsupported, match="MemoryError"):
            transfer(
                repl.raw,
                actions,
                contents,
                more_than_its_heap,
                lambda *_: None,
                exchange=exchange,
            )
        assert exchange.rate > 0
        assert repl.evaluate("6 * 7", 5) == "42"
    assert unit.at_rest()


@pytest.mark.slow
@pytest.mark.parametrize("chip", [ESP32, ESP8266])
def test_a_host_that_dies_at_any_word_of_the_exchange_leaves_a_board_that_is_found(
    make: Callable[..., Unit], chip: Chip
) -> None:
    unit = make(chip, settings="&wiring=none")
    boots = client.request(NAME, "status")["boots"]
    for after in (False, True):
        for word in (ANSWER, PROBE, KEEP, RECEIVER):
            unit.abandon(DATA, AtTheWord(word, after=after))
            assert unit.send() > BASE, (word, after)
    assert client.request(NAME, "status")["boots"] == boots
    assert unit.memory.kept == []


@pytest.mark.slow
def test_what_leaves_a_doubt_is_done_again_at_the_boards_own_rate(
    make: Callable[..., Unit],
) -> None:
    unit = make()
    with unit.repl() as repl:
        alive = repl.raw.serial.write

        def deaf_to_the_last_word(words: bytes) -> None:
            alive(words)
            if words == KEEP:
                repl.raw.serial.read_until(HELD, timeout=5)  # so the board goes on at this rate
                raise ReadTimeout(b"")

        repl.raw.serial.write = deaf_to_the_last_word  # type: ignore[method-assign]
        repl.transfer(*transfer_of([write_file("/a.bin", DATA)]), lambda *_: None)
        assert repl.read("/a.bin", 20_000) == DATA
    assert any("no rate was agreed on: the board offers none" in text for text in unit.said)
    assert unit.rate() == BASE
    assert unit.memory.kept == []  # nothing is known of the line
    assert unit.at_rest()


def test_a_firmware_without_deflate_is_left_at_its_rate(make: Callable[..., Unit]) -> None:
    assert make(version="1.20.0").send(DATA[:4_000]) == BASE


def test_the_probe_is_no_call_and_every_byte_of_it_counts() -> None:
    assert len(PROBE) == len(set(PROBE)) == 128
    assert CALL not in PROBE
