"""Whether a plan's files fit, counted in blocks as LittleFS counts them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provision.core.planning.free_space import (
    DIRECTORY_BLOCKS,
    blocks_needed,
    blocks_of,
    in_the_way,
    missing_bytes,
)
from provision.model.plan import Action, DeleteFile, MakeDirectory, RemoveDirectory, WriteFile
from provision.model.state import FileState, Filesystem

BLOCK = 4096


def write(path: str, blocks: int) -> WriteFile:
    return WriteFile(path=path, size=blocks * 4000, sensitive=False, reason="")


def there(blocks: int | None, **files: int) -> Filesystem:
    return Filesystem(
        files={
            f"/{name}": FileState(size=size * 4000, sha256=None) for name, size in files.items()
        },
        free=None if blocks is None else blocks * BLOCK,
        block=BLOCK,
    )


def card(blocks: int) -> Filesystem:
    return replace(there(blocks), mounts=frozenset({"/sd"}))


def test_a_small_file_lies_in_its_directory() -> None:
    assert [blocks_of(size, BLOCK) for size in (0, 128, 129, 4088, 4089)] == [0, 0, 1, 1, 2]


CASES: list[tuple[list[Action], Filesystem, int]] = [
    ([write("/a", 3)], there(3), 0),
    ([write("/a", 3)], there(2), 1),
    ([write("/a", 300)], there(None), 0),  # the board will say so itself
    # Both lie there until the rename; afterwards there is room for the next.
    ([write("/a", 3)], there(2, a=3), 1),
    ([write("/a", 3), write("/b", 3)], there(3, a=3), 0),
    ([DeleteFile(path="/a", reason=""), write("/b", 3)], there(0, a=3), 0),
    ([write("/b", 3), DeleteFile(path="/a", reason="")], there(0, a=3), 3),
    ([MakeDirectory(path="/lib", reason="")], there(1), DIRECTORY_BLOCKS - 1),
    ([RemoveDirectory(path="/lib", reason=""), write("/a", 2)], there(0), 0),
    # What a card takes is no matter of the flash.
    ([write("/sd/a", 300), write("/b", 2)], card(1), 1),
    # Many new names may split their directory, however small the files are.
    ([write(f"/{number}", 0) for number in range(40)], there(0), DIRECTORY_BLOCKS),
]


@pytest.mark.parametrize(
    ("filesystem", "least"),
    [
        (Filesystem(files={}), 4),
        (there(None, a=3, b=1), 8),
        (replace(there(None, a=3), directories=frozenset({"/d", "/d/e"})), 11),
        (Filesystem(files={"/unknown": FileState(size=None, sha256=None)}), 6),
    ],
)
def test_how_many_blocks_another_filesystem_would_need(filesystem: Filesystem, least: int) -> None:
    assert blocks_needed(filesystem) == least


@pytest.mark.parametrize(("actions", "filesystem", "missing"), CASES)
def test_how_much_is_missing(actions: list[Action], filesystem: Filesystem, missing: int) -> None:
    assert missing_bytes(actions, filesystem) == missing * BLOCK


@pytest.mark.parametrize(
    ("actions", "filesystem", "paths"),
    [
        ([write("/a", 3)], there(2, a=3), ["/a"]),
        ([write("/a", 3), write("/b", 5)], there(2, a=2, b=5), ["/b"]),
        ([write("/a", 6), write("/b", 3)], there(0, a=4, b=5), ["/b", "/a"]),
        ([write("/a", 9)], there(2, a=3), []),  # nor would it fit then
        ([write("/b", 3)], there(2, a=3), []),  # it replaces nothing
    ],
)
def test_what_would_have_to_go_first(
    actions: list[Action], filesystem: Filesystem, paths: list[str]
) -> None:
    assert missing_bytes(actions, filesystem)
    assert list(in_the_way(actions, filesystem)) == paths
