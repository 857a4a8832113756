"""A slice of the campaign: fixed seeds, less than a minute; the rest is `python -m tests.campaign`.

The runs are the command's own, in processes of its own, as somebody would start it by hand.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.campaign.bench import ROOT
from tests.campaign.faults import FAMILIES, FAULTS
from tests.campaign.scenario import STARTS, scenario

ON_LINUX = pytest.mark.skipif(sys.platform != "linux", reason="counts on Linux's signals and forks")


def campaign(tmp_path: Path, *words: str) -> list[dict[str, object]]:
    """Run it, hold it to its own verdict, and return the results."""
    report = tmp_path / "report.json"
    done = subprocess.run(
        [sys.executable, "-m", "tests.campaign", "--jobs", "2", "--json", str(report), *words],
        cwd=ROOT,
        env={**os.environ, "TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=1200,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    results: list[dict[str, object]] = json.loads(report.read_text(encoding="utf-8"))
    return results


@ON_LINUX
def test_a_slice_of_the_campaign(tmp_path: Path) -> None:
    results = campaign(tmp_path, "--runs", "3", "--seed", "203")
    assert len(results) == 3
    assert [result["seed"] for result in results if result["broken"]] == []


@ON_LINUX
def test_power_that_fails_while_the_filesystem_is_written(tmp_path: Path) -> None:
    """Half a filesystem beside a firmware that boots was a board that nothing could fill."""
    words = ("--runs", "2", "--seed", "301", "--start", "blank", "--fault", "cut-write")
    results = campaign(tmp_path, *words)
    assert all(result["erased"] for result in results)
    assert any(result["hit"] for result in results), "the power never failed: nothing is shown"


@ON_LINUX
def test_a_filesystem_that_cannot_be_mounted_is_made_anew(tmp_path: Path) -> None:
    words = ("--runs", "1", "--seed", "1", "--start", "corrupt-filesystem", "--fault", "none")
    results = campaign(tmp_path, *words)
    assert all(result["erased"] for result in results)


def test_a_seed_is_always_the_same_run() -> None:
    assert scenario(7) == scenario(7)
    drawn = [scenario(seed) for seed in range(300)]
    assert {kind for one in drawn for kind in one.kinds} == set(FAULTS)
    assert {one.start for one in drawn} == set(STARTS)
    assert len({one.manifest for one in drawn}) > 250


def test_two_faults_of_a_run_are_of_different_things() -> None:
    for seed in range(300):
        families = [FAMILIES[kind] for kind in scenario(seed).kinds]
        assert families == ["none"] or len(set(families)) == 2
