"""A chip in download mode that lies to esptool: what is read of it is fit to use, or it is one
clear error, in bounded time and memory. The honest half of each conversation is a virtual chip's;
any of its answers is changed, held back, doubled, or followed by a babble without end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.core.chips.esp.chips import ESP32, ESP32C3, ESP8266
from provision.device.flashing.esptool.library import esptool
from provision.device.transport.serial_port import Port
from provision.errors import ProvisionError
from provision.model.board import ResetWiring
from provision.model.chip import Chip
from provision.model.firmware import Region
from provision.model.state import ActualState
from provision.sim.esp import slip
from tests.bounds import memory_below
from tests.fakes.line import VirtualClock
from tests.flashers import connected
from tests.images import profile
from tests.sim.chip_bench import ChipBench

LEAN = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
TIME_MOST = 900.0  # seconds of virtual time for one call: erasing may take two minutes
MEMORY_MOST = 30 << 20  # bytes
ESCAPE = b"\x1b]0;owned\x07\x1b[2J"

Change = tuple[str, bytes]


class LyingPort:
    """A pyserial object with a chip at its end; `lies` says what becomes of its n-th frame."""

    port = name = "/dev/ttyLiar"
    write_timeout: float | None = None
    rts = dtr = False

    def __init__(
        self, chip: ChipBench, clock: VirtualClock, lies: dict[int, Change], endless: bytes
    ) -> None:
        self.timeout: float | None = 1.0
        self._chip = chip
        self._clock = clock
        self._lies = lies
        self._endless = endless
        self._decoder = slip.Decoder()
        self._waiting = bytearray()
        self._frames = 0
        self._last = max(lies, default=-1)
        self._baud = 115200
        self.sent = 0

    @property
    def baudrate(self) -> int:
        return self._baud

    @baudrate.setter
    def baudrate(self, baud: int) -> None:
        self._baud = baud
        self._chip.board.set_host_baud(baud)

    def write(self, data: bytes) -> int:
        self._clock.now += len(data) * 10 / self.baudrate
        self._chip.board.from_host(data)
        self._hear()
        if self._babbles:
            self._waiting += b"\xc0"  # a packet that begins
        return len(data)

    def _hear(self) -> None:
        alarm = self._chip.loop.after(0, lambda: None)
        self._chip.loop.step()
        alarm.cancel()
        for frame in self._decoder.feed(bytes(self._chip.host.arrived)):
            if not self._babbles:
                self._waiting += self._changed(frame)
                self._frames += 1
        self._chip.host.arrived.clear()

    def _changed(self, frame: bytes) -> bytes:
        kind, piece = self._lies.get(self._frames, ("", b""))
        honest = slip.encode(frame)
        match kind:
            case "frame":
                return slip.encode(piece)
            case "raw":
                return piece
            case "before":
                return piece + honest
            case "after":
                return honest + piece
            case "value":
                return slip.encode(frame[:4] + piece[:4].ljust(4, b"\0") + frame[8:])
            case "data":
                return slip.encode(frame[:8] + piece + frame[8:][-4:])
            case "status":
                return slip.encode(frame[:8] + piece)
            case "double":
                return honest * (1 + len(piece) * 20)
            case _:
                return honest

    @property
    def in_waiting(self) -> int:
        return len(self._waiting) + (len(self._endless) * 500 if self._babbles else 0)

    @property
    def _babbles(self) -> bool:
        return bool(self._endless) and self._frames > self._last

    def inWaiting(self) -> int:  # noqa: N802 - pyserial's own name
        return self.in_waiting

    def read(self, size: int = 1) -> bytes:
        self._hear()
        if self._babbles and type(self) is LyingPort:
            self._waiting += self._endless * (1 + size // len(self._endless))
        data = bytes(self._waiting[:size])
        del self._waiting[:size]
        self._clock.now += len(data) * 10 / self.baudrate
        if len(data) < size:
            self._clock.now += self.timeout or 0.0
        self.sent += len(data)
        return data

    def reset_input_buffer(self) -> None:
        self._waiting.clear()

    flushInput = reset_input_buffer  # noqa: N815 - pyserial's own name

    def flush(self) -> None:
        """All is on its way at once."""

    flushOutput = flush  # noqa: N815

    def close(self) -> None:
        """The bench closes what is behind it."""


class Drip(LyingPort):
    """Hears everything, and says one byte more of an answer just before patience ends."""

    def read(self, size: int = 1) -> bytes:
        self._hear()
        if not self._babbles or self._waiting:
            return super().read(min(size, max(1, len(self._waiting))))
        self._clock.now += 0.9 * (self.timeout or 0.0)
        return self._endless

    @property
    def in_waiting(self) -> int:
        return len(self._waiting)


def check(value: object) -> None:
    match value:
        case ActualState(description=str() as description, mac=mac, flash_size=flash_size):
            assert description.isprintable()
            assert mac is None or len(bytes.fromhex(mac.replace(":", ""))) == 6
            assert flash_size is None or 0 < flash_size <= 1 << 30
        case ActualState():
            raise AssertionError("a chip without a description")
        case tuple():
            assert value in {(), ("app",)}
        case bytes():
            assert len(value) == 8192


def lied_to(
    chip: Chip, lies: dict[int, Change], endless: bytes = b"", kind: type[LyingPort] = LyingPort
) -> list[ProvisionError]:
    """A whole conversation; the errors that it ended in."""
    clock = VirtualClock()
    board = profile(chip, flash_size=1 << 20, reset=ResetWiring.NONE, download="Hold BOOT.")
    errors: list[ProvisionError] = []
    said: list[str] = []
    with tempfile.TemporaryDirectory() as folder, ChipBench(Path(folder), chip) as bench:
        bench.download()
        line: Any = kind(bench, clock, lies, endless)
        port = Port(line, BytesIO(), address=LyingPort.port, device="x")
        region = Region(name="app", offset=0x1000, data=bytes(range(256)) * 40)

        def attempt(call: Any) -> Any:
            began = clock.now
            try:
                value = call()
                check(value)
                return value
            except ProvisionError as error:
                assert error.message.isprintable(), error.message
                assert len(error.message) < 1000
                assert error.hint
                errors.append(error)
                return None
            finally:
                assert clock.now - began < TIME_MOST

        loader = attempt(
            lambda: connected(
                port, board, trace=lambda _level, text: said.append(text), clock=clock
            )
        )
        if loader is not None:
            attempt(loader.identify)
            attempt(lambda: loader.differs([region]))
            attempt(lambda: loader.read(0x2000, 8192))
            attempt(lambda: loader.raise_baud(460800))
            attempt(lambda: loader.write([region], lambda _done, _total: None))
            attempt(lambda: loader.erase([region], lambda _done, _total: None))
            attempt(loader.restart)
    assert all(len(text) < 5000 for text in said)
    return errors


pieces = st.one_of(
    st.binary(max_size=40),
    st.sampled_from([
        b"", ESCAPE, b"\xc0", b"\xdb", b"\xdb\x00", b"\0" * 24, b"\xff" * 24, b"OHAI",
        b"Guru Meditation Error: Core 0 panic'ed (\x1b[2J)", b"Fatal exception (9): \xff\xfeepc",
        b"[red]" + ESCAPE, b"x" * 3000, b"\x01\x08\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00",
        b"\x07\x07\x12\x20", b"\x00\x00\x00\x00\x01\x05\x00\x00", b"\x05\x00\x00\x00",
        b"\xc0\x01\x0a\x04\x00\xff\xff\xff\xff\x00\x00\x00\x00\xc0", b"\xc0" * 300,
    ]),
)  # fmt: skip
kinds = st.sampled_from(
    ["frame", "raw", "before", "after", "value", "value", "data", "status", "double"]
)
changes = st.dictionaries(st.integers(0, 90), st.tuples(kinds, pieces), min_size=1, max_size=4)
babbles = st.one_of(
    st.just(b""),
    st.just(b""),
    st.sampled_from([b"\xc0", b"x", b"\xc0x", b"\xc0" + b"x" * 100, b"\xdb", b"\xc0\xdb\xdd"]),
)
chips = st.sampled_from([ESP8266, ESP32, ESP32C3])


@pytest.fixture(autouse=True)
def hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """esptool sleeps after some answers; nothing here needs that."""

    class Time:
        sleep = staticmethod(lambda seconds: None)
        time = staticmethod(lambda: 0.0)

    monkeypatch.setattr(esptool().loader, "time", Time)


@pytest.mark.parametrize("chip", [ESP8266, ESP32, ESP32C3])
def test_an_honest_chip_has_no_error(chip: Chip) -> None:
    assert lied_to(chip, {}) == []


@LEAN
@given(chips, changes, babbles)
def test_a_chip_that_lies_to_the_loader(
    chip: Chip, lies: dict[int, Change], endless: bytes
) -> None:
    lied_to(chip, lies, endless)


@pytest.mark.slow
@LONG
@given(chips, changes, babbles)
def test_three_thousand_chips_that_lie(chip: Chip, lies: dict[int, Change], endless: bytes) -> None:
    lied_to(chip, lies, endless)


@pytest.fixture
def memory() -> Iterator[None]:
    esptool()
    with memory_below(MEMORY_MOST):
        yield


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("at", [-1, 30, 50])
@pytest.mark.parametrize("endless", [b"x", b"\xc0x", b"\xc0", b"\xc0" + b"x" * (1 << 16)], ids=len)
def test_a_chip_that_babbles_for_ever(endless: bytes, at: int) -> None:
    assert lied_to(ESP32, {at: ("", b"")}, endless)


@pytest.mark.parametrize("at", [-1, 30, 50])
def test_a_chip_that_drips_for_ever(at: int) -> None:
    assert lied_to(ESP32, {at: ("", b"")}, b"-", Drip)
