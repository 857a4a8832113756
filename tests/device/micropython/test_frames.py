"""Frames amid whatever else a board says."""

from __future__ import annotations

import base64

from hypothesis import given
from hypothesis import strategies as st

from provision.device.micropython.frames import BINARY, TEXT, FrameParser
from tests.fakes.frames import frame

PAYLOADS = st.lists(st.binary(min_size=1, max_size=80), max_size=12)
NOISE = st.binary(max_size=30).filter(lambda noise: 2 not in noise)


def parsed(said: bytes, *, pieces: int = 7) -> tuple[list[bytes], FrameParser]:
    parser = FrameParser(most=100)
    found = []
    for start in range(0, len(said), pieces):
        parser.feed(said[start : start + pieces])
        found += parser.payloads()
    return found, parser


@given(PAYLOADS, st.lists(NOISE, min_size=13, max_size=13), st.integers(1, 50))
def test_what_is_said_between_frames_costs_none(
    payloads: list[bytes], noise: list[bytes], pieces: int
) -> None:
    said = noise[-1] + BINARY
    for payload, between in zip(payloads, noise, strict=False):
        said += between + frame(payload)
    found, parser = parsed(said + b"\x04\x04>", pieces=pieces)
    assert found == payloads
    assert parser.rest.endswith(b"\x04\x04>")


@given(PAYLOADS, st.data())
def test_a_damaged_byte_costs_one_frame_and_invents_none(
    payloads: list[bytes], data: st.DataObject
) -> None:
    said = bytearray(b"".join(map(frame, payloads)))
    if said:
        said[data.draw(st.integers(0, len(said) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    # What follows is enough for a length that grew.
    found, _ = parsed(BINARY + bytes(said) + b"." * 200)
    assert len(payloads) - len(found) <= 1
    left = list(payloads)
    for payload in found:
        left.remove(payload)


@given(PAYLOADS, st.lists(st.from_regex(r"[a-z ]{1,20}", fullmatch=True), min_size=13, max_size=13))
def test_lines_of_base64_are_frames_where_no_binary_output_is(
    payloads: list[bytes], noise: list[str]
) -> None:
    said = TEXT + b"\r\n"
    for payload, between in zip(payloads, noise, strict=False):
        said += between.encode() + b"\r\n" + base64.b64encode(frame(payload)) + b"\r\n"
    assert parsed(said)[0] == payloads


def test_a_flood_that_is_no_frame_is_not_kept() -> None:
    parser = FrameParser(most=100)
    for _ in range(40):
        parser.feed(b"x" * (1 << 16))
        assert list(parser.payloads()) == []
    assert len(parser.rest) <= 1 << 20
