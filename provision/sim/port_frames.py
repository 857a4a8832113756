"""The frames that a host sends on an open port: data, and line changes a USB driver would make.

In the other direction plain data flows, so that the host can wait for it with `select`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

DATA = b"D"
LINES = b"L"  # one byte: 1 for DTR, 2 for RTS
BAUD = b"B"  # one word
BREAK = b"K"  # one byte: begins or ends

_HEADER = struct.Struct(">cI")
_LIMIT = 1 << 20


def pack(kind: bytes, payload: bytes) -> bytes:
    return _HEADER.pack(kind, len(payload)) + payload


def lines(dtr: bool, rts: bool) -> bytes:
    return pack(LINES, bytes((dtr | rts << 1,)))


def baud(rate: int) -> bytes:
    return pack(BAUD, rate.to_bytes(4, "big"))


class FrameReader:
    """Takes bytes as they come, yields frames, data as far as it has come; ValueError on what is
    no frame."""

    def __init__(self) -> None:
        self._held = bytearray()
        self._data = 0  # bytes to come of a data frame

    def feed(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        self._held += data
        while True:
            if self._data and self._held:
                payload = bytes(self._held[: self._data])
                self._data -= len(payload)
                del self._held[: len(payload)]
                yield DATA, payload
                continue
            if len(self._held) < _HEADER.size:
                return
            kind, length = _HEADER.unpack_from(self._held)
            if length > _LIMIT:
                raise ValueError("frame too long")
            if kind == DATA:
                self._data = length
                del self._held[: _HEADER.size]
                continue
            end = _HEADER.size + length
            if len(self._held) < end:
                return
            payload = bytes(self._held[_HEADER.size : end])
            del self._held[:end]
            yield kind, payload
