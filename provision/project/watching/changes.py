"""Changes: what the system tells of directories, by watchfiles.

Directories are watched one by one and not as trees: a tree may be a virtual environment, and in a
directory that is new in it nobody would watch yet what is written there first. Whoever asks knows
the directories, and looks at them again once they are watched.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from provision.core.wording import printable

STEP = 10  # milliseconds without a further change until changes are told
DEBOUNCE = 200  # milliseconds after the first of them in which they are told whatever goes on
POLL = 250  # milliseconds after which a wait without changes ends


class Changes:
    """Waits for changes until `stop` is set. `problem` is why the system does not tell of them at
    all; where it only stumbles over one, the next `watch` begins anew."""

    def __init__(self, stop: threading.Event) -> None:
        self.problem: str | None = None
        self._stop = stop
        self._watched: tuple[tuple[str, int], ...] = ()
        self._waits: Iterator[set[Any]] | None = None

    @property
    def watching(self) -> bool:
        """Whether the system has not stumbled since the last `watch`."""
        return bool(self._watched)

    def watch(self, directories: Sequence[str]) -> bool:
        """Watch these directories from now on, and no others; whether that is anything new. One
        that was removed and made again is another."""
        wanted = tuple((path, _inode(path)) for path in directories)
        if wanted == self._watched:
            return False
        self._watched, self.problem = wanted, None
        self.close()
        self.wait()  # they are watched when it returns
        return True

    def wait(self) -> set[str]:
        """The paths that have changed; nothing after a quarter of a second."""
        if self.problem is not None or not self._watched:
            self._stop.wait(POLL / 1000)
            return set()
        # A thirtieth of a second to import, which only this command needs.
        import watchfiles

        told = self._waits is not None
        if self._waits is None:
            self._waits = watchfiles.watch(
                *(path for path, _ in self._watched),
                watch_filter=None,
                debounce=DEBOUNCE,
                step=STEP,
                stop_event=self._stop,
                rust_timeout=POLL,
                yield_on_timeout=True,
                raise_interrupt=False,
                recursive=False,
            )
        try:
            return {path for _, path in next(self._waits, ())}
        except (OSError, RuntimeError, ValueError) as error:
            # Too many watched, or what cannot be. A name that is no text is neither watched nor
            # told, and the one of a file is no reason to give up its folder.
            self.close()
            if told:
                self._watched = ()
            else:
                self.problem = printable(str(error))
            return set()

    def close(self) -> None:
        """Watch nothing any more."""
        waits, self._waits = self._waits, None
        if waits is not None:
            waits.close()  # type: ignore[attr-defined]


def _inode(path: str) -> int:
    try:
        return os.stat(path).st_ino  # noqa: PTH116
    except OSError:
        return 0
