"""`python -m tests.mutations [word …] [--new] [--table]`: put each bug in; see that a test falls.

The package and its tests are copied to a temporary directory; the checkout is not touched. With
words, only bugs whose name holds one of them; with --new, only those of which docs/mutations.md has
no row. With --table the result goes there, and rows of bugs that were not run stay as they are.
Exit code 1 when a bug goes unseen.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

from tests.mutations.bugs import BUGS, Bug

ROOT = Path(__file__).resolve().parents[2]
NEEDED = ("provision", "tests", "schemas", "examples", "docs", "README.md", "pyproject.toml")
PAGE = ROOT / "docs" / "mutations.md"
NOTHING = "**nothing**"
PATIENCE = 900.0  # seconds for the tests of one bug: one that hangs is caught as well


def caught_by(bug: Bug, room: Path) -> list[str]:
    """The tests that fail with the bug in; [] when it goes unseen."""
    path = room / bug.file
    sound = path.read_text("utf-8")
    if sound.count(bug.before) != 1:
        raise SystemExit(f"{bug.file} holds the place of {bug.name!r} {sound.count(bug.before)}x")
    path.write_text(sound.replace(bug.before, bug.after), "utf-8")
    try:
        return list(_failing(bug, room))
    finally:
        path.write_text(sound, "utf-8")


def _failing(bug: Bug, room: Path) -> Iterator[str]:
    command = [
        sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", "-p", "no:xdist",
        "--tb=no", "--hypothesis-profile=unshrunk", *bug.tests,
    ]  # fmt: skip
    environment = {**os.environ, "PYTHONPATH": str(room), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        ended = subprocess.run(
            command,
            cwd=room,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=PATIENCE,
        )
    except subprocess.TimeoutExpired:
        yield f"{bug.tests[0]}, which did not end"
        return
    if ended.returncode not in (0, 1):
        raise SystemExit(f"{bug.name}: pytest itself failed\n{ended.stdout}{ended.stderr}")
    yield from re.findall(r"^FAILED (.+?)(?: - .*)?$", ended.stdout, re.MULTILINE)


def table(results: list[tuple[Bug, list[str]]], before: str, commit: str) -> str:
    """The page with a row for each bug that was run, now at this commit, or `before`, when it was
    this page."""
    rows = rows_of(before)
    ran = {bug.name: _row(bug, tests, commit) for bug, tests in results}
    known = [ran.get(bug.name) or rows.get(bug.name) for bug in BUGS]
    told = [row for row in known if row is not None]
    caught = sum(NOTHING not in row for row in told)
    lines = [
        "# Deliberate bugs",
        "",
        "Each of these was put into a copy of the package, and the tests that should see it were",
        "run: beside it stand the first that fell, and the commit at which that was so. `python -m",
        "tests.mutations --table` does all of it again and writes this page, with `--new` what has",
        "no row yet; that each bug still fits the source is tested in every run.",
        "",
        f"{caught} of {len(told)} caught; the last on {datetime.now(timezone.utc):%Y-%m-%d}. "
        f"{len(BUGS) - len(told)} of the list were not run yet.",
        "",
        "| bug | in | caught by | at |",
        "| --- | --- | --- | --- |",
        *told,
    ]
    return "\n".join(lines) + "\n"


def rows_of(page: str) -> dict[str, str]:
    """The rows of the page as it is, by the name of the bug."""
    return {
        row[2:].partition(" | ")[0]: row
        for row in page.splitlines()
        if row.startswith("| ") and "`provision/" in row
    }


def _row(bug: Bug, tests: list[str], commit: str) -> str:
    found = f"`{tests[0]}`".replace("|", "\\|") if tests else NOTHING
    return f"| {bug.name} | `{bug.file}` | {found} | {commit} |"


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=7", "--exclude=*"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return ended.stdout.strip() or "unknown"


def main(words: list[str]) -> int:
    tabled, new = "--table" in words, "--new" in words
    words = [word for word in words if word not in ("--table", "--new")]
    before, commit = PAGE.read_text("utf-8"), _commit()
    known = rows_of(before) if new else {}
    chosen = [
        bug
        for bug in BUGS
        if bug.name not in known and (not words or any(word in bug.name for word in words))
    ]
    results = []
    with tempfile.TemporaryDirectory(prefix="mutations") as name:
        room = Path(name)
        for part in NEEDED:
            source = ROOT / part
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", ".*")
                shutil.copytree(source, room / part, ignore=ignored)
            else:
                shutil.copy(source, room / part)
        for bug in chosen:
            tests = caught_by(bug, room)
            results.append((bug, tests))
            if tabled:  # after each: what was run is not lost with what is still to come
                PAGE.write_text(table(results, before, commit), "utf-8")
            print(f"{bug.name}: {tests[0] if tests else 'NOT CAUGHT'}", file=sys.stderr, flush=True)
    missed = sum(not tests for _, tests in results)
    print(f"{len(results)} bugs, {len(results) - missed} caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
