"""`provision station`: boards that come and go, what is said of them, and what the ledger knows."""

from __future__ import annotations

import hashlib
import json
import random
import re
import signal
import sqlite3
from typing import Any

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.station.ledger import Ledger
from tests.apply.plugged import LISTED, Sockets, units, write_station
from tests.apply.station import Run, Station
from tests.cas import make_ca

pytest.importorskip("micropython_unix")


@pytest.fixture
def sockets(station: Station) -> Sockets:
    write_station(station)
    return Sockets(station)


def work(station: Station, *words: str) -> Run:
    return station.start(
        "station", "--station", "bench", "--operator", "ada", "--json", *words, wrapper=LISTED
    )


def at(run: Run, socket: str, phase: str, *, nth: int = 1) -> dict[str, Any]:
    """The nth time that a socket comes to a phase."""

    def found(run: Run) -> list[dict[str, Any]]:
        return [
            event for event in run.events
            if event.get("socket") == socket and event.get("phase") == phase
        ]  # fmt: skip

    run.until(lambda run: len(found(run)) >= nth)
    return found(run)[nth - 1]


def outcomes(station: Station, number: str) -> list[str]:
    with Ledger.open(station.work / "fleet.ledger") as ledger:
        return [attempt.outcome for attempt in ledger.attempts(number)]


def test_a_board_is_proved_numbered_made_and_remembered(station: Station, sockets: Sockets) -> None:
    macs = [station.board(name) for name in ("a", "b")]
    run = work(station, "--yes")
    sockets.plug("1-1", "a")
    first = at(run, "left", "passed")
    assert (first["number"], first["name"], first["mac"]) == ("001000", "PV-001000", macs[0])
    sockets.plug("1-2", "b")
    assert at(run, "right", "passed")["number"] == "001001"
    sockets.unplug("1-1")
    at(run, "left", "empty")
    # It comes back elsewhere: it has its number, and is only looked at.
    sockets.unplug("1-2")
    at(run, "right", "empty")
    before = station.digest("a")
    sockets.plug("1-2", "a")
    again = at(run, "right", "passed", nth=2)
    assert (again["number"], again["known"], again["reason"]) == ("001000", True, "done before")
    assert station.digest("a") == before
    run.signal(signal.SIGINT)
    ended = run.end()
    assert ended.code == 0, ended.said
    counted = ended.events[-1]["message"]
    assert counted.startswith("2 passed, 0 failed, yield 100 %, ")
    assert counted.endswith(", 1 only looked at")
    for name, number, mac in (("a", "001000", macs[0]), ("b", "001001", macs[1])):
        assert station.files(name)["/id.txt"].decode() == f"PV-{number} {number} {mac} bench"
        unit = units(station)[number]
        assert (unit.state, unit.mac, unit.station, unit.operator) == ("done", mac, "bench", "ada")
        assert unit.result.firmware_version == "1.24.1"
        assert set(unit.result.files) == {"/main.py", "/id.txt"}
        assert unit.result.evidence.checks[0]["passed"] is True
    assert outcomes(station, "001000") == ["passed", "passed"]
    assert station.lock == {}  # of units, it is the ledger that knows
    assert not (station.home.parent / "state" / "applies").exists()


def test_a_board_whose_usb_number_changes_is_counted_once(
    station: Station, sockets: Sockets
) -> None:
    """As an S2's does, whose boot loader has another one than its firmware: the MAC decides."""
    station.board("a")
    mac = station.board("b")
    run = work(station, "--yes", "--stop-after", "2")
    sockets.plug("1-1", "a", "0")
    at(run, "left", "passed")
    sockets.plug("1-1", "a", "123456")
    again = at(run, "left", "passed", nth=2)
    assert (again["again"], again["number"]) == (True, "001000")
    sockets.plug("1-1", "b", "654321")  # a quick hand
    new = at(run, "left", "passed", nth=3)
    assert (new["again"], new["number"], new["mac"]) == (False, "001001", mac)
    ended = run.end()
    assert ended.events[-1]["message"].startswith("2 passed, 0 failed")
    assert "looked at" not in ended.events[-1]["message"]
    assert outcomes(station, "001000") == ["passed"]


