"""Metadata blocks between disk versions 2.0 and 2.1: what an old driver sees, what it leaves."""

from __future__ import annotations

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from littlefs import LittleFS

from provision.core.littlefs_blocks import (
    CREATE,
    INLINE_STRUCT,
    NO_ID,
    REGULAR,
    SOFT_TAIL,
    VERSION_2_0,
    VERSION_2_1,
    Tag,
    checksum,
    play,
    read_metadata,
)
from provision.sim.esp.littlefs_2_0 import settled, shown
from tests.littlefs_samples import BLOCK, FORWARD, TWO_DRIVERS, block_of, made, superblock

NEWER, ELDER = TWO_DRIVERS[:BLOCK], TWO_DRIVERS[BLOCK : 2 * BLOCK]


def file(number: int, name: bytes, data: bytes) -> list[Tag]:
    return [
        Tag(CREATE, number, b""),
        Tag(REGULAR, number, name),
        Tag(INLINE_STRUCT, number, data),
    ]


def names(block: bytes) -> list[bytes]:
    return [file.name for file in play(read_metadata(block)).files]


def test_a_block_of_2_1_is_none_for_the_old_driver() -> None:
    seen = shown(NEWER)
    assert not read_metadata(seen).commits
    changed = [offset for offset in range(BLOCK) if seen[offset] != NEWER[offset]]
    assert len(changed) == 1, "it is no blank block: no driver may format it"


def test_a_block_of_2_0_says_the_same_and_can_be_appended_to() -> None:
    seen = read_metadata(shown(ELDER))
    old = read_metadata(ELDER)
    assert seen.revision == old.revision
    assert [file.name for file in play(seen).files] == [file.name for file in play(old).files]
    assert play(seen).version == VERSION_2_1
    assert seen.commits[-1].has_fcrc
    assert not any(commit.has_fcrc for commit in seen.commits[:-1])
    assert seen.unwritten
    assert seen.end - old.end in (0, 32)


def test_the_log_ends_before_the_first_commit_of_2_1() -> None:
    block = block_of(superblock(VERSION_2_0), file(1, b"a", b"1"), [*file(2, b"b", b"2"), FORWARD])
    seen = shown(block)
    assert names(block) == [b"littlefs", b"a", b"b"]
    assert names(seen) == [b"littlefs", b"a"]
    assert not read_metadata(seen).unwritten, "the old driver goes on in the other block"


def test_a_superblock_of_2_1_is_refused() -> None:
    """One that the old driver accepts, as one at a block's very end."""
    assert play(read_metadata(shown(block_of(superblock(VERSION_2_1))))).version == 0x00020002


@pytest.mark.parametrize("length", range(40))
def test_what_is_appended_is_appended_whatever_room_the_padding_leaves(length: int) -> None:
    before = block_of(superblock(VERSION_2_0), file(1, b"n" * length, b""), revision=7)
    seen = shown(before)
    end = read_metadata(seen).end
    tags = [*file(2, b"new", b"content"), FORWARD]
    now = append(seen, tags)
    assert names(now)[-1] == b"new"
    assert end % 32 == 0
    left = settled(before, seen, now)
    assert left == append(before, tags[:-1])
    assert read_metadata(left).revision == 7
    assert not read_metadata(left).has_fcrc
    assert play(read_metadata(left)).version == VERSION_2_0


def append(block: bytes, tags: list[Tag]) -> bytes:
    """What a driver makes of a block when it appends a commit."""
    old = read_metadata(block)
    commits = [[*commit.tags] for commit in old.commits]
    made = block_of(*commits, tags, revision=old.revision, size=len(block))
    # Where all is padded as `block_of` does, appending is making it anew; else the new commit is
    # chained to what is there.
    if made[: old.end] == block[: old.end]:
        return made
    alone = block_of([], tags, size=len(block))
    first = read_metadata(alone).commits[0]
    previous = old.commits[-1].next_tag
    body = bytearray(alone[first.end :])
    word = int.from_bytes(body[:4], "big") ^ first.next_tag ^ previous
    body[:4] = word.to_bytes(4, "big")
    commit = read_metadata(alone).commits[1]
    size = sum(4 + len(tag.data) for tag in commit.tags)
    body[size + 4 : size + 8] = struct.pack("<I", checksum(bytes(body[: size + 4])))
    return (block[: old.end] + bytes(body))[: len(block)]


