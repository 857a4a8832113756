"""The shift of `python3 examples/station`, as it is shipped, and the same boards once more."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from provision.station.ledger import Ledger
from tests.apply.station import ROOT, Ended, Station

pytest.importorskip("micropython_unix")


def run_shift(station: Station) -> Ended:
    if not (station.work / "examples").exists():
        ignored = shutil.ignore_patterns("__pycache__", "firmware", "labels", "*.ledger*", ".venv")
        shutil.copytree(ROOT / "examples", station.work / "examples", ignore=ignored)
        (station.work / ".venv").symlink_to(sys.prefix, target_is_directory=True)
    done = subprocess.run(
        [sys.executable, "examples/station"],
        cwd=station.work,
        env=station.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


@pytest.mark.skipif(os.name == "nt", reason="virtual boards need a POSIX system")
def test_a_shift_with_a_wrong_a_dead_and_a_loose_board(station: Station) -> None:
    first = run_shift(station)
    assert first.code == 0, first.said
    assert first.out.splitlines()[-1].startswith("10 passed, 3 failed, yield 76 %")
    assert "this is an ESP8266, and the station makes ESP32 boards" in first.out
    assert "no boot loader answers on sim://station-07" in first.out
    folder = station.work / "examples" / "station"
    with Ledger.open(folder / "fleet.ledger", check=True) as ledger:
        units = ledger.units()
    assert [unit.number for unit in units] == [f"{1000 + n:06d}" for n in range(10)]
    assert {unit.state for unit in units} == {"done"}
    labels = {path.stem: path.read_text() for path in (folder / "labels").glob("*.zpl")}
    assert set(labels) == {unit.name for unit in units}
    assert all(unit.mac and unit.mac in labels[unit.name or ""] for unit in units)

    second = run_shift(station)
    assert second.code == 0, second.said
    assert second.out.splitlines()[-1].startswith("10 passed, 2 failed")
    assert second.out.count(": done before; take it away") == 10
