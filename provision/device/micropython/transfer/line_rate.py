"""How fast the line to a board's UART may be while files are sent, and going there and back.

The board changes its own divider (agent/rate.py), this end its port; between the two a checked
exchange proves the new rate both ways before anything depends on it. What does not hold is gone
down from, rate by rate, as the flasher does, and where files then arrived at a lower one that is
remembered for the next time. Whatever leaves a doubt of how fast the board is now is
RateUncertain: it is recovered then, as one whose host died is, and goes on at its own rate.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from provision.core.chips.family import RateRegisters
from provision.core.chips.registry import family_of
from provision.device.micropython.raw_repl import BoardException, RawRepl
from provision.device.transport.buffered_serial import ReadTimeout
from provision.model.chip import Chip

RATES = (921_600, 460_800, 230_400)
"""Best first: rates that every USB bridge is made for, and every UART divides to within 1 %."""
READY, ANSWER, SKIP, KEEP, HELD, NONE = b"\x05", b"R", b"N", b"keep", b"held", b"none"
ENDED = b"\x04>"
GIVEN_UP = "ValueError: rate"  # what the board raises of an answer that is none
CALL = b"!!"  # two of the board's calls: what a line at a wrong rate gives is no such thing
PROBE = bytes(byte ^ shift for shift in (0x00, 0xA5) for byte in range(0, 256, 4))
"""128 bytes of every pattern, no more than any receive ring takes."""
ATTEMPTS = 2  # at a rate, since a computer that is busy is no bad line
TIMEOUT = 0.7
"""Seconds for an answer at a new rate. The board waits for a second, and so is the later one to
give a rate up."""
START_TIMEOUT = 30.0  # seconds for a board's first word: it compiles the program before
READY_TIMEOUT = 5.0  # and for its offer of the next rate
GARBAGE = 0.2
NOISE = 16
"""Seconds of calls that make no sense, and bytes of them, after which a rate is given up for good.
A board calls two hundred times a second; a few bytes are what it said at another rate."""
PAUSE = 0.005  # seconds, besides a round trip: until what was written is out of a bridge's buffer
EXCHANGE = 0.15
"""Seconds that going to another rate and back costs, the program for it included, at 115200 baud
and a bridge that holds bytes for a millisecond: what a transfer must save to be worth it."""


class RateUncertain(Exception):
    """Nobody knows at which rate the board is now, or whether it still runs the exchange."""


class RateMemory(Protocol):
    """How fast one line to boards was when files were last sent over it."""

    def known(self) -> int | None:
        """The highest rate that is worth trying there, in bits a second; None where all are."""
        ...

    def remember(self, rate: int) -> None:
        """This is the highest that held."""
        ...


@dataclass(kw_only=True)
class LineRate:
    """The rates that may be tried for one board. `allowed` is asked for the highest that manifest,
    board profile and link allow, 0 for none."""

    allowed: Callable[[], int] = int
    memory: Callable[[], RateMemory] | None = None
    _highest: int | None = field(default=None, init=False)  # that is worth trying
    _remembered: int | None = field(default=None, init=False)
    _sure: bool = field(default=True, init=False)  # that the line is why it is no more

    def exchange(self, raw: RawRepl, chip: Chip | None) -> RateExchange | None:
        """The way to a higher rate and back, None where there is none."""
        registers = family_of(chip).rate_registers(chip) if chip is not None else None
        if registers is None:
            return None
        base = raw.serial.base_rate
        highest = min(self.allowed(), registers.highest)
        if self._highest is None and self.memory is not None and highest > base:
            self._highest = self._remembered = self.memory().known()
        if self._highest is not None:
            highest = min(highest, self._highest)
        rates = tuple(rate for rate in RATES if base < rate <= highest)
        return RateExchange(raw, self, registers, rates) if rates else None

    def lower(self, rate: int, *, sure: bool = True) -> None:
        """No more than this from now on; whether that is known to be the line's doing."""
        self._highest = rate
        self._sure = self._sure and sure

    def arrived(self) -> None:
        """Files did, after higher rates had failed: that is no matter of this run alone."""
        if self._sure and self._highest is not None and self._highest != self._remembered:
            self._remembered = self._highest
            if self.memory is not None:
                self.memory().remember(self._highest)


