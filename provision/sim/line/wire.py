"""The line between the host's port and the chip's UART: timing, and garbling at wrong baud rates.

By default bytes arrive at once. With a `WireModel`, a byte takes ten bit times, and a USB bridge
holds bytes for the host until its latency timer ends. Two sides at different baud rates always
receive garbage. Bytes are kept in the chunks they came in, and due times are computed from the
model, never from when a timer fired: a board costs little, and a late timer costs no throughput.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from provision.model.language import record
from provision.sim.event_loop import EventLoop, Timer
from provision.sim.setup import WireModel

BITS = 10  # start bit, eight data bits, stop bit
TOLERANCE = 0.03  # two sides whose rates differ by no more understand one another
# Nobody sees a stream delivered in steps of this, and timers for every byte would keep a
# processor busy.
_STEP = 0.001  # seconds
_PACKET = 62  # bytes after which a bridge's full-speed packet goes without waiting (FTDI)
_INSTANT = 1e-9  # seconds: what sums of times in floating point may be off
_TO_CHIP = 0.001  # the most a bridge takes to pass on what the host has written


@record(kw_only=False)
class Fifo:
    """How a UART hands on what it hears: when `full` bytes have come, or when nothing has for as
    long as `silence` bytes take."""

    full: int = 1
    silence: int = 0


POLLED = Fifo()
"""Of a side that looks at its UART all the time, as boot ROM and flasher stub do."""


@dataclass(slots=True)
class WireStatistics:
    """Bytes each way, how often the host spoke after the chip had, and for how many seconds the
    two have talked, from the first byte to the last."""

    to_chip: int = 0
    to_host: int = 0
    turnarounds: int = 0
    seconds: float = 0.0


class Wire:
    """Both directions. `fifo` is how the chip takes what comes at the moment; `usb` is for a chip's
    own USB: packets, no baud. Every delay is divided by `scale`."""

    def __init__(
        self,
        *,
        model: WireModel,
        loop: EventLoop,
        to_chip: Callable[[bytes], None],
        to_host: Callable[[bytes], None],
        fifo: Callable[[], Fifo] = lambda: POLLED,
        usb: bool = False,
        scale: float = 1.0,
    ) -> None:
        self._model = model
        self._usb = usb
        self._scale = scale
        self._loop = loop
        self._to_chip = to_chip
        self._to_host = to_host
        self._host_spoke = True
        self._began: float | None = None
        self.statistics = WireStatistics()
        latency = 0.0 if usb else model.latency / scale
        self._down = _Direction(loop, min(latency, _TO_CHIP / scale), self._deliver(to_chip), fifo)
        self._bridge = _Bridge(loop, latency, self._deliver(to_host))
        self._up = _Direction(loop, 0.0, self._bridge.put, lambda: Fifo(full=_PACKET))

    def rates_changed(self, host_baud: int, chip_baud: int) -> None:
        """One of the two ends has gone to another rate while it may still be sending, or hearing:
        what is not over the line yet goes, and is taken, at the rates as they are now."""
        host_baud = self._held(host_baud)
        for way, sender, receiver in (
            (self._down, host_baud, chip_baud),
            (self._up, chip_baud, host_baud),
        ):
            rest = way.recall()
            if rest:
                way.put(self._as_received(rest, sender, receiver), self._byte_time(sender))

    def from_host(self, data: bytes, host_baud: int, chip_baud: int) -> None:
        """The host has written `data` to its port, which runs at `host_baud`."""
        host_baud = self._held(host_baud)
        self._begin()
        self.statistics.to_chip += len(data)
        if not self._host_spoke:
            self.statistics.turnarounds += 1
        self._host_spoke = True
        data = self._as_received(data, host_baud, chip_baud)
        self._down.put(data, self._byte_time(host_baud))

    def from_chip(self, data: bytes, chip_baud: int, host_baud: int) -> None:
        """The chip has handed `data` to its UART, which runs at `chip_baud`."""
        host_baud = self._held(host_baud)
        self._begin()
        self.statistics.to_host += len(data)
        self._host_spoke = False
        data = self._as_received(data, chip_baud, host_baud)
        self._up.put(data, self._byte_time(chip_baud))

    def measure(self) -> WireStatistics:
        """The statistics so far; they begin anew."""
        past, self.statistics, self._began = self.statistics, WireStatistics(), None
        return past

    def _deliver(self, deliver: Callable[[bytes], None]) -> Callable[[bytes], None]:
        def delivering(data: bytes) -> None:
            if self._began is not None:
                self.statistics.seconds = self._loop.now() - self._began
            deliver(data)

        return delivering

    def _begin(self) -> None:
        if self._began is None:
            self._began = self._loop.now()

    @property
    def backlog(self) -> float:
        """Seconds until the line to the chip has sent all that the host has written."""
        return self._down.busy

    def clear(self) -> None:
        """The chip is cut off: what is still to be sent, either way, never is."""
        self._down.clear()
        self._up.clear()
        self._bridge.flush()

    def _held(self, host_baud: int) -> int:
        """What a bridge makes of a rate that it is set to."""
        return min(host_baud, self._model.bridge or host_baud)

    def _byte_time(self, baud: int) -> float:
        if not self._model.paced or self._usb:
            return 0.0
        return BITS / min(baud, self._model.ceiling or baud) / self._scale

    def _as_received(self, data: bytes, sender: int, receiver: int) -> bytes:
        if self._usb or abs(sender - receiver) <= TOLERANCE * receiver:
            return data
        return garbled(data, sender, receiver)


def garbled(data: bytes, sender: int, receiver: int) -> bytes:
    """What a UART at `receiver` baud makes of back-to-back bytes sent at `sender` baud.

    The receiver waits for a falling edge and samples the middle of each of its own bit times; a
    frame without a stop bit is taken all the same, as most UARTs do.
    """
    levels: list[int] = []
    for byte in data:
        levels += (0, *(byte >> bit & 1 for bit in range(8)), 1)
    ratio = sender / receiver  # the sender's bits in one of the receiver's
    heard = bytearray()
    at = 0.0
    end = len(levels)
    while True:
        start = int(at)
        while start < end and levels[start]:
            start += 1
        if start >= end:
            return bytes(heard)
        edge = max(at, float(start))
        byte = 0
        for bit in range(8):
            place = int(edge + (bit + 1.5) * ratio)
            byte |= (levels[place] if place < end else 1) << bit
        heard.append(byte)
        at = edge + 9.5 * ratio
        # A line that is still low is no new start bit: one begins with an edge.
        while int(at) < end and not levels[int(at)]:
            at = int(at) + 1.0


class _Direction:
    """One direction: a queue of chunks, each with the time its first byte begins."""

    def __init__(
        self,
        loop: EventLoop,
        delay: float,
        deliver: Callable[[bytes], None],
        fifo: Callable[[], Fifo],
    ) -> None:
        self._loop = loop
        self._delay = delay
        self._deliver = deliver
        self._fifo = fifo
        self._chunks: deque[tuple[bytes, float, float]] = deque()
        self._sent = 0  # bytes of the first chunk that are delivered
        self._free = 0.0  # when the line is free again
        self._timer: Timer | None = None

    def put(self, data: bytes, byte_time: float) -> None:
        if not data:
            return
        if not byte_time and not self._delay and not self._chunks:
            self._deliver(data)
            return
        start = max(self._loop.now() + self._delay, self._free)
        self._free = start + byte_time * len(data)
        self._chunks.append((data, start, byte_time))
        if self._timer is None:
            self._schedule()

    def clear(self) -> None:
        """Deliver what is over the line already; forget the rest."""
        self.recall()

    def recall(self) -> bytes:
        """Deliver what is over the line already; the rest is not sent, but returned."""
        arrived = self._take(self._arrived())
        rest = b"".join(data for data, _, _ in self._chunks)[self._sent :]
        self._chunks.clear()
        self._sent = 0
        self._free = 0.0
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if arrived:
            self._deliver(arrived)
        return rest

    @property
    def busy(self) -> float:
        return max(0.0, self._free - self._loop.now())

    def _schedule(self) -> None:
        due, _ = self._next()
        self._timer = self._loop.after(due - self._loop.now(), self._run)

    def _run(self) -> None:
        self._timer = None
        now = self._loop.now() + _INSTANT
        arrived = bytearray()
        while self._chunks:
            due, count = self._next()
            if due > now:
                self._schedule()
                break
            arrived += self._take(count)
        if arrived:
            self._deliver(bytes(arrived))

    def _next(self) -> tuple[float, int]:
        """When the receiver's FIFO is next full, or its sender silent, and with how many bytes."""
        fifo = self._fifo()
        count, end, byte_time = 0, 0.0, 0.0
        sent = self._sent
        for data, start, each in self._chunks:
            if count and start > end + fifo.silence * byte_time + _INSTANT:
                break
            full = max(fifo.full, int(_STEP / each) if each else 0)
            if count + len(data) - sent >= full:
                return start + (sent + full - count) * each, full
            count += len(data) - sent
            sent = 0
            end, byte_time = start + len(data) * each, each
        return end + fifo.silence * byte_time, count

    def _arrived(self) -> int:
        """How many bytes are over the line."""
        now = self._loop.now() + _INSTANT
        count = -self._sent
        for data, start, each in self._chunks:
            if start > now:
                break
            count += min(len(data), int((now - start) / each)) if each else len(data)
        return max(0, count)

    def _take(self, count: int) -> bytes:
        taken = bytearray()
        while count:
            data = self._chunks[0][0]
            part = data[self._sent : self._sent + count]
            taken += part
            count -= len(part)
            self._sent += len(part)
            if self._sent == len(data):
                self._chunks.popleft()
                self._sent = 0
        return bytes(taken)


class _Bridge:
    """A USB bridge on its way to the host: full packets go at once, others when the latency timer
    ends."""

    def __init__(self, loop: EventLoop, latency: float, deliver: Callable[[bytes], None]) -> None:
        self._loop = loop
        self._latency = latency
        self._deliver = deliver
        self._held = bytearray()
        self._timer: Timer | None = None

    def put(self, data: bytes) -> None:
        if not self._latency:
            self._deliver(data)
            return
        self._held += data
        full = len(self._held) - len(self._held) % _PACKET
        if full:
            if self._timer:
                self._timer.cancel()
                self._timer = None
            ready = bytes(self._held[:full])
            del self._held[:full]
            self._deliver(ready)
        if self._held and self._timer is None:
            self._timer = self._loop.after(self._latency, self.flush)

    def flush(self) -> None:
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if self._held:
            ready = bytes(self._held)
            self._held.clear()
            self._deliver(ready)
