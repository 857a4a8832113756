"""Which files of a source directory go to a board.

Patterns are gitignore's, matched by pathspec with RE2: a manifest may be somebody else's, and
Python's `re` would look for `*a*a*a*a*a*a*b` in a name of 250 letters for hours. Three lists are
read one after another, a later match winning as in git: what nobody wants on a board, the source's
`.provisionignore`, and the entry's own `exclude`; a `!pattern` in a later list takes back what an
earlier one left out.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from provision.core.wording import quoted

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".provisionignore"

MAX_PATTERNS = 64 * 1024
"""Characters of all patterns for one folder; RE2's own bound of 8 MB is often met before."""

# What version control, editors, operating systems and host Pythons leave behind.
DEFAULT_EXCLUDES = (
    IGNORE_FILE,
    # version control
    ".git",
    ".gitignore",
    ".gitattributes",
    ".gitmodules",
    ".hg",
    ".svn",
    # host Python: none of it runs on MicroPython
    "__pycache__/",
    "*.pyc",
    "*.pyo",
    ".mypy_cache/",
    ".pytest_cache/",
    ".ruff_cache/",
    ".venv/",
    # editors
    "*~",
    "*.sw[a-p]",
    ".#*",
    "\\#*\\#",
    ".idea/",
    ".vscode/",
    ".micropico",
    "*.code-workspace",
    # operating systems
    ".DS_Store",
    "._*",
    "Thumbs.db",
    "desktop.ini",
)


def select(
    paths: Iterable[str], *, exclude: Sequence[str], ignore_lines: Sequence[str]
) -> list[str]:
    """The files to take, sorted, each once.

    `paths` are files relative to the source directory, with forward slashes; `exclude` comes
    from the manifest and `ignore_lines` are the lines of the source's `.provisionignore`.
    ValueError names a pattern that cannot be matched.
    """
    spec = _spec((*DEFAULT_EXCLUDES, *ignore_lines, *exclude))
    return sorted({path for path in paths if not spec.match_file(_encodable(path))})


def _encodable(path: str) -> str:
    """The name as RE2 takes it: one whose bytes are no UTF-8 has marks in their place."""
    return (
        path if path.isascii() else path.encode("utf-8", "surrogateescape").decode(errors="replace")
    )


@lru_cache(maxsize=32)  # each may take the 8 MB that RE2 allows itself
def _spec(lines: tuple[str, ...]) -> GitIgnoreSpec:
    if sum(map(len, lines)) > MAX_PATTERNS:
        raise ValueError(f"the patterns have more than {MAX_PATTERNS:,} characters")
    spec = _compile(lines)
    if spec is None:
        for line in lines:  # find the one to name
            if _compile((line,)) is None:
                raise ValueError(f"{quoted(line)} is not a gitignore pattern")
        raise ValueError("the patterns are too many, or too long, to be matched together")
    return spec


def _compile(lines: tuple[str, ...]) -> GitIgnoreSpec | None:
    import re2
    from pathspec import GitIgnoreSpec

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what later Pythons will read otherwise
        try:
            return GitIgnoreSpec.from_lines(lines, backend="re2")
        except (ValueError, re.error, re2.error):
            return None
