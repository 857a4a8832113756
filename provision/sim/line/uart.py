"""The UART that a chip's console is on: its baud rate as the registers that set it.

A divider, in sixteenths where the chip has them, of a clock that a bit of another register may
choose. A program on the board writes them through `machine.mem32`; the wire follows.
"""

from __future__ import annotations

from provision.model.language import record
from provision.sim.setup import CONSOLE_BAUD

_WORD = 0xFFFFFFFF
_SIXTEENTH = 20  # where the fraction begins in the divider's register


@record
class ClockSelect:
    """A bit that puts the UART on another clock, of `hertz`, while it is set; `idle` is what the
    register holds besides, `most` the highest rate that a console has on the slow one."""

    register: int
    bit: int
    hertz: int
    idle: int
    most: int


@record
class UartFacts:
    """One chip's console UART.

    `clock` in Hz; `width`: bits of the divider's whole part; `fraction`: whether it counts
    sixteenths. `commit`: a register that takes a 1 before a new divider is in effect.
    `soft_reset`: whether the firmware sets the rate anew at a soft reset.
    """

    divider: int
    clock: int
    width: int = 20
    fraction: bool = True
    select: ClockSelect | None = None
    commit: int | None = None
    soft_reset: bool = False


class NoUart:
    """In the place of one, for a console on USB: no registers, and a rate that nothing goes by."""

    def __init__(self) -> None:
        self.registers: dict[int, int] = {}

    def reset(self) -> None:
        """Nothing is set up."""

    def soft_reset(self) -> None:
        """Nor here."""

    def write(self, register: int, value: int) -> None:
        raise KeyError(register)

    @property
    def rate(self) -> int:
        return CONSOLE_BAUD


class Uart:
    """The registers, from the firmware's start on, whose console has `baud`."""

    def __init__(self, facts: UartFacts, baud: int) -> None:
        self._facts = facts
        self._baud = baud
        self.reset()

    def reset(self) -> None:
        """As the firmware sets it up when it starts."""
        facts, select = self._facts, self._facts.select
        clock = facts.clock
        self.registers: dict[int, int] = {}
        if select is not None:
            fast = self._baud > select.most
            self.registers[select.register] = select.idle | (select.bit if fast else 0)
            clock = select.hertz if fast else clock
        if facts.commit is not None:
            self.registers[facts.commit] = 0
        # What a divider of so few bits cannot do alone, a prescaler does before it.
        whole = (1 << facts.width) - 1
        self._prescaler = -(-clock // (whole * self._baud))
        sixteenths = clock * 16 // (self._baud * self._prescaler)
        fraction = sixteenths & 15 if facts.fraction else 0
        self.registers[facts.divider] = sixteenths >> 4 | fraction << _SIXTEENTH
        self._divider = self.registers[facts.divider]

    def soft_reset(self) -> None:
        """A fresh interpreter in the same firmware."""
        if self._facts.soft_reset:
            self.reset()

    def write(self, register: int, value: int) -> None:
        """KeyError for a register that is none of this UART's."""
        facts = self._facts
        if register not in self.registers:
            raise KeyError(register)
        if register == facts.commit:
            if value & 1:
                self._divider = self.registers[facts.divider]
            return  # it clears itself
        self.registers[register] = value & _WORD
        if register == facts.divider and facts.commit is None:
            self._divider = self.registers[register]

    @property
    def rate(self) -> int:
        """Bits a second, by what is in effect. A clock that is not divided at all is the fastest
        that there is."""
        facts, select = self._facts, self._facts.select
        clock = facts.clock
        if select is not None and self.registers[select.register] & select.bit:
            clock = select.hertz
        sixteenths = (self._divider & (1 << facts.width) - 1) << 4
        if facts.fraction:
            sixteenths |= self._divider >> _SIXTEENTH & 15
        return clock * 16 // (max(sixteenths, 16) * self._prescaler)
