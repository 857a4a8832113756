"""Which files of a source directory go to a board.

Patterns are gitignore's, matched by pathspec with RE2: a manifest may be somebody else's, and
Python's `re` would look for `*a*a*a*a*a*a*b` in a name of 250 letters for hours. Three lists are
read one after another, a later match winning as in git: what nobody wants on a board, the source's
`.provisionignore`, and the entry's own `exclude`; a `!pattern` in a later list takes back what an
earlier one left out. What the `.provisionignore` beside the manifest names is left out whatever
these say.

Whoever looks for files asks first: what is left out is neither counted nor judged.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from fnmatch import translate
from functools import cache, lru_cache
from typing import TYPE_CHECKING, Protocol

from provision.core.wording import quoted
from provision.model.language import record

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
    # a station's record
    "*.ledger",
    "*.ledger-wal",
    "*.ledger-shm",
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


@record(kw_only=False)
class Selection:
    """What is taken of a source directory.

    `patterns` are those of the directory itself, `beside` those of the manifest's own folder, in
    which the directory is called `prefix` ("" or "app/").
    """

    patterns: tuple[str, ...] = DEFAULT_EXCLUDES
    beside: tuple[str, ...] = ()
    prefix: str = ""

    def matcher(self) -> Matcher:
        """ValueError names a pattern that cannot be matched."""
        if self.patterns == DEFAULT_EXCLUDES and not self.beside:
            return _defaults()
        return GitIgnoreMatcher(_spec(self.patterns), _spec(self.beside), self.prefix)


class Matcher(Protocol):
    """A selection, ready to be asked. Paths are relative to the directory, with forward slashes."""

    def takes(self, file: str) -> bool:
        """Whether a file is taken."""
        ...

    def looks_into(self, directory: str) -> bool:
        """False where nothing below a directory can be taken. A `!pattern` may take something
        back, so that everything must be looked into."""
        ...


class GitIgnoreMatcher:
    """A `Matcher` of anybody's patterns."""

    def __init__(self, spec: GitIgnoreSpec, beside: GitIgnoreSpec, prefix: str) -> None:
        pairs = ((spec, ""), (beside, prefix))
        self._specs = tuple((each, start) for each, start in pairs if each.patterns)

    def takes(self, file: str) -> bool:
        return not any(spec.match_file(_encodable(start + file)) for spec, start in self._specs)

    def looks_into(self, directory: str) -> bool:
        return not any(
            all(pattern.include is not False for pattern in spec.patterns)
            and spec.match_file(_encodable(f"{start}{directory}/"))
            for spec, start in self._specs
        )


class DefaultMatcher:
    """A `Matcher` of patterns that are names, or globs of names. Most folders have no others, and
    to import pathspec takes longer than all else that is done with a small one."""

    def __init__(self, patterns: Sequence[str]) -> None:
        plain = [pattern.replace("\\", "") for pattern in patterns]
        self._anything = _names([name for name in plain if not name.endswith("/")])
        self._folder = _names([name.rstrip("/") for name in plain])

    def takes(self, file: str) -> bool:
        return self.looks_into(file.rpartition("/")[0]) and not self._anything.fullmatch(
            file.rpartition("/")[2]
        )

    def looks_into(self, directory: str) -> bool:
        return not any(map(self._folder.fullmatch, directory.split("/")))


def _names(globs: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, globs)))


@cache
def _defaults() -> Matcher:
    return DefaultMatcher(DEFAULT_EXCLUDES)


def _encodable(path: str) -> str:
    """The name as RE2 takes it: one whose bytes are no UTF-8 has marks in their place. A line end
    is none for the `.` of pathspec's expressions: a character that no pattern names is there then.
    """
    path = path.replace("\n", "\ue000")
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
