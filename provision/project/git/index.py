"""Whether git tracks a file: read from the index of the checkout, by no git process.

A checkout may be somebody else's, and git obeys what stands in it: a folder that is itself a bare
repository has a configuration that names programs to run. The index is a file of plain records
(git's `gitformat-index`); where it cannot be read as one, nobody can tell.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from provision.atomic_files import read_plain_file

INDEX_MOST = 32 * 1024 * 1024  # bytes: some 300,000 files

_PATH_MOST = 4096  # bytes of one path: PATH_MAX, and a bound on what version 4 may repeat
_HEADER = 12
_STAT = 40  # times, device, inode, mode, owner, size
_HASHES = (20, 32)  # bytes of an object's name in a repository of sha1, and in one of sha256


class _Unreadable(Exception):
    """No index, or one that these hashes do not fit."""


def is_tracked(file: Path) -> bool:
    """Whether the checkout that a file lies in tracks it; False where nobody can tell.

    A `.git` that is itself a file names another folder, out of the checkout, which is not followed.
    """
    folder = Path(os.path.realpath(file.parent))
    for top in (folder, *folder.parents):
        git = top / ".git"
        if not os.path.lexists(git):
            continue
        if git.is_symlink() or not git.is_dir():
            return False
        try:
            index = read_plain_file(git / "index", most=INDEX_MOST, root=git)
        except OSError:
            return False
        return holds(index, (folder / file.name).relative_to(top).as_posix())
    return False


def holds(index: bytes, path: str) -> bool:
    """Whether an index has an entry for a path, which is relative to the top of its checkout."""
    wanted = path.encode("utf-8", "surrogateescape")
    for size in _HASHES:
        try:
            if any(name == wanted for name in _names(index, size)):
                return True
        except _Unreadable:
            continue
    return False


def _names(index: bytes, hash_size: int) -> Iterator[bytes]:
    version = int.from_bytes(index[4:8], "big")
    if index[:4] != b"DIRC" or version not in (2, 3, 4):
        raise _Unreadable
    at, end = _HEADER, len(index) - hash_size  # a digest of all the rest ends it
    name = b""
    for _ in range(int.from_bytes(index[8:12], "big")):
        start = at
        at += _STAT + hash_size + 2
        if at > end:
            raise _Unreadable
        if index[at - 2] & 0x40:  # more flags
            at += 2
        kept = b""
        if version == 4:
            cut, at = _number(index, at)
            if cut > len(name):
                raise _Unreadable
            kept = name[: len(name) - cut]
        stop = index.find(b"\0", at, at + _PATH_MOST + 1)
        name = kept + index[at:stop]
        if stop < 0 or not name or len(name) > _PATH_MOST:
            raise _Unreadable
        yield name
        # Before version 4 each entry is filled up with one to eight zeros.
        at = stop + 1 if version == 4 else start + (stop - start + 8) // 8 * 8


def _number(index: bytes, at: int) -> tuple[int, int]:
    """How many bytes of the name before are not this one's, in git's variable width (of an offset
    in a pack); and where it ends."""
    value = -1
    for byte in index[at : at + 3]:  # 3 bytes: past any path
        at += 1
        value = (value + 1) << 7 | byte & 0x7F
        if not byte & 0x80:
            return value, at
    raise _Unreadable
