"""`provision init`: a first manifest of the boards that are there, and boards named one by one."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.project.manifest_file import load
from provision.project.schemas import schema_text
from tests.apply.station import Station

pytest.importorskip("micropython_unix")


# Ports that this computer lists are those of a file, as if a hand plugged them in and out.
LISTED = """
import json, sys
from serial.tools import list_ports, list_ports_common
def comports():
    with open("ports.json") as file:
        listed = json.load(file)
    with open("looked", "w") as file:
        file.write(str(len(listed)))
    for path, location in listed.items():
        port = list_ports_common.ListPortInfo(path, skip_link_detection=True)
        port.vid, port.pid, port.location = 0x1a86, 0x7523, location
        yield port
list_ports.comports = comports
del sys.argv[1:3]
from provision.__main__ import main
sys.exit(main())
"""


def boards(station: Station) -> tuple[str, str]:
    """One with a MicroPython and a blank one; their MACs."""
    return (
        station.board("one", ESP8266, station.firmware(ESP8266)),
        station.board("two", ESP32),
    )


def manifest_of(station: Station) -> str:
    return (station.work / "fleet.yaml").read_text(encoding="utf-8")


def test_a_first_manifest_can_be_planned_at_once(station: Station) -> None:
    one, two = boards(station)
    station.board("three", ESP32, firmware=None, mac=two)  # two sockets, one board
    ended = station.provision("init", "sim://one", "sim://two", "sim://three", "sim://nobody")
    assert ended.code == 0, ended.said
    assert f"board-1: sim://one: ESP8266, 4 MB, {one}, MicroPython 1.24.1" in ended.out
    assert "it is the board of board-2 too" in ended.err
    assert "there is no virtual board 'nobody'" in ended.err
    text = manifest_of(station)
    assert text.startswith("# yaml-language-server: $schema=fleet.schema.json\n")
    assert (station.work / "fleet.schema.json").read_text() == schema_text("fleet")
    assert "  # ESP8266, 4 MB; may be " in text
    assert "    # runs MicroPython 1.24.1 (ESP module with ESP8266)\n" in text
    assert "\n# not added: sim://nobody: there is no virtual board" in text
    states = load(str(station.work / "fleet.yaml")).states()
    assert [(s.device, str(s.port), s.board.name, s.mac) for s in states] == [
        ("board-1", "sim://one", "esp8266", one),
        ("board-2", "sim://two", "esp32", two),
    ]
    assert "then `provision plan`\n" in ended.err
    assert station.plan("-l", "board-1").outcomes == {"board-1": "ok"}
    ended = station.provision("init", "-m", "other.yaml", "sim://one")
    assert "then `provision plan other.yaml`\n" in ended.err


def test_what_is_there_is_never_overwritten(station: Station) -> None:
    station.write("fleet.yaml", "devices: {}  # mine\n")
    ended = station.provision("init", "sim://nobody")
    assert ended.code == 2
    assert "`provision init --walk` adds boards" in ended.err
    (station.work / "other.yaml").symlink_to(station.work / "nowhere.yaml")
    ended = station.provision("init", "-m", "other.yaml", "sim://nobody")
    assert ended.code == 2
    assert "`provision init --walk --manifest other.yaml` adds boards" in ended.err
    assert sorted(path.name for path in station.work.iterdir()) == ["fleet.yaml", "other.yaml"]
    assert manifest_of(station) == "devices: {}  # mine\n"


def test_where_no_board_answers_nothing_is_written(station: Station) -> None:
    ended = station.provision("init", "--walk", "sim://nobody")
    assert ended.code == 2
    assert "asks for names, and this is no terminal" in ended.err
    ended = station.provision("init", "--json", "sim://nobody", "/dev/there-is-no-such-port")
    assert ended.code == 5
    assert json.loads(ended.out)["code"] == "no-answer"
    assert "sim://nobody: there is no virtual board" in ended.err
    assert "/dev/there-is-no-such-port" in ended.err
    assert [*station.work.iterdir()] == []


def test_walking_names_boards_and_keeps_what_is_there(station: Station) -> None:
    one, two = boards(station)
    three = station.board("three", ESP8266)
    before = "# mine\ndevices:\n  desk-06:\n    {port: 'sim://three', board: esp8266, mac: '%s'}\n"
    station.write("fleet.yaml", before % three + "# the end\n")
    run = station.start("init", "--walk", "sim://one", "sim://three", "sim://two", terminal=True)
    run.until(lambda run: f"sim://one: ESP8266, 4 MB, {one}" in run.err)
    run.answer("desk 7\n")
    run.until(lambda run: "a name is made of letters" in run.err)
    run.answer("desk-06\n")
    run.until(lambda run: "desk-06 is a device of fleet.yaml already" in run.err)
    run.answer("desk-07\n")
    run.until(lambda run: "sim://three: this board is desk-06" in run.err)
    run.until(lambda run: "that is? [desk-08]" in run.err)
    assert "desk-07:" in manifest_of(station)  # kept at once, whatever comes
    run.answer("\n")
    ended = run.end()
    assert ended.code == 0, ended.said
    assert "2 devices added to fleet.yaml" in ended.err
    text = manifest_of(station)
    assert text.startswith(before % three + "  desk-07:\n")
    assert text.endswith("\n# the end\n")
    states = load(str(station.work / "fleet.yaml")).states()
    assert [(s.device, s.mac) for s in states] == [
        ("desk-06", three), ("desk-07", one), ("desk-08", two),
    ]  # fmt: skip
    assert not (station.work / "fleet.schema.json").exists()


def test_boards_are_named_as_they_are_plugged_in(station: Station) -> None:
    macs = [station.board("one", ESP8266, station.firmware(ESP8266))]
    macs.append(station.board("two", ESP32, station.firmware(ESP32)))
    one, two = (station.port(name, "pty") for name in ("one", "two"))

    def plugged_in(ports: dict[str, str]) -> None:
        beside = station.write("ports.new", json.dumps(ports))
        beside.replace(station.work / "ports.json")

    plugged_in({one: "1-1.1"})
    run = station.start("init", "--walk", terminal=True, wrapper=LISTED)
    run.until(lambda run: "plug in the next board; Enter ends" in run.err)
    plugged_in({one: "1-1.1", two: "1-1.2"})
    run.until(lambda run: f"{two}: ESP32, 4 MB, {macs[1]}" in run.err)
    run.answer("desk-01\n")
    run.until(lambda run: run.err.count("plug in the next board") == 2)
    plugged_in({})
    while (station.work / "looked").read_text() != "0":  # a hand is slower than a look
        assert run.process.poll() is None
        time.sleep(0.01)
    plugged_in({one: "1-1.2"})
    run.until(lambda run: "that is? [desk-02]" in run.err)
    run.answer("\n")
    run.until(lambda run: run.err.count("plug in the next board") == 3)
    run.answer("\n")
    ended = run.end()
    assert ended.code == 0, ended.said
    assert "2 devices added to fleet.yaml" in ended.err
    states = load(str(station.work / "fleet.yaml")).states()
    assert [(s.device, str(s.port), s.board.name, s.mac) for s in states] == [
        ("desk-01", "any port", "esp32", macs[1]),  # both were at one socket
        ("desk-02", "any port", "wemos-d1-mini", macs[0]),
    ]


def test_a_manifest_that_lines_cannot_be_added_to_is_told_before_anybody_is_asked(
    station: Station,
) -> None:
    text = "devices: {a: {port: /dev/ttyUSB9, board: esp32}}\n"
    station.write("fleet.yaml", text)
    run = station.start("init", "--walk", "sim://nobody", terminal=True)
    ended = run.end()
    assert ended.code == 2
    assert "lines cannot be added to" in ended.err
    assert "sim://nobody" not in ended.err
    assert Path(station.work / "fleet.yaml").read_text() == text
