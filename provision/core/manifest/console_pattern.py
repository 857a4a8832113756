"""`check.console`: a regular expression that somebody else wrote, matched in linear time.

The manifest's reader judges it here, the device's connection searches with it. RE2 takes no
pattern whose search could run away: `^(a+)+$` on a line of 64 kB takes Python's `re` longer than
anyone waits, and RE2 less than a millisecond. It is imported on first use, which takes 3 ms.
"""

from __future__ import annotations

from collections.abc import Callable

MAX_PATTERN = 1000
"""Characters. The search of 64 kB by the worst pattern of this length took 1.4 s."""


def compile_console(pattern: str) -> Callable[[str], bool]:
    """A function that says whether the pattern is found anywhere in a line.

    ValueError says what is wrong with the pattern, or what of it RE2 has not.
    """
    import re2

    if len(pattern) > MAX_PATTERN:
        raise ValueError(f"longer than {MAX_PATTERN:,} characters")
    options = re2.Options()
    options.log_errors = False  # to standard error, else
    options.never_capture = True
    try:
        compiled = re2.compile(pattern, options)
    except re2.error as error:
        reason = error.args[0]
        text = reason.decode() if isinstance(reason, bytes) else str(reason)
        raise ValueError(f"{text}{_advice(text)}") from None
    return lambda line: compiled.search(line) is not None


def _advice(reason: str) -> str:
    if reason.startswith("invalid perl operator"):
        return "; RE2, which checks are written for, has no look-around and no atomic groups"
    if reason.startswith("invalid escape sequence"):
        return "; RE2, which checks are written for, has no backreferences and no \\Z (use $)"
    if reason.startswith("invalid repetition size"):
        return "; 1000 is the most"
    return ""
