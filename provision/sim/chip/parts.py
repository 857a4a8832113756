"""What a board is put together from: its application, its line, the ports that hosts have open. And
what it can be doing."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum
from typing import Protocol

from provision.sim.chip.flash import Flash, Work
from provision.sim.chip.model import ChipModel, Touch
from provision.sim.event_loop import EventLoop
from provision.sim.line.wire import Fifo, WireStatistics
from provision.sim.setup import BoardSetup, ResetCause, ResetRequest, Send, WireModel


class Mode(str, Enum):
    """What the chip is doing."""

    OFF = "off"
    RESET = "reset"  # EN held low
    DOWNLOAD = "download"
    RUN = "run"
    SLEEP = "sleep"


class Application(Protocol):
    """What runs from flash; `provision.sim.app.application` has it."""

    def boot(self, cause: ResetCause) -> None: ...
    def receive(self, data: bytes) -> None: ...
    def halt(self) -> None: ...
    def become(self, setup: BoardSetup) -> None: ...
    def cut_power(self, work: Work, count: int, on_cut: Callable[[], None]) -> None: ...
    def cancel_power_cut(self) -> None: ...

    @property
    def overruns(self) -> int:
        """Bytes that the receive ring dropped."""
        ...

    @property
    def takes_more(self) -> bool:
        """Whether there is room for bytes from the host, on a port that holds it back."""
        ...

    @property
    def crashed(self) -> bool:
        """Whether what was started is no program."""
        ...

    @property
    def touch(self) -> Touch:
        """How the program that runs is told to leave for download mode by its port."""
        ...


class Wire(Protocol):
    """The line between the two UARTs; `provision.sim.line.wire` has it."""

    def from_host(self, data: bytes, host_baud: int, chip_baud: int) -> None: ...
    def from_chip(self, data: bytes, chip_baud: int, host_baud: int) -> None: ...
    def rates_changed(self, host_baud: int, chip_baud: int) -> None: ...
    def clear(self) -> None: ...
    def measure(self) -> WireStatistics: ...

    @property
    def statistics(self) -> WireStatistics: ...

    @property
    def backlog(self) -> float:
        """Seconds until all that the host has written is on its way."""
        ...


class Port(Protocol):
    """One open end at the host: a connection, a terminal, a network client."""

    @property
    def yields(self) -> bool:
        """Whether it makes way for another, since nobody can tell if a host has it open."""
        ...

    @property
    def full(self) -> bool:
        """Whether the host has not fetched all that was delivered."""
        ...

    def deliver(self, data: bytes) -> None:
        """Bytes for the host; those it does not fetch in time are lost."""
        ...

    def rate(self) -> int | None:
        """The baud the host has set, on a port that must be asked; None where it is told."""
        ...

    def unplugged(self) -> None:
        """The cable is pulled, or the program whose port it was has ended."""
        ...


class MakeApplication(Protocol):
    def __call__(
        self,
        *,
        setup: BoardSetup,
        model: ChipModel,
        flash: Flash,
        loop: EventLoop,
        send: Send,
        host_full: Callable[[], bool],
        attach: Callable[[], None],
        request_reset: Callable[[ResetRequest], None],
        set_baud: Callable[[int], None],
    ) -> Application: ...


class MakeWire(Protocol):
    def __call__(
        self,
        *,
        model: WireModel,
        loop: EventLoop,
        to_chip: Callable[[bytes], None],
        to_host: Callable[[bytes], None],
        fifo: Callable[[], Fifo],
        usb: bool,
        scale: float,
    ) -> Wire: ...
