"""The end of a `match` that names every case: adding a case without handling it fails the type
check, and never passes silently at run time."""

from __future__ import annotations

from typing import NoReturn


def assert_never(value: NoReturn) -> NoReturn:
    """As `typing.assert_never`, which Python 3.10 does not have yet."""
    raise AssertionError(f"a case is not handled: {value!r}")