def test_a_wrong_and_a_dead_board_cost_no_number(station: Station, sockets: Sockets) -> None:
    station.board("wrong", ESP8266)
    station.board("dead")
    station.fault("dead", "power-off")
    good = station.board("good")
    run = work(station, "--yes", "--stop-after", "3")
    sockets.plug("1-1", "wrong")
    wrong = at(run, "left", "failed")
    assert "ESP8266" in wrong["reason"]
    sockets.plug("1-2", "dead")
    dead = at(run, "right", "failed")
    assert dead["number"] is None
    assert dead["advice"]
    sockets.unplug("1-1")
    at(run, "left", "empty")
    sockets.plug("1-1", "good")
    passed = at(run, "left", "passed")
    assert (passed["number"], passed["mac"]) == ("001000", good)
    ended = run.end()
    assert ended.code == 0, ended.said
    assert list(units(station)) == ["001000"]


def test_a_board_that_holds_something_is_asked_for_with_yes(
    station: Station, sockets: Sockets
) -> None:
    path = station.work / "fleet.yaml"
    path.write_text(path.read_text().replace("version: 1.24.1}", "version: 1.24.1, erase: always}"))
    station.board("used", ESP32, station.firmware(ESP32, "1.20.0"))
    station.put("used", {"/mine.txt": "years of work"})
    before = station.files("used")
    sockets.plug("1-1", "used")
    run = work(station, "--stop-after", "1")
    ended = run.end()
    failed = at(run, "left", "failed")
    assert "/mine.txt" in failed["reason"]
    assert failed["reason"].endswith("of this board would be lost")
    assert "--yes" in failed["advice"]
    assert station.files("used") == before
    assert units(station)["001000"].state == "free"
    assert outcomes(station, "001000") == ["released"]
    assert ended.code == 0


def test_an_unplugged_board_gets_its_number_again(station: Station, sockets: Sockets) -> None:
    mac = station.board("a")
    station.board("b")
    station.write("main.py", "# " + random.Random(1).randbytes(200_000).hex())
    sockets.plug("1-1", "a")
    run = work(station, "--yes")
    at(run, "left", "working")
    station.fault("a", "unplug", bytes=150_000)
    assert at(run, "left", "failed")["mac"] == mac
    sockets.unplug("1-1")
    at(run, "left", "empty")
    assert units(station)["001000"].state == "reserved"
    sockets.plug("1-2", "b")
    assert at(run, "right", "passed")["number"] == "001001"
    station.fault("a", "replug")
    sockets.plug("1-1", "a")
    assert at(run, "left", "passed")["number"] == "001000"
    run.signal(signal.SIGTERM)
    assert run.end().code == 0
    assert outcomes(station, "001000") == ["failed", "passed"]


def test_the_ledger_keeps_certificates_and_what_a_failed_check_gave(
    station: Station, sockets: Sockets
) -> None:
    for name, data in zip(("ca/ca.pem", "ca/ca-key.pem"), make_ca(), strict=True):
        station.write(name, data)
    path = station.work / "fleet.yaml"
    steps = """
    certificate:
      ca: {cert: ca/ca.pem, key: ca/ca-key.pem}
      cn: "{{ name }}"
      dest_cert: /cert.der
      dest_key: /key.der
    check:
      - {name: boots, expression: "1 + 1", timeout: 5}
      - {name: supply, expression: "float(open('/id.txt').read())", min: 3.2, max: 3.4, timeout: 1}
"""
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(line if "check:" not in line else steps for line in lines))
    station.board("a")
    station.write("id.j2", "2.9")
    sockets.plug("1-1", "a")
    run = work(station, "--yes", "--stop-after", "2")
    assert "supply" in at(run, "left", "failed")["reason"]
    first = hashlib.sha256(station.files("a")["/cert.der"]).hexdigest()
    station.write("id.j2", "3.3")
    sockets.unplug("1-1")
    at(run, "left", "empty")
    sockets.plug("1-1", "a")
    at(run, "left", "passed")
    run.end()
    with Ledger.open(station.work / "fleet.ledger") as ledger:
        failed, passed = (attempt.evidence for attempt in ledger.attempts("001000"))
        unit = ledger.unit("001000").result.evidence
    assert [(one["name"], one["passed"], one["value"]) for one in failed.checks] == [
        ("boots", True, "2"), ("supply", False, "2.9"),
    ]  # fmt: skip
    assert [(one["name"], one["value"]) for one in passed.checks] == [
        ("boots", "2"), ("supply", "3.3"),
    ]  # fmt: skip
    assert failed.certificate is not None
    assert (failed.certificate["fingerprint"], failed.certificate["cn"]) == (first, "PV-001000")
    assert passed.certificate == failed.certificate == unit.certificate
    assert unit == passed


