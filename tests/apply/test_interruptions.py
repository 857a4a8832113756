"""A user who stops a run, edits the manifest meanwhile, or hands over broken inputs."""

from __future__ import annotations

import os
import signal

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from tests.apply.station import Station


def test_ctrl_c_finishes_the_flash_and_says_where_each_board_stands(station: Station) -> None:
    # A line at its real rate: half a megabyte takes seconds, and the signal comes in the middle.
    station.board("x", firmware=station.firmware(ESP32, "1.20.0"), wire="460800")
    station.board("z", firmware=station.firmware(ESP32))
    station.write("main.py", "print('new')\n")
    station.write(
        "fleet.yaml",
        f"""
        defaults: {{board: esp32, files: [main.py]}}
        devices:
          x:
            port: sim://x
            firmware: {{file: {station.firmware(ESP32, size=400_000)}}}
          z: {{port: sim://z}}
        """,
    )
    run = station.start("apply", "--json", "--forks", "1")
    run.until_event("stage-progress", device="x", stage="flash")
    run.signal(signal.SIGINT)
    ended = run.end()
    assert ended.code == 130, ended.said
    assert "stopping: finishing writes in progress; press Ctrl-C again to abort" in ended.err
    assert ended.outcomes == {"x": "interrupted", "z": "skipped"}
    finished = ended.finished("x")
    assert finished["board_state"] == (
        "the firmware is written and runs; 1 change to files is still to come"
    )
    assert finished["hint"] == "run again; it goes on from where it stopped"
    assert ended.of("run-finished")[0]["exit_code"] == 130

    resumed = station.apply()
    assert resumed.all_done == {
        "x": ["write-file /main.py", "reset"],
        "z": ["write-file /main.py", "reset"],
    }


def test_ctrl_c_in_the_recap(station: Station) -> None:
    station.board("x", ESP8266, wiring="none")
    station.write(
        "fleet.yaml",
        f"""
        devices:
          x:
            port: sim://x
            board: esp8266-bare
            firmware: {{file: {station.firmware(ESP8266)}}}
        """,
    )
    before = station.digest("x")
    run = station.start("apply", "--yes", terminal=True)
    run.until(lambda run: "Hold GPIO0 to ground" in run.err)
    run.signal(signal.SIGINT)
    ended = run.end()
    assert ended.code == 130, ended.said
    assert "interrupted: the run was cancelled" in ended.out
    assert "interrupted=1" in ended.out
    assert station.digest("x") == before

    again = station.start("apply", "--yes", "--json", terminal=True)
    again.until_event("manual-action-needed")
    station.press("x", "boot", "reset")
    assert again.end().code == 0


def test_ctrl_c_when_asked(station: Station) -> None:
    station.write(
        "fleet.yaml",
        f"""
        devices:
          x:
            port: sim://x?chip=esp32
            board: esp32
            firmware: {{file: {station.firmware(ESP32)}}}
        """,
    )
    run = station.start("apply", terminal=True)
    run.until(lambda run: "x: erase this board" in run.err)
    run.signal(signal.SIGINT)
    ended = run.end()
    assert ended.code == 130, ended.said
    assert "interrupted: the run was cancelled" in ended.out
    assert "the board: nothing was changed" in ended.err
    assert station.flash("x").count(b"\xff") == 4 << 20


def test_ctrl_c_when_every_board_was_done_or_not_begun(station: Station) -> None:
    """No board is left half way, and yet the run did not do what it was asked to."""
    for name in ("x", "z"):
        station.board(name, firmware=station.firmware(ESP32), wire="115200")
    station.write("data.bin", os.urandom(30_000))
    station.write(
        "fleet.yaml",
        """
        defaults: {board: esp32, files: [data.bin]}
        devices: {x: {port: sim://x}, z: {port: sim://z}}
        """,
    )
    run = station.start("apply", "--json", "--forks", "1")
    run.until_event("stage-progress", device="x", stage="files")
    run.signal(signal.SIGINT)
    ended = run.end()
    assert ended.outcomes == {"x": "changed", "z": "skipped"}
    assert ended.code == 130
    assert ended.of("run-finished")[0]["exit_code"] == 130


