"""The list of deliberate bugs (`tests.mutations`) still fits the source: each has its one place,
and names tests that are there. That they are caught is for `python -m tests.mutations` to show.
"""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.mutations.bugs import BUGS, Bug

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.name)
def test_a_deliberate_bug_fits_the_source(bug: Bug) -> None:
    source = (ROOT / bug.file).read_text("utf-8")
    assert source.count(bug.before) == 1
    ast.parse(source.replace(bug.before, bug.after))  # caught by a test, not by the compiler
    files = [word for word in bug.tests if word.endswith(".py")]
    assert files
    for name in files:
        assert (ROOT / name).is_file()


def test_no_two_bugs_have_one_name() -> None:
    assert len({bug.name for bug in BUGS}) == len(BUGS)
