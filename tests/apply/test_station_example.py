"""The shift of `python3 examples/station`, as it is shipped, and the same boards once more."""

from __future__ import annotations

import os

import pytest

from provision.station.ledger import Ledger
from tests.apply.examples import run_example
from tests.apply.station import Station

pytest.importorskip("micropython_unix")


@pytest.mark.skipif(os.name == "nt", reason="virtual boards need a POSIX system")
def test_a_shift_with_a_wrong_a_dead_and_a_loose_board(station: Station) -> None:
    first = run_example(station, "station")
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

    second = run_example(station, "station")
    assert second.code == 0, second.said
    assert second.out.splitlines()[-1].startswith("0 passed, 2 failed")
    assert second.out.splitlines()[-1].endswith(", 10 only looked at")
    assert second.out.count(": done before; take it away") == 10
