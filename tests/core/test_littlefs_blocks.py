"""LittleFS' metadata blocks: read as drivers of disk versions 2.1 and 2.0 do, garbage included."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.core.littlefs_blocks import (
    CHECKSUM,
    CREATE,
    DELETE,
    DIRECTORY,
    DIRECTORY_STRUCT,
    INLINE_STRUCT,
    MAGIC,
    NO_ID,
    REGULAR,
    SOFT_TAIL,
    VERSION_2_0,
    VERSION_2_1,
    Tag,
    checksum,
    current_block,
    disk_version,
    play,
    read_metadata,
    superblock_version,
    walk,
)
from tests.littlefs_samples import (
    BLOCK,
    BLOCKS,
    FORWARD,
    TWO_DRIVERS,
    block_of,
    blocks_of,
    made,
    superblock,
)


def test_the_checksum_is_littlefs_own() -> None:
    # From the specification's polynomial, bit by bit.
    def slow(data: bytes) -> int:
        value = 0xFFFFFFFF
        for byte in data:
            value ^= byte
            for _ in range(8):
                value = value >> 1 ^ (0xEDB88320 if value & 1 else 0)
        return value

    assert checksum(b"littlefs") == slow(b"littlefs")
    assert checksum(b"fs", checksum(b"little")) == slow(b"littlefs")


@pytest.mark.parametrize("version", [VERSION_2_0, VERSION_2_1])
def test_the_version_is_that_of_the_superblock(version: int) -> None:
    image = made(version)
    assert superblock_version(image[: 2 * BLOCK]) == version
    assert disk_version(blocks_of(image), BLOCKS) == version


def test_a_driver_of_2_0_finds_no_filesystem_in_one_of_2_1() -> None:
    image = made(VERSION_2_1)
    assert superblock_version(image[: 2 * BLOCK], fcrc=False) is None
    assert disk_version(blocks_of(image), BLOCKS, fcrc=False) is None


def test_a_driver_of_2_0_sees_all_of_its_own() -> None:
    image = made(VERSION_2_0)
    seen = [[*walk(blocks_of(image), BLOCKS, fcrc=fcrc)] for fcrc in (True, False)]
    assert seen[0] == seen[1]
    assert len(seen[0]) == 3


@pytest.mark.parametrize(
    ("fcrc", "block", "version", "names"),
    [
        (
            *(True, 0, VERSION_2_1),
            [b".provision~boot.py", b".provision~main.py", b"data.bin", b"lib", b"page.html"],
        ),
        (
            *(False, 1, VERSION_2_0),
            [b"boot.py", b"data.bin", b"lib", b"main.py", b"page.html"],
        ),
    ],
)
def test_each_driver_sees_a_block_of_its_own(
    fcrc: bool, block: int, version: int, names: list[bytes]
) -> None:
    """As the emulator of a real ESP32 listed them under 1.26.1 and under 1.18."""
    found = current_block((TWO_DRIVERS[:BLOCK], TWO_DRIVERS[BLOCK : 2 * BLOCK]), fcrc=fcrc)
    assert found is not None
    which, held = found
    assert which == block
    contents = play(held)
    assert [file.name for file in contents.files[1:]] == names
    assert contents.version == superblock_version(TWO_DRIVERS[: 2 * BLOCK], fcrc=fcrc) == version
    assert held.has_fcrc is (version == VERSION_2_1)


def test_what_littlefs_lists_is_what_the_blocks_say() -> None:
    for version in (VERSION_2_0, VERSION_2_1):
        image = made(version, files=60)
        listed = [
            file.name.decode()
            for pair in walk(blocks_of(image), BLOCKS)
            for file in pair.contents.files
            if file.type in (REGULAR, DIRECTORY)
        ]
        wanted = {"lib", "deep", *(f"{number}.py" for number in range(60))}
        assert sorted(listed) == sorted(wanted)


def test_a_commit_with_a_forward_checksum_ends_the_log_of_a_driver_of_2_0() -> None:
    block = block_of(superblock(VERSION_2_0), [Tag(REGULAR, 1, b"a.py"), FORWARD])
    assert len(read_metadata(block).commits) == 2
    assert read_metadata(block).unwritten
    old = read_metadata(block, fcrc=False)
    assert (len(old.commits), old.end, old.unwritten) == (1, 64, False)
    assert [file.name for file in play(old).files] == [MAGIC]


def test_files_move_over_as_others_are_made_and_deleted() -> None:
    block = block_of(
        [Tag(CREATE, 0, b""), Tag(REGULAR, 0, b"b"), Tag(INLINE_STRUCT, 0, b"two")],
        [Tag(CREATE, 0, b""), Tag(REGULAR, 0, b"a"), Tag(INLINE_STRUCT, 0, b"one")],
        [Tag(CREATE, 2, b""), Tag(DIRECTORY, 2, b"c")],
        [Tag(DIRECTORY_STRUCT, 2, struct.pack("<2I", 4, 5))],
        [Tag(DELETE, 0, b"")],
        [Tag(INLINE_STRUCT, 0, b"three"), Tag(SOFT_TAIL, NO_ID, struct.pack("<2I", 4, 5))],
    )
    contents = play(read_metadata(block))
    assert [(file.name, file.data) for file in contents.files] == [
        (b"b", b"three"),
        (b"c", struct.pack("<2I", 4, 5)),
    ]
    assert contents.directories == ((4, 5),)
    assert contents.tail == (4, 5)
    assert not contents.tail_is_same_directory
    assert contents.version is None


@pytest.mark.parametrize(
    ("revisions", "which"),
    [((1, 2), 1), ((2, 1), 0), ((7, 7), 0), ((0xFFFFFFFF, 0), 1), ((0, 0xFFFFFFFF), 0)],
)
def test_the_newer_revision_counts_and_wraps_around(revisions: tuple[int, int], which: int) -> None:
    blocks = [block_of(superblock(VERSION_2_0), revision=revision) for revision in revisions]
    found = current_block((blocks[0], blocks[1]))
    assert found is not None
    assert found[0] == which


def test_a_newer_block_without_a_valid_commit_does_not_count() -> None:
    good = block_of(superblock(VERSION_2_0), revision=1)
    broken = bytearray(block_of(superblock(VERSION_2_1), revision=2))
    broken[20] ^= 1
    found = current_block((bytes(broken), good))
    assert found is not None
    assert found[0] == 1
    assert current_block((bytes(broken), bytes(broken))) is None
    assert superblock_version(bytes(broken) * 2) is None


def test_the_valid_bit_of_what_follows_is_the_one_that_the_commit_announced() -> None:
    """Over a program unit that does not start with a set bit, the bit's meaning is turned round."""
    block = bytearray(
        block_of(superblock(VERSION_2_0), [Tag(CREATE, 1, b"")], closing=CHECKSUM | 1)
    )
    assert len(read_metadata(bytes(block)).commits) == 2
    plain = block_of(superblock(VERSION_2_0), [Tag(CREATE, 1, b"")])
    block[64:] = plain[64:]
    assert len(read_metadata(bytes(block)).commits) == 1


