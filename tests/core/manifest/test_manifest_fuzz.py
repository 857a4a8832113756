"""Whatever is in a manifest, the answer is a manifest or located problems; never a traceback."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests import fuzz_manifest

ROOT = Path(__file__).resolve().parents[3]


def test_damaged_manifests_end_in_located_problems(tmp_path: Path) -> None:
    fuzz_manifest.prepare(tmp_path)
    outcomes = [fuzz_manifest.check(tmp_path, data) for data in fuzz_manifest.cases(400, seed=7)]
    assert outcomes.count(False) > outcomes.count(True) > 0


def test_so_do_damaged_files_that_are_included(tmp_path: Path) -> None:
    fuzz_manifest.prepare(tmp_path)
    damaged = fuzz_manifest.cases(150, seed=8)
    outcomes = [fuzz_manifest.check_included(tmp_path, data) for data in damaged]
    assert outcomes.count(False) > outcomes.count(True) > 0


def test_the_manifests_that_are_damaged_are_valid_ones(tmp_path: Path) -> None:
    fuzz_manifest.prepare(tmp_path)
    assert all(fuzz_manifest.check(tmp_path, text.encode()) for text in fuzz_manifest.VALID)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="limits as Linux has them")
def test_ten_thousand_cases_within_two_seconds_and_300_mb_each() -> None:
    ended = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "fuzz_manifest.py"), "10000", "1"],
        capture_output=True,
        text=True,
        check=False,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )
    assert ended.returncode == 0, ended.stderr[-2000:]
    assert ended.stdout.startswith("10000 cases, ")