def test_a_killed_station_goes_on_where_it_was(station: Station, sockets: Sockets) -> None:
    mac = station.board("a")
    sockets.plug("1-1", "a")
    run = work(station, "--yes")
    at(run, "left", "working")
    run.signal(signal.SIGKILL)
    run.end()
    run = work(station, "--yes", "--stop-after", "1")
    ended = run.end()
    assert ended.code == 0, ended.said
    assert any(
        f"001000 was in work when this station ended; plug its board in again ({mac})"
        == event.get("message")
        for event in ended.events
    )
    assert at(run, "left", "passed")["number"] == "001000"
    assert outcomes(station, "001000") == ["killed", "passed"]


def test_ctrl_c_while_the_last_boards_are_finished(station: Station, sockets: Sockets) -> None:
    """One that does not come to its end: it is stopped as at any other time, and written down."""
    path = station.work / "fleet.yaml"
    text = path.read_text().replace("read() != ''", "read()[3:9] == '001000'")
    path.write_text(text.replace("timeout: 20", "timeout: 300"))
    station.board("a")
    station.board("b")
    run = work(station, "--yes", "--stop-after", "1")
    sockets.plug("1-1", "a")
    at(run, "left", "working")
    sockets.plug("1-2", "b")
    at(run, "left", "passed")
    run.until(lambda run: "the boards that are at work are finished" in run.out)
    run.signal(signal.SIGINT)
    ended = run.end()
    assert ended.code == 130, ended.said
    assert "1 board stopped in the middle" in ended.events[-1]["message"]
    assert units(station)["001001"].state == "reserved"
    assert outcomes(station, "001001") == ["interrupted"]


def test_whatever_ends_a_station_boards_at_work_are_not_cut(
    station: Station, sockets: Sockets
) -> None:
    path = station.work / "fleet.yaml"
    path.write_text(path.read_text().replace("read() != ''", "read() == ''"))
    station.board("a")
    sockets.plug("1-1", "a")
    run = work(station, "--yes")
    at(run, "left", "working")
    station.write("ports.json", "{")  # what lists the ports does what it never should
    ended = run.end()
    assert ended.code == 1
    assert "internal: JSONDecodeError" in ended.err
    assert outcomes(station, "001000")[0] in ("interrupted", "released")


def test_a_mistake_of_this_tool_is_told_and_written_down(
    station: Station, sockets: Sockets
) -> None:
    station.board("a")
    sockets.plug("1-1", "a")
    broken = "from provision.api_station import StationManifest as S; S.made_of = lambda *_: 1 / 0"
    wrapper = LISTED.replace("del sys.argv[1:3]", f"del sys.argv[1:3]\n{broken}")
    words = ("--yes", "--json", "--stop-after", "1", "--operator", "Ren\udce9")  # in Latin-1
    run = station.start("station", *words, wrapper=wrapper)
    reason = at(run, "left", "failed")["reason"]
    assert re.fullmatch(r"internal: ZeroDivisionError: .* \(<string>:\d+\)", reason)
    run.end()
    assert units(station)["001000"].state == "reserved"
    with Ledger.open(station.work / "fleet.ledger") as ledger:
        (attempt,) = ledger.attempts("001000")
    assert (attempt.outcome, attempt.reason) == ("failed", reason)
    assert attempt.operator == "Ren\\udce9"


