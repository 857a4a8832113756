"""From the port's DTR and RTS, and a person's fingers, to the chip's EN and IO0.

`EN` low holds the chip in reset; when it rises, `IO0` decides between running what is in flash
and download mode. How the lines get there is the board's wiring.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from provision.model.board import ResetWiring
from provision.sim.event_loop import EventLoop, Timer

# With both lines asserted neither transistor conducts and EN rises slowly, through its RC. Tools
# that set one line at a time pass through that on the way from reset to download mode; on a slow
# link they stay there for 50 ms and more. Only a pair of lines left like that is a release.
_BOTH_ASSERTED = 0.5


class Button(str, Enum):
    BOOT = "boot"
    RESET = "reset"


class ResetCircuit:
    """`hold` is called when EN goes low, `release` with the state of the strap when it rises."""

    def __init__(
        self,
        *,
        wiring: ResetWiring,
        loop: EventLoop,
        hold: Callable[[], None],
        release: Callable[[bool], None],
    ) -> None:
        self.held = False
        self.dtr = False
        self.rts = False
        self.pressed: set[Button] = set()
        self._wiring = wiring
        self._loop = loop
        self._hold = hold
        self._release = release
        self._rising: Timer | None = None
        self._download_flag = False  # of the USB-Serial-JTAG peripheral

    def lines(self, dtr: bool, rts: bool) -> None:
        """The host sets both lines at once; True is asserted, as in pyserial."""
        self.dtr, self.rts = dtr, rts
        if self._wiring is ResetWiring.USB_JTAG and not rts:
            # ESP32-C3 reference manual, USB Serial/JTAG: 01 sets the flag, 00 clears it. It is
            # sampled when 10 resets the chip, hence before the 00 that ends every sequence.
            if not self.held:
                self._download_flag = dtr
            self._settle()
            self._download_flag = dtr
            return
        self._settle()

    def press(self, button: Button) -> None:
        self.pressed.add(button)
        self._settle()

    def let_go(self, button: Button) -> None:
        self.pressed.discard(button)
        self._settle()

    @property
    def strap(self) -> bool:
        """Whether a chip that starts now goes to download mode."""
        if Button.BOOT in self.pressed:
            return True
        match self._wiring:
            case ResetWiring.AUTO:
                return self.dtr and not self.rts
            case ResetWiring.USB_JTAG:
                return self._download_flag
            case ResetWiring.NONE:
                return False

    def _settle(self) -> None:
        if self._rising:
            self._rising.cancel()
            self._rising = None
        wired = self._wiring is not ResetWiring.NONE
        low = Button.RESET in self.pressed or (wired and self.rts and not self.dtr)
        if low and not self.held:
            self.held = True
            self._hold()
        elif not low and self.held:
            if self._wiring is ResetWiring.AUTO and self.dtr and self.rts:
                self._rising = self._loop.after(_BOTH_ASSERTED, self._rise)
            else:
                self._rise()

    def _rise(self) -> None:
        self._rising = None
        self.held = False
        self._release(self.strap)