def test_directories_that_go_round_in_a_circle_are_walked_once() -> None:
    round_trip = Tag(SOFT_TAIL, NO_ID, struct.pack("<2I", 1, 0))
    far = [
        Tag(DIRECTORY, 1, b"far"),
        Tag(DIRECTORY_STRUCT, 1, struct.pack("<2I", 7, 0x7FFFFFFF)),
        Tag(DIRECTORY, 2, b"near"),
        Tag(DIRECTORY_STRUCT, 2, struct.pack("<2I", 0, 1)),
    ]
    block = block_of([*superblock(VERSION_2_0), *far, round_trip])
    pairs = [*walk(lambda number: block, 8)]
    assert [pair.blocks for pair in pairs] == [(0, 1)]
    assert disk_version(lambda number: block, 8) == VERSION_2_0


def test_the_newest_superblock_entry_of_a_filesystem_counts() -> None:
    first = block_of(
        [*superblock(VERSION_2_0), Tag(SOFT_TAIL | 1, NO_ID, struct.pack("<2I", 2, 3))]
    )
    root = block_of(superblock(VERSION_2_1))
    assert disk_version(lambda number: first if number < 2 else root, 4) == VERSION_2_1
    assert superblock_version(first * 2) == VERSION_2_0


@given(st.binary(max_size=2 * BLOCK))
def test_garbage_is_no_filesystem(data: bytes) -> None:
    assert superblock_version(data) is None
    assert disk_version(lambda number: data, 16) is None


@given(
    st.sampled_from([VERSION_2_0, VERSION_2_1]),
    st.lists(st.tuples(st.integers(0, 8 * BLOCK - 1), st.integers(1, 255)), max_size=40),
    st.booleans(),
)
def test_damage_ends_the_log_and_nothing_else(
    version: int, damage: list[tuple[int, int]], fcrc: bool
) -> None:
    image = bytearray(SAMPLES[version])
    for place, bits in damage:
        image[place] ^= bits
    read = blocks_of(bytes(image))
    pairs = [*walk(read, BLOCKS, fcrc=fcrc)]
    assert 1 <= len(pairs) <= BLOCKS
    assert disk_version(read, BLOCKS, fcrc=fcrc) in (None, version)


SAMPLES = {version: made(version) for version in (VERSION_2_0, VERSION_2_1)}