@pytest.mark.parametrize(
    "check",
    ["console: never", "expression: 'False'", "expression: __import__('time').sleep(500)"],
    ids=["console", "expression", "busy"],
)
def test_ctrl_c_while_an_app_is_checked_does_not_wait_for_the_check(
    station: Station, check: str
) -> None:
    station.board("x", firmware=station.firmware(ESP32))
    station.write("main.py", "print('runs')\n")
    station.write(
        "fleet.yaml",
        f"""
        devices:
          x: {{port: 'sim://x', board: esp32, files: [main.py], check: {{{check}, timeout: 500}}}}
        """,
    )
    run = station.start("apply", "--json")
    run.until_event("stage-started", device="x", stage="check")
    run.signal(signal.SIGINT)
    ended = run.end()  # which waits for a minute or two, not for the check's eight
    assert ended.code == 130, ended.said
    assert ended.outcomes == {"x": "interrupted"}
    assert ended.finished("x")["board_state"] == "everything is written and the board restarted"
    plan = station.provision("plan", "--json")
    assert plan.outcomes == {"x": "pending"}, plan.said
    assert plan.planned("x") == ["reset", "check"]
    assert "the last run ended before it had passed" in plan.out


def test_a_manifest_changed_during_the_run_is_told(station: Station) -> None:
    station.board("x", ESP8266, wiring="none")
    manifest = station.write(
        "fleet.yaml",
        f"""
        devices:
          x:
            port: sim://x
            board: esp8266-bare
            firmware: {{file: {station.firmware(ESP8266)}}}
            files: [main.py]
        """,
    )
    station.write("main.py", "print('as read')\n")
    run = station.start("apply", "--yes", "--json", terminal=True)
    run.until_event("manual-action-needed", device="x")
    manifest.write_text(manifest.read_text() + "# and more\n")
    station.write("main.py", "print('edited since')\n")
    station.press("x", "boot", "reset")
    ended = run.end()
    assert ended.code == 0, ended.said
    assert "the manifest changed during the run" in ended.err
    assert [event["message"][:33] for event in ended.of("notice")] == [
        "the manifest changed during the r"
    ]
    assert station.files("x", ESP8266)["/main.py"] == b"print('as read')\n"
    assert station.apply().all_done == {"x": ["write-file /main.py", "reset"]}


DAMAGED = "version: 1\ndevices:\n  x: {mac: nonsense}\n"


def test_broken_inputs_are_found_before_any_board_is_touched(station: Station) -> None:
    station.board("x", firmware=station.firmware(ESP32))
    station.write("main.py", "print('new')\n")
    manifest = """
        devices:
          x: {port: sim://x, board: esp32, files: [main.py], firmware: {file: missing.bin}}
        """
    station.write("fleet.yaml", manifest)
    boots = station.order("x", "status")["boots"]
    passed = station.order("x", "status")["bytes"]

    missing = station.provision("apply")
    assert missing.code == 3
    assert "fleet.yaml:2:" in missing.err
    assert "missing.bin" in missing.err

    station.write("fleet.yaml", manifest.replace(", firmware: {file: missing.bin}", ""))
    unknown = station.provision("apply", "--limit", "y")
    assert unknown.code == 2
    assert "error: " in unknown.err
    assert "'y'" in unknown.err

    station.write("fleet.lock", DAMAGED)
    damaged = station.provision("apply")
    assert damaged.code == 3
    assert "fleet.lock:3:" in damaged.err
    assert "not a MAC like" in damaged.err
    assert "restore fleet.lock from version control" in damaged.err
    assert (station.work / "fleet.lock").read_text() == DAMAGED

    status = station.order("x", "status")
    assert (status["boots"], status["bytes"]) == (boots, passed)


@pytest.mark.parametrize("broken", ["image", "html"])
def test_a_firmware_that_is_none_is_told_before_any_board_is_touched(
    station: Station, broken: str
) -> None:
    good = (station.work / station.firmware(ESP32)).read_bytes()
    station.write("bad.bin", good[: len(good) // 2] if broken == "image" else b"<html>404</html>")
    station.write(
        "fleet.yaml",
        "devices: {x: {port: 'sim://x?chip=esp32', board: esp32, firmware: {file: bad.bin}}}\n",
    )
    ended = station.provision("apply", "--yes")
    assert ended.code == 3
    assert "bad.bin" in ended.err
    assert "hint: " in ended.err
    assert not station.home.exists()
