"""Answers the modem-line ioctls for `sim://` ports, as a serial driver does for its own.

esptool sets DTR and RTS in one step by TIOCMSET on the port's descriptor. A socket's driver does
not know that call, so that esptool would lose seconds before it tries another way. `provision sim
exec` installs this in the process of the tool it runs; the package itself never does.
"""

from __future__ import annotations

import errno
import fcntl
import struct
import termios
from collections.abc import Callable
from typing import Any

from provision.sim.protocol_sim import Serial

_DTR, _RTS = termios.TIOCM_DTR, termios.TIOCM_RTS
_READY = termios.TIOCM_CTS | termios.TIOCM_DSR | termios.TIOCM_CD
_CHANGES: dict[int, Callable[[int, int], int]] = {
    termios.TIOCMSET: lambda _, given: given,
    termios.TIOCMBIS: lambda state, given: state | given,
    termios.TIOCMBIC: lambda state, given: state & ~given,
}


def install() -> None:
    kernel = fcntl.ioctl

    def ioctl(fd: Any, request: int, arg: Any = 0, *rest: Any) -> Any:
        number = fd if isinstance(fd, int) else fd.fileno()
        port = Serial.opened.get(number)
        if port is None or (request != termios.TIOCMGET and request not in _CHANGES):
            return kernel(fd, request, arg, *rest)
        state = (_DTR if port.dtr else 0) | (_RTS if port.rts else 0)
        if request == termios.TIOCMGET:
            return struct.pack("I", state | _READY)
        if not isinstance(arg, bytes):
            raise OSError(errno.EINVAL, "Invalid argument")
        lines = _CHANGES[request](state, struct.unpack("I", arg)[0])
        port.set_lines(bool(lines & _DTR), bool(lines & _RTS))
        return arg

    fcntl.ioctl = ioctl
