"""LittleFS' metadata blocks, read as a driver reads them: commits, tags, checksums, disk version.

A directory is a pair of blocks, each a log of commits; the block with the newer revision that has
a valid commit counts. Disk version 2.1 added a tag (FCRC, 0x5ff) that a driver of version 2.0
takes for a checksum that does not fit: for it the log ends before a commit that holds one. So
`fcrc=False` reads as a driver of 2.0 does. After littlefs' SPEC.md and lfs_dir_fetchmatch.

Pure, and made for flash that may hold anything: nothing here raises on garbage, every loop ends
with the block or after as many steps as there are blocks.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

from provision.model.language import record

VERSION_2_0 = 0x00020000
VERSION_2_1 = 0x00020001

REGULAR, DIRECTORY, SUPERBLOCK = 0x001, 0x002, 0x0FF  # names
DIRECTORY_STRUCT, INLINE_STRUCT, CTZ_STRUCT = 0x200, 0x201, 0x202
CREATE, DELETE = 0x401, 0x4FF
SOFT_TAIL, HARD_TAIL = 0x600, 0x601
CHECKSUM, FCRC = 0x500, 0x5FF
NO_ID = 0x3FF  # of a tag that belongs to no file
MAGIC = b"littlefs"

_NULL = 0xFFFFFFFF
_INVALID = 1 << 31
_CLASS, _SUBCLASS = 0x700, 0x780  # of a type: what old drivers look at, what new ones do
_NAMES, _STRUCTS, _TAILS = 0x000, 0x200, 0x600
_DELETED = 0x3FF  # a size that means: no such tag any more
_SUPERBLOCK_SIZE = 24
_MAX_FILES = 0x3FF

ReadBlock = Callable[[int], bytes]
"""The bytes of one block, by its number."""


def checksum(data: bytes, start: int = _NULL) -> int:
    """LittleFS' CRC-32: polynomial 0x04c11db7, from 0xffffffff, not inverted at the end."""
    return zlib.crc32(data, start ^ _NULL) ^ _NULL


@record(kw_only=False)
class Tag:
    """One entry of a commit: its type of 11 bits, the number of the file in the block that it is
    about, its data; `deleted` where the tag says that there is none."""

    type: int
    id: int
    data: bytes
    deleted: bool = False

    @property
    def word(self) -> int:
        """As it is stored, but for the tag before it that it is XORed with."""
        size = _DELETED if self.deleted else len(self.data)
        return self.type << 20 | self.id << 10 | size


@record(kw_only=False)
class Commit:
    """One valid commit, from `start` to `end` (after its padding), offsets within the block.

    `tags` are without the closing checksum, whose whole tag is `closing`.
    """

    start: int
    end: int
    tags: tuple[Tag, ...]
    closing: int

    @property
    def has_fcrc(self) -> bool:
        return any(tag.type == FCRC for tag in self.tags)

    @property
    def next_tag(self) -> int:
        """What the first tag of the next commit is XORed with."""
        return self.closing ^ ((self.closing >> 20 & 1) << 31)


@record(kw_only=False)
class MetadataBlock:
    """A block as far as its commits are valid. `unwritten`: nothing of another commit follows, by
    the valid bit of its first tag."""

    revision: int
    commits: tuple[Commit, ...]
    unwritten: bool

    @property
    def end(self) -> int:
        """Where the next commit would begin."""
        return self.commits[-1].end if self.commits else 0

    @property
    def has_fcrc(self) -> bool:
        """Whether a driver of 2.0 would not see all of it."""
        return any(commit.has_fcrc for commit in self.commits)


@dataclass(slots=True)
class File:
    """What the log says of one file of a directory in the end."""

    type: int | None = None
    name: bytes = b""
    struct: int | None = None
    data: bytes = b""


@dataclass(slots=True)
class Contents:
    """A metadata block's log, played to its end."""

    files: list[File] = field(default_factory=list)
    tail: tuple[int, int] | None = None
    tail_is_same_directory: bool = False

    @property
    def version(self) -> int | None:
        """The disk version, where the block holds a superblock entry."""
        if not self.files:
            return None
        entry = self.files[0]
        if entry.type != SUPERBLOCK or entry.name != MAGIC or entry.struct != INLINE_STRUCT:
            return None
        return int.from_bytes(entry.data[:4], "little") if len(entry.data) >= 4 else None

    @property
    def directories(self) -> tuple[tuple[int, int], ...]:
        """The pair of blocks of each directory in here."""
        pairs = (_pair(file.data) for file in self.files if file.struct == DIRECTORY_STRUCT)
        return tuple(pair for pair in pairs if pair is not None)


@record(kw_only=False)
class Pair:
    """One metadata pair; `current` is its block that counts and what that holds, None where no
    block of it has a valid commit."""

    blocks: tuple[int, int]
    current: tuple[int, MetadataBlock] | None
    contents: Contents


class ReadPair(Protocol):
    """`read_pair`."""

    def __call__(
        self, blocks: tuple[int, int], data: tuple[bytes, bytes], *, fcrc: bool = True
    ) -> Pair: ...


