"""`--only files` and `--only firmware`: a part of each device, and what is said of the rest."""

from __future__ import annotations

import json

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import Station

pytest.importorskip("micropython_unix")

APP = "print('up')\n"


@pytest.fixture
def behind(station: Station) -> Station:
    """A board with an older firmware than is wanted and none of its files, and a blank one."""
    station.board("desk", ESP32, station.firmware(ESP32, "1.24.1"))
    station.board("new", ESP32)
    station.write("main.py", APP)
    wanted = station.firmware(ESP32, "1.25.0")
    station.write(
        "fleet.yaml",
        f"""
        defaults:
          board: esp32
          firmware: {{file: {wanted}}}
          files: [main.py]
          check: {{console: up}}
        devices:
          desk: {{port: 'sim://desk'}}
          new: {{port: 'sim://new'}}
        """,
    )
    return station


def test_files_first_and_the_firmware_later(behind: Station) -> None:
    plan = behind.plan("--only", "files", "--detailed-exitcode", code=4)
    assert plan.planned("desk") == ["write-file /main.py", "reset"]
    ended = behind.provision("apply", "--only", "files", "--yes")
    assert ended.code == 4
    assert (
        "desk: only its files: left undone: 1.24.1 is on the board, 1.25.0 is wanted" in ended.said
    )
    status = json.loads(behind.provision("status", "--json", "-l", "desk").out)
    (known,) = status["devices"]
    assert known["applied"] is None, "it never was as the manifest says"
    assert behind.files("desk")["/main.py"] == APP.encode()

    again = behind.apply("-l", "desk", "--only", "files", "--detailed-exitcode", code=6)
    assert again.outcomes == {"desk": "pending"}, "nothing was done, and it is not as it has to be"
    assert again.finished("desk")["left"] == ["1.24.1 is on the board, 1.25.0 is wanted"]

    flashed = behind.apply("-l", "desk", "--only", "firmware")
    assert "check" in flashed.done("desk"), "nothing is left: it is proved as a whole"
    assert behind.apply("-l", "desk").outcomes == {"desk": "ok"}


def test_what_goes_with_it(behind: Station) -> None:
    for words in (
        ("plan", "--only", "files", "--out", "x.plan"),
        ("apply", "--only", "firmware", "--fresh", "--yes"),
        ("plan", "--only", "nvs"),
    ):
        assert behind.provision(*words).code == 2
