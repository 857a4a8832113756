"""Located problems for people and for programs: `file:line:column: path: message`, the line it is
about and a caret below it; or as JSON.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from provision.core.wording import Redact, harmless, harmless_line
from provision.errors import ManifestError, Problem, ProvisionError
from provision.model.secret import MASK, Secret
from provision.output.style import PLAIN, Style, wants_colour

MOST_SHOWN = 100
_WIDEST = 110  # columns of a source line


def report_error(error: ProvisionError) -> None:
    """Narrate one error on stderr: device, what happened, what to do next."""
    if isinstance(error, ManifestError):
        report_problems(error)
        return
    where = f"{error.device}: " if error.device else ""
    click.echo(f"error: {where}{error.message}", err=True)
    if error.hint:
        click.echo(f"hint: {error.hint}", err=True)


def report_problems(error: ManifestError) -> None:
    """Narrate on stderr; the source lines only where a person looks on."""
    style = Style(wants_colour(sys.stderr, os.environ))
    lines = problem_lines(error.problems, style=style, excerpts=sys.stderr.isatty() or style.colour)
    for line in lines:
        click.echo(line, err=True, color=style.colour)
    click.echo(f"{style('error:', 'red', 'bold')} {error.message}", err=True, color=style.colour)
    click.echo(f"hint: {error.hint}", err=True)


def report_warnings(warnings: Sequence[str]) -> None:
    style = Style(wants_colour(sys.stderr, os.environ))
    for warning in warnings:
        line = f"{style('warning:', 'yellow')} {harmless(warning)}"
        click.echo(line, err=True, color=style.colour)


def problem_lines(
    problems: Sequence[Problem], *, style: Style = PLAIN, excerpts: bool = False
) -> Iterator[str]:
    """One line for each of the first problems, and with `excerpts` two more where it stands."""
    for problem in problems[:MOST_SHOWN]:
        path = f"{style(harmless_line(problem.path), 'bold')}: " if problem.path else ""
        yield f"{harmless(str(problem.place))}: {path}{harmless_line(problem.message)}"
        if excerpts and problem.source is not None and problem.source.strip():
            number = f"{problem.place.line:>5} | "
            line, indent = _excerpt(problem.source, problem.place.column)
            yield style(number, "dim") + line
            yield " " * (len(number) - 2) + style("| ", "dim") + indent + style("^", "red", "bold")
    if len(problems) > MOST_SHOWN:
        yield f"… and {len(problems) - MOST_SHOWN:,} more (--json lists all)"


def problem_data(problem: Problem) -> dict[str, Any]:
    """One problem as JSON has it."""
    return {
        "file": problem.place.file,
        "line": problem.place.line,
        "column": problem.place.column,
        "path": problem.path,
        "message": problem.message,
    }


def masked(value: Any, redact: Redact) -> Any:
    """A JSON value with every secret in it masked, wherever it stands."""
    if isinstance(value, Secret):
        return MASK
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {redact(str(key)): masked(item, redact) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [masked(item, redact) for item in value]
    if value is None or isinstance(value, bool):
        return value
    shown = str(value)
    return value if redact(shown) == shown else MASK


def _excerpt(source: str, column: int) -> tuple[str, str]:
    """The part of a line around a column, and the white space that leads to the column."""
    start = max(0, column - 1 - _WIDEST + 30) if len(source) > _WIDEST else 0
    shown = "".join(_visible(char) for char in source[start : start + _WIDEST])
    before = source[start : max(start, column - 1)]
    head = "…" if start else ""
    tail = "…" if start + _WIDEST < len(source) else ""
    return head + shown + tail, " " * len(head) + "".join(_blank(char) for char in before)


def _visible(char: str) -> str:
    return char if char.isprintable() or char == "\t" else "·"


def _blank(char: str) -> str:
    """White space as wide as a character."""
    if char == "\t":
        return "\t"
    if unicodedata.combining(char):
        return ""
    return "  " if unicodedata.east_asian_width(char) in "WF" else " "
