"""The stream: an inflater gives the frames back, and every stop point is exact."""

from __future__ import annotations

import zlib
from itertools import accumulate

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.device.micropython.transfer.stream_format import (
    CONTENT_DIGEST,
    FIRST,
    HEADER_SIZE,
    LAST,
    MAKE,
    PATH_DIGEST,
    REMOVE,
    REMOVE_DIRECTORY,
    Pace,
    compose,
    encode,
    frames,
    stop_points,
    with_digest,
)
from provision.errors import BoardError
from provision.model.plan import DeleteFile, MakeDirectory, RemoveDirectory, WriteFile
from tests.fakes.work import (
    Step,
    delete_file,
    make_directory,
    remove_directory,
    transfer_of,
    write_file,
)

paths = st.lists(
    st.text(
        st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12
    ),
    min_size=1,
    max_size=4,
).map(lambda parts: "/" + "/".join(parts))
content = st.one_of(
    st.binary(max_size=3000),
    st.tuples(st.binary(min_size=1, max_size=20), st.integers(1, 400)).map(lambda t: t[0] * t[1]),
)


operations = st.lists(
    st.one_of(
        st.builds(write_file, paths, content),
        st.builds(delete_file, paths),
        st.builds(make_directory, paths),
        st.builds(remove_directory, paths),
    ),
    max_size=12,
    unique_by=lambda step: (step[0].kind, step[0].path),  # a plan writes no file twice
)
paces = st.builds(
    lambda block, window, lead: Pace(block=block, window=window, lead=lead),
    st.sampled_from([512, 1024, 4096]),
    st.integers(9, 15),
    st.integers(0, 300),
)


def replay(work: list[Step], block: int) -> list[tuple[object, ...]]:
    """What a board that follows the frames does, in order."""
    done: list[tuple[object, ...]] = []
    path, proof, data = "", "", b""
    for frame in frames(*transfer_of(work), block):
        assert len(frame.payload) <= block
        payload = frame.payload
        if frame.kind in (MAKE, REMOVE, REMOVE_DIRECTORY):
            size = payload[0]
            assert payload == with_digest(frame.kind, payload[1 : 1 + size])
            done.append((frame.kind, payload[1 : 1 + size].decode()))
        elif frame.kind <= FIRST | LAST:
            if frame.kind & FIRST:
                size = 1 + payload[0] + PATH_DIGEST
                assert payload[:size] == with_digest(frame.kind, payload[1 : size - PATH_DIGEST])
                path = payload[1 : size - PATH_DIGEST].decode()
                proof = payload[size : size + CONTENT_DIGEST].hex()
                payload, data = payload[size + CONTENT_DIGEST :], b""
            data += payload
            if frame.kind & LAST:
                done.append((path, proof, data))
    return done


@given(operations, paces)
def test_frames_carry_the_operations_in_order(work: list[Step], pace: Pace) -> None:
    expected: list[tuple[object, ...]] = []
    for action, content in work:
        match action:
            case WriteFile(path=path):
                assert content is not None
                expected.append((path, content.sha256[: 2 * CONTENT_DIGEST], content.data))
            case MakeDirectory(path=path):
                expected.append((MAKE, path))
            case DeleteFile(path=path):
                expected.append((REMOVE, path))
            case RemoveDirectory(path=path):
                expected.append((REMOVE_DIRECTORY, path))
    assert replay(work, pace.block) == expected


@settings(deadline=None)
@given(operations, paces)
def test_an_inflater_reaches_each_frame_at_its_stop_and_not_a_byte_before(
    work: list[Step], pace: Pace
) -> None:
    stream = compose(*transfer_of(work), pace)
    sequence = list(frames(*transfer_of(work), pace.block))
    raw = encode(sequence)
    assert zlib.decompress(stream.data, wbits=-pace.window) == raw
    assert stream.action_of_frame == tuple(frame.action_index for frame in sequence)
    ends = list(accumulate(HEADER_SIZE + len(frame.payload) for frame in sequence))
    assert len(stream.stops) == len(ends)
    for stop, end in list(zip(stream.stops, ends, strict=True))[:-1]:
        inflate = zlib.decompressobj(-pace.window).decompress
        assert len(inflate(stream.data[:stop])) >= end
        inflate = zlib.decompressobj(-pace.window).decompress
        assert len(inflate(stream.data[: stop - 1])) < end
    assert stream.stops[-1] == len(stream.data)


@given(st.binary(min_size=1, max_size=200), st.integers(10, 300), st.integers(9, 15))
def test_stop_points_of_very_compressible_data(seed: bytes, times: int, window: int) -> None:
    raw = seed * times
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -window, 9)
    data = squeezer.compress(raw) + squeezer.flush()
    ends = sorted({1, len(raw) // 3 or 1, len(raw) // 2 or 1, len(raw)})
    stops = list(stop_points(data, ends, window))
    assert stops == sorted(stops)
    assert stops[-1] == len(data)


def test_a_path_that_no_board_takes_is_refused_by_name() -> None:
    with pytest.raises(BoardError, match="at most 255 bytes"):
        compose(*transfer_of([delete_file("/" + "é" * 128)]), Pace(block=1024, window=10, lead=100))
