"""What a board may do to the terminal that its prompt is on: edit its line, and no more."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.output.terminal import TerminalText


def shown(*pieces: bytes) -> str:
    text = TerminalText()
    return "".join(map(text.feed, pieces))


@pytest.mark.parametrize(
    ("printed", "text"),
    [
        (b">>> ab\b\x1b[K\x1b[3D", ">>> ab\b\x1b[K\x1b[3D"),
        (b"\x1b[1;31mred\x1b[0m\t\a\r\n", "\x1b[1;31mred\x1b[0m\t\a\r\n"),
        ("grün".encode(), "grün"),
        (b"\xff\x04", "\ufffd\\x04"),
        (b"a\x1b]0;title\x07b", "ab"),
        (b"a\x1b]52;c;cm0gLXJm\x1b\\b", "ab"),
        (b"a\x1bP+q\x1b\\b", "ab"),
        (b"a\x1b[6nb\x1b[cc", "abc"),
        (b"a\x1b[?1049hb", "ab"),
        (b"a\x1bcb", "ab"),
        (b"a\x1b]0;" + b"x" * 400 + b"\r\nb", "a\\x1b]0;" + "x" * 400 + "\r\nb"),
        ("a\u202eb\x9b31m".encode(), "a\\u202eb\\x9b31m"),
    ],
)
def test_only_line_editing_passes(printed: bytes, text: str) -> None:
    assert shown(printed) == text
    assert shown(*(printed[i : i + 1] for i in range(len(printed)))) == text


@given(st.lists(st.sampled_from([b"\x1b", b"[", b"]", b"0;", b"m", b"x", b"\x07", b"\n", b"\\"])),
       st.lists(st.integers(0, 20)))  # fmt: skip
def test_no_piece_completes_what_another_began(parts: list[bytes], cuts: list[int]) -> None:
    data = b"".join(parts) + b"\r\n"
    places = sorted({0, len(data), *(cut for cut in cuts if cut <= len(data))})
    text = shown(*(data[a:b] for a, b in pairwise(places)))
    for start in (place for place, char in enumerate(text) if char == "\x1b"):
        assert text[start + 1] == "["
        assert text[start + 2 :].lstrip("0123456789;")[:1] == "m"
