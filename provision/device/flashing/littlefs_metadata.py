"""What a metadata block of LittleFS says in the end, and a block that says it anew.

`core.littlefs_blocks` reads the commits of a block; here they become the entries of a directory,
with all that belongs to them (attributes, a move that was begun), so that the directory can be
written again without a loss. What is read may be damaged or forged: what makes no sense is None.
"""

from __future__ import annotations

import struct

from provision.core.littlefs_blocks import (
    CHECKSUM,
    CREATE,
    DELETE,
    HARD_TAIL,
    NO_ID,
    SOFT_TAIL,
    MetadataBlock,
    Tag,
    checksum,
)
from provision.model.language import record

_MOVE_STATE = 0x7FF
_NULL = 0xFFFFFFFF
# Commits end where the driver's next write begins: MicroPython's writes in units of 32 bytes.
_PROG = 32

Pair = tuple[int, int]
"""Two block numbers; in either order they are the same pair."""

_PAIR = struct.Struct("<II")


@record(kw_only=False)
class Entry:
    """What a directory says of one name. `kind` is REGULAR, DIRECTORY or SUPERBLOCK; `layout` and
    `data` tell where its content is, and `attributes` are kept as they are."""

    kind: int = 0
    name: bytes = b""
    layout: int = 0
    data: bytes = b""
    attributes: tuple[tuple[int, bytes], ...] = ()


@record(kw_only=False)
class GlobalState:
    """What all pairs of a filesystem add up to, by exclusive or: a move that was begun and whose
    source, entry `id` of `pair`, does not count any more."""

    tag: int = 0
    pair: Pair = (0, 0)

    def __xor__(self, other: GlobalState) -> GlobalState:
        (a, b), (c, d) = self.pair, other.pair
        return GlobalState(self.tag ^ other.tag, (a ^ c, b ^ d))

    @property
    def moved(self) -> tuple[Pair, int] | None:
        """The source of the move that was begun, if one was."""
        return (self.pair, self.tag >> 10 & NO_ID) if self.tag >> 28 & 0x7 else None

    def without_move(self) -> GlobalState:
        """The same, but that no move was begun."""
        return GlobalState(self.tag & 0x800003FF)


@record
class Log:
    """What the whole commits of one block say. `tail` is the pair that comes next; the directory
    goes on there where `continued`."""

    revision: int
    entries: tuple[Entry, ...] = ()
    tail: Pair | None = None
    continued: bool = False
    state: GlobalState = GlobalState()


def read_log(block: MetadataBlock) -> Log | None:
    """What the valid commits of a block say; None where they contradict themselves."""
    found = _Reading()
    for commit in block.commits:
        for tag in commit.tags:
            if not found.take(tag):
                return None
    return found.log(block.revision)


class _Reading:
    """The tags of a log so far."""

    def __init__(self) -> None:
        self.entries: list[_Tags] = []
        self.tail: Pair | None = None
        self.continued = False
        self.state = GlobalState()

    def take(self, tag: Tag) -> bool:
        """Whether one more tag makes sense."""
        group = tag.type & 0x700
        if group == 0x400:
            return self._splice(tag)
        if group in (0x000, 0x200, 0x300):
            if tag.id >= NO_ID:
                return False
            while tag.id >= len(self.entries):
                self.entries.append(_Tags())
            self.entries[tag.id].take(tag)
        elif group == SOFT_TAIL and not tag.deleted:
            if len(tag.data) != _PAIR.size:
                return False
            first, second = _PAIR.unpack(tag.data)
            self.tail = None if _NULL in (first, second) else (first, second)
            self.continued = bool(tag.type & 1)
        elif tag.type == _MOVE_STATE and not tag.deleted:
            word, first, second = struct.unpack("<III", tag.data[:12].ljust(12, b"\0"))
            self.state = GlobalState(word, (first, second))
        return True

    def _splice(self, tag: Tag) -> bool:
        if tag.type == CREATE and tag.id <= len(self.entries):
            self.entries.insert(tag.id, _Tags())
        elif tag.type == DELETE and tag.id < len(self.entries):
            del self.entries[tag.id]
        else:
            return False
        return len(self.entries) < NO_ID

    def log(self, revision: int) -> Log:
        return Log(
            revision=revision,
            entries=tuple(tags.entry() for tags in self.entries),
            tail=self.tail,
            continued=self.continued and self.tail is not None,
            state=self.state,
        )


class _Tags:
    """The newest tags of one entry."""

    def __init__(self) -> None:
        self.name: tuple[int, bytes] = (0, b"")
        self.layout: tuple[int, bytes] = (0, b"")
        self.attributes: dict[int, bytes] = {}

    def take(self, tag: Tag) -> None:
        if tag.type & 0x700 == 0x000:
            self.name = (tag.type, tag.data)
        elif tag.type & 0x700 == 0x200:
            self.layout = (0, b"") if tag.deleted else (tag.type, tag.data)
        elif tag.deleted:
            self.attributes.pop(tag.type, None)
        else:
            self.attributes[tag.type] = tag.data

    def entry(self) -> Entry:
        return Entry(*self.name, *self.layout, tuple(self.attributes.items()))


def write_log(log: Log, size: int) -> bytes | None:
    """A block of `size` bytes that says the same in one commit, the rest of it erased; None where
    it does not fit.

    Without a checksum of what follows, which 2.1 has, both versions read it, and a driver of 2.1
    makes its next change in the other block of the pair.
    """
    tags = []
    for number, entry in enumerate(log.entries):
        tags.append(Tag(entry.kind, number, entry.name))
        if entry.layout:
            tags.append(Tag(entry.layout, number, entry.data))
        tags += (Tag(kind, number, data) for kind, data in entry.attributes)
    if log.tail is not None:
        kind = HARD_TAIL if log.continued else SOFT_TAIL
        tags.append(Tag(kind, NO_ID, _PAIR.pack(*log.tail)))
    if log.state != GlobalState():
        state = struct.pack("<III", log.state.tag, *log.state.pair)
        tags.append(Tag(_MOVE_STATE, NO_ID, state))
    out = bytearray(log.revision.to_bytes(4, "little"))
    previous = _NULL
    for tag in tags:
        out += (tag.word ^ previous).to_bytes(4, "big") + tag.data
        previous = tag.word
    end = -(-(len(out) + 8) // _PROG) * _PROG
    if end > size:
        return None
    padded = end - len(out) - 4
    out += ((CHECKSUM << 20 | NO_ID << 10 | padded) ^ previous).to_bytes(4, "big")
    out += checksum(bytes(out)).to_bytes(4, "little")
    return bytes(out).ljust(size, b"\xff")
