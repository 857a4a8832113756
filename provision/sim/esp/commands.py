"""What the ROM's commands and the flasher stub's have in common.

`DownloadMode` is the chip as commands act on it; `LoaderCommands` is the base of both, with the few
commands that are the same in both. The status codes of a refusal differ.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import ClassVar, Protocol

from provision.sim.chip.flash import Flash
from provision.sim.esp.chips import ChipFacts
from provision.sim.esp.efuses import Security
from provision.sim.esp.packets import Answer, register_writes, require_length, words
from provision.sim.esp.registers import Registers
from provision.sim.setup import ResetRequest

Command = Callable[[bytes, int], Answer | None]
"""Takes a request's data and its checksum field; None where nothing is answered (any more)."""


class DownloadMode(Protocol):
    """The chip in download mode, as commands act on it: `loader.Loader`."""

    synced: bool

    @property
    def facts(self) -> ChipFacts: ...
    @property
    def flash(self) -> Flash: ...
    @property
    def security(self) -> Security: ...
    @property
    def registers(self) -> Registers: ...

    def set_baud(self, baud: int) -> None: ...
    def request_reset(self, request: ResetRequest) -> None: ...
    def send_frame(self, payload: bytes) -> None: ...

    def start_stub(self) -> None:
        """The program in RAM was started: it greets and takes over."""
        ...

    def crash(self) -> None:
        """The processor jumped into nothing; only a reset helps."""
        ...

    def digest(self, offset: int, size: int) -> tuple[bytes, float]:
        """The MD5 of a part of the flash, and the seconds that the chip takes for it."""
        ...

    def respond(self, operation: int, status: int, answer: Answer) -> None:
        """Send one response packet."""
        ...

    def work(self, seconds: float, then: Callable[[], None]) -> None:
        """Be busy for a while of the chip's time, if this board keeps time at all."""
        ...


class LoaderCommands(ABC):
    """Who answers in download mode. `status_length` is the bytes of status that end a response."""

    wrong_size: ClassVar[int]
    """The status of a command whose data has not the size that it must have."""
    short_data: ClassVar[int]
    """The status of a command whose data ends too early."""

    status_length: int
    frames_kept: ClassVar[int]
    """How many that come are kept while it is at work; others are lost."""

    def __init__(self, chip: DownloadMode, limit: int) -> None:
        self._chip = chip
        self._facts = chip.facts
        self._flash = chip.flash
        self._limit = limit  # bytes of flash there are, as far as this speaker knows

    @abstractmethod
    def answer(self, operation: int, data: bytes, checksum: int) -> Answer | None:
        """Carry out one request; CommandFailed refuses it."""

    @abstractmethod
    def malformed_frame(self, frame: bytes) -> None:
        """A frame that is no well-formed request."""

    def take_acknowledgement(self, frame: bytes) -> bool:
        """True if the frame was taken as the host's word in a transfer, not as a request."""
        return False

    def _shared(self) -> Mapping[int, Command]:
        return {
            0x09: self._write_register,
            0x0A: self._read_register,
            0x0B: self._set_parameters,
            0x0F: self._change_baud,
        }

    def _write_register(self, data: bytes, checksum: int) -> Answer:
        for address, value, mask in register_writes(data, self.short_data):
            self._chip.registers.write(address, value, mask)
        return Answer()

    def _read_register(self, data: bytes, checksum: int) -> Answer:
        require_length(data, 4, self.wrong_size)
        return Answer(value=self._chip.registers.read(words(data, 1)[0]))

    def _set_parameters(self, data: bytes, checksum: int) -> Answer:
        require_length(data, 24, self.wrong_size)
        self._limit = words(data, 2)[1]
        return Answer()

    def _change_baud(self, data: bytes, checksum: int) -> Answer:
        require_length(data, 8, self.wrong_size)
        baud = words(data, 1)[0]
        return Answer(after=lambda: self._chip.set_baud(baud))
