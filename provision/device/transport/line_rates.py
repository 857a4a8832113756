"""How fast each line to a board was when files were last sent: one small file a line, in the user's
own directory. What is a week old is tried anew: a cable may have been changed."""

from __future__ import annotations

import hashlib
import re
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from provision.atomic_files import private_directory, write_atomic
from provision.model.language import record

_RATE = re.compile(rb"\d{4,7}\n")
WEEK = 7 * 24 * 3600.0  # seconds


@record(kw_only=False, slots=False)
class LineRates:
    """The memory of all lines, in a directory."""

    directory: Path
    now: Callable[[], float] = time.time

    def of(self, line: str) -> LineMemory:
        """That of the line with this name."""
        name = hashlib.sha256(line.encode()).hexdigest()[:16]
        return LineMemory(self.directory / name, self.now)


@record(kw_only=False, slots=False)
class LineMemory:
    """Implements `RateMemory` of `device.micropython.line_rate` in one file."""

    path: Path
    now: Callable[[], float]

    def known(self) -> int | None:
        """The highest rate worth trying; None where nothing is known, or nothing of this week."""
        try:
            with self.path.open("rb") as file:
                found = _RATE.fullmatch(file.read(10))
            age = self.now() - self.path.stat().st_mtime
        except OSError:
            return None
        return int(found[0]) if found is not None and age < WEEK else None

    def remember(self, rate: int) -> None:
        """What cannot be kept is only tried once more."""
        with suppress(OSError):
            private_directory(self.path.parent)
            write_atomic(self.path, b"%d\n" % rate, mode=0o600)
