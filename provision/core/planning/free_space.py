"""Whether the files of a plan fit a board's LittleFS, before the first byte is sent.

Every figure is an upper bound, so that a plan that passes does not run out of space half way.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from provision.model.board_path import below
from provision.model.language import assert_never
from provision.model.plan import (
    Action,
    DeleteFile,
    EraseFlash,
    MakeDirectory,
    RemoveDirectory,
    Reset,
    RestoreFile,
    RewriteFilesystem,
    RunCheck,
    WriteFile,
    WriteFirmware,
    WriteNvs,
)
from provision.model.state import Filesystem

# MicroPython mounts LittleFS with cache_size = 4 x prog_size = 128 bytes (extmod/vfs_lfs.c);
# a file no larger than the cache lives inside its directory's metadata block.
INLINE = 128
# A data block gives a few bytes to the pointers of LittleFS's skip list.
POINTERS = 8
# A directory is a pair of metadata blocks; one more pair may split off while many names are added.
DIRECTORY_BLOCKS = 2
NAMES_PER_SPLIT = 40


def blocks_of(size: int, block: int) -> int:
    """Blocks that a file of `size` bytes takes."""
    if size <= INLINE:
        return 0
    return -(-size // (block - POINTERS))


def blocks_needed(filesystem: Filesystem) -> int:
    """Blocks of a LittleFS that holds all the files and directories of another, at most."""
    directories = 1 + len(filesystem.directories)
    splits = (len(filesystem.files) + len(filesystem.directories)) // NAMES_PER_SPLIT
    files = sum(
        blocks_of(filesystem.block if file.size is None else file.size, filesystem.block)
        for file in filesystem.files.values()
    )
    inline = sum(file.size or 0 for file in filesystem.files.values() if (file.size or 0) <= INLINE)
    splits += inline // (filesystem.block // 2)
    return 2 + DIRECTORY_BLOCKS * (directories + splits) + files


def missing_bytes(actions: Iterable[Action], filesystem: Filesystem) -> int:
    """Bytes that are missing to carry out the file actions in order, 0 when they fit.

    A file that replaces another needs room for both until the rename. Unknown free space
    counts as enough: the board then says itself when it is full; so does a card.
    """
    if filesystem.free is None:
        return 0
    block = filesystem.block
    free = lowest = filesystem.free // block
    new_names = 0
    for action in actions:
        match action:
            case _ if _beyond(action, filesystem):
                pass
            case WriteFile():
                old = filesystem.files.get(action.path)
                new_names += old is None
                free -= blocks_of(action.size, block)
                lowest = min(lowest, free)
                free += blocks_of((old.size or 0) if old else 0, block)
            case DeleteFile():
                old = filesystem.files.get(action.path)
                free += blocks_of((old.size or 0) if old else 0, block)
            case MakeDirectory():
                free -= DIRECTORY_BLOCKS
                lowest = min(lowest, free)
            case RemoveDirectory():
                free += DIRECTORY_BLOCKS
            case EraseFlash() | RewriteFilesystem() | WriteFirmware():
                pass
            case RestoreFile() | WriteNvs() | Reset() | RunCheck():
                pass
            case _:
                assert_never(action)
    lowest -= DIRECTORY_BLOCKS * (new_names // NAMES_PER_SPLIT)
    return max(0, -lowest) * block


def _beyond(action: Action, filesystem: Filesystem) -> bool:
    """Whether it concerns another filesystem than the flash's, as that of a card."""
    path = getattr(action, "path", None)
    return path is not None and any(below(path, mount) for mount in filesystem.mounts)


def largest_write(actions: Iterable[Action], filesystem: Filesystem) -> WriteFile | None:
    """The largest of the files that take room in the flash; None where none is written."""
    writes = [
        action
        for action in actions
        if isinstance(action, WriteFile) and not _beyond(action, filesystem)
    ]
    return max(writes, key=lambda action: action.size, default=None)


def in_the_way(actions: Sequence[Action], filesystem: Filesystem) -> Sequence[str]:
    """The fewest of the files to be replaced, largest first, without whose old content the actions
    would fit; none where that would not do either."""
    replaced = {
        action.path: filesystem.files[action.path].size or 0
        for action in actions
        if isinstance(action, WriteFile)
        and action.path in filesystem.files
        and not _beyond(action, filesystem)
    }
    gone: list[str] = []
    for path in sorted(replaced, key=lambda path: -replaced[path]):
        gone.append(path)
        freed = sum(blocks_of(replaced[each], filesystem.block) for each in gone)
        without = replace(
            filesystem,
            files={each: file for each, file in filesystem.files.items() if each not in gone},
            free=(filesystem.free or 0) + freed * filesystem.block,
        )
        if not missing_bytes(actions, without):
            return gone
    return ()
