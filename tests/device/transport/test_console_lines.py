"""A console's bytes as lines, however they are cut, and no secret by the way of a cut."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.core.manifest.redact import Redactor
from provision.core.wording import Redact
from provision.device.transport.console_lines import LONGEST, ConsoleLines

SECRET = "correct horse"


def said(*pieces: bytes | None, redact: Redact = str) -> list[tuple[str, bool]]:
    """What is said of these pieces; None is a silence."""
    heard: list[tuple[str, bool]] = []

    def say(texts: Sequence[str], ended: bool) -> None:
        last = len(texts) - 1
        heard.extend((text, ended or number < last) for number, text in enumerate(texts))

    lines = ConsoleLines(say, redact)
    for piece in pieces:
        if piece is None:
            lines.flush()
        else:
            lines.feed(piece)
    lines.close()
    return heard


def whole(*pieces: bytes | None, redact: Redact = str) -> str:
    return "".join(text + "\n" * ended for text, ended in said(*pieces, redact=redact))


@pytest.mark.parametrize(
    ("pieces", "lines"),
    [
        ((b"a\r\nb\n",), [("a", True), ("b", True)]),
        ((b"a\r", b"\nb\n"), [("a", True), ("b", True)]),
        ((b"a\r\r\n",), [("a", True)]),
        ((b"10 %\r20 %\r", b"30 %\n"), [("10 %", True), ("20 %", True), ("30 %", True)]),
        ((b"10 %\r", None), [("10 %", True)]),
        ((b"\n\n",), [("", True), ("", True)]),
        ((b">>> ", None), [(">>> ", False)]),
        ((b">>> ", None, b"1+1\r\n"), [(">>> ", False), ("1+1", True)]),
        ((b">>> ", None, None), [(">>> ", False)]),
        ((b"no end",), [("no end", False)]),
        (("grün\n".encode()[:3], "grün\n".encode()[3:]), [("grün", True)]),
        (("grün".encode()[:3], None, "grün\n".encode()[3:]), [("gr", False), ("ün", True)]),
        ((b"\xff\x00\n",), [("\\xff\x00", True)]),
        ((b"gr\xc3",), [("gr\\xc3", False)]),
    ],
)
def test_lines(pieces: tuple[bytes | None, ...], lines: list[tuple[str, bool]]) -> None:
    assert said(*pieces) == lines


def test_a_line_that_never_ends_is_said_in_pieces() -> None:
    heard = said(*[b"x" * 1000] * 20, b"\nnext\n")
    assert "".join(text for text, _ in heard) == "x" * 20_000 + "next"
    assert max(len(text) for text, _ in heard) <= LONGEST
    assert [text for text, ended in heard if ended][-1] == "next"
    assert sum(ended for _, ended in heard) == 2
    assert whole(b"x" * 20_000 + b"\n") == "x" * 20_000 + "\n"


@given(st.binary(max_size=200), st.lists(st.integers(0, 200), max_size=8))
def test_where_it_is_cut_changes_nothing(data: bytes, cuts: list[int]) -> None:
    places = sorted({0, len(data), *(cut for cut in cuts if cut <= len(data))})
    pieces = [data[a:b] for a, b in pairwise(places)]
    assert whole(*pieces) == whole(data)


@given(st.text("correct horse\r\n…", max_size=200))
def test_lines_that_come_at_once_are_masked_as_each_would_be(text: str) -> None:
    redact = Redactor([SECRET, "r t"]).text
    lines = text.encode().splitlines(keepends=True)
    assert whole(text.encode(), redact=redact) == whole(*lines, redact=redact)


def test_lines_that_come_at_once_are_said_at_once() -> None:
    heard: list[Sequence[str]] = []
    lines = ConsoleLines(lambda texts, _ended: heard.append(texts))
    lines.feed(b"a\r\nb\r\n\r\nc")
    lines.feed(b"\r\nd\n")
    assert heard == [["a", "b", ""], ["c", "d"]]


def test_a_secret_of_several_lines_is_masked_where_they_come_at_once() -> None:
    key = "correct horse\nbattery staple"
    text = f"key: {key}.\r\n".replace("\n", "\r\n").encode()
    assert whole(text, redact=Redactor([key]).text) == "key: ***.\n"


@pytest.mark.parametrize("place", range(1, len(SECRET)))
def test_a_secret_is_masked_wherever_a_read_ends(place: int) -> None:
    text = f"wifi: {SECRET}.\r\n".encode()
    masked = whole(text[: 6 + place], text[6 + place :], redact=Redactor([SECRET]).text)
    assert masked == "wifi: ***.\n"


@pytest.mark.parametrize("place", range(4, len(SECRET) - 3))
def test_parts_of_a_secret_on_both_sides_of_a_silence_are_masked(place: int) -> None:
    text = f"wifi: {SECRET}.\r\n".encode()
    heard = whole(text[: 6 + place], None, text[6 + place :], redact=Redactor([SECRET]).text)
    assert heard == "wifi: ******.\n"


def test_parts_of_a_secret_at_the_cut_of_a_long_line_are_masked() -> None:
    for shift in range(4, len(SECRET) - 3):
        text = "x" * (LONGEST - shift) + SECRET + "y\n"
        heard = whole(text.encode(), redact=Redactor([SECRET]).text)
        assert heard == "x" * (LONGEST - shift) + "******y\n"


@pytest.mark.parametrize("place", range(len(SECRET) - 3))
def test_a_part_of_a_secret_that_is_heard_first_is_masked(place: int) -> None:
    heard: list[str] = []
    redact = Redactor([SECRET]).text
    lines = ConsoleLines(lambda texts, _ended: heard.extend(texts), redact, amid=True)
    lines.feed(SECRET[place:].encode() + b".\r\nnext\n")
    assert heard == ["***.", "next"]
