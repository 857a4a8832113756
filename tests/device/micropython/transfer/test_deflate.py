"""Deflating what devices share once: the same bytes as alone, in any order and by many threads."""

from __future__ import annotations

import random
import zlib
from concurrent.futures import ThreadPoolExecutor

from hypothesis import given
from hypothesis import strategies as st

from provision.device.micropython.transfer.deflate import FleetDeflate, common_prefix

WINDOW = 12


def alone(data: bytes) -> bytes:
    compressor = zlib.compressobj(9, zlib.DEFLATED, -WINDOW, 7)
    return compressor.compress(data) + compressor.flush()


def text(seed: int, size: int) -> bytes:
    made = random.Random(seed)
    words = [bytes(made.choices(b"abcdefgh_ \n", k=made.randint(2, 9))) for _ in range(60)]
    return b"".join(made.choices(words, k=size // 4))[:size]


@given(st.binary(max_size=50), st.binary(max_size=50), st.binary(max_size=50))
def test_common_prefix(start: bytes, one: bytes, other: bytes) -> None:
    size = common_prefix(start + one, start + other)
    assert (start + one)[:size] == (start + other)[:size]
    assert (start + one)[size : size + 1] != (start + other)[size : size + 1] or size == min(
        len(start + one), len(start + other)
    )


@given(
    st.lists(
        st.tuples(st.integers(1, 2), st.integers(0, 60_000), st.binary(max_size=300)), max_size=8
    )
)
def test_the_bytes_are_those_of_zlib_alone(devices: list[tuple[int, int, bytes]]) -> None:
    deflate = FleetDeflate(WINDOW)
    for seed, shared, own in devices:
        data = text(seed, 60_000)[:shared] + own
        assert deflate(data) == alone(data)


def test_what_is_shared_is_deflated_once() -> None:
    app = text(1, 100_000)
    fleet = [app + b"config of %d" % number for number in range(30)]
    deflate = FleetDeflate(WINDOW)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(deflate, fleet)) == [alone(data) for data in fleet]
    assert deflate.shared >= 100_000
