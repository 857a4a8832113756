"""`check.expression`: whether a text is an expression at all. A board finds out only after all has
been written, and then with every boot.
"""

from __future__ import annotations

import warnings

MAX_EXPRESSION = 2000
"""Characters; an expression of more is a program, and belongs into a function of the app."""


def expression_fault(text: str) -> str | None:
    """What is wrong with an expression, or None. MicroPython has a subset of Python's syntax, so
    that one which Python does not take is none there either. Nothing of it is run."""
    if len(text) > MAX_EXPRESSION:
        return f"longer than {MAX_EXPRESSION:,} characters; put it into a function of the app"
    reason = _syntax_error(text, "eval")
    if reason is None:
        return None
    if _syntax_error(text, "exec") is None:
        return "is a statement, not an expression; write what is true when the app runs"
    return f"is not an expression: {reason}"


def _syntax_error(text: str, mode: str) -> str | None:
    try:
        with warnings.catch_warnings():
            # What Python thinks of `x is 1` is not for the user of MicroPython.
            warnings.simplefilter("ignore", SyntaxWarning)
            compile(text, "<check>", mode, dont_inherit=True)
    except SyntaxError as error:
        return error.msg or "invalid syntax"
    except (ValueError, RecursionError, MemoryError):  # a NUL, or nested too deeply
        return "it cannot be read"
    return None
