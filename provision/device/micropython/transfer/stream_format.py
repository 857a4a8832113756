"""Actions on files as one deflated stream with known stop points: pure, no port.

The board (agent/receive.py) stops draining its port only at the end of a frame. The host knows
which compressed byte that is, because it asks an inflater of its own, and runs at most `lead`
bytes past it: a receive ring of 256 bytes never overruns, with no flow control on the line.
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Iterator, Mapping, Sequence
from itertools import accumulate

from provision.core.chips.family import Pace
from provision.device.micropython.transfer.deflate import FleetDeflate
from provision.errors import BoardError
from provision.model.board_path import path_bytes
from provision.model.language import assert_never, record
from provision.model.plan import DeleteFile, FileAction, MakeDirectory, RemoveDirectory, WriteFile
from provision.model.state import Content

FIRST, LAST, MAKE, REMOVE, REMOVE_DIRECTORY, END = 1, 2, 16, 32, 64, 128
"""Kinds of frame. The first frame of a file has FIRST, the last LAST, one alone both."""

HEADER_SIZE = 4
CHECK_SEED = 90
PATH_DIGEST = 4  # bytes of a digest, after each path
CONTENT_DIGEST = 8
"""Bytes of a file's sha256 that go before its content: digests do not deflate, so all 32 of them
would be a tenth of a tree of small files. 64 bits are enough against accidents of the line; the
look that follows compares the whole."""
MAX_PATH = 255  # bytes of UTF-8
_PROBE = 512  # compressed bytes between two copies of the inflater


_DEFLATE = {window: FleetDeflate(window) for window in range(9, 16)}


@record
class Stream:
    """`data` as it is sent. Frame k has arrived with byte `stops[k]` and is part of action
    `action_of_frame[k]` (len(actions) for the end)."""

    data: bytes
    stops: tuple[int, ...]
    action_of_frame: tuple[int, ...]


@record(kw_only=False)
class Frame:
    kind: int
    payload: bytes
    action_index: int


def frames(
    actions: Sequence[FileAction], contents: Mapping[str, Content], block: int
) -> Iterator[Frame]:
    """The actions in order, cut into payloads of at most `block` bytes."""
    for action_index, action in enumerate(actions):
        path = path_bytes(action.path)
        if len(path) > MAX_PATH:
            raise BoardError(
                f"{action.path}: a path on a board has at most {MAX_PATH} bytes",
                hint="shorten the path",
            )
        match action:
            case MakeDirectory():
                yield Frame(MAKE, with_digest(MAKE, path), action_index)
            case DeleteFile():
                yield Frame(REMOVE, with_digest(REMOVE, path), action_index)
            case RemoveDirectory():
                yield Frame(REMOVE_DIRECTORY, with_digest(REMOVE_DIRECTORY, path), action_index)
            case WriteFile():
                content = contents[action.path]
                data = bytes.fromhex(content.sha256)[:CONTENT_DIGEST] + content.data
                alone = len(path) + 1 + PATH_DIGEST + len(data) <= block
                payload = with_digest(FIRST | LAST * alone, path) + data
                for start in range(0, len(payload), block):
                    kind = FIRST * (start == 0) | LAST * (start + block >= len(payload))
                    yield Frame(kind, payload[start : start + block], action_index)
            case _:
                assert_never(action)
    yield Frame(END, b"", len(actions))


def with_digest(kind: int, path: bytes) -> bytes:
    """A path with the proof that it is the one and of this kind: a bit that flips on the way must
    not make the board remove, or write, another file."""
    return bytes([len(path)]) + path + hashlib.sha256(bytes([kind]) + path).digest()[:PATH_DIGEST]


def encode(sequence: Sequence[Frame]) -> bytes:
    """The frames with their headers, as the board's inflater must give them back."""
    out = bytearray()
    for count, frame in enumerate(sequence):
        size = len(frame.payload)
        out += size.to_bytes(2, "little")
        out.append(frame.kind)
        out.append((size + (size >> 8) + frame.kind + count + CHECK_SEED) & 255)
        out += frame.payload
    return bytes(out)


def compose(actions: Sequence[FileAction], contents: Mapping[str, Content], pace: Pace) -> Stream:
    """The actions as a stream at a pace; BoardError for a path too long for any board."""
    sequence = list(frames(actions, contents, pace.block))
    data = _DEFLATE[pace.window](encode(sequence))
    ends = accumulate(HEADER_SIZE + len(frame.payload) for frame in sequence)
    return Stream(
        data=data,
        stops=tuple(stop_points(data, list(ends), pace.window)),
        action_of_frame=tuple(frame.action_index for frame in sequence),
    )


def stop_points(data: bytes, ends: Sequence[int], window: int) -> Iterator[int]:
    """For each of the ascending raw offsets, how many bytes of `data` an inflater must have read
    to give all before it; the last is always the whole.

    An inflater takes a byte only when the next symbol needs it, so a copy of it that is given
    more and more finds the exact one, here by bisection.
    """
    inflater = zlib.decompressobj(-window)
    position = produced = 0
    before, chunk, gained = inflater.copy(), b"", 0
    for index, end in enumerate(ends):
        if index == len(ends) - 1:
            yield len(data)
            return
        while produced + gained < end:
            position += len(chunk)
            produced += gained
            before, chunk = inflater.copy(), data[position : position + _PROBE]
            gained = len(inflater.decompress(chunk))
        low, high = 0, len(chunk)  # low is too few, high enough
        while high - low > 1:
            middle = (low + high) // 2
            if produced + len(before.copy().decompress(chunk[:middle])) >= end:
                high = middle
            else:
                low = middle
        yield position + high
