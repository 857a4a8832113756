"""What a board prints while it works: of code that is run at its raw REPL, and of its app.

Bytes come in here and lines go out, secrets masked whatever pieces they came in.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from provision.core.wording import Redact
from provision.device.micropython.raw_repl import RawRepl
from provision.device.micropython.run_code import run_code
from provision.device.transport.buffered_serial import MAX_READ, BytePort, Stopping
from provision.device.transport.console_lines import ConsoleLines
from provision.interfaces import Say

PATIENCE = 0.25  # seconds that a read waits, and so until a run that is stopped has ended
PAUSE = 0.1
"""Seconds between two reads, so that they are few and large. A driver holds 4 kB at least; at
115200 baud a quarter of it has come by then."""
UNFINISHED = 1.0
"""Seconds after which a line is said though its end has not come: a prompt has none."""


class Lines:
    """Lines of a console, an unfinished one among them when nothing has followed for a while."""

    def __init__(self, say: Say, redact: Redact, *, amid: bool = False) -> None:
        self._lines = ConsoleLines(say, redact, amid=amid)
        self._heard_at = 0.0

    def hear(self, data: bytes) -> None:
        """What came; b"" where nothing did."""
        now = time.monotonic()
        if data:
            self._heard_at = now
            self._lines.feed(data)
        elif self._lines.waiting and now - self._heard_at >= UNFINISHED:
            self._lines.flush()

    def close(self) -> None:
        self._lines.close()


def follow(port: BytePort, heard: Callable[[bytes], None], over: Stopping) -> None:
    """Give `heard` what comes, until `over` says so; nothing is sent."""
    port.timeout = PATIENCE
    while not over():
        data = port.read(min(MAX_READ, max(1, port.in_waiting)))
        heard(data)
        if data:
            time.sleep(PAUSE)


def run_at_repl(raw: RawRepl, code: bytes, say: Say, stopping: Stopping, redact: Redact) -> str:
    """Run code; see `interfaces.Connection.run_code`."""
    lines = Lines(say, redact)
    try:
        return run_code(raw, code, lines.hear, stopping)
    finally:
        lines.close()
