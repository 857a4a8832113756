"""A board that was taken to its boot loader in vain runs its app again, after a mere look too."""

from __future__ import annotations

import pytest

from provision.core.chips.esp.chips import ESP32
from provision.sim.process.flash_faults import MAIN_PY
from tests.apply.station import Station

NO_SYNC = {"drop": "1"}
NO_STUB = {"flip": "0.001"}  # a SYNC's few bytes pass in one of its tries, 12 kB of stub never do


@pytest.mark.parametrize(
    ("command", "noise"),
    [("plan", NO_SYNC), ("plan", NO_STUB), ("facts", NO_STUB)],
    ids=["plan, no sync", "plan, no stub", "facts, no stub"],
)
def test_an_entry_that_fails_is_left_again(
    station: Station, command: str, noise: dict[str, str]
) -> None:
    station.board("x", firmware=station.firmware(ESP32))
    station.put("x", {"/main.py": MAIN_PY["deaf"]})
    station.press("x", "reset")
    station.write("main.py", "print('up')\n")
    station.write("fleet.yaml", "devices: {x: {port: sim://x, board: esp32, files: [main.py]}}\n")
    before = station.order("x", "status")["boots"]
    station.fault("x", "noise", **noise)
    failed = station.provision(command, "-v")
    station.fault("x", "noise")
    assert failed.code in (4, 5), failed.said
    status = station.order("x", "status")
    assert status["boots"] > before, failed.said  # it was taken there
    assert status["mode"] == "run", failed.said
