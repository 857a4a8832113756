"""The command line, on virtual boards: a check that has not passed is not forgotten."""

from __future__ import annotations

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import Station


def manifest(station: Station, check: str) -> None:
    station.write(
        "fleet.yaml",
        f"""
        defaults: {{board: esp32, files: [main.py]}}
        devices:
          x: {{port: sim://x{check}}}
        """,
    )


def test_a_failed_check_is_pending_until_it_passes(station: Station) -> None:
    station.board("x", firmware=station.firmware(ESP32))
    station.write("main.py", "open('/flag').read()\nprint('app: up')\n")
    manifest(station, ', check: {console: "^app: up$", timeout: 2}')
    assert station.provision("apply").code == 4

    plan = station.provision("plan", "--json", "--detailed-exitcode")
    assert plan.code == 6
    assert plan.planned("x") == ["reset", "check"]
    shown = station.provision("plan").out
    assert "x: no changes, to be checked" in shown
    assert "it failed in the last run" in shown
    assert "0 to change, 1 to check, 0 without changes" in shown
    again = station.provision("apply")
    assert again.code == 4
    assert "check-failed" in again.out
    assert station.provision("check").code == 4

    station.write("main.py", "print('app: up')\n")
    assert station.apply().done("x") == ["write-file /main.py", "reset", "check"]
    assert station.apply().outcomes == {"x": "ok"}


def test_a_check_that_is_added_runs_once(station: Station) -> None:
    station.board("x", firmware=station.firmware(ESP32))
    station.write("main.py", "ready = True\nprint('app: up')\n")
    manifest(station, "")
    station.apply()
    nothing = station.provision("check")
    assert nothing.code == 2
    assert "none of these devices has a check" in nothing.err
    assert "hint: declare one" in nothing.err

    manifest(station, ", check: {expression: ready, timeout: 10}")
    first = station.apply()
    assert first.done("x") == ["reset", "check"]
    assert first.outcomes == {"x": "ok"}
    starts = station.order("x", "status")["boots"]
    assert station.apply().done("x") == []
    assert station.order("x", "status")["boots"] == starts
    checked = station.provision("check", "-l", "x", "--json")
    assert checked.code == 0, checked.said
    assert checked.done("x") == ["check"]
    assert checked.outcomes == {"x": "ok"}
