"""What the chip looks at while a block comes: all that is to be blank, then what it wrote."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from provision.device.flashing.esptool.looks import STUB_WINDOW, Look, Looks, md5
from provision.model.firmware import Region

BAUD = 921_600
BLOCK = 4608
MOST = 100_000  # bytes that are digested while a block of that size comes at that rate
REGION = Region(name="app", offset=0x10000, data=bytes(range(251)) * 4000)


def test_what_is_to_be_blank_comes_first_a_piece_at_a_time() -> None:
    looks = Looks(REGION, [(0x200000, 150_000), (0x300000, 10)], BAUD)
    asked = []
    for digest in (md5(b"\xff" * MOST), "another", md5(b"\xff" * 10)):
        look = looks.next(BLOCK)
        assert look is not None and not look.of_region
        asked.append((look.offset, look.size, looks.found(look, digest)))
    assert asked == [
        (0x200000, MOST, True),
        (0x200000 + MOST, 50_000, False),  # looked at once; what is in it is somebody else's matter
        (0x300000, 10, True),
    ]
    assert looks.next(BLOCK) is None  # nothing is written yet
    assert looks.verified == 0


def test_nothing_is_asked_while_the_stub_writes() -> None:
    looks = Looks(REGION, [(0x200000, 1)], BAUD)
    looks.sent(STUB_WINDOW)
    assert looks.next(BLOCK) is None
    looks.sent(STUB_WINDOW - 1)
    assert looks.next(BLOCK) is not None
    looks.sent(1)
    assert looks.next(BLOCK) is None


def test_what_was_written_is_verified_once_it_is_worth_it() -> None:
    looks = Looks(REGION, [], BAUD)
    looks.sent(STUB_WINDOW)
    looks.sent(1)
    assert looks.next(BLOCK) is None  # too little
    looks.sent(STUB_WINDOW)
    looks.sent(1)
    look = looks.next(BLOCK)
    assert look is not None and look.of_region
    assert (look.offset, look.size) == (REGION.offset, 2 * STUB_WINDOW)
    assert looks.found(look, md5(REGION.data[: look.size]))
    assert looks.verified == look.size
    looks.sent(2 * MOST)
    looks.sent(1)
    after = looks.next(BLOCK)
    assert after is not None and after.offset == REGION.offset + look.size
    assert not looks.found(after, "not written yet, or worn")
    assert looks.verified == look.size  # the rest is verified in the end
    looks.sent(1)
    assert looks.next(BLOCK) is None


def test_nothing_is_asked_while_a_small_block_comes() -> None:
    """The line would wait for the answer."""
    looks = Looks(REGION, [(0x200000, 1 << 20)], BAUD)
    assert looks.next(1000) is None
    assert looks.next(BLOCK) is not None


@given(
    st.lists(st.integers(1, 90_000), min_size=1),
    st.lists(st.integers(1, 400_000), max_size=4),
    st.integers(0, 0x4000),
)
def test_only_what_is_written_is_verified_and_nothing_is_looked_at_twice(
    blocks: list[int], lengths: list[int], arriving: int
) -> None:
    unseen = [(0x400000 + number * 0x100000, length) for number, length in enumerate(lengths)]
    looks = Looks(REGION, unseen, BAUD)
    seen: list[Look] = []
    sent = 0
    for block in blocks:
        look = looks.next(arriving)
        if look is not None:
            assert 0 < look.size <= MOST * 0x4000 // BLOCK
            if look.of_region:
                assert look.offset + look.size <= REGION.offset + sent
                assert look.expected == md5(REGION.data[looks.verified :][: look.size])
            seen.append(look)
            looks.found(look, look.expected)
        size = min(block, len(REGION.data) - sent)
        looks.sent(size)
        sent += size
    ranges = sorted((look.offset, look.offset + look.size) for look in seen)
    assert all(end <= start for (_, end), (start, _) in pairwise(ranges))
