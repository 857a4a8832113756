"""A serial line in memory, with a clock of its own: what the raw REPL is tested over.

Time passes as bytes do at 115200 baud, and where a read waits in vain; nobody sleeps. At the other
end is a `Peer`: one that plays MicroPython (`tests.fakes.micropython`), or one that lies. The line
can cut, flip, double and drop bytes on the way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

BYTE = 10 / 115_200  # seconds


class Peer(Protocol):
    """The board's end."""

    def hear(self, data: bytes) -> None:
        """What the host has sent, after the line has damaged it."""
        ...

    def say(self) -> bytes:
        """What it has to say now; asked whenever the host looks."""
        ...


@dataclass
class VirtualClock:
    now: float = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += max(0.0, seconds)


class Unplugged(OSError):
    """The cable is out."""


@dataclass
class LineFaults:
    """What becomes of the bytes of one direction: `flips` and the rest hold positions, counted
    from when the wear began; `cut` unplugs the cable at one."""

    flips: frozenset[int] = frozenset()
    drops: frozenset[int] = frozenset()
    doubles: frozenset[int] = frozenset()
    bit: int = 1
    cut: int | None = None
    passed: int = 0
    active: Callable[[], bool] | None = None  # when it counts, if not always

    def __call__(self, data: bytes) -> bytes:
        if self.active is not None and not self.active():
            return data
        marked = self.flips | self.drops | self.doubles
        begin, self.passed = self.passed, self.passed + len(data)
        if not marked and self.cut is None:
            return data
        out = bytearray()
        for position, byte in enumerate(data, begin):
            if self.cut is not None and position >= self.cut:
                break
            if position in self.drops:
                continue
            out.append(byte ^ self.bit if position in self.flips else byte)
            if position in self.doubles:
                out.append(byte)
        return bytes(out)

    @property
    def severed(self) -> bool:
        return self.cut is not None and self.passed >= self.cut


@dataclass
class MemoryPort:
    """Implements `provision.device.transport.buffered_serial.BytePort`.

    `pieces` is how many bytes there are at most at each look, over and over. Every look costs the
    host a little time, so that no loop can go on for ever unseen; `LOOKS_MOST` ends one that does.
    """

    peer: Peer
    clock: VirtualClock = field(default_factory=VirtualClock)
    pieces: Sequence[int] = (1 << 16,)
    there: LineFaults = field(default_factory=LineFaults)
    back: LineFaults = field(default_factory=LineFaults)
    timeout: float | None = 1.0
    baudrate: int = 115_200
    looks: int = 0
    written: int = 0
    _waiting: bytearray = field(default_factory=bytearray)

    LOOKS_MOST = 400_000
    AHEAD_MOST = 4096  # what a driver holds; of more it hears when this is taken

    @property
    def in_waiting(self) -> int:
        self._look()
        return min(len(self._waiting), self.pieces[self.looks % len(self.pieces)])

    def read(self, size: int) -> bytes:
        waiting = self.in_waiting
        if not waiting:
            self.clock.sleep(self.timeout or 0.0)
            waiting = self.in_waiting
        taken = bytes(self._waiting[: min(size, waiting)])
        del self._waiting[: len(taken)]
        return taken

    def write(self, data: bytes) -> int:
        self._check()
        self.written += len(data)
        self.clock.sleep(len(data) * BYTE)
        self.peer.hear(self.there(data))
        return len(data)

    def _look(self) -> None:
        self._check()
        self.looks += 1
        assert self.looks < self.LOOKS_MOST, "the host looks for ever"
        self.clock.sleep(0.0001)
        if len(self._waiting) < self.AHEAD_MOST:
            said = self.back(self.peer.say())
            self.clock.sleep(len(said) * BYTE)
            self._waiting += said

    def _check(self) -> None:
        if self.there.severed or self.back.severed:
            raise Unplugged(5, "Input/output error")
