"""A LittleFS read out of flash without the firmware that uses it.

littlefs-python would read it too, but it ends the process where an assertion of LittleFS fails, and
loops where a damaged directory leads back to itself. Here what is read may be damaged or forged:
every walk is bounded by the number of blocks. A block is read once, and only when it is needed.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

from provision.core.littlefs_blocks import (
    CTZ_STRUCT,
    DIRECTORY,
    DIRECTORY_STRUCT,
    INLINE_STRUCT,
    MAGIC,
    REGULAR,
    SUPERBLOCK,
    VERSION_2_1,
    current_block,
)
from provision.core.wording import printable
from provision.device.flashing.littlefs_metadata import Entry, GlobalState, Log, Pair, read_log
from provision.errors import BoardError
from provision.interfaces import FlashRead
from provision.model.firmware import FilesystemPlace
from provision.model.language import record

_READ_AHEAD = 16  # blocks of a file that are read at once, as long as they lie side by side
_MOST_NAMES = 1 << 24  # characters of all paths together: beyond that somebody made them up
_SUPERBLOCK = struct.Struct("<IIIIII")
_WORD = struct.Struct("<I")


class Damaged(Exception):
    """What is read makes no sense; the text says what."""


@record(kw_only=False)
class StoredFile:
    """Where the content of a file is: `inline`, or in a list of blocks that ends with `head`."""

    size: int
    inline: bytes | None = None
    head: int = 0


@dataclass(slots=True)
class Metadata:
    """A pair, its newer block first, and what that says."""

    pair: Pair
    log: Log


class LittleFsReader:
    """One filesystem. What is damaged raises Damaged, from the beginning where LittleFS would not
    mount it; what reading the flash raises goes through."""

    def __init__(self, read: FlashRead, place: FilesystemPlace) -> None:
        self.place = place
        self.disk_version = 0
        self.blocks = Blocks(read, place)
        self._pairs: dict[frozenset[int], Metadata] = {}
        self.state = GlobalState()
        root: Pair | None = None
        pair: Pair | None = (0, 1)
        while pair is not None:
            key = frozenset(pair)
            if key in self._pairs:
                raise Damaged("its list of directories leads back to itself")
            metadata = self._read_pair(pair)
            self._pairs[key] = metadata
            first = metadata.log.entries[:1]
            if first and first[0].kind == SUPERBLOCK and first[0].name == MAGIC:
                self._take_superblock(first[0])
                root = metadata.pair
            self.state ^= metadata.log.state
            pair = metadata.log.tail
        if root is None:
            raise Damaged("it has no superblock")
        self.root = root

    def _take_superblock(self, entry: Entry) -> None:
        if entry.layout != INLINE_STRUCT:
            raise Damaged("its superblock is empty")
        fields = _SUPERBLOCK.unpack(entry.data[: _SUPERBLOCK.size].ljust(_SUPERBLOCK.size, b"\0"))
        version, block_size, block_count = fields[:3]
        if version >> 16 != VERSION_2_1 >> 16 or version > VERSION_2_1:
            raise Damaged(f"its version is {version >> 16}.{version & 0xFFFF}")
        if block_size != self.place.block or block_count < 2:
            raise Damaged("it has another shape")
        self.disk_version = version
        self.blocks.limit = min(block_count, self.place.blocks)

    # Directories

    def _read_pair(self, pair: Pair) -> Metadata:
        self.blocks.want(pair)
        found = current_block((self.blocks[pair[0]], self.blocks[pair[1]]))
        log = read_log(found[1]) if found is not None else None
        if found is not None and log is not None:
            return Metadata((pair[found[0]], pair[1 - found[0]]), log)
        raise Damaged(f"neither block of the directory in {pair[0]} and {pair[1]} can be read")

    def _metadata(self, pair: Pair) -> Metadata:
        key = frozenset(pair)
        if key not in self._pairs:  # one that was being moved when the power went
            self._pairs[key] = self._read_pair(pair)
        return self._pairs[key]

    def parts(self, pair: Pair) -> Iterator[Metadata]:
        """The pairs of one directory."""
        seen: set[frozenset[int]] = set()
        following: Pair | None = pair
        while following is not None:
            metadata = self._metadata(following)
            if frozenset(following) in seen:
                raise Damaged("a directory leads back to itself")
            seen.add(frozenset(following))
            yield metadata
            following = metadata.log.tail if metadata.log.continued else None

    def _entries(self, metadata: Metadata) -> Iterator[Entry]:
        """What is there of a pair, without the source of a move that was begun."""
        moved = self.state.moved
        gone = moved[1] if moved is not None and set(moved[0]) & set(metadata.pair) else None
        for number, entry in enumerate(metadata.log.entries):
            if number != gone and entry.kind in (REGULAR, DIRECTORY):
                yield entry

    @cached_property
    def tree(self) -> tuple[Mapping[str, StoredFile], frozenset[str]]:
        """Every file by path, and every directory but "/"."""
        files: dict[str, StoredFile] = {}
        directories: set[str] = set()
        seen: set[int] = set()
        pending = [("", self.root)]
        characters = 0
        while pending:
            parent, pair = pending.pop()
            for metadata in self.parts(pair):
                if seen & set(metadata.pair):
                    raise Damaged("a directory lies in two places")
                seen |= set(metadata.pair)
                for entry in self._entries(metadata):
                    path = f"{parent}/{_name(entry)}"
                    characters += len(path)
                    if characters > _MOST_NAMES:
                        raise Damaged("its names have no end")
                    if entry.kind == REGULAR:
                        files[path] = _file(entry)
                    else:
                        directories.add(path)
                        pending.append((path, _directory(entry)))
        return files, frozenset(directories)

    @cached_property
    def used(self) -> int:
        """How many blocks are in use, counted as LittleFS does."""
        used = 2 * len(self._pairs)
        for metadata in self._pairs.values():
            for entry in metadata.log.entries:
                with suppress(Damaged):
                    file = _file(entry)
                    if file.inline is None:
                        used += _block_count(file.size, self.place.block)
        return used

    def content(self, file: StoredFile) -> bytes:
        if file.inline is not None:
            return file.inline
        if file.size == 0:
            return b""
        size = self.place.block
        last, length = _position(file.size - 1, size)
        length += 1
        if last >= self.blocks.limit:
            raise Damaged("it is larger than the flash")
        pieces: list[bytes] = []
        block, ahead = file.head, _READ_AHEAD
        for index in range(last, -1, -1):
            if block not in self.blocks:
                self.blocks.want(range(max(block - min(ahead, index + 1) + 1, 0), block + 1))
            data = self.blocks[block]
            skip = 4 * (index & -index).bit_length()  # its pointers: one for each power of two
            pieces.append(data[skip:length])
            length = size
            if index:
                (before,) = _WORD.unpack_from(data)
                ahead = min(2 * ahead, _READ_AHEAD) if before == block - 1 else 1
                block = before
        pieces.reverse()
        return b"".join(pieces)


class Blocks:
    """The blocks of a filesystem, each read from flash once. What lies past `limit` is damage."""

    def __init__(self, read: FlashRead, place: FilesystemPlace) -> None:
        self.limit = place.blocks
        self._read = read
        self._place = place
        self._known: dict[int, bytes] = {}

    def want(self, numbers: Iterable[int]) -> None:
        """Read what is not known of these, what lies side by side at once."""
        missing = sorted({n for n in numbers if n < self.limit and n not in self._known})
        start = 0
        for at, number in enumerate(missing, 1):
            if at == len(missing) or missing[at] != number + 1:
                self._fetch(missing[start], at - start)
                start = at

    def _fetch(self, first: int, count: int) -> None:
        size = self._place.block
        data = self._read(self._place.offset + first * size, count * size)
        if len(data) != count * size:
            raise BoardError("the flash could not be read whole")
        for at in range(count):
            self._known[first + at] = data[at * size : (at + 1) * size]

    def __contains__(self, number: int) -> bool:
        return number in self._known

    def __getitem__(self, number: int) -> bytes:
        if number >= self.limit:
            raise Damaged(f"it leads to block {number} of {self.limit}")
        self.want((number,))
        return self._known[number]

    def bytes_at(self, offset: int, size: int) -> bytes:
        """As `FlashRead`, out of what is known already where it is."""
        first = (offset - self._place.offset) // self._place.block
        numbers = range(first, first + size // self._place.block)
        self.want(numbers)
        return b"".join(self._known[number] for number in numbers)


def _name(entry: Entry) -> str:
    name = entry.name.decode("utf-8", "surrogateescape")
    if not name or name in (".", "..") or "/" in name or "\0" in name:
        raise Damaged(f"there is a name that no program could give: {printable(name)!r}")
    return name


def _file(entry: Entry) -> StoredFile:
    if entry.layout == INLINE_STRUCT:
        return StoredFile(size=len(entry.data), inline=entry.data)
    if entry.layout == CTZ_STRUCT and len(entry.data) >= 8:
        head, size = struct.unpack_from("<II", entry.data)
        return StoredFile(size=size, head=head)
    raise Damaged("a file has no content")


def _directory(entry: Entry) -> Pair:
    if entry.layout != DIRECTORY_STRUCT or len(entry.data) < 8:
        raise Damaged("a directory has no content")
    first, second = struct.unpack_from("<II", entry.data)
    return first, second


def _position(at: int, block: int) -> tuple[int, int]:
    """In which block of a file its byte `at` lies, counted from the first, and where there: each
    block begins with pointers to some before it, two on the average."""
    room = block - 8
    index = at // room
    if index == 0:
        return 0, at
    index = (at - 4 * ((index - 1).bit_count() + 2)) // room
    return index, at - room * index - 4 * index.bit_count()


def _block_count(size: int, block: int) -> int:
    return _position(size - 1, block)[0] + 1 if size else 0
