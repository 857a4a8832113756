"""The pure half of looking at a board: what to ask, and what an answer means.

A request has the same size however many files there are: a Bloom filter of their paths and one
digest of what is expected (agent/scan.py is the other half). When the board's differs, its 32
sums tell which files to ask for by name.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from functools import cached_property
from posixpath import basename

from provision.device.micropython import agent_source
from provision.device.micropython.replies import MalformedReply, decode_base64, lines, literal
from provision.interfaces import ScanRequest
from provision.model.board_path import (
    STARTUP_FILES,
    TEMPORARY_NAME,
    ancestors,
    at_or_below,
    below,
    path_bytes,
    path_of_bytes,
)
from provision.model.language import record
from provision.model.state import FileState, Filesystem

BUCKETS = 32
SUM_SIZE = 4  # bytes of one bucket's sum
DIGEST_SIZE = 9  # bytes of the digest of all sums: 72 bits, for equality and against no adversary
MAX_FILTER = 78
"""Bytes of the filter at most, so that a request keeps within 1 kB. Past about a hundred files it
lets some through that nobody asked for, which costs an answer more, not correctness."""
FILTER_BITS = 12  # bits a path, below that
# Bytes of flash that the board reads at a time to look at its files: LittleFS takes four times
# that as a cache, three times over, which an ESP8266 has.
READ_AHEAD = 256


@record(slots=False)
class ScanQuery:
    """A scan request in the form that goes over the wire. `mounts` are the names of what is
    mounted below `/`, for a scan that has to look across them; None where there is nothing."""

    request: ScanRequest
    mounts: tuple[str, ...] | None = None

    @cached_property
    def expected(self) -> Mapping[str, FileState]:
        """Every file that should be there; those that may have any content with sha256 None."""
        above = {parent for path in self.request.expected for parent in ancestors(path)}
        above |= {parent for path in self.request.paths for parent in ancestors(path)}
        expected = dict(self.request.expected)
        for path in self.request.paths:
            if path not in expected and path not in above and not self.in_tree(path):
                expected[path] = FileState(size=None, sha256=None)
        return expected

    @cached_property
    def presence_only(self) -> tuple[str, ...]:
        """Files of which only the presence counts."""
        return tuple(sorted(path for path, state in self.expected.items() if state.sha256 is None))

    @cached_property
    def known(self) -> frozenset[str]:
        """All paths that pass the filter on purpose: files, and the way to files and trees."""
        names = {*self.expected, *self.request.paths}
        above = {parent for path in (*names, *self.request.trees) for parent in ancestors(path)}
        trees = set(self.request.trees) - set(self.expected) - above
        return frozenset((names | above) - trees - {"/"})

    @cached_property
    def bloom(self) -> bytes:
        most = max(1, min(MAX_FILTER, (len(self.known) * FILTER_BITS + 7) // 8))
        # Start-up files are on nearly every board, asked for or not: the filter is given a size
        # that keeps them out, for one unexpected file in the sums costs a round trip more.
        others = [path for path in STARTUP_FILES if path not in self.known]
        sizes = range(most, most * 3 // 4, -1)
        filters = (bloom(self.known, size) for size in sizes)
        out = (bits for bits in filters if not any(passes(bits, path) for path in others))
        return next(out, None) or bloom(self.known, most)

    @cached_property
    def sums(self) -> bytes:
        """The sums of a board where all is as expected."""
        sums = bytearray(BUCKETS * SUM_SIZE)
        for path, state in self.expected.items():
            at = bucket(path) * SUM_SIZE
            for index, byte in enumerate(fold_file(path, state.sha256)):
                sums[at + index] ^= byte
        return bytes(sums)

    @property
    def wanted(self) -> bytes:
        """The digest that a board answers with one byte; with nothing expected for, none."""
        return hashlib.sha256(self.sums).digest()[:DIGEST_SIZE] if self.expected else b"?"

    def in_tree(self, path: str) -> bool:
        """Whether a tree covers a path: one that begins on the same filesystem."""
        return any(
            (path + "/").startswith(tree) and self._mount_of(path) == self._mount_of(tree[:-1])
            for tree in self._trees
        )

    def _mount_of(self, path: str) -> str:
        """The mount that a path lies on, the longest name that fits; "" for `/`."""
        return max(
            (one for one in self.mounts or () if at_or_below(path, one)), key=len, default=""
        )

    @property
    def walked(self) -> tuple[str, ...]:
        """The mounts to look into: those at or below which something is named."""
        names = {*self.request.expected, *self.request.paths}
        return tuple(
            one
            for one in self.mounts or ()
            if any(below(name, one) for name in names)
            or any(at_or_below(tree, one) for tree in self.request.trees)
        )

    @property
    def call(self) -> str:
        return agent_source.SCAN if self.mounts is None else agent_source.SCAN_ACROSS

    @cached_property
    def _trees(self) -> tuple[str, ...]:
        return tuple(tree.rstrip("/") + "/" for tree in self.request.trees)

    @property
    def arguments(self) -> bytes:
        """Those of `call`."""
        names = (agent_source.paths(each) for each in (self.presence_only, self._trees))
        asked = b",".join((agent_source.literal(self.bloom), *names))
        how = b"%d" % READ_AHEAD
        if self.mounts is not None:
            how = agent_source.paths(self.mounts) + b"," + agent_source.paths(self.walked)
        return b"(%s),%s,%s" % (asked, agent_source.literal(self.wanted), how)


def bucket_mask(buckets: Iterable[int]) -> bytes:
    """The argument of `_list`."""
    return b"%d" % sum(1 << number for number in buckets)


def bloom(paths: frozenset[str], size: int) -> bytes:
    """A filter of so many bytes that every one of `paths` passes: a bit is clear where one of them
    says so, for most bytes are then of those that a literal takes as they are."""
    bits = bytearray(b"\xff") * size
    for path in paths:
        key = _key(path)
        for index in (0, 2):
            bits[key[index] % size] &= ~(1 << key[index + 1] % 8)
    if int.from_bytes(bits, "big").bit_count() < size:
        return b"\0"  # three of four strangers would pass: let all, in a byte
    return bytes(bits)


def passes(bits: bytes, path: str) -> bool:
    """Whether a filter lets a path through, as the board sees it."""
    key = _key(path)
    return all(~bits[key[i] % len(bits)] >> key[i + 1] % 8 & 1 for i in (0, 2))


def bucket(path: str) -> int:
    """Which of the sums a path goes into."""
    return _key(path)[6] % BUCKETS


def fold_file(path: str, sha256: str | None) -> bytes:
    """What one file adds to its sum; None where any content will do."""
    digest = b"?" if sha256 is None else bytes.fromhex(sha256)
    return hashlib.sha256(digest + path_bytes(path)).digest()[:SUM_SIZE]


def _key(path: str) -> bytes:
    return hashlib.sha256(path_bytes(path)).digest()


@record
class DirectoryEntry:
    """One line of a listing."""

    path: str
    folder: bool
    size: int | None
    sha256: str | None


@record
class FreeSpace:
    block: int
    free: int
    total: int


@record
class ScanReply:
    """What the first answer tells. `sums` is None when all is as expected; `unmanaged` is what
    lies in the trees and was not asked for by name, and left-over temporary files."""

    unmanaged: tuple[DirectoryEntry, ...]
    sums: bytes | None
    space: FreeSpace | None
    folders: int = 0  # how many of the known directories are there, modulo 256
    flash: bool = True  # whether what was measured is as large as the flash's own filesystem

    def buckets_to_list(self, query: ScanQuery) -> tuple[int, ...] | None:
        """The buckets whose files must be asked for, to know what differs; empty when it is the
        directories alone that are not clear, None when everything is."""
        if self.sums is None:
            return None
        empty = bytes(SUM_SIZE)
        buckets = tuple(
            number
            for number in range(BUCKETS)
            if _sum(self.sums, number) not in (empty, _sum(query.sums, number))
        )
        proved = {parent for path in self.as_expected(query) for parent in ancestors(path)}
        proved -= set(query.mounts or ())
        return buckets if buckets or self.folders != len(proved) % 256 else None

    def as_expected(self, query: ScanQuery) -> Mapping[str, FileState]:
        """The files that are there as expected, as far as the sums tell."""
        sums = self.sums
        if sums is None:
            return query.expected
        return {
            path: state
            for path, state in query.expected.items()
            if _sum(sums, bucket(path)) == _sum(query.sums, bucket(path))
        }


def _sum(sums: bytes, number: int) -> bytes:
    return sums[number * SUM_SIZE : (number + 1) * SUM_SIZE]


def read_scan_reply(text: str) -> ScanReply:
    unmanaged: list[DirectoryEntry] = []
    for line in lines(text):
        if line == "\x02=":
            return ScanReply(unmanaged=tuple(unmanaged), sums=None, space=None)
        match literal(line):
            case (
                "\x02",
                bytes() as sums,
                (int() as block, int() as fragment, int() as all_, free),
                (int() | None) as blocks,
            ):
                raw = decode_base64(sums)
                if len(raw) != BUCKETS * SUM_SIZE + 1 or not isinstance(free, int):
                    raise MalformedReply(line)
                return ScanReply(
                    unmanaged=tuple(unmanaged),
                    sums=raw[:-1],
                    space=FreeSpace(block=block, free=fragment * free, total=fragment * all_),
                    folders=raw[-1],
                    flash=blocks in (None, all_),
                )
            case value:
                unmanaged.append(_entry(value, line))
    raise MalformedReply(text)


def read_listing(text: str) -> tuple[DirectoryEntry, ...]:
    return tuple(_entry(literal(line), line) for line in lines(text))


def leftovers(entries: Iterable[DirectoryEntry]) -> tuple[DirectoryEntry, ...]:
    """The temporary files among the entries."""
    return tuple(
        entry for entry in entries if not entry.folder and basename(entry.path) == TEMPORARY_NAME
    )


def filesystem(query: ScanQuery, reply: ScanReply, listing: Iterable[DirectoryEntry]) -> Filesystem:
    """What the board's filesystem is, from the first answer and the listing it asked for."""
    listing = tuple(listing)
    files = dict(reply.as_expected(query))
    directories: set[str] = set()
    for entry in (*reply.unmanaged, *listing):
        inside = query.in_tree(entry.path)
        if not inside and (entry.path not in query.known or basename(entry.path) == TEMPORARY_NAME):
            continue  # the filter let it through, and nobody asked for it
        if entry.folder:
            directories.add(entry.path)
        else:
            files[entry.path] = FileState(size=entry.size, sha256=entry.sha256)
    for path in files:
        directories.update(ancestors(path))
    mounts = frozenset(query.mounts or ())
    directories |= {one for one in mounts if one in query.known or query.in_tree(one)}
    if reply.space is None:
        return Filesystem(files=files, directories=frozenset(directories), mounts=mounts)
    # What an interrupted transfer left is overwritten or removed by the next one.
    block = max(1, reply.space.block)
    free = reply.space.free + sum(
        -(-(entry.size or 0) // block) * block for entry in leftovers((*reply.unmanaged, *listing))
    )
    return Filesystem(
        files=files,
        directories=frozenset(directories),
        free=free,
        block=block,
        mounted=reply.space.total > 0,
        mounts=mounts,
    )


def _entry(value: object, line: str) -> DirectoryEntry:
    digest = b""
    match value:
        case (bytes() as path, int() as folder, tuple() as rest):
            pass
        case (bytes() as path, int() as folder, tuple() as rest, bytes() as coded):
            digest = decode_base64(coded)
        case _:
            raise MalformedReply(line)
    if not path.startswith(b"/") or len(digest) not in (0, 1, 32):
        raise MalformedReply(line)
    size = rest[0] if rest and isinstance(rest[0], int) and rest[0] >= 0 else None
    return DirectoryEntry(
        path=path_of_bytes(path),
        folder=bool(folder),
        size=None if folder else size,
        sha256=digest.hex() if len(digest) == 32 else None,
    )


def is_as_expected(answer: str) -> bool:
    """Whether a scan says that all is as it should be, and nothing else."""
    return answer.rstrip().endswith("\x02=")
