"""What a program prints, on its way to its port: a program that prints faster than the port takes
it has to wait.

On a UART, for the line. On the chip's own USB, for a host that does not fetch it, but for half a
second at most: then what it was about to print is dropped.
"""

from __future__ import annotations

from collections.abc import Callable

from provision.sim.event_loop import EventLoop, Timer
from provision.sim.line.wire import BITS
from provision.sim.setup import BoardSetup, Send

_TRANSMIT_FIFO = 128  # bytes that a program can print ahead of the line
_HOST_PATIENCE = 0.5  # seconds (MICROPY_HW_USB_CDC_TX_TIMEOUT)
_LOOK_AGAIN = 0.005  # seconds


class Transmitter:
    """`rate` is the UART's, `paced` whether its bytes take time. `host_full`, on the chip's own
    USB, tells whether the host has not fetched what it was sent. `pause` stops the program's
    printing for a while, and lets it go on."""

    def __init__(
        self,
        *,
        setup: BoardSetup,
        loop: EventLoop,
        send: Send,
        paced: bool,
        host_full: Callable[[], bool] | None,
        rate: Callable[[], int],
        pause: Callable[[bool], None],
    ) -> None:
        self._setup = setup
        self._loop = loop
        self._send = send
        self._paced = paced
        self._host_full = host_full
        self._rate = rate
        self._pause = pause
        self._line_free = 0.0
        self._paused: Timer | None = None
        self._given_up = False

    def send(self, data: bytes, baud: int | None = None) -> None:
        """Hand bytes to the port, at the UART's rate or `baud`."""
        if self._given_up and self._host_full is not None and self._host_full():
            self._wait_for_host()
            return
        self._send(data, baud=baud)
        if self._host_full is not None:
            if self._host_full():
                self._wait_for_host()
        elif self._paced:
            self._wait_for_line(len(data), baud or self._rate())

    def clear(self) -> None:
        """The chip was reset."""
        if self._paused:
            self._paused.cancel()
            self._paused = None
        self._line_free = 0.0
        self._given_up = False

    def _wait_for_line(self, count: int, rate: int) -> None:
        """A UART's own buffer holds some bytes ahead of the line."""
        byte_time = BITS / min(rate, self._setup.wire.ceiling or rate) / self._setup.scale
        now = self._loop.now()
        self._line_free = max(now, self._line_free) + count * byte_time
        ahead = self._line_free - now - _TRANSMIT_FIFO * byte_time
        if ahead > 0 and self._paused is None:
            self._pause(True)
            self._paused = self._loop.after(ahead, self._resume)

    def _wait_for_host(self) -> None:
        if self._paused is None:
            self._given_up = False
            self._pause(True)
            self._look_again(self._loop.now() + _HOST_PATIENCE / self._setup.scale)

    def _look_again(self, end: float) -> None:
        if self._host_full is not None and self._host_full() and self._loop.now() < end:
            self._paused = self._loop.after(_LOOK_AGAIN, lambda: self._look_again(end))
            return
        self._given_up = self._host_full is not None and self._host_full()
        self._resume()

    def _resume(self) -> None:
        self._paused = None
        self._pause(False)
