"""`check.console`: which patterns are taken, and that none can run away."""

from __future__ import annotations

import pytest

from provision.core.manifest.console_pattern import MAX_PATTERN, compile_console
from tests.bounds import ending


@pytest.mark.parametrize(
    ("pattern", "line", "found"),
    [
        ("ready: (.*)", "ready: kitchen", True),
        ("^ready$", "not ready", False),
        ("(?i)READY", "ready", True),
        ("^x{60}!$", "x" * 60 + "!", True),
        (r"(?P<n>\d+) \bC", "21 C", True),
        ("größer|é", "größer", True),
        ("", "anything", True),
    ],
)
def test_what_is_found(pattern: str, line: str, found: bool) -> None:
    assert compile_console(pattern)(line) is found


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(", r"missing \)"),
        ("[", "missing ]"),
        ("a++", "bad repetition operator"),
        ("(?=a)b", r"invalid perl operator: \(\?=; RE2.* has no look-around"),
        (r"(a)\1", "RE2, .* has no backreferences"),
        (r"end\Z", "use \\$"),
        ("x{2000}", r"invalid repetition size: \{2000\}; 1000 is the most"),
        ("((x{1000}){1000}){1000}", "invalid repetition size|too large"),
        ("x" * (MAX_PATTERN + 1), "longer than 1,000 characters"),
        ("\ud800", "surrogates not allowed"),
    ],
)
def test_what_is_no_pattern_says_why(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        compile_console(pattern)


@pytest.mark.parametrize("pattern", ["^(a+)+$", "^(a|a)*$", "^(a|aa)+$", "^(a*)*$", "^(a*a){20}$"])
def test_a_pattern_that_would_backtrack_for_ever_has_its_answer(pattern: str) -> None:
    found = compile_console(pattern)
    with ending():
        assert found("a" * 65_536)
        assert not found("a" * 65_536 + "!")
