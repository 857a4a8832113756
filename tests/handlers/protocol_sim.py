"""`sim://` over a cable that garbles what is longer than `LONGEST` bytes at rates above `RATE`."""

from __future__ import annotations

from typing import Any

from provision.sim import protocol_sim

RATE = 460800
LONGEST = 0


class Serial(protocol_sim.Serial):
    def write(self, data: Any, /) -> int:
        if self.baudrate > RATE and len(data) > LONGEST:
            data = bytes(byte ^ 0x55 for byte in data)
        return super().write(data)
