"""A reset by the port's lines: what `machine.reset()` does for a board whose REPL answers, these do
for one that is deaf. esptool has the same and more, and takes a fifth of a second to import."""

from __future__ import annotations

import errno
import sys
import time
from typing import Any

from provision.device.transport.serial_port import Port
from provision.model.board import ResetWiring

NO_LINES = (errno.ENOTTY, errno.EINVAL)
"""What a driver without modem lines says when they are set."""

# How long EN is held low, as esptool's HardReset. The chip's own USB needs longer to notice, and as
# long again after it to come back on the bus, before anything is sent.
_PULSE = 0.1
_PULSE_USB = 0.2


def pulse_reset(port: Port, wiring: ResetWiring) -> bool:
    """Reset the board at this port, which is wired so; False where no lines reach the chip."""
    if wiring in (ResetWiring.NONE, ResetWiring.USB):
        return False
    lines = port.serial
    try:
        lines.rts = False
        lines.dtr = False
        move_rts(lines, True)
        time.sleep(_PULSE_USB if wiring is ResetWiring.USB_JTAG else _PULSE)  # EN is low
        move_rts(lines, False)
        if wiring is ResetWiring.USB_JTAG:
            time.sleep(_PULSE_USB)  # the chip comes back on the bus
    except OSError as error:
        if error.errno in NO_LINES:
            return False
        raise
    return True


def move_rts(lines: Any, value: bool) -> None:
    """Set RTS of a port whose DTR is released. Windows' own driver for USB serial ports,
    usbser.sys, tells the device of RTS only when DTR is set."""
    lines.rts = value
    if sys.platform == "win32":
        lines.dtr = False
