"""Where skips fail, a test that lacks a tool or a package has failed, and says what it lacks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
NEEDS_GIT = "tests/project/test_secrets_files.py"
NEEDS_NODE = "tests/project/test_editors.py"
NEEDS_MICROPYTHON = "tests/device/flashing/test_filesystem_image.py"
HIDE = """
import sys
sys.modules["micropython_unix"] = None
"""


def pytest_without_tools(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """A run of pytest where there is no git, nor a package of MicroPython."""
    (tmp_path / "sitecustomize.py").write_text(HIDE)
    kept = {name: text for name, text in os.environ.items() if not name.startswith("PYTEST_")}
    kept.pop("CI", None)
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider", *words],
        cwd=ROOT,
        env={**kept, "PATH": str(tmp_path), "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_test_that_lacks_a_tool_fails_where_skips_fail(tmp_path: Path) -> None:
    words = ("--continue-on-collection-errors", NEEDS_GIT, NEEDS_NODE, NEEDS_MICROPYTHON)
    words = (*words, "tests/hw", "-k")
    words = (*words, "git_tracks or one_file_changed and real or used_blocks or keys_are_explained")
    lenient = pytest_without_tools(tmp_path, *words)
    assert lenient.returncode == 0, lenient.stdout
    strict = pytest_without_tools(tmp_path, "--fail-skips", *words)
    assert strict.returncode == 1, strict.stdout
    assert "not run, and it must be: needs git" in strict.stdout
    assert "not run, and it must be: needs node" in strict.stdout
    assert "not run, and it must be: could not import 'micropython_unix'" in strict.stdout
    assert "1 skipped" in strict.stdout, "the real board's"
