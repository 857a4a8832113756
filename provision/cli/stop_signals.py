"""SIGTERM and SIGHUP end a command as Ctrl-C does: a service manager's stop, a closed terminal.
On Windows, SIGBREAK does: Ctrl-Break, a closed window, the end of the session.

All of them raise KeyboardInterrupt in the main thread. A run takes the first as a request to finish
the writes in progress, the second as one to abort.
"""

from __future__ import annotations

import signal
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP", "SIGBREAK")


def install() -> None:
    """Handle the signals that the system has and that nobody has chosen to ignore, as `nohup`
    does with SIGHUP."""
    for name in NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _stop)


def _stop(_number: int, _frame: FrameType | None) -> None:
    """Once stopping, a closed terminal is no wish to abort; besides, the kernel and the shell both
    tell of it."""
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
    raise KeyboardInterrupt