def test_a_block_written_anew_is_all_in_2_0() -> None:
    now = block_of([*superblock(VERSION_2_1), FORWARD], [*file(1, b"a", b"1"), FORWARD], revision=9)
    left = settled(ELDER[:512], shown(ELDER[:512]), now)
    assert left == block_of(superblock(VERSION_2_0), file(1, b"a", b"1"), revision=9)


def test_what_a_power_cut_left_behind_the_last_commit_stays_behind_it() -> None:
    before = block_of(superblock(VERSION_2_0))
    seen = shown(before)
    whole = append(seen, [*file(1, b"new", b"content"), FORWARD])
    end = read_metadata(seen).end
    cut = whole[: end + 12] + seen[end + 12 :]
    left = settled(before, seen, cut)
    old = read_metadata(left, fcrc=False)
    assert names(left) == [b"littlefs"]
    assert left[old.end : old.end + 12] == whole[end : end + 12]
    assert not old.unwritten, "as a driver takes it that must not program there again"


def test_a_block_whose_first_commit_was_cut_is_left_as_it_is() -> None:
    now = block_of([*superblock(VERSION_2_1), FORWARD])[:20].ljust(512, b"\xff")
    assert settled(b"", b"", now) == now


@given(st.binary(max_size=600), st.binary(max_size=600), st.binary(max_size=600))
def test_garbage_goes_through(before: bytes, seen: bytes, now: bytes) -> None:
    assert shown(before) == before
    assert settled(before, seen, now) == now


@given(st.lists(st.tuples(st.integers(0, BLOCK - 1), st.integers(1, 255)), max_size=8))
def test_damaged_blocks_stay_blocks(damage: list[tuple[int, int]]) -> None:
    block = bytearray(ELDER)
    for place, bits in damage:
        block[place] ^= bits
    seen = shown(bytes(block))
    assert len(seen) == BLOCK
    assert names(seen) == [
        file.name for file in play(read_metadata(bytes(block), fcrc=False)).files
    ]
    assert len(settled(bytes(block), seen, NEWER)) == BLOCK


def test_littlefs_itself_reads_the_translation() -> None:
    """A whole filesystem of 2.1, block by block in 2.0."""
    image = made(VERSION_2_1, files=40)
    left = b"".join(
        settled(b"", b"", image[place : place + BLOCK]) for place in range(0, len(image), BLOCK)
    )
    filesystem = LittleFS(
        block_size=BLOCK,
        block_count=len(left) // BLOCK,
        read_size=32,
        prog_size=32,
        cache_size=128,
        disk_version=VERSION_2_0,  # it refuses to mount a superblock of 2.1
        mount=False,
    )
    filesystem.context.buffer = bytearray(left)
    filesystem.mount()
    for number in range(40):
        with filesystem.open(f"lib/deep/{number}.py", "rb") as stored:
            assert stored.read() == b"#" * number


def test_ends_and_tails_are_kept() -> None:
    tail = Tag(SOFT_TAIL, NO_ID, struct.pack("<2I", 6, 7))
    block = block_of([*superblock(VERSION_2_0), tail])
    assert play(read_metadata(shown(block))).tail == (6, 7)
    full = block_of(superblock(VERSION_2_0), size=64)
    assert not read_metadata(shown(full)).has_fcrc, "nothing follows in a block that is full"
    assert len(shown(full)) == 64


def test_random_logs_say_the_same_on_both_sides() -> None:
    seed = random.Random(1)
    for _ in range(200):
        commits = [superblock(VERSION_2_0)]
        for number in range(1, seed.randrange(2, 12)):
            commits.append(file(number, seed.randbytes(seed.randrange(1, 30)), b"x" * number))
        block = block_of(*commits, size=2048)
        assert names(shown(block)) == names(block)
