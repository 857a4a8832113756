"""Picos at a station: a board that is a drive while it is blank, and another USB device with every
reset; an RP2040 says who it is only once its firmware runs."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.model.chip import Chip
from tests.apply.plugged import DRIVES, LISTED, Sockets, units, write_station
from tests.apply.station import Run, Station
from tests.apply.test_station import at

pytest.importorskip("micropython_unix")

BOARDS = {RP2040: "pico", RP2350: "pico2"}
EACH = pytest.mark.parametrize("chip", [RP2040, pytest.param(RP2350, marks=pytest.mark.slow)])


def begun(station: Station, chip: Chip, *words: str) -> Run:
    write_station(station, chip=chip, board=BOARDS[chip])
    return station.start("station", "--station", "bench", "--json", *words, wrapper=DRIVES + LISTED)


def mac_of(station: Station, name: str) -> str:
    return bytes.fromhex(station.order(name, "status")["serial"]).hex(":")


@EACH
def test_a_blank_board_is_a_drive_and_gets_its_number_once_it_says_who_it_is(
    station: Station, chip: Chip
) -> None:
    sockets = Sockets(station)
    for name in "ab":
        station.board(name, chip)
    run = begun(station, chip, "--yes", "--stop-after", "2")
    for socket, name in (("1-1", "a"), ("1-2", "b")):
        sockets.plug(socket, name)
    passed = {name: at(run, name, "passed") for name in ("left", "right")}
    ended = run.end()
    assert ended.events[-1]["message"].startswith("2 passed, 0 failed, yield 100 %")
    macs = {"left": mac_of(station, "a"), "right": mac_of(station, "b")}
    assert {name: event["mac"] for name, event in passed.items()} == macs
    for socket, name in (("left", "a"), ("right", "b")):
        unit = units(station)[passed[socket]["number"]]
        assert (unit.state, unit.mac) == ("done", macs[socket])
        told = station.files(name, chip)["/id.txt"].decode()
        assert told == f"{unit.name} {unit.number} {unit.mac} bench"
    phases = [event["phase"] for event in ended.events if event.get("socket") == "left"]
    assert phases.count("passed") == 1


@EACH
def test_a_board_with_firmware_is_sent_to_be_a_drive_and_followed(
    station: Station, chip: Chip
) -> None:
    sockets = Sockets(station)
    station.board("a", chip, station.firmware(chip, "1.20.0"))
    mac = mac_of(station, "a")
    run = begun(station, chip, "--yes", "--stop-after", "2")
    sockets.plug("1-1", "a")
    first = at(run, "left", "passed")
    assert (first["number"], first["mac"], first["look"]) == ("001000", mac, False)
    sockets.unplug("1-1")
    at(run, "left", "empty")
    sockets.plug("1-2", "a")
    again = at(run, "right", "passed")
    assert (again["number"], again["look"]) == ("001000", True)
    run.end()
    assert station.files("a", chip)["/id.txt"].decode() == f"PV-001000 001000 {mac} bench"


def test_a_drive_that_tells_nobody_is_written_only_with_yes(station: Station) -> None:
    sockets = Sockets(station)
    station.board("a", RP2040)
    before = station.digest("a")
    for words, phase in ((), "failed"), (("--dry",), "passed"):
        run = begun(station, RP2040, "--stop-after", "1", *words)
        sockets.plug("1-1", "a")
        event = at(run, "left", phase)
        run.end()
        sockets.unplug("1-1")
        if phase == "failed":
            assert "--yes" in event["advice"]
        assert "in BOOTSEL mode" in event["reason"]
        assert event["number"] is None
        assert station.digest("a") == before
    assert units(station) == {}


def test_a_board_that_is_unplugged_amid_its_first_firmware_costs_no_number(
    station: Station,
) -> None:
    sockets = Sockets(station)
    station.board("a", RP2040)
    station.fault("a", "cut-write", after=20)
    run = begun(station, RP2040, "--yes", "--stop-after", "2")
    sockets.plug("1-1", "a")
    failed = at(run, "left", "failed")
    assert failed["number"] is None
    sockets.unplug("1-1")
    at(run, "left", "empty")
    station.order("a", "power", on=True)
    sockets.plug("1-1", "a")
    assert at(run, "left", "passed")["number"] == "001000"
    run.end()
    assert json.dumps(sorted(units(station))) == '["001000"]'
    assert Path(station.work / "fleet.ledger").exists()
