"""The port as esptool gets it: an answer that has no end, or no end in time, is esptool's error.

esptool waits for each byte anew and keeps a packet for as long as it grows, a byte at a time: a
board that drips or babbles would hold it for ever and fill the memory. Here what is read between
two requests is counted; all else is the port's own.
"""

from __future__ import annotations

import time
from typing import Any

from provision.device.transport.buffered_serial import Clock

_PIECE = 4096  # bytes of one read
_MAX_PACKET = 1 << 14  # bytes: the longest, 4096 of the flash, has 8194 with every byte escaped
_BETWEEN_REQUESTS = 1 << 20  # bytes: 64 such packets are under way when the flash is read
_GRACE = 5.0  # seconds beyond the timeout that esptool sets for the answer
_DELIMITER = b"\xc0"


class BoundedPort:
    """A pyserial object with bounds on what answers a request; `fatal` is esptool's error."""

    def __init__(self, port: Any, fatal: type[Exception], clock: Clock = time) -> None:
        vars(self).update(_port=port, _fatal=fatal, _clock=clock)
        self._request()

    def write(self, data: bytes) -> Any:
        self._request()
        return self._port.write(data)

    def read(self, size: int = 1) -> bytes:
        port = vars(self)["_port"]
        data: bytes = port.read(min(size, _PIECE))
        seconds = self._clock.monotonic() - self._began
        after = data.rfind(_DELIMITER)
        packet = len(data) - after - 1 if after >= 0 else self._packet + len(data)
        vars(self).update(_packet=packet, _total=self._total + len(data))
        late = port.timeout is not None and seconds > port.timeout + _GRACE
        if packet > _MAX_PACKET or self._total > _BETWEEN_REQUESTS or (data and late):
            raise self._fatal("an answer without an end: possible serial noise or corruption")
        return data

    def _request(self) -> None:
        vars(self).update(_began=self._clock.monotonic(), _packet=0, _total=0)

    def __getattr__(self, name: str) -> Any:
        return getattr(vars(self)["_port"], name)

    def __setattr__(self, name: str, value: object) -> None:
        setattr(vars(self)["_port"], name, value)
