"""A board's filesystem, built on the host: the LittleFS image that is written with the firmware.

MicroPython mounts it as its own: block, read and program sizes and disk version are those of its
VfsLfs2. Only the blocks that LittleFS will ever look at are to be written; the rest of the
partition may hold anything.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import field
from typing import cast

import littlefs
from littlefs.errors import LittleFSError

from provision.core.littlefs_blocks import VERSION_2_0
from provision.core.wording import file_size, memory_size, plural
from provision.errors import ImageError, OutOfSpace
from provision.model.board_path import ancestors
from provision.model.firmware import LITTLEFS_BLOCK, FilesystemPlace, Region
from provision.model.language import record

_READ = 32
_PROG = 32
# VfsLfs2 has four times its larger unit as cache. A file up to this size lies inside its
# directory's block and must fit the cache whole, so ours may be no larger.
_CACHE = 128
_LOOKAHEAD = 32
# LittleFS keeps names as bytes. They go through littlefs-python as such.
_NAMES = "latin-1"

# Writing a few unused blocks is cheaper than starting another write for what follows them.
_GAP = 4


@record(slots=False)
class FilesystemImage:
    """A whole filesystem. `data` fills `place`; `used` are the blocks that matter, sorted."""

    place: FilesystemPlace
    data: bytes = field(repr=False)
    used: tuple[int, ...]

    def regions(self) -> tuple[Region, ...]:
        """What is to be written, at offsets in the flash, in order."""
        runs: list[list[int]] = []
        for block in self.used:
            if runs and block <= runs[-1][1] + _GAP:
                runs[-1][1] = block + 1
            else:
                runs.append([block, block + 1])
        return tuple(
            Region(
                name="filesystem",
                offset=self.place.offset + start * LITTLEFS_BLOCK,
                data=self.data[start * LITTLEFS_BLOCK : end * LITTLEFS_BLOCK],
            )
            for start, end in runs
        )


def build_filesystem(
    place: FilesystemPlace,
    files: Mapping[str, bytes],
    directories: Collection[str] = (),
    disk_version: int = VERSION_2_0,
) -> FilesystemImage:
    """A filesystem holding `files` by absolute path, and `directories`, parents made. Names are
    those of `StoredContents`. Every MicroPython since 1.13 mounts disk version 2.0, and one since
    1.22 raises it to 2.1 when it writes.

    The same input gives the same bytes. It is mounted again and every file compared before it
    is returned. Raises OutOfSpace with the shortfall when it does not fit.
    """
    flash = _MemoryFlash(bytearray(b"\xff" * place.size))
    raw = {_raw(path): content for path, content in files.items()}
    empty = {_raw(path) for path in directories}
    try:
        _write_files(_open(flash, place.blocks, disk_version, mount=False), raw, empty)
    except LittleFSError as error:
        if error.code != LittleFSError.Error.LFS_ERR_NOSPC:
            raise ImageError(f"the filesystem image cannot be built: {error}") from error
        raise _out_of_space(place, files) from error
    flash.read_blocks.clear()
    found = dict(_walk(_open(flash, place.blocks, disk_version, mount=True)))
    for path, content in files.items():
        if found.get(_raw(path)) != content:
            raise ImageError(f"{path} does not read back from the filesystem image")
    return FilesystemImage(
        place=place, data=bytes(flash.data), used=tuple(sorted(flash.read_blocks))
    )


class _MemoryFlash:
    """Memory that LittleFS works on; notes which blocks are looked at."""

    def __init__(self, data: bytearray) -> None:
        self.data = data
        self.read_blocks: set[int] = set()

    def read(self, _config: object, block: int, offset: int, size: int) -> bytearray:
        self.read_blocks.add(block)
        start = block * LITTLEFS_BLOCK + offset
        return self.data[start : start + size]

    def prog(self, _config: object, block: int, offset: int, data: bytes) -> int:
        start = block * LITTLEFS_BLOCK + offset
        self.data[start : start + len(data)] = data
        return 0

    def erase(self, _config: object, block: int) -> int:
        self.data[block * LITTLEFS_BLOCK : (block + 1) * LITTLEFS_BLOCK] = b"\xff" * LITTLEFS_BLOCK
        return 0

    def sync(self, _config: object) -> int:
        return 0


def _raw(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode(_NAMES)


def _open(flash: _MemoryFlash, blocks: int, disk_version: int, *, mount: bool) -> littlefs.LittleFS:
    filesystem = littlefs.LittleFS(
        context=cast(littlefs.UserContext, flash),
        mount=False,
        block_size=LITTLEFS_BLOCK,
        block_count=blocks,
        read_size=_READ,
        prog_size=_PROG,
        cache_size=_CACHE,
        lookahead_size=_LOOKAHEAD,
        disk_version=disk_version,
        filename_encoding=_NAMES,
    )
    if mount:
        filesystem.mount()
    return filesystem


def _write_files(
    filesystem: littlefs.LittleFS, files: Mapping[str, bytes], directories: Collection[str]
) -> None:
    filesystem.format()
    filesystem.mount()
    parents = (parent for path in (*files, *directories) for parent in ancestors(path))
    for directory in sorted({*directories, *parents}):  # each after the one that it lies in
        filesystem.mkdir(directory)
    for path, content in sorted(files.items()):
        handle = littlefs.lfs.file_open(filesystem.fs, path, "w", _NAMES)
        # Closed once, whatever comes of it: to close a file again that could not be closed ends
        # the process, and littlefs-python's own file objects do so when they are collected.
        try:
            littlefs.lfs.file_write(filesystem.fs, handle, content)
        finally:
            littlefs.lfs.file_close(filesystem.fs, handle)
    filesystem.unmount()


def _walk(filesystem: littlefs.LittleFS) -> Iterator[tuple[str, bytes]]:
    for directory, _, names in filesystem.walk("/"):
        for name in names:
            path = f"{directory.rstrip('/')}/{name}"
            with filesystem.open(path, "rb") as file:
                yield path, file.read()


def _out_of_space(place: FilesystemPlace, files: Mapping[str, bytes]) -> OutOfSpace:
    # What a file takes: whole blocks, or a place in its directory for the smallest.
    needed = sum(-(-len(content) // LITTLEFS_BLOCK) * LITTLEFS_BLOCK for content in files.values())
    needed += 2 * LITTLEFS_BLOCK * (1 + len({tuple(ancestors(path)) for path in files}))
    short = max(needed - place.size, LITTLEFS_BLOCK)
    largest = max(files, key=lambda path: len(files[path]), default=None)
    named = f" (the largest: {file_size(largest, len(files[largest]))})" if largest else ""
    return OutOfSpace(
        f"{plural(len(files), 'file')} of about {memory_size(needed)} are wanted{named}, "
        f"the filesystem has {memory_size(place.size)}: {memory_size(short)} too little"
    )
