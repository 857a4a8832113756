"""The filesystem image: what goes in comes out, and only the blocks that matter are written."""

from __future__ import annotations

import gc
import random

import pytest

from provision.core.planning.free_space import blocks_needed
from provision.device.flashing.littlefs import build_filesystem
from provision.errors import ImageError, OutOfSpace
from provision.model.board_path import ancestors
from provision.model.firmware import LITTLEFS_BLOCK, FilesystemPlace
from provision.model.state import FileState, Filesystem
from tests.filesystems import read_filesystem

PARTITION = FilesystemPlace(offset=0x200000, blocks=512)


def tree(seed: int = 1) -> dict[str, bytes]:
    generator = random.Random(seed)
    files = {f"/app/module_{i}.py": generator.randbytes(5000 + i) for i in range(12)}
    files |= {f"/lib/deep/er/small_{i}.py": generator.randbytes(i * 9) for i in range(30)}
    return files | {"/boot.py": b"# boot\n", "/main.py": b"x" * 129, "/empty": b""}


def test_files_come_out_as_they_went_in() -> None:
    files = tree()
    assert read_filesystem(build_filesystem(PARTITION, files).data) == files


def test_the_same_files_give_the_same_bytes() -> None:
    files = tree()
    again = dict(reversed(files.items()))
    assert build_filesystem(PARTITION, files) == build_filesystem(PARTITION, again)


def test_used_blocks_suffice_on_a_flash_full_of_leftovers() -> None:
    """The other blocks hold the remains of another filesystem, newer than ours."""
    files = tree()
    image = build_filesystem(PARTITION, files)
    old = bytearray(build_filesystem(PARTITION, tree(seed=2) | {"/gone.py": b"old"}).data)
    assert sum(len(region.data) for region in image.regions()) < 0.3 * PARTITION.size
    for region in image.regions():
        start = region.offset - PARTITION.offset
        old[start : start + len(region.data)] = region.data
    assert read_filesystem(bytes(old)) == files


def test_regions_are_whole_blocks_inside_the_partition() -> None:
    for region in build_filesystem(PARTITION, tree()).regions():
        assert region.name == "filesystem"
        assert region.offset % LITTLEFS_BLOCK == 0
        assert len(region.data) % LITTLEFS_BLOCK == 0
        assert PARTITION.offset <= region.offset
        assert region.offset + len(region.data) <= PARTITION.end


def test_an_empty_filesystem_has_its_directories() -> None:
    image = build_filesystem(PARTITION, {}, directories=["/data/logs"])
    assert read_filesystem(image.data) == {}
    assert b"logs" in image.data


def test_too_much_for_the_partition() -> None:
    small = FilesystemPlace(offset=0x99000, blocks=98)
    with pytest.raises(
        OutOfSpace, match=r"\(the largest: /big.bin, 500,000 bytes\), the filesystem has 392 KB: 1"
    ) as caught:
        build_filesystem(small, {"/a": b"x", "/big.bin": bytes(500_000)})
    assert caught.value.hint


@pytest.mark.parametrize("blocks", [2, 3, 5, 8])
@pytest.mark.parametrize("size", [100, 128, 3000])
def test_too_many_small_files_are_out_of_space_and_no_more(blocks: int, size: int) -> None:
    """A file that LittleFS fails to close for want of space must not be closed again, not even by
    the garbage collector: LittleFS ends the process then."""
    small = FilesystemPlace(offset=0, blocks=blocks)
    with pytest.raises(OutOfSpace):
        build_filesystem(small, {f"/{number}": b"x" * size for number in range(400)})
    gc.collect()


def test_a_name_that_no_filesystem_takes() -> None:
    with pytest.raises(ImageError, match="cannot be built"):
        build_filesystem(PARTITION, {"/" + "x" * 300: b""})


@pytest.mark.parametrize("seed", range(40))
def test_a_filesystem_fits_where_it_is_said_to(seed: int) -> None:
    """Before files are carried to a smaller place, their room is counted; never too little."""
    chance = random.Random(seed)
    most = chance.choice([10, 128, 200, 3000, 20000])
    files = {
        f"/{chance.choice(['', 'a/', 'b/', 'a/c/'])}{'n' * chance.choice([1, 5, 40])}{number}": (
            chance.randbytes(chance.randrange(most))
        )
        for number in range(chance.choice([0, 1, 5, 30, 120]))
    }
    directories = {parent for path in files for parent in ancestors(path)}
    seen = Filesystem(
        files={path: FileState(size=len(data), sha256=None) for path, data in files.items()},
        directories=frozenset(directories),
    )
    place = FilesystemPlace(offset=0, blocks=blocks_needed(seen))
    image = build_filesystem(place, files, directories)
    assert len(image.used) <= place.blocks
