"""Boards whose main.py keeps the REPL away, each in its own way. None loses a file unasked: those
that can be caught are, and their other files stay; the rest is erased when somebody agrees."""

from __future__ import annotations

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.model.chip import Chip
from provision.sim.process.flash_faults import MAIN_PY
from tests.apply.station import Station

CAUGHT = {"hog", "chatter", "watchdog", "crash"}
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
    first = station.provision("apply", "--json")
    # The others are caught now and then, in the moment before they close their ears.
    assert first.code == (4 if "refused" in first.outcomes.values() else 0)
    for name in names:
        files = station.files(name, chip)
        assert files["/data.txt"] == b"measured", name
        if name in CAUGHT or first.outcomes[name] == "changed":
            assert first.done(name) == UPDATED, name
            assert files["/main.py"] == b"print('well-behaved')\n"
        else:
            assert first.outcomes[name] == "refused"
            assert "does not answer: its files would be lost" in first.finished(name)["error"]
            assert files["/main.py"] == MAIN_PY[name].encode()

    station.apply("--yes")
    assert {station.files(name, chip)["/main.py"] for name in names} == {b"print('well-behaved')\n"}
    assert set(station.apply().outcomes.values()) == {"ok"}
