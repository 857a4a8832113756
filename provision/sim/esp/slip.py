"""SLIP framing and the checksum of the serial boot protocol, as chip and flasher stub use them."""

from __future__ import annotations

from collections.abc import Iterator

END = 0xC0
ESCAPE = 0xDB
_ESCAPED = {0xDC: END, 0xDD: ESCAPE}
_SEED = 0xEF


def encode(payload: bytes) -> bytes:
    escaped = payload.replace(b"\xdb", b"\xdb\xdd").replace(b"\xc0", b"\xdb\xdc")
    return b"\xc0" + escaped + b"\xc0"


class Decoder:
    """Takes bytes as they come and yields whole frames; what is no frame is passed over.

    A frame starts and ends with a delimiter of its own, so that noise between two frames costs
    none of them. One with an invalid escape or longer than `limit` is dropped.
    """

    def __init__(self, limit: int = 0x10000 + 64) -> None:
        self._limit = limit
        self._frame: bytearray | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        start = 0
        while start < len(data):
            end = data.find(END, start)
            part = data[start:] if end < 0 else data[start:end]
            start = len(data) if end < 0 else end + 1
            if self._frame is not None:
                self._frame += part
                if len(self._frame) > 2 * self._limit:
                    self._frame = None
            if end < 0:
                return
            if not self._frame:
                # The first delimiter, or two in a row: the later one starts the frame.
                self._frame = bytearray()
                continue
            frame, self._frame = _unescape(bytes(self._frame)), None
            if frame is not None and len(frame) <= self._limit:
                yield frame


def _unescape(frame: bytes) -> bytes | None:
    first, *parts = frame.split(b"\xdb")
    out = bytearray(first)
    for part in parts:
        if not part or part[0] not in _ESCAPED:
            return None
        out.append(_ESCAPED[part[0]])
        out += part[1:]
    return bytes(out)


def checksum(data: bytes) -> int:
    """All bytes and the seed 0xEF, exclusive-or'ed, by folding one long number in half."""
    folded = int.from_bytes(data, "little")
    bits = 8 << max(len(data) - 1, 0).bit_length()
    while bits > 8:
        bits >>= 1
        folded = (folded & (1 << bits) - 1) ^ folded >> bits
    return _SEED ^ folded
