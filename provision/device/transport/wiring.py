"""What can be done to a board over one port: what the transport carries, what stands at its end.

A board's profile says how its reset is wired. The port itself knows better where its USB id tells
that the chip's own USB is plugged in, or a bridge instead of it: many boards have both sockets.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable

from serial.tools import list_ports
from serial.tools.list_ports_common import ListPortInfo

from provision.model.board import ResetWiring
from provision.model.endpoint import Capabilities

UsbId = tuple[int, int]
"""Vendor and product."""

CHIP_VENDOR = 0x303A  # Espressif's
USB_JTAG = (CHIP_VENDOR, 0x1001)
"""The USB-Serial-JTAG peripheral that a chip has built in."""
NATIVE_USB = {(CHIP_VENDOR, 0x4001)}
"""Ports that a chip's firmware makes on its own USB, on boards whose profile says otherwise."""
_WITHOUT_UART = (ResetWiring.USB_JTAG, ResetWiring.USB)


def usb_id_of(path: str) -> UsbId | None:
    """The USB id of a serial port of this computer; None for one that is not on USB."""
    real = os.path.realpath(path)
    return next(
        (
            (port.vid, port.pid)
            for port in _listed(real)
            if port.device in (path, real) and port.vid is not None and port.pid is not None
        ),
        None,
    )


def _listed(path: str) -> Iterable[ListPortInfo]:
    """What the system lists of this port; on Linux without a look at all the others."""
    if sys.platform.startswith("linux"):
        from serial.tools.list_ports_linux import SysFS

        return [SysFS(path)]
    return list_ports.comports()


def wiring_over(wiring: ResetWiring, *, has_lines: bool, usb_id: UsbId | None) -> ResetWiring:
    """How a board wired by its profile as `wiring` is reset over a port."""
    if wiring is ResetWiring.USB:
        return wiring  # there are no lines to look for
    if not has_lines:
        return ResetWiring.NONE
    if usb_id == USB_JTAG:
        return ResetWiring.USB_JTAG
    if wiring is ResetWiring.USB_JTAG and usb_id is not None and usb_id[0] != CHIP_VENDOR:
        return ResetWiring.AUTO  # the board's other socket, with a bridge behind it
    return wiring


def capabilities_of(
    wiring: ResetWiring, *, flashes: bool, usb_id: UsbId | None = None
) -> Capabilities:
    """What can be done where the board is reset so. The chip's own USB holds bytes back while the
    board does not read, and has no rate; a UART drops them."""
    return Capabilities(
        resets=wiring not in (ResetWiring.NONE, ResetWiring.USB),
        lossless=wiring in _WITHOUT_UART or usb_id in NATIVE_USB,
        flashes=flashes,
        has_rate=flashes
        and wiring not in _WITHOUT_UART
        and (usb_id is None or usb_id[0] != CHIP_VENDOR),
    )
