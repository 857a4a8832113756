"""What of an output is compared with a page, and what may be another each time."""

from __future__ import annotations

import pytest

from tests.docs.shape import differs

OUT = """\
kitchen: 1 change
  write /main.py (12 B)  it is missing
shed: no changes
Plan: 2 devices: 1 to change (1 file), 1 without changes
"""
ERR = """\
plan greenhouse: 2 devices
shed: ok in 0.1 s
kitchen: pending in 12.3 s
"""
RESULT = ["shed: no changes", "kitchen: 1 change", "  write /main.py (12 B)  it is missing",
          "Plan: 2 devices: 1 to change (1 file), 1 without changes"]  # fmt: skip


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(RESULT, id="standard output, devices in another order"),
        pytest.param(
            [line for line in ERR.splitlines() if "kitchen" in line] + ERR.splitlines()[:2],
            id="standard error",
        ),
        pytest.param(["kitchen: 1 change", "…", RESULT[3]], id="lines that are left out"),
        pytest.param([*RESULT[:3], "Plan: 2 devices: …, 1 without changes"], id="words"),
    ],
)
def test_what_is_the_same(shown: list[str]) -> None:
    assert not differs(shown, OUT, ERR)


def test_both_streams_come_in_any_mixture() -> None:
    out = OUT.replace("kitchen: 1", "hall: 1")
    shown = ["plan greenhouse: 2 devices", "hall: 1 change", RESULT[2], "kitchen: pending in 9 s",
             "shed: ok in 3 s", "shed: no changes", RESULT[3]]  # fmt: skip
    assert not differs(shown, out, ERR)
    assert differs([*shown, "shed: ok in 3 s"], out, ERR)


@pytest.mark.parametrize(
    "shown",
    [
        pytest.param(RESULT[:3], id="a line is missing"),
        pytest.param([*RESULT, "Recap"], id="a line too many"),
        pytest.param([each.replace("12 B", "13 B") for each in RESULT], id="another size"),
        pytest.param([each.replace("1 without", "2 without") for each in RESULT], id="a count"),
        pytest.param(["…", "kitchen: 2 changes"], id="another line beside what is left out"),
        pytest.param(
            ["shed: no changes", RESULT[2], "kitchen: 1 change", RESULT[3]], id="another order"
        ),
    ],
)
def test_what_is_not(shown: list[str]) -> None:
    assert differs(shown, OUT, ERR)


def test_of_an_app_words_count_and_neither_numbers_nor_how_often() -> None:
    out = "shed    | temperature 21\nkitchen | temperature 30\nshed    | temperature 22\n"
    assert not differs(["shed | temperature 1", "kitchen | temperature 7"], out, "")
    assert differs(["shed | humidity 1", "kitchen | temperature 7"], out, "")
    assert differs(["kitchen | temperature 7"], out, "")


def test_a_line_of_an_app_may_be_cut_at_the_end() -> None:
    out = "shed | \nshed | temperature 21\nshed | temp\n"
    assert not differs(["shed |", "shed | temperature 4"], out, "")
    assert differs(["shed |", "shed | temperature 4"], "shed | \nshed | temp\n", "")


def test_an_excerpt_is_a_part() -> None:
    assert not differs(["shed: ok in 5 s"], OUT, ERR, excerpt=True)
    assert differs(["shed: failed in 5 s"], OUT, ERR, excerpt=True)
