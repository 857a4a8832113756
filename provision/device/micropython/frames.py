"""Takes the frames of agent/send.py out of what a board says, whatever is said in between. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator

MAGIC = b"\x02\xa5"
HEADER_SIZE = 8
BINARY, TEXT = b"\x02B", b"\x02T"
MOST_KEPT = 1 << 20  # bytes that are no frame


class FrameParser:
    """`rest` is what has come and is no frame, or not yet. `damaged`: something that began as one
    was none; `waiting`: something has begun; `ended`: the last one has come."""

    def __init__(self, *, most: int) -> None:
        self.rest = bytearray()
        self.damaged = False
        self.waiting = False
        self.ended = False
        self._most = most
        self._mode = b""

    def feed(self, data: bytes) -> None:
        self.rest += data
        if len(self.rest) > MOST_KEPT:
            del self.rest[: MOST_KEPT // 2]

    def payloads(self) -> Iterator[bytes]:
        """The payloads of all whole frames that are here."""
        if not self._mode:
            places = {self.rest.find(mode): mode for mode in (BINARY, TEXT)}
            first = min((at for at in places if at >= 0), default=None)
            if first is None:
                return
            self._mode = places[first]
            del self.rest[: first + 2]
        while (payload := self._binary() if self._mode == BINARY else self._line()) is not None:
            self.ended = self.ended or payload[:1] == b"\x05"
            yield payload

    def _binary(self) -> bytes | None:
        while (at := self.rest.find(MAGIC)) >= 0:
            size = int.from_bytes(self.rest[at + 6 : at + HEADER_SIZE], "little")
            end = at + HEADER_SIZE + size
            if len(self.rest) < min(end, at + HEADER_SIZE) or (
                size <= self._most and len(self.rest) < end
            ):
                self.waiting = True
                return None
            frame = bytes(self.rest[at:end])
            if size and size <= self._most and _is_whole(frame):
                del self.rest[:end]
                return frame[HEADER_SIZE:]
            self.damaged = True
            del self.rest[: at + len(MAGIC)]
        self.waiting = False
        return None

    def _line(self) -> bytes | None:
        while (at := self.rest.find(b"\n")) >= 0:
            line = bytes(self.rest[:at]).strip()
            if b"\x04" in line:
                return None
            del self.rest[: at + 1]
            try:
                frame = base64.b64decode(line, validate=True)
            except binascii.Error:
                frame = b""
            if frame.startswith(MAGIC) and len(frame) > HEADER_SIZE and _is_whole(frame):
                return frame[HEADER_SIZE:]
            self.damaged = self.damaged or bool(line)
        return None


def _is_whole(frame: bytes) -> bool:
    return hashlib.sha256(frame[6:]).digest()[:4] == frame[2:6]
