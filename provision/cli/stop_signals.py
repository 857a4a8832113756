"""SIGTERM and SIGHUP end a command as Ctrl-C does: a service manager's stop, a closed terminal.
On Windows, SIGBREAK does: Ctrl-Break, a closed window, the end of the session.

All of them raise KeyboardInterrupt in the main thread. A run takes the first as a request to finish
the writes in progress, the second as one to abort.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TextIO

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


@contextmanager
def shown_cursor_while_stopped(terminal: TextIO) -> Iterator[None]:
    """A display hides the cursor of its terminal; whoever stops the command meanwhile, by Ctrl-Z,
    has a shell with a cursor."""
    if sys.platform == "win32":  # which has no Ctrl-Z of that kind; mypy reads no further there
        yield
        return
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or not terminal.isatty():
        yield
        return
    before = signal.getsignal(signal.SIGTSTP)

    def stop(_number: int, _frame: FrameType | None) -> None:
        os.write(terminal.fileno(), b"\x1b[?25h\n")
        signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(os.getpid(), signal.SIGTSTP)  # and goes on here
        signal.signal(signal.SIGTSTP, stop)

    if before is signal.SIG_IGN:  # a shell without job control
        yield
        return
    signal.signal(signal.SIGTSTP, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTSTP, before)
