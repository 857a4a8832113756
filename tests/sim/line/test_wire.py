"""The line between host and chip, on a clock that stands still until something is due."""

from __future__ import annotations

import heapq

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.sim.esp.chips import ESP32_FIFO, ESP8266_FIFO
from provision.sim.event_loop import EventLoop
from provision.sim.line.wire import POLLED, Fifo, Wire, garbled
from provision.sim.setup import WireModel

BYTE = 10 / 115200
NEARLY = 1e-6


class StillLoop(EventLoop):
    """Time passes from one timer to the next."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 100.0
        self.rounds = 0

    def now(self) -> float:
        return self.time

    def run(self) -> None:
        while self._timers:
            _, _, timer = heapq.heappop(self._timers)
            if timer.callback:
                self.time = max(self.time, timer.due)
                self.rounds += 1
                timer.callback()


class Ends:
    """Both ends of a wire, and when what arrived at each."""

    def __init__(
        self, *, usb: bool = False, scale: float = 1.0, fifo: Fifo = POLLED, **model: object
    ) -> None:
        self.loop = StillLoop()
        self.begin = self.loop.time
        self.at_chip: list[tuple[float, bytes]] = []
        self.at_host: list[tuple[float, bytes]] = []
        self.wire = Wire(
            model=WireModel(**model),  # type: ignore[arg-type]
            loop=self.loop,
            to_chip=lambda data: self.at_chip.append((self.loop.time - self.begin, data)),
            to_host=lambda data: self.at_host.append((self.loop.time - self.begin, data)),
            fifo=lambda: fifo,
            usb=usb,
            scale=scale,
        )


def joined(arrivals: list[tuple[float, bytes]]) -> bytes:
    return b"".join(data for _, data in arrivals)


def last(arrivals: list[tuple[float, bytes]]) -> float:
    return arrivals[-1][0]


def test_without_a_model_everything_arrives_at_once() -> None:
    ends = Ends()
    ends.wire.from_host(b"to the chip", 115200, 115200)
    ends.wire.from_chip(b"to the host", 115200, 115200)
    assert ends.at_chip == [(0.0, b"to the chip")]
    assert ends.at_host == [(0.0, b"to the host")]


@pytest.mark.parametrize("way", ["chip", "host"])
def test_a_byte_takes_ten_bits(way: str) -> None:
    ends = Ends(paced=True)
    data = bytes(range(250)) * 4
    send = ends.wire.from_host if way == "chip" else ends.wire.from_chip
    send(data, 115200, 115200)
    ends.loop.run()
    arrivals = ends.at_chip if way == "chip" else ends.at_host
    assert joined(arrivals) == data
    assert last(arrivals) == pytest.approx(1000 * BYTE, abs=NEARLY)
    for number, (when, _) in enumerate(arrivals):
        so_far = len(joined(arrivals[: number + 1]))
        assert when >= so_far * BYTE - NEARLY  # nothing is early


@pytest.mark.parametrize(
    ("baud", "rounds", "largest"), [(115200, 373, 11), (921600, 45, 92), (9600, 4096, 1)]
)
def test_a_stream_is_delivered_in_steps(baud: int, rounds: int, largest: int) -> None:
    ends = Ends(paced=True)
    ends.wire.from_host(bytes(4096), baud, baud)
    ends.loop.run()
    assert ends.loop.rounds <= rounds
    assert max(len(data) for _, data in ends.at_chip) <= largest


@pytest.mark.parametrize(("fifo", "full", "silence"), [(ESP32_FIFO, 120, 1), (ESP8266_FIFO, 16, 2)])
def test_a_uart_hands_on_a_full_fifo_and_what_silence_follows(
    fifo: Fifo, full: int, silence: int
) -> None:
    ends = Ends(paced=True, fifo=fifo)
    for _ in range(full):  # whatever pieces the host writes
        ends.wire.from_host(b"ab", 115200, 115200)
    ends.wire.from_host(b"end", 115200, 115200)
    ends.loop.run()
    assert ends.at_chip == [
        (pytest.approx(full * BYTE, abs=NEARLY), b"ab" * (full // 2)),
        (pytest.approx(2 * full * BYTE, abs=NEARLY), b"ab" * (full // 2)),
        (pytest.approx((2 * full + 3 + silence) * BYTE, abs=NEARLY), b"end"),
    ]


def test_a_pause_of_the_hosts_empties_the_fifo() -> None:
    ends = Ends(paced=True, fifo=ESP32_FIFO)
    ends.wire.from_host(b"a" * 100, 115200, 115200)
    ends.loop.after(110 * BYTE, lambda: ends.wire.from_host(b"b" * 100, 115200, 115200))
    ends.loop.run()
    assert ends.at_chip == [
        (pytest.approx(101 * BYTE, abs=NEARLY), b"a" * 100),
        (pytest.approx(211 * BYTE, abs=NEARLY), b"b" * 100),
    ]


@given(
    st.lists(st.tuples(st.integers(0, 400), st.integers(1, 300)), max_size=12),
    st.sampled_from([POLLED, ESP32_FIFO, ESP8266_FIFO]),
    st.sampled_from([9600, 115200, 921600]),
)
def test_nothing_is_lost_early_or_out_of_order(
    writes: list[tuple[int, int]], fifo: Fifo, baud: int
) -> None:
    ends = Ends(paced=True, fifo=fifo)
    byte = 10 / baud
    sent = bytearray()
    when = 0.0
    over: list[float] = []  # when each byte is over the line
    for pause, size in writes:
        when += pause * byte
        data = bytes((len(sent) + number) % 251 for number in range(size))
        ends.loop.after(when, lambda data=data: ends.wire.from_host(data, baud, baud))  # type: ignore[misc]
        for _ in data:
            over.append(max(when, over[-1] if over else 0.0) + byte)
        sent += data
    ends.loop.run()
    assert joined(ends.at_chip) == sent
    arrived = 0
    for moment, data in ends.at_chip:
        arrived += len(data)
        assert moment >= over[arrived - 1] - NEARLY
        oldest = over[arrived - len(data)]
        most = max(fifo.full, int(0.001 / byte)) + fifo.silence + 1
        assert moment <= oldest + most * byte + NEARLY


def test_chunks_queue_up_and_a_short_one_waits_for_no_tick() -> None:
    ends = Ends(paced=True)
    ends.wire.from_host(b"a" * 100, 115200, 115200)
    ends.wire.from_host(b"b", 115200, 115200)
    ends.loop.run()
    assert joined(ends.at_chip) == b"a" * 100 + b"b"
    assert last(ends.at_chip) == pytest.approx(101 * BYTE, abs=NEARLY)
    ends.wire.from_chip(b"!", 115200, 115200)
    before = ends.loop.time
    ends.loop.run()
    assert ends.loop.time - before == pytest.approx(BYTE, abs=NEARLY)


def test_ceiling_and_scale() -> None:
    ends = Ends(paced=True, ceiling=115200)
    ends.wire.from_host(bytes(100), 921600, 921600)
    ends.loop.run()
    assert last(ends.at_chip) == pytest.approx(100 * BYTE, abs=NEARLY)
    ends = Ends(paced=True, scale=10)
    ends.wire.from_host(bytes(100), 115200, 115200)
    ends.loop.run()
    assert last(ends.at_chip) == pytest.approx(10 * BYTE, abs=NEARLY)


def test_a_bridge_holds_bytes_back_but_not_full_packets() -> None:
    ends = Ends(paced=True, latency=0.016)
    ends.wire.from_chip(b"x", 115200, 115200)
    ends.loop.run()
    assert ends.at_host == [(pytest.approx(BYTE + 0.016, abs=NEARLY), b"x")]
    ends = Ends(paced=True, latency=0.016)
    ends.wire.from_chip(bytes(62 + 5), 115200, 115200)
    ends.loop.run()
    assert [len(data) for _, data in ends.at_host] == [62, 5]
    assert ends.at_host[0][0] == pytest.approx(62 * BYTE, abs=0.001)
    assert last(ends.at_host) == pytest.approx(67 * BYTE + 0.016, abs=0.001)


def test_a_bridge_passes_the_hosts_bytes_on_within_a_millisecond() -> None:
    ends = Ends(latency=0.016)
    ends.wire.from_host(b"x", 115200, 115200)
    ends.loop.run()
    assert ends.at_chip == [(pytest.approx(0.001, abs=NEARLY), b"x")]


def test_usb_has_neither_baud_nor_bridge() -> None:
    ends = Ends(usb=True, paced=True, latency=0.016)
    ends.wire.from_chip(bytes(1000), 115200, 9600)
    ends.wire.from_host(bytes(1000), 9600, 115200)
    assert ends.at_host == [(0.0, bytes(1000))]
    assert ends.at_chip == [(0.0, bytes(1000))]


def test_clearing_loses_what_is_not_sent_yet() -> None:
    ends = Ends(paced=True)
    ends.wire.from_chip(b"0123456789" * 10, 115200, 115200)
    ends.loop.after(10.5 * BYTE, ends.wire.clear)
    ends.loop.run()
    assert joined(ends.at_host) == b"0123456789"
    ends.wire.from_chip(b"again", 115200, 115200)
    ends.loop.run()
    assert joined(ends.at_host) == b"0123456789again"


def test_statistics_count_bytes_and_turnarounds() -> None:
    ends = Ends()
    for _ in range(3):
        ends.wire.from_host(b"ab", 115200, 115200)
        ends.wire.from_host(b"c", 115200, 115200)
        ends.wire.from_chip(b"reply", 115200, 115200)
    statistics = ends.wire.statistics
    assert (statistics.to_chip, statistics.to_host, statistics.turnarounds) == (9, 15, 2)


ROM_MESSAGE = b"\r\n ets Jan  8 2013,rst cause:2, boot mode:(3,6)\r\n\r\n"


@pytest.mark.parametrize(
    ("sender", "receiver"), [(74880, 115200), (115200, 74880), (115200, 921600), (460800, 115200)]
)
def test_a_wrong_baud_gives_garbage(sender: int, receiver: int) -> None:
    ends = Ends()
    ends.wire.from_chip(ROM_MESSAGE, sender, receiver)
    heard = joined(ends.at_host)
    assert heard
    assert b"ets" not in heard
    assert any(byte >= 0x80 for byte in heard)


@pytest.mark.parametrize("receiver", [113000, 115200, 117800])
def test_a_slightly_wrong_baud_does_not(receiver: int) -> None:
    ends = Ends()
    ends.wire.from_chip(ROM_MESSAGE, 115200, receiver)
    assert joined(ends.at_host) == ROM_MESSAGE


@given(st.binary(max_size=200))
def test_equal_rates_are_heard_as_sent(data: bytes) -> None:
    assert garbled(data, 115200, 115200) == data


@given(st.binary(max_size=100), st.sampled_from([0.1, 0.65, 1.5, 3.0, 8.0]))
def test_any_ratio_ends(data: bytes, ratio: float) -> None:
    heard = garbled(data, int(115200 * ratio), 115200)
    assert len(heard) <= len(data) / min(ratio, 1.0) * 2 + 1


def test_garbage_does_not_depend_on_the_model() -> None:
    plain, paced = Ends(), Ends(paced=True)
    for ends in (plain, paced):
        ends.wire.from_host(ROM_MESSAGE, 115200, 74880)
        ends.loop.run()
    assert joined(plain.at_chip) == joined(paced.at_chip) != ROM_MESSAGE


def test_what_is_still_to_be_sent_goes_at_the_new_rate() -> None:
    """A chip whose divider changes amid its own output: the host hears the rest as garbage."""
    ends = Ends(paced=True)
    ends.wire.from_chip(b"0123456789" * 10, 115200, 115200)
    ends.loop.after(10.5 * BYTE, lambda: ends.wire.rates_changed(115200, 921600))
    ends.loop.run()
    heard = joined(ends.at_host)
    assert heard.startswith(b"0123456789")
    assert heard[10:] == garbled((b"0123456789" * 10)[10:], 921600, 115200)
    assert last(ends.at_host) == pytest.approx(10.5 * BYTE + 90 * BYTE / 8, abs=0.001)


def test_what_is_on_its_way_is_taken_at_the_new_rate() -> None:
    ends = Ends(paced=True)
    ends.wire.from_host(bytes(range(100)), 115200, 115200)
    ends.loop.after(50.5 * BYTE, lambda: ends.wire.rates_changed(115200, 460800))
    ends.loop.run()
    heard = joined(ends.at_chip)
    assert heard[:50] == bytes(range(50))
    assert heard[50:] == garbled(bytes(range(50, 100)), 115200, 460800)


def test_ends_that_agree_again_lose_nothing() -> None:
    ends = Ends(paced=True)
    ends.wire.from_host(b"a" * 50, 115200, 115200)
    ends.loop.after(20.5 * BYTE, lambda: ends.wire.rates_changed(115200, 115942))
    ends.loop.run()
    assert joined(ends.at_chip) == b"a" * 50


@pytest.mark.parametrize("rate", [115200, 460800])
def test_a_bridge_holds_its_highest_rate(rate: int) -> None:
    ends = Ends(paced=True, bridge=460800)
    ends.wire.from_host(b"there", rate, rate)
    ends.wire.from_chip(b"back", rate, rate)
    ends.loop.run()
    assert (joined(ends.at_chip), joined(ends.at_host)) == (b"there", b"back")


def test_a_bridge_that_is_told_to_go_faster_stays_there() -> None:
    ends = Ends(paced=True, bridge=460800)
    ends.wire.from_host(b"there" * 9, 921600, 921600)
    ends.wire.from_chip(b"back" * 9, 921600, 921600)
    ends.loop.run()
    assert joined(ends.at_chip) == garbled(b"there" * 9, 460800, 921600)
    assert joined(ends.at_host) == garbled(b"back" * 9, 921600, 460800)
