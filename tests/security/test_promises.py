"""docs/security.md names the test that holds each of its promises: all of them are there, in the
default run, and no promise goes without one.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "security.md").read_text("utf-8")
RULES = 9  # of safety, in the design
WORD = re.compile(r"`(?P<file>[\w/-]+\.py)`|`(?P<test>test_\w+)`")


def rows() -> list[str]:
    """The lines of the tables that promise something."""
    lines = [line for line in PAGE.splitlines() if line.startswith("|")]
    return [
        line for line in lines if not line.startswith(("| ---", "| it must", "| they", "| rule"))
    ]


def named() -> Iterator[tuple[str, str | None]]:
    """Each file that is named, and each test with the file named before it."""
    file = ""
    for found in WORD.finditer(PAGE):
        if found["file"]:
            file = found["file"]
            yield file, None
        else:
            yield file, found["test"]


@cache
def collected_of(file: str) -> frozenset[str]:
    """The tests of a file that the default run collects."""
    tree = ast.parse((ROOT / "tests" / file).read_text("utf-8"))
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef)]
    return frozenset(
        function.name
        for function in functions
        if function.name.startswith("test_")
        and "pytest.mark.slow" not in map(ast.unparse, function.decorator_list)
    )


@pytest.mark.parametrize(("file", "test"), sorted(set(named()), key=str))
def test_what_the_page_names_is_there(file: str, test: str | None) -> None:
    assert Path(file).name.startswith("test_")
    assert (ROOT / "tests" / file).is_file()
    assert collected_of(file)
    if test is not None:
        assert test in collected_of(file)


@pytest.mark.parametrize("row", rows(), ids=lambda row: row.split("|")[1].strip())
def test_no_promise_goes_without_a_test(row: str) -> None:
    promise, how, shown = (cell.strip() for cell in row.strip("|").split(" | "))
    assert promise
    assert how
    assert WORD.search(shown)


def test_the_rules_of_safety_are_all_there() -> None:
    numbers = [row.split(".")[0].strip("| ") for row in rows() if re.match(r"\| \d+\. ", row)]
    assert numbers == [str(number) for number in range(1, RULES + 1)]
