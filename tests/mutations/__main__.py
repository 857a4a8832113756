"""`python -m tests.mutations [word …] [--table]`: put each bug in, and see that a test falls.

The package and its tests are copied to a temporary directory; the checkout is not touched. With
words, only bugs whose name holds one of them; with --table the result is docs/mutations.md.
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


def table(results: list[tuple[Bug, list[str]]]) -> str:
    caught = sum(bool(tests) for _, tests in results)
    lines = [
        "# Deliberate bugs",
        "",
        "Each of these was put into a copy of the package, and the tests that should see it were",
        "run: the last column is the first that fell. `python -m tests.mutations --table` does it",
        "again and writes this page; that each bug still fits the source is tested in every run.",
        "",
        f"Last run on {datetime.now(timezone.utc):%Y-%m-%d}, commit {_commit()}: "
        f"{caught} of {len(results)} caught.",
        "",
        "| bug | in | caught by |",
        "| --- | --- | --- |",
    ]
    for bug, tests in results:
        found = f"`{tests[0]}`".replace("|", "\\|") if tests else "**nothing**"
        lines.append(f"| {bug.name} | `{bug.file}` | {found} |")
    return "\n".join(lines) + "\n"


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty", "--abbrev=7", "--exclude=*"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return ended.stdout.strip() or "unknown"


def main(words: list[str]) -> int:
    tabled = "--table" in words
    words = [word for word in words if word != "--table"]
    chosen = [bug for bug in BUGS if not words or any(word in bug.name for word in words)]
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
            print(f"{bug.name}: {tests[0] if tests else 'NOT CAUGHT'}", file=sys.stderr, flush=True)
    if tabled:
        (ROOT / "docs" / "mutations.md").write_text(table(results), "utf-8")
    missed = sum(not tests for _, tests in results)
    print(f"{len(results)} bugs, {len(results) - missed} caught")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
