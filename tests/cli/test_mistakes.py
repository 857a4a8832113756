"""Fifty mistakes and more, each through the command line: what is wrong, where, why, what next."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.cli.mistake_cases import MISTAKES
from tests.cli.mistakes import COMMAND, PAGE, Mistake, row, seen

ALL = [mistake for mistakes in MISTAKES.values() for mistake in mistakes]
ROWS = [line for line in PAGE.read_text("utf-8").splitlines() if re.match(r"\| \d+\. ", line)]


@pytest.mark.parametrize("number", range(len(ALL)), ids=lambda number: ALL[number].title)
def test_a_mistake_is_told_as_the_page_says(number: int, tmp_path: Path) -> None:
    mistake: Mistake = ALL[number]
    if mistake.before:  # a virtual board
        pytest.importorskip("micropython_unix")
    told = seen(mistake, tmp_path)
    assert told.code == mistake.code, told.text
    for part in (mistake.where, mistake.why, mistake.then):
        assert part in told.text
    assert "internal" not in told.text
    assert "Traceback" not in told.text
    assert ROWS[number] == row(number + 1, mistake, told), f"write it with `{COMMAND}`"


def test_the_page_has_no_other() -> None:
    assert len(ROWS) == len(ALL) >= 50
    assert len({mistake.title for mistake in ALL}) == len(ALL)
