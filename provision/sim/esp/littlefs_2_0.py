"""One metadata block, translated between LittleFS' disk versions 2.0 and 2.1.

A virtual board's MicroPython is a recent one, whose driver writes 2.1. Where it runs in the place
of an old one, `shown` turns a block in flash into what that driver must be given to see what the
old one would see, and `settled` turns what it made of that into what the old one would have
written. `old_driver` has the files that it is done in. See `provision.core.littlefs_blocks`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from provision.core.littlefs_blocks import (
    FCRC,
    INLINE_STRUCT,
    MAGIC,
    NO_ID,
    SUPERBLOCK,
    Commit,
    Tag,
    checksum,
    read_metadata,
)

_PROGRAM_UNIT = 32  # bytes; MicroPython's progsize, unless an app asks for another
_ERASED = b"\xff"
_REVISION = 4  # bytes
_TAG = 4
_CLOSING = 8  # bytes: the tag that ends a commit and its checksum
_FORWARD = 12  # the tag that 2.1 added


def shown(block: bytes) -> bytes:
    """What a driver of 2.1 must read to take a block as one of 2.0 does.

    - A commit that the old driver rejects, for its FCRC, has its checksum spoilt.
    - Where the old driver would go on writing behind the last commit, so does the new one only
      after an FCRC that fits: the last commit gets one, and a program unit more where it has no
      room. (A block's last unit is lost by that: it is full 32 bytes too soon.)
    - Superblocks say one version more: the driver does not put 2.0 up to 2.1 unasked, and refuses
      2.1 with the old one's EINVAL.
    """
    old, new = read_metadata(block, fcrc=False), read_metadata(block)
    rest = bytearray(block[old.end :])
    if len(new.commits) > len(old.commits):
        rejected = new.commits[len(old.commits)]
        rest[_closing_offset(rejected) + _TAG - old.end] ^= 0xFF
    if not old.commits:
        return bytes(rest)
    log = _Log(bytearray(block[:_REVISION]))
    for commit, tags in zip(old.commits, _with_versions(old.commits, 1), strict=True):
        end = commit.end
        if commit is old.commits[-1] and old.unwritten and end % _PROGRAM_UNIT == 0:
            if end - _closing_offset(commit) < _CLOSING + _FORWARD:
                end += _PROGRAM_UNIT
            if end + _PROGRAM_UNIT <= len(block):
                after = block[commit.end : commit.end + _PROGRAM_UNIT]
                tags.append(Tag(FCRC, NO_ID, struct.pack("<2I", len(after), checksum(after))))
            else:
                end = commit.end
        log.append(tags, commit.closing, end)
    return bytes((log.data + rest)[: len(block)])


def settled(before: bytes, as_shown: bytes, now: bytes) -> bytes:
    """What an old driver would have left of a block that lay in flash as `before` and was given
    to the new driver `as_shown`, which made it `now`.

    Commits that were appended are appended; a block that was written from its beginning is as a
    whole in 2.0. What follows the last valid commit, as a power cut left it, follows it here too.
    """
    new = read_metadata(now)
    if not new.commits:
        return now
    tags = _with_versions(new.commits, -1)
    kept, old = read_metadata(as_shown), read_metadata(before, fcrc=False)
    log, first = _Log(bytearray(now[:_REVISION])), 0
    if (
        old.commits
        and len(old.commits) == len(kept.commits)
        and now[: kept.end] == as_shown[: kept.end]
    ):
        log = _Log(bytearray(before[: old.end]), old.commits[-1].next_tag)
        first = len(old.commits)
    for commit, entries in zip(new.commits[first:], tags[first:], strict=True):
        plain = [tag for tag in entries if tag.type != FCRC]
        size = len(log.data) + _size(plain) + _CLOSING
        log.append(plain, commit.closing, -(-size // _PROGRAM_UNIT) * _PROGRAM_UNIT)
    data = log.data + now[new.end :]
    return bytes(data[: len(now)].ljust(len(now), _ERASED))


@dataclass(slots=True)
class _Log:
    """A metadata block that is being written; `previous` is what its next tag is XORed with."""

    data: bytearray
    previous: int = 0xFFFFFFFF

    def append(self, tags: Iterable[Tag], closing: int, end: int) -> None:
        """A commit, padded to `end`; `closing` is the tag that ends it, but for its size."""
        start = 0 if len(self.data) == _REVISION else len(self.data)
        for tag in tags:
            self._put(tag.word)
            self.data += tag.data
        self._put(closing & ~0x3FF | end - len(self.data) - _TAG)
        self.data += struct.pack("<I", checksum(bytes(self.data[start:])))
        self.data += _ERASED * (end - len(self.data))
        self.previous ^= (self.previous >> 20 & 1) << 31  # what the closing tag announces

    def _put(self, word: int) -> None:
        self.data += (word ^ self.previous).to_bytes(_TAG, "big")
        self.previous = word


def _with_versions(commits: Sequence[Commit], change: int) -> list[list[Tag]]:
    """The tags of each commit, the minor disk version in superblock entries changed."""
    superblock = False
    changed: list[list[Tag]] = []
    for commit in commits:
        tags: list[Tag] = []
        for tag in commit.tags:
            superblock |= tag.type == SUPERBLOCK and tag.id == 0 and tag.data == MAGIC
            if superblock and tag.type == INLINE_STRUCT and tag.id == 0 and len(tag.data) >= 4:
                minor = int.from_bytes(tag.data[:2], "little") + change
                version = min(max(minor, 0), 0xFFFF).to_bytes(2, "little")
                tags.append(Tag(tag.type, tag.id, version + tag.data[2:]))
            else:
                tags.append(tag)
        changed.append(tags)
    return changed


def _size(tags: Iterable[Tag]) -> int:
    return sum(_TAG + len(tag.data) for tag in tags)


def _closing_offset(commit: Commit) -> int:
    """Where the tag that ends a commit is."""
    return (commit.start or _REVISION) + _size(commit.tags)