def test_dry_writes_nothing(station: Station, sockets: Sockets) -> None:
    station.board("a")
    before = station.digest("a")
    sockets.plug("1-1", "a")
    run = work(station, "--dry", "--stop-after", "1")
    assert run.end().code == 0
    told = at(run, "left", "passed")
    assert (told["number"], told["reason"]) == ("001000", "would be made: 4 changes")
    assert run.events[-1]["message"] == "0 passed, 0 failed, 1 only looked at"  # no yield
    assert station.digest("a") == before
    assert not (station.work / "fleet.ledger").exists()


def test_hooks_run_where_they_are_allowed(station: Station, sockets: Sockets) -> None:
    station.board("a")
    station.board("b")
    with (station.work / "fleet.yaml").open("a") as file:
        file.write(
            '  before: {command: [python3, make.py]}\n  after: {command: "python3 label.py"}\n'
        )
    station.write("make.py", "import sys, json; unit = json.load(sys.stdin)\n"
                  "open('main.py', 'w').write(f'# {unit[\"number\"]}')\n"
                  "import subprocess; subprocess.Popen(['sleep', '3600'])\n")  # fmt: skip
    station.write("label.py", "import sys, json; unit = json.load(sys.stdin)\n"
                  "open('label', 'w').write(json.dumps(unit))\n"
                  "print('no paper'); sys.exit(unit['number'] != '001000')\n")  # fmt: skip
    refused = station.provision("station")
    assert refused.code == 2
    assert "python3 make.py and python3 label.py" in refused.err
    assert "--allow-hooks" in refused.err
    assert not (station.work / "fleet.ledger").exists()
    run = work(station, "--yes", "--allow-hooks", "--stop-after", "2")
    sockets.plug("1-1", "a")
    reason = at(run, "left", "passed")["reason"]
    assert reason == "what the hook `before` left running was ended"
    label = json.loads((station.work / "label").read_text())
    assert (label["number"], label["state"], label["name"]) == ("001000", "done", "PV-001000")
    sockets.plug("1-2", "b")
    failed = at(run, "right", "failed")
    run.end()
    assert (
        "001001 is made and in the ledger, but the hook `after` (python3) ended with 1: no paper"
        in (failed["reason"])
    )
    assert units(station)["001001"].state == "done"
    assert station.files("b")["/main.py"] == b"# 001001"


def test_two_stations_of_one_name_do_not_share_a_ledger(station: Station, sockets: Sockets) -> None:
    run = work(station)
    run.until(lambda run: "plug boards in at left and right" in run.out)
    ended = station.provision("station", "--station", "bench")
    assert ended.code == 2
    assert "another station of the name bench is at work" in ended.err
    run.signal(signal.SIGINT)
    assert run.end().code == 0


def test_lines_for_people(station: Station, sockets: Sockets) -> None:
    station.board("a")
    sockets.plug("1-1", "a")
    run = station.start("station", "--yes", "--stop-after", "1", wrapper=LISTED)
    ended = run.end()
    lines = ended.out.splitlines()
    assert lines[1] == "left: found a board, asking who it is"
    assert lines[2].startswith("left: 001000: at work on ")
    assert lines[3].startswith("left: PASS PV-001000 (")
    assert lines[3].endswith("; take it away")
    assert lines[4].startswith("1 passed, 0 failed, yield 100 %, ")
    connection = sqlite3.connect(station.work / "fleet.ledger")
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_a_manifest_without_a_station(station: Station) -> None:
    station.write("fleet.yaml", "devices: {a: {board: esp32}}\n")
    ended = station.provision("station")
    assert ended.code == 2
    assert "fleet.yaml has no `station:`" in ended.err
    station.write("fleet.yaml", "devices: {a: {board: esp32}}\nstation: {template: a}\n")
    ended = station.provision("plan")
    assert ended.code == 2
    assert "no device but the template of its station" in ended.err
    assert station.provision("validate").code == 0
