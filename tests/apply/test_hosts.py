"""Devices of several computers in one manifest: each does its own, and touches no other's."""

from __future__ import annotations

import json
import socket

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import Station

MANIFEST = """
    defaults: {board: esp32, files: [main.py], host: room-2}
    devices:
      kitchen: {port: sim://kitchen, host: %s}
      hall: {port: sim://hall}
    """


@pytest.fixture
def rooms(station: Station) -> Station:
    """A board of this computer and one of another."""
    for name in ("kitchen", "hall"):
        station.board(name, firmware=station.firmware(ESP32))
    station.write("main.py", "print('one')\n")
    station.write("fleet.yaml", MANIFEST % socket.gethostname())
    return station


def test_here_does_the_devices_of_this_computer(rooms: Station) -> None:
    untouched = rooms.digest("hall")
    applied = rooms.apply("--here")
    assert applied.outcomes == {"kitchen": "changed"}
    (started,) = applied.of("run-started")
    assert started["host"] == socket.gethostname()
    (finished,) = applied.of("run-finished")
    assert finished["macs"] == {"kitchen": rooms.lock["kitchen"]}
    assert rooms.digest("hall") == untouched
    assert rooms.apply("--here").outcomes == {"kitchen": "ok"}
    assert rooms.apply("--host", "room-2.school.example").outcomes == {"hall": "changed"}
    facts = rooms.provision("facts", "--host", "room-2", "--json")
    assert [(row["device"], row["host"]) for row in json.loads(facts.out)] == [("hall", "room-2")]


TO_BOARDS = [
    ["apply", "--yes"],
    ["plan"],
    ["facts"],
    ["reset"],
    ["rollback"],
    ["backup"],
    ["ls", "hall:/"],
    ["cat", "hall:/boot.py"],
    ["run", "-c", "1"],
    ["logs"],
    ["watch"],
]


def test_without_it_nothing_is_touched_that_hangs_elsewhere(rooms: Station) -> None:
    before = [rooms.digest(name) for name in ("kitchen", "hall")]
    for words in TO_BOARDS:
        refused = rooms.provision(*words)
        assert refused.code == 2, refused.said
        assert f"hall hangs on room-2, and this is {socket.gethostname()}" in refused.err
        assert "`ssh room-2`" in refused.err
    assert [rooms.digest(name) for name in ("kitchen", "hall")] == before
