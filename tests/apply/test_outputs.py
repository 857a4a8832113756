"""What a run tells: events by their schema, JUnit, logs, records, facts, and what is plugged in."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import jsonschema
import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from tests.apply.station import ROOT, Station

SCHEMA = json.loads((ROOT / "schemas/event.schema.json").read_text(encoding="utf-8"))


def validate(events: Iterable[dict[str, Any]]) -> None:
    validator = jsonschema.Draft202012Validator(
        SCHEMA, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER
    )
    for event in events:
        validator.validate(event)


def records(station: Station) -> list[Path]:
    """The records of the runs so far, the oldest first."""
    return sorted((station.work.parent / "state/runs").glob("*.jsonl"))


def test_every_line_of_a_whole_run_is_valid_by_the_schema(station: Station) -> None:
    """A run with everything in it: hands, erasing, flashing, files, diffs, a check, a failure."""
    station.board("bare", ESP8266, wiring="none")
    station.board("plain", firmware=station.firmware(ESP32))
    station.put("plain", {"/main.py": "print('old')\n", "/stale.py": "x\n"})
    station.board("failing", firmware=station.firmware(ESP32))
    station.write("main.py", "print('up')\n")
    station.write("lib/name.py", "NAME = 1\n")
    station.write(
        "fleet.yaml",
        f"""
        defaults: {{files: [main.py, lib/], check: {{console: "^up", timeout: 20}}}}
        devices:
          bare:
            port: sim://bare
            board: esp8266-bare
            firmware: {{file: {station.firmware(ESP8266)}}}
          plain:
            port: sim://plain
            board: esp32
            files: [{{dest: /stale.py, state: absent}}]
          failing:
            port: sim://failing
            board: esp32
            check: {{expression: nonsense, timeout: 0.1}}
          away: {{port: /dev/no-such-port, board: esp32}}
        """,
    )
    run = station.start("apply", "--json", "--yes", "--diff", "-vv", terminal=True)
    run.until_event("manual-action-needed", device="bare")
    station.press("bare", "boot", "reset")
    ended = run.end()
    assert ended.code == 4
    assert ended.outcomes == {
        "bare": "changed",
        "plain": "changed",
        "failing": "failed",
        "away": "unreachable",
    }
    validate(ended.events)
    kinds = {event["kind"] for event in ended.events}
    assert kinds == set(SCHEMA["properties"]["kind"]["enum"]) - {
        "notice",
        "run-failed",
        "console-line",
        "device-updated",
        "edit-failed",
        "batch-started",
        "rollout-stopped",
        "run-queued",
    }
    assert ended.events[0]["kind"] == "run-started"
    assert ended.events[-1]["kind"] == "run-finished"
    assert ended.events[-1]["exit_code"] == 4
    assert {event["action"]["kind"] for event in ended.of("action-done")} == {
        *("erase-flash", "write-firmware", "make-directory", "write-file", "delete-file"),
        *("reset", "check"),
    }
    assert "failing: failed after" in ended.err, "with --json, people are told of failures"

    (record,) = records(station)
    assert stat.S_IMODE(record.stat().st_mode) == 0o600
    kept = [json.loads(line) for line in record.read_text(encoding="utf-8").splitlines()]
    validate(kept)
    told = [event for event in ended.events if event["kind"] not in ("stage-progress", "trace")]
    same = [event for event in kept if event["kind"] != "trace"]
    assert [{**event, "time": ""} for event in same] == [{**event, "time": ""} for event in told]


@pytest.fixture
def pair(station: Station) -> Station:
    """A manifest with a board that is there and one that is not."""
    station.board("here", firmware=station.firmware(ESP32))
    station.write("main.py", "print('up')\n")
    station.write(
        "fleet.yaml",
        """
        fleet: pair
        defaults: {board: esp32, files: [main.py]}
        devices:
          here: {port: sim://here}
          away: {port: /dev/no-such-port}
        """,
    )
    return station


def test_junit_log_file_and_verbosity(pair: Station) -> None:
    station = pair
    ended = station.provision("apply", "--junit", "run.xml", "--log-file", "run.log")
    assert ended.code == 5
    suites = ElementTree.parse(station.work / "run.xml").getroot()
    cases = {case.get("name"): case for case in suites.iter("testcase")}
    assert set(cases) == {"here", "away"}
    assert [child.tag for child in cases["here"] if child.tag in ("failure", "error")] == []
    (failure,) = [child for child in cases["away"] if child.tag in ("failure", "error")]
    assert "there is no port /dev/no-such-port" in ElementTree.tostring(failure, "unicode")

    log = (station.work / "run.log").read_text(encoding="utf-8").splitlines()
    assert all(
        re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}[+-]\d\d:\d\d ", line) for line in log
    )
    text = "\n".join(log)
    assert "here: wrote /main.py" in text
    assert "opened sim://here at 115200 baud" in text, "a log has the whole conversation"

    quiet = station.provision("plan", "--limit", "here")
    told = station.provision("plan", "--limit", "here", "-v")
    everything = station.provision("plan", "--limit", "here", "-vv")
    assert "opened sim://here" not in quiet.err
    assert "opened sim://here at 115200 baud" in told.err
    assert len(everything.err.splitlines()) > len(told.err.splitlines())
    assert quiet.out == told.out == everything.out, "what comes out is the same"
    assert len(records(station)) == 4


def test_facts_of_boards_in_every_state(pair: Station) -> None:
    station = pair
    mac = station.board("blank", ESP8266, flash="2MB")
    station.write(
        "more.yaml",
        """
        devices:
          here: {port: sim://here, board: esp32}
          blank: {port: sim://blank, board: wemos-d1-mini}
          away: {port: /dev/no-such-port, board: esp32}
        """,
    )
    before = station.digest("here"), station.digest("blank")
    facts = station.provision("facts", "more.yaml", "--json")
    assert facts.code == 5
    here, blank, away = json.loads(facts.out)
    assert (here["chip"], here["firmware"]) == ("esp32", "1.24.1")
    assert here["machine"] == "Generic ESP32 module with ESP32"
    assert here["mac"] == station.order("here", "status")["mac"]
    assert here["flash_size"] == 4 << 20
    assert 1 << 20 < here["free"] < 2 << 20
    assert (blank["chip"], blank["mac"], blank["firmware"]) == ("esp8266", mac, None)
    assert blank["flash_size"] == 2 << 20
    assert (away["outcome"], away["chip"]) == ("unreachable", None)
    assert "no port /dev/no-such-port" in away["error"]
    assert (station.digest("here"), station.digest("blank")) == before

    table = station.provision("facts", "more.yaml")
    assert table.code == 5
    assert len(table.out.splitlines()) == 4
    assert re.search(r"^away .* unreachable: port-not-found$", table.out, re.M)
    assert "away: unreachable after" in table.err
    assert "hint: plug the board in" in table.err
    assert re.search(r"^here +sim://here +esp32 .* 4 MB +1\.24\.1 \(Generic ESP32", table.out, re.M)
    assert re.search(rf"^blank +sim://blank +esp8266 +{mac} +2 MB +none$", table.out, re.M)


def test_discover_probes_the_ports_of_the_manifest(pair: Station) -> None:
    station = pair
    found = station.provision("discover", "--probe", "--json")
    assert found.code == 0, found.said
    (port,) = [one for one in json.loads(found.out)["ports"] if one["port"] == "sim://here"]
    assert port["devices"] == ["here"]
    assert port["error"] is None
    assert port["probed"] == {
        "chip": "esp32",
        "mac": station.order("here", "status")["mac"],
        "flash_size": 4 << 20,
        "firmware": {
            "version": "1.24.1",
            "machine": "Generic ESP32 module with ESP32",
            "date": "2024-11-29",
        },
    }
    table = station.provision("discover", "--probe")
    assert re.search(r"^sim://here +here +ESP32 .*MicroPython 1\.24\.1", table.out, re.M)
    unasked = station.provision("discover", "--json")
    (port,) = [one for one in json.loads(unasked.out)["ports"] if one["port"] == "sim://here"]
    assert port["probed"] is None
