"""A bounded buffer in front of a descriptor that does not take all bytes at once."""

from __future__ import annotations

import os

from provision.sim.event_loop import EventLoop

# As much as a serial driver and a USB bridge hold between them; a host that does not read loses
# what comes after.
LIMIT = 65536


class WriteBuffer:
    """Writes what the descriptor takes, keeps up to LIMIT bytes for later, drops the rest."""

    def __init__(self, loop: EventLoop, fd: int) -> None:
        self._loop = loop
        self._fd = fd
        self._held = bytearray()
        self.dropped = 0

    def put(self, data: bytes) -> None:
        if not self._held:
            data = data[self._write(data) :]
            if not data:
                return
            self._loop.watch_writable(self._fd, self._more)
        room = LIMIT - len(self._held)
        self._held += data[:room]
        self.dropped += len(data) - len(data[:room])

    @property
    def full(self) -> bool:
        """Whether the descriptor takes no more for now."""
        return bool(self._held)

    def clear(self) -> None:
        if self._held:
            self._held.clear()
            self._loop.unwatch_writable(self._fd)

    def _more(self) -> None:
        del self._held[: self._write(bytes(self._held))]
        if not self._held:
            self._loop.unwatch_writable(self._fd)

    def _write(self, data: bytes) -> int:
        try:
            return os.write(self._fd, data)
        except BlockingIOError:
            return 0
        except OSError:
            return len(data)  # the other end is gone; whoever reads from it will notice
