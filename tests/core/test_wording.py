"""The wording that every message shares: sizes, plurals, suggestions, and text from strangers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.core.wording import (
    byte_size,
    closest,
    did_you_mean,
    harmless,
    memory_size,
    parse_size_code,
    plural,
    printable,
    quoted,
    shorten,
    size_code,
)


@pytest.mark.parametrize(
    ("number", "shown"), [(0, "0 B"), (999, "999 B"), (1000, "1.0 kB"), (999_949, "999.9 kB"),
                          (999_950, "1.00 MB"), (1_523_000, "1.52 MB")]
)  # fmt: skip
def test_byte_sizes(number: int, shown: str) -> None:
    assert byte_size(number) == shown


def test_flash_sizes_are_written_as_they_are_sold() -> None:
    sizes = (512 * 1024, 2**20, 3 * 2**19, 16 * 2**20, 5_025_792)
    assert [memory_size(size) for size in sizes] == ["512 KB", "1 MB", "1.5 MB", "16 MB", "4.79 MB"]


@pytest.mark.parametrize(
    ("code", "size"), [("4MB", 4 << 20), ("512KB", 512 << 10), ("1536KB", 1536 << 10), ("0KB", 0)]
)
def test_a_size_code_and_its_bytes(code: str, size: int) -> None:
    assert (parse_size_code(code), size_code(size)) == (size, code)


@pytest.mark.parametrize("code", ["", "keep", "detect", "4", "4mb", "4 MB", "MB", "9999999MB"])
def test_what_is_no_size_code(code: str) -> None:
    assert parse_size_code(code) is None


def test_plurals() -> None:
    assert [plural(number, "device") for number in (0, 1, 2)] == [
        "0 devices", "1 device", "2 devices",
    ]  # fmt: skip
    assert plural(2, "copy", "copies") == "2 copies"


def test_a_suggestion_is_the_nearest_known_word_in_its_own_spelling() -> None:
    boards = ["ESP32", "esp8266", "wemos-d1-mini"]
    assert did_you_mean("esp23", boards) == "; did you mean 'ESP32'?"
    assert did_you_mean("WEMOS-mini", boards) == "; did you mean 'wemos-d1-mini'?"
    assert closest("umqtt.simpel", ["umqtt.simple", "umqtt.robust", "aiohttp"], 3)[0] == (
        "umqtt.simple"
    )


def test_without_a_near_word_the_list_is_given_if_asked_for_and_short() -> None:
    assert did_you_mean("zzz", ["a", "b"]) == ""
    assert did_you_mean("zzz", ["a", "b"], or_list=True) == "; known are a, b"
    assert did_you_mean("zzz", [], or_list=True) == ""
    assert did_you_mean("zzz", [f"device-{n}" for n in range(16)], or_list=True) == ""


def test_a_cut_text_says_so_and_keeps_its_limit() -> None:
    assert [shorten("four", limit) for limit in (3, 4, 5)] == ["fo…", "four", "four"]
    assert quoted("x" * 61) == "'" + "x" * 59 + "…'"


@given(st.text())
def test_what_is_shown_has_no_control_characters(text: str) -> None:
    assert printable(text).isprintable()


@pytest.mark.parametrize(
    ("given_text", "shown"),
    [
        ("one\ntwo\tthree", "one two three"),
        ("bell\x07", "bell?"),
        ("\u202eleft", "?left"),
        ("caf\udce9", r"caf\udce9"),
    ],
)
def test_printable_text_is_one_line(given_text: str, shown: str) -> None:
    assert printable(given_text) == shown


@given(st.text(), st.integers(1, 80))
def test_printable_text_is_bounded(text: str, limit: int) -> None:
    assert len(printable(text, limit)) <= limit


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain text, ünïcode", "plain text, ünïcode"),
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x9b31mred", "red"),
        ("\x1b]0;title\x07after", "after"),
        ("\x1b]8;;http://evil\x1b\\link", "link"),
        ("\x1b]never ended\nnext", "never ended\nnext"),
        ("\x1bPdevice control\x1b\\after", "after"),
        ("\x1bcafter a reset", "after a reset"),
        ("one\r\ntwo\rthree\ttab", "one\ntwo\nthree\ttab"),
        ("bell\x07 nul\x00 del\x7f", "bell\\x07 nul\\x00 del\\x7f"),
        ("right\u202eleft", "right\\u202eleft"),
        ("lone \ud800", "lone \\ud800"),
        ("\x1b", "\\x1b"),
    ],
)
def test_what_a_board_prints_cannot_drive_the_terminal(given: str, shown: str) -> None:
    assert harmless(given) == shown
