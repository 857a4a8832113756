"""A secret: a value that knows it is one.

Nothing that prints, serialises or compares for display sees the text of a `Secret`; the few
places that must (template rendering, bytes sent to a board) call `reveal()`.
"""

from __future__ import annotations

MASK = "***"

PLACEHOLDER = "placeholder-of-a-secret"
"""Stands for a secret that was not looked up, where nothing is asked of its value."""


class Secret:
    """One resolved `!secret` or `!env` value; `name` may be shown, the value never."""

    __slots__ = ("_value", "name")

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self._value = value

    def reveal(self) -> str:
        """The text itself."""
        return self._value

    def __repr__(self) -> str:
        return f"Secret({self.name!r}, {MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, spec: str) -> str:
        return format(MASK, spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self) -> tuple[object, ...]:
        raise TypeError(f"the secret {self.name!r} is not to be serialised")
