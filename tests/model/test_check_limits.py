"""What passes a check: whatever is true, or the number that is asked for."""

from __future__ import annotations

import pytest

from provision.model.state import Check


@pytest.mark.parametrize("answer", ["True", "1", "'on'", "[0]", "<function f>"])
def test_what_is_true_passes(answer: str) -> None:
    assert Check(expression="x").fault(answer) is None


@pytest.mark.parametrize("answer", ["False", "None", "0", "''", "[]", "()", "{}"])
def test_what_is_false_does_not(answer: str) -> None:
    assert Check(expression="x").fault(answer) == f"gave {answer}"


@pytest.mark.parametrize(
    ("least", "most", "answer", "fault"),
    [
        (3.2, 3.4, "3.3", None),
        (3.2, 3.4, "3.2", None),
        (3.2, 3.4, "3.4", None),
        (3.2, 3.4, "3.19", "gave 3.19, less than 3.2"),
        (3.2, 3.4, "3.41", "gave 3.41, more than 3.4"),
        (3.2, None, "1e3", None),
        (None, 3.4, "-1", None),
        (0, 1, "0", None),
        (0, 1, "True", "gave True, which is no number"),
        (0, 1, "'0.5'", "gave '0.5', which is no number"),
        (0, 1, "nan", "gave nan, less than 0"),
        (None, 1, "nan", "gave nan, more than 1"),
        (0, None, "inf", None),
    ],
)
def test_a_number_has_to_be_within_its_limits(
    least: float | None, most: float | None, answer: str, fault: str | None
) -> None:
    assert Check(expression="x", min=least, max=most).fault(answer) == fault