def read_metadata(block: bytes, *, fcrc: bool = True) -> MetadataBlock:
    """The valid commits of a block; none in what is no metadata."""
    if len(block) < 4:
        return MetadataBlock(revision=0, commits=(), unwritten=False)
    commits: list[Commit] = []
    tags: list[Tag] = []
    previous, offset, start = _NULL, 4, 0
    running = checksum(block[:4])
    unwritten = after_commit = False
    while offset + 4 <= len(block):
        stored = block[offset : offset + 4]
        tag = int.from_bytes(stored, "big") ^ previous
        if tag & _INVALID:
            unwritten = after_commit
            break
        kind, size = tag >> 20, tag & 0x3FF
        deleted = size == _DELETED
        end = offset + 4 + (0 if deleted else size)
        if end > len(block):
            break
        running = checksum(stored, running)
        mask = _SUBCLASS if fcrc else _CLASS
        if kind & mask == CHECKSUM:
            if block[offset + 4 : offset + 8] != struct.pack("<I", running):
                break
            # (A tag without room for its checksum ends here too: so does a driver's reading.)
            commits.append(Commit(start=start, end=end, tags=tuple(tags), closing=tag))
            previous = commits[-1].next_tag
            tags, start, running = [], end, _NULL
            after_commit = True
        else:
            data = block[offset + 4 : end]
            running = checksum(data, running)
            tags.append(Tag(type=kind, id=tag >> 10 & 0x3FF, data=data, deleted=deleted))
            previous = tag
            after_commit = False
        offset = end
    revision = int.from_bytes(block[:4], "little")
    return MetadataBlock(revision=revision, commits=tuple(commits), unwritten=unwritten)


def current_block(
    blocks: tuple[bytes, bytes], *, fcrc: bool = True
) -> tuple[int, MetadataBlock] | None:
    """Which of a pair's two blocks counts (0 or 1), and what it holds; None where neither has a
    valid commit."""
    revisions = [int.from_bytes(block[:4], "little") for block in blocks]
    newer = int(_is_newer(revisions[1], revisions[0]))
    for which in (newer, 1 - newer):
        found = read_metadata(blocks[which], fcrc=fcrc)
        if found.commits:
            return which, found
    return None


def play(block: MetadataBlock | None) -> Contents:
    """What the commits of a block leave, one after the other."""
    contents = Contents()
    for commit in block.commits if block is not None else ():
        for tag in commit.tags:
            _apply(contents, tag)
    return contents


def superblock_version(pair: bytes, *, fcrc: bool = True) -> int | None:
    """The disk version (0x00020001 is 2.1) that the first two blocks of a filesystem record.

    None where they hold no LittleFS that a driver would find. The first pair alone: a filesystem
    whose root has moved on repeats it further down, see `disk_version`.
    """
    half = len(pair) // 2
    found = current_block((pair[:half], pair[half : 2 * half]), fcrc=fcrc)
    return play(found[1]).version if found is not None else None


def read_pair(blocks: tuple[int, int], data: tuple[bytes, bytes], *, fcrc: bool = True) -> Pair:
    """What a driver makes of a pair, by the bytes of its two blocks."""
    found = current_block(data, fcrc=fcrc)
    current = (blocks[found[0]], found[1]) if found is not None else None
    return Pair(blocks=blocks, current=current, contents=play(current and current[1]))


def walk(
    read: ReadBlock, block_count: int, *, fcrc: bool = True, read_pair: ReadPair = read_pair
) -> Iterator[Pair]:
    """Every metadata pair that a driver comes to, each once, the one at 0 and 1 first.

    By the list of all pairs and by the directories' own entries, which differ while a pair is
    being moved. Pairs outside of `block_count` blocks are left out. A `read_pair` of the caller's
    may remember what it was asked before.
    """
    pending: list[tuple[int, int]] = [(0, 1)]
    seen: set[tuple[int, int]] = set()
    while pending:
        blocks = pending.pop()
        key = (min(blocks), max(blocks))
        if key in seen or max(blocks) >= block_count or len(seen) >= block_count:
            continue
        seen.add(key)
        pair = read_pair(blocks, (read(blocks[0]), read(blocks[1])), fcrc=fcrc)
        yield pair
        pending += pair.contents.directories
        if pair.contents.tail is not None:
            pending.append(pair.contents.tail)


def disk_version(read: ReadBlock, block_count: int, *, fcrc: bool = True) -> int | None:
    """The newest disk version that any superblock entry of the filesystem records; None where
    there is no filesystem."""
    versions = [pair.contents.version for pair in walk(read, block_count, fcrc=fcrc)]
    if not versions or versions[0] is None:
        return None
    return max(version for version in versions if version is not None)


def _is_newer(one: int, other: int) -> bool:
    """By sequence: revisions wrap around."""
    return 0 < (one - other & _NULL) < 1 << 31


def _pair(data: bytes) -> tuple[int, int] | None:
    if len(data) < 8:
        return None
    first, second = struct.unpack_from("<2I", data)
    return None if _NULL in (first, second) else (first, second)


def _apply(contents: Contents, tag: Tag) -> None:
    files = contents.files
    if tag.type == CREATE:
        if len(files) < _MAX_FILES:
            files.insert(tag.id, File())
    elif tag.type == DELETE:
        del files[tag.id : tag.id + 1]
    elif tag.type & _CLASS == _TAILS:
        contents.tail = _pair(tag.data)
        contents.tail_is_same_directory = bool(tag.type & 1)
    elif tag.type & _CLASS in (_NAMES, _STRUCTS) and tag.id != NO_ID:
        files.extend(File() for _ in range(tag.id + 1 - len(files)))
        file = files[tag.id]
        if tag.type & _CLASS == _NAMES:
            file.type, file.name = tag.type, tag.data
        else:
            file.struct, file.data = None if tag.deleted else tag.type, tag.data