class RateExchange:
    """Both ends of one line, from the board's offer of a first rate of `rates` to the way back.
    `rate` is the one that was proved, 0 for none; `uncertain` that the board has been told of
    others, and not said that it stays at its own."""

    def __init__(
        self, raw: RawRepl, line: LineRate, registers: RateRegisters, rates: tuple[int, ...]
    ) -> None:
        self.rate = 0
        self._raw = raw
        self._line = line
        self._registers = registers
        self._rates = rates
        self._candidates = tuple(rate for rate in rates for _ in range(ATTEMPTS))
        self._pause = PAUSE
        self.uncertain = False
        self._hopeless: set[int] = set()

    def pays(self, size: int) -> bool:
        """Whether so many bytes are sent earlier this way, all told."""
        base = self._raw.serial.base_rate
        saved = size * 10 * (1 / base - 1 / self._rates[0])
        return saved > EXCHANGE * 115_200 / base

    def begin(self, round_trip: float) -> bytes:
        """The arguments of the agent's `_rate`, from its third on."""
        self.uncertain = True
        self._pause = round_trip + PAUSE
        fast = self._registers.fast_clock
        return b"%d,(%s),%d,%d,%s,%d" % (
            self._raw.serial.base_rate,
            b"".join(b"%d," % rate for rate in self._candidates),
            self._registers.divider,
            1 if self._registers.sixteenths else 16,
            b"(%d,%d,%d)" % fast if fast is not None else b"0",
            self._registers.commit or 0,
        )

    def damaged(self) -> bool:
        """What was sent did not arrive, whatever the exchange had proved: whether it is worth
        another attempt at a lower rate, which the next exchange begins with."""
        if not self.uncertain:
            return False
        base = self._raw.serial.base_rate
        lower = next((lower for lower in RATES if base < lower < self.rate), base)
        self._line.lower(lower, sure=self.rate > 0)
        return True

    def negotiate(self) -> None:
        """Go to the first rate that holds, or stay where all is; BoardException where the program
        cannot run, RateUncertain where the board says nothing that makes sense."""
        serial = self._raw.serial
        ready = [(READY + bytes((65 + index,))) * 2 for index in range(len(self._candidates))]
        timeout = START_TIMEOUT
        while not self.rate:
            # What is heard of a board at another rate is noise, and may hold any single byte.
            try:
                heard = serial.read_until(*ready, NONE, ENDED, timeout=timeout)
            except ReadTimeout as timed_out:
                heard_last = self._raw.last_heard(timed_out.heard)
                raise RateUncertain(f"the board offers none{heard_last}") from None
            timeout = READY_TIMEOUT
            if heard.endswith(NONE):
                self.uncertain = False
                self._line.lower(serial.base_rate)
                return
            if heard.endswith(ENDED):
                raise _ended(heard)
            rate = self._candidates[heard[-1] - 65]
            if rate in self._hopeless:
                serial.write(SKIP)
            else:
                self._attempt(rate)
        if self.rate != self._rates[0]:
            self._line.lower(self.rate)

    def _attempt(self, rate: int) -> None:
        """The board is ready for this rate, and hears at the old one until it has an answer."""
        serial = self._raw.serial
        serial.write(ANSWER)
        if self._prove(rate):
            self.rate = rate
            self._raw.trace(1, f"the line is at {rate} baud")
            return
        serial.restore_rate()
        self._raw.trace(1, f"the line does not hold {rate} baud")

    def _prove(self, rate: int) -> bool:
        serial = self._raw.serial
        self._raw.clock.sleep(self._pause)
        if not serial.set_rate(rate):
            self._hopeless.add(rate)
            serial.write(PROBE)
            return False
        serial.read_available()  # what the board said at another rate
        called = self._hears_calls(rate)
        serial.write(PROBE)  # at a wrong rate, too: the board need not wait for more then
        if not called:
            return False
        try:
            heard = serial.read_until(PROBE[-4:], timeout=TIMEOUT)
            if heard.lstrip(CALL[:1]) != PROBE:
                return False
            serial.write(KEEP)
            serial.read_until(HELD, timeout=TIMEOUT)
        except ReadTimeout:
            return False
        return True

    def _hears_calls(self, rate: int) -> bool:
        serial = self._raw.serial
        try:
            serial.read_until(CALL, timeout=GARBAGE)
        except ReadTimeout as timed_out:
            if len(timed_out.heard) >= NOISE:
                self._hopeless.add(rate)
                return False
            try:
                serial.read_until(CALL, timeout=TIMEOUT - GARBAGE)
            except ReadTimeout:
                return False
        return True

    def restore(self) -> None:
        """The board has said its last word at this rate: both ends go back, and its program ends.
        It does so by itself where it does not hear of it."""
        serial = self._raw.serial
        serial.write(ANSWER)
        self._raw.clock.sleep(self._pause)
        serial.restore_rate()
        serial.read_available()
        try:
            serial.read_until(CALL, timeout=TIMEOUT)
        except ReadTimeout:
            return
        serial.write(ANSWER)


def _ended(heard: bytes) -> Exception:
    problem = heard.partition(b"\x04")[2][: -len(ENDED)].decode("utf-8", "replace")
    if problem.rstrip().endswith(GIVEN_UP):
        return RateUncertain("the board gave it up")
    return BoardException(problem)
