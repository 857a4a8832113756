"""The reset circuit: from the port's DTR and RTS, and the buttons, to the chip's EN and IO0.

EN low holds the chip in reset; when it rises, IO0 selects between running what is in flash and
download mode. How the lines are connected is the board's wiring.
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
    """Calls `enter_reset` when EN goes low, `leave_reset` with the strap when it rises."""

    def __init__(
        self,
        *,
        wiring: ResetWiring,
        loop: EventLoop,
        enter_reset: Callable[[], None],
        leave_reset: Callable[[bool], None],
    ) -> None:
        self.in_reset = False
        self.dtr = False
        self.rts = False
        self.pressed: set[Button] = set()
        self._wiring = wiring
        self._loop = loop
        self._enter_reset = enter_reset
        self._leave_reset = leave_reset
        self._rising: Timer | None = None
        self._download_flag = False  # of the USB-Serial-JTAG peripheral

    def lines(self, dtr: bool, rts: bool) -> None:
        """The host sets both lines at once; True is asserted, as in pyserial."""
        self.dtr, self.rts = dtr, rts
        if self._wiring is ResetWiring.USB_JTAG and not rts:
            # ESP32-C3 reference manual, USB Serial/JTAG: 01 sets the flag, 00 clears it. It is
            # sampled when 10 resets the chip, hence before the 00 that ends every sequence.
            if not self.in_reset:
                self._download_flag = dtr
            self._update()
            self._download_flag = dtr
            return
        self._update()

    def press(self, button: Button) -> None:
        self.pressed.add(button)
        self._update()

    def release(self, button: Button) -> None:
        self.pressed.discard(button)
        self._update()

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
            case ResetWiring.NONE | ResetWiring.USB:
                return False

    def _update(self) -> None:
        if self._rising:
            self._rising.cancel()
            self._rising = None
        wired = self._wiring not in (ResetWiring.NONE, ResetWiring.USB)
        low = Button.RESET in self.pressed or (wired and self.rts and not self.dtr)
        if low and not self.in_reset:
            self.in_reset = True
            self._enter_reset()
        elif not low and self.in_reset:
            if self._wiring is ResetWiring.AUTO and self.dtr and self.rts:
                self._rising = self._loop.after(_BOTH_ASSERTED, self._en_rises)
            else:
                self._en_rises()

    def _en_rises(self) -> None:
        self._rising = None
        self.in_reset = False
        self._leave_reset(self.strap)
