"""Which files of a source directory are taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.core.manifest.resolve.source_filter import (
    DEFAULT_EXCLUDES,
    Matcher,
    Selection,
)
from tests.bounds import ending


def matcher(exclude: tuple[str, ...] = (), ignore: tuple[str, ...] = ()) -> Matcher:
    return Selection((*DEFAULT_EXCLUDES, *ignore, *exclude)).matcher()


def take(*paths: str, exclude: tuple[str, ...] = (), ignore: tuple[str, ...] = ()) -> list[str]:
    made = matcher(exclude, ignore)
    return [path for path in sorted(paths) if made.takes(path)]


def test_everything_is_taken() -> None:
    assert take("main.py", "lib/a.py") == ["lib/a.py", "main.py"]


def test_what_is_left_out_beside_the_manifest_is_not_taken_back() -> None:
    made = Selection(("!tests/a.py",), ("app/tests/", "*.md"), "app/").matcher()
    assert [made.takes(path) for path in ("tests/a.py", "x.md", "a.py")] == [False, False, True]
    assert not made.looks_into("tests")
    assert made.looks_into("lib")


def test_a_folder_that_is_left_out_is_not_looked_into() -> None:
    assert not matcher().looks_into(".venv")
    assert not matcher(("data/big/",)).looks_into("data/big")
    assert matcher(("data/big/",)).looks_into("data")
    assert matcher(("data/*", "!data/a.py")).looks_into("data/b")


NAMES = st.text("ab.", min_size=1, max_size=3)
PATHS = st.lists(NAMES, min_size=1, max_size=4)
PATTERNS = st.lists(st.text("ab.*!/?", min_size=1, max_size=5), max_size=4)


@given(parts=PATHS, patterns=PATTERNS, beside=PATTERNS)
def test_a_file_that_is_taken_is_found(
    parts: list[str], patterns: list[str], beside: list[str]
) -> None:
    try:
        made = Selection(tuple(patterns), tuple(beside), "b/").matcher()
    except ValueError:
        return
    if made.takes("/".join(parts)):
        assert all(made.looks_into("/".join(parts[:end])) for end in range(1, len(parts)))


@pytest.mark.parametrize(
    "litter",
    [
        ".git/config",
        ".git",
        "pkg/__pycache__/a.cpython-311.pyc",
        "main.py~",
        ".main.py.swp",
        "sub/.DS_Store",
        ".idea/workspace.xml",
        ".vscode/settings.json",
        ".mypy_cache/3.11/x.json",
        "#main.py#",
        ".#main.py",
        "._main.py",
        ".provisionignore",
        "lib/.provisionignore",
    ],
)
def test_litter_is_left_out(litter: str) -> None:
    assert take(litter, "main.py") == ["main.py"]


@pytest.mark.parametrize("name", ["swap.swx.py", "git", "idea/x.py", "a~b.py", ".env", "data.#1"])
def test_what_only_looks_like_litter_is_taken(name: str) -> None:
    assert take(name) == [name]


def test_exclude_is_gitignore_style() -> None:
    paths = ("README.md", "lib/README.md", "tests/t.py", "lib/tests/t.py", "lib/a.py")
    assert take(*paths, exclude=("*.md", "/tests/")) == ["lib/a.py", "lib/tests/t.py"]


def test_provisionignore_lines_with_comments_and_blank_lines() -> None:
    assert take("a.py", "b.py", ignore=("# no b\n", "\n", "b.py\n")) == ["a.py"]


def test_exclude_may_take_back_what_provisionignore_left_out() -> None:
    assert take("a.md", "b.md", ignore=("*.md",), exclude=("!b.md",)) == ["b.md"]


def test_litter_can_be_asked_for() -> None:
    assert take("Thumbs.db", exclude=("!Thumbs.db",)) == ["Thumbs.db"]


def test_a_file_below_an_excluded_directory_stays_out() -> None:
    assert take("data/big/a.bin", exclude=("data/big/",)) == []


def test_a_bad_pattern_is_named() -> None:
    with pytest.raises(ValueError, match="'!' is not a gitignore pattern"):
        take("a.py", exclude=("ok", "!"))


@pytest.mark.parametrize("pattern", ["[z-a]", "[[:alpha:]]x", "a\\"])
def test_what_no_file_could_be_compared_with_is_named(pattern: str) -> None:
    with pytest.raises(ValueError, match="is not a gitignore pattern"):
        take("a.py", exclude=("ok", pattern))


@pytest.mark.parametrize("pattern", ["*a*a*a*a*a*a*b", "*a" * 200 + "*b", "**/" * 50 + "b"])
def test_a_pattern_that_would_backtrack_for_hours_just_does_not_match(pattern: str) -> None:
    long_name = "a" * 250
    with ending():
        taken = take(long_name, "a/" * 100 + "a", exclude=(pattern,))
    assert taken == ["a/" * 100 + "a", long_name]


def test_patterns_without_end_are_refused() -> None:
    with pytest.raises(ValueError, match="more than 65,536 characters"):
        take("a.py", exclude=("x" * 70_000,))
    with pytest.raises(ValueError, match="too many, or too long"):
        take("a.py", exclude=tuple(f"*{number}*x*y*z*" for number in range(2000)))


# Names like those that are left out, and like what a name of a pattern is not.
LITTER = st.one_of(
    st.sampled_from([pattern.strip("/").replace("\\\\", "") for pattern in DEFAULT_EXCLUDES]),
    st.sampled_from(
        ["a.swp", "a.swq", ".#a", "#a#", "a~", "._", "A.PYC", "x.ledger-wal", "a.pyc.py"]
    ),
    st.text("ab.#~_\n*é", min_size=1, max_size=4),
)


@given(parts=st.lists(LITTER, min_size=1, max_size=3))
def test_what_is_left_out_everywhere_is_as_git_reads_it(parts: list[str]) -> None:
    quick = Selection().matcher()
    git = matcher(("a-pattern-of-ones-own",))
    assert type(quick) is not type(git)
    path = "/".join(parts)
    assert (quick.takes(path), quick.looks_into(path)) == (git.takes(path), git.looks_into(path))


def test_a_line_end_in_a_name_is_no_blank() -> None:
    assert take("a\nb", "a b", exclude=("a b",)) == ["a\nb"]
    assert take("a\nb", "a\nb/x", exclude=("a?b",)) == []


def test_a_name_that_is_no_text_is_matched_all_the_same() -> None:
    name = b"caf\xe9.md".decode("utf-8", "surrogateescape")
    assert take(name, "a.py", exclude=("*.md",)) == ["a.py"]
    assert take(name, "a.py") == ["a.py", name]


def test_every_litter_pattern_is_one() -> None:
    assert len(set(DEFAULT_EXCLUDES)) == len(DEFAULT_EXCLUDES)
