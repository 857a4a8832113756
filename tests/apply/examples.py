"""Examples, run as they are shipped, in a copy of their folder."""

from __future__ import annotations

import shutil
import subprocess
import sys

from tests.apply.station import ROOT, Ended, Station

_MADE = ("__pycache__", "firmware", "labels", "ca", "fleet.lock", "*.ledger*", ".venv")
_BESIDE = ("action.yml", ".pre-commit-hooks.yaml", "tools/action.sh")  # what examples/ci runs


def run_example(station: Station, name: str) -> Ended:
    """`python3 examples/NAME`; the environment that it would make is the one that runs these
    tests. A second time in the same work folder goes on with what the first has left."""
    if not (station.work / "examples").exists():
        ignored = shutil.ignore_patterns(*_MADE)
        shutil.copytree(ROOT / "examples", station.work / "examples", ignore=ignored)
        for beside in _BESIDE:
            (station.work / beside).parent.mkdir(exist_ok=True)
            shutil.copyfile(ROOT / beside, station.work / beside)
        (station.work / ".venv").symlink_to(sys.prefix, target_is_directory=True)
    done = subprocess.run(
        [sys.executable, f"examples/{name}"],
        cwd=station.work,
        env=station.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return Ended(done.returncode, done.stdout, done.stderr)
