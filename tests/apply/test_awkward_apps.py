"""Boards whose main.py keeps the REPL away, each in its own way: it is replaced, and no other file
is lost."""

from __future__ import annotations

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.model.chip import Chip
from provision.sim.process.flash_faults import MAIN_PY
from tests.apply.station import Station

UPDATED = ["write-file /main.py", "reset", "check"]


@pytest.mark.parametrize(
    ("chip", "names"),
    [
        (ESP32, ("hog", "watchdog", "deaf")),
        pytest.param(ESP32, tuple(MAIN_PY), marks=pytest.mark.slow),
        pytest.param(ESP8266, tuple(MAIN_PY), marks=pytest.mark.slow),
    ],
    ids=["quick", "esp32", "esp8266"],
)
def test_apps_that_keep_the_repl_away(station: Station, chip: Chip, names: tuple[str, ...]) -> None:
    image = station.firmware(chip)
    board = {ESP32: "esp32", ESP8266: "wemos-d1-mini"}[chip]
    station.write("main.py", "print('well-behaved')\n")
    devices = ""
    for name in names:
        station.board(name, chip, image)
        station.put(name, {"/data.txt": "measured", "/main.py": MAIN_PY[name]})
        devices += f"  {name}: {{port: sim://{name}}}\n"
    for name in names:
        station.press(name, "reset")
    station.write(
        "fleet.yaml",
        f"defaults:\n  board: {board}\n  firmware: {{file: {image}}}\n  files: [main.py]\n"
        f'  check: {{console: "well-behaved", timeout: 30}}\ndevices:\n{devices}',
    )
    first = station.apply()
    for name in names:
        assert first.done(name) == UPDATED, name
        files = station.files(name, chip)
        assert files == {
            "/data.txt": b"measured",
            "/boot.py": files["/boot.py"],
            "/main.py": b"print('well-behaved')\n",
        }
    assert set(station.apply().outcomes.values()) == {"ok"}
