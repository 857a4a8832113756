"""What a chip's own USB keeps for a host that has not opened its port: a packet that is on its way
already, and the last bytes of a ring (TinyUSB overwrites the eldest while nobody is connected)."""

from __future__ import annotations

_PACKET = 64
_RING = 256


class Unheard:
    def __init__(self) -> None:
        self._packet = self._ring = b""

    def put(self, data: bytes) -> None:
        room = _PACKET - len(self._packet)
        self._packet += data[:room]
        self._ring = (self._ring + data[room:])[-_RING:]

    def take(self) -> bytes:
        """All of it; nothing is kept then."""
        kept = self._packet + self._ring
        self.clear()
        return kept

    def clear(self) -> None:
        self._packet = self._ring = b""
