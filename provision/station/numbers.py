"""Which number comes next: of a counter, or of the rows of a table. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from types import MappingProxyType

from provision.model.language import record


@record
class Counter:
    """Numbers from `start` on, up to `end` where there is one, each written by `format`."""

    start: int = 1
    end: int | None = None
    format: str = "{}"

    def written(self, value: int) -> str:
        return self.format.format(value)


@record
class Table:
    """The rows of a CSV file in their order, by the column that holds the numbers."""

    file: str
    rows: Mapping[str, Mapping[str, str]] = field(default_factory=lambda: MappingProxyType({}))

    def columns(self, number: str) -> Mapping[str, str]:
        """The row of a number; empty of one that the table does not have."""
        return self.rows.get(number, MappingProxyType({}))


Numbers = Counter | Table


def exhausted(numbers: Numbers) -> str:
    """Why there is no further number."""
    if isinstance(numbers, Table):
        return f"every number of {numbers.file} is given"
    return f"every number up to {numbers.written(numbers.end or 0)} is given"
