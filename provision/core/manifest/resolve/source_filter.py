"""Which files of a source directory go to a board.

Patterns are gitignore's, matched by pathspec. Three lists are read one after another, a later
match winning as in git: what nobody wants on a board, the source's `.provisionignore`, and the
entry's own `exclude`; a `!pattern` in a later list takes back what an earlier one left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

IGNORE_FILE = ".provisionignore"

# What version control, editors, operating systems and host Pythons leave behind.
LITTER = (
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
    ValueError names a pattern that gitignore does not know.
    """
    spec = _spec((*LITTER, *ignore_lines, *exclude))
    return sorted({path for path in paths if not spec.match_file(path)})


@lru_cache(maxsize=256)
def _spec(lines: tuple[str, ...]) -> GitIgnoreSpec:
    from pathspec import GitIgnoreSpec

    try:
        return GitIgnoreSpec.from_lines(lines)
    except ValueError:
        for line in lines:  # find the one to name
            try:
                GitIgnoreSpec.from_lines([line])
            except ValueError:
                raise ValueError(f"'{line}' is not a gitignore pattern") from None
        raise
