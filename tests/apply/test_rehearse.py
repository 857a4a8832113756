"""`provision rehearse`: planted mistakes are found, sound manifests pass, and nothing is left."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from provision.core.chips.esp.chips import ESP32, ESP32C3, ESP8266
from provision.core.chips.rp2.chips import RP2040
from provision.core.rehearsal.faults import draw_board_faults
from provision.sim import paths
from tests.apply.station import ROOT, Ended, Station
from tests.rehearsal.test_history import git

APP = """
import os, time
try:
    os.mkdir("/data")
except OSError:
    pass
with open("/data/readings.csv", "a") as file:
    file.write("1,2\\n")
print("ready")
while True:
    time.sleep(1)
"""
DEAF = """
import micropython
micropython.kbd_intr(-1)
while True:
    pass
"""
BEFORE = """
fleet: planted
defaults: {board: esp32, firmware: {file: esp32.bin}, files: [main.py]}
devices:
  sound: {port: /dev/ttyUSB0}
  deaf: {port: /dev/ttyUSB1}
  large: {port: /dev/ttyUSB2}
  unproved: {port: /dev/ttyUSB3}
  losing: {port: /dev/ttyUSB4}
  undoing: {port: /dev/ttyUSB5}
"""
AFTER = """
fleet: planted
defaults: {board: esp32, firmware: {file: esp32.bin}, files: [main.py]}
devices:
  sound: {port: /dev/ttyUSB0}
  deaf: {port: /dev/ttyUSB1, files: [{src: deaf.py, dest: /main.py}]}
  large: {port: /dev/ttyUSB2, files: [large.bin]}
  unproved: {port: /dev/ttyUSB3, check: {console: "never printed", timeout: 1}}
  losing: {port: /dev/ttyUSB4, prune: [/data], files: [{src: quiet.py, dest: /main.py}]}
  undoing: {port: /dev/ttyUSB5, files: [{src: undo.py, dest: /main.py}, settings.txt]}
"""


@pytest.fixture
def project(station: Station) -> Station:
    """A git project with a commit that is sound."""
    shutil.copyfile(station.work / station.firmware(ESP32), station.work / "esp32.bin")
    station.write("main.py", APP)
    station.write("fleet.yaml", BEFORE)
    git(station.work, "init", "-q")
    git(station.work, "add", "-A")
    git(station.work, "commit", "-q", "-m", "x")
    return station


def rehearse(station: Station, *words: str) -> tuple[Ended, dict[str, Any]]:
    ended = station.provision("rehearse", "--json", *words)
    return ended, json.loads(ended.out)


def findings(result: dict[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """By device: code and message of each."""
    found: dict[str, list[tuple[str, str]]] = {}
    for run in result["runs"]:
        for twin in run["devices"]:
            found.setdefault(twin["device"], [])
            found[twin["device"]] += [(f["code"], f["message"]) for f in twin["findings"]]
    return found


def test_mistakes_of_an_update_are_found(project: Station, tmp_path: Path) -> None:
    """On boards that hold what the commit before has put there, and what their app has made."""
    project.write("deaf.py", DEAF)
    project.write("large.bin", os.urandom(3 << 20))
    project.write("quiet.py", "print('ready')\n")  # it makes no data anew that is seen to go
    project.write("undo.py", "with open('/settings.txt', 'w') as file:\n    file.write('mine')\n")
    project.write("settings.txt", "ours")
    project.write("fleet.yaml", AFTER)
    whole = git(project.work, "rev-parse", "HEAD")
    before = whole[:10]
    lock = project.work / "fleet.lock"
    start = ("--start", f"older:{before}", "--runs", "1")
    ended, result = rehearse(project, *start, "--junit", "junit.xml")
    found = findings(result)
    assert ended.code == result["exit_code"] == 4
    assert result["failed"] == ["deaf", "large", "unproved", "losing", "undoing"]
    assert found["sound"] == []
    for device, code, *says in (
        ("deaf", "repl-blocked", "/main.py never yields the REPL"),
        ("large", "refused", "more than the", "/large.bin, 3,145,728 bytes"),
        ("unproved", "check-failed", "'never printed'"),
        ("losing", "data-lost", "/data/readings.csv", "`prune: [/data]`"),
        ("undoing", "not-converged", "would still write /settings.txt"),
    ):
        ((found_code, message),) = found[device]
        assert found_code == code
        assert all(each in message for each in says), message

    run = result["runs"][0]
    assert run["commit"] == whole
    (losing,) = (each for each in run["devices"] if each["device"] == "losing")
    again = losing["findings"][0]["repeat"]
    assert again == (f"provision rehearse --seed 1 --runs 1 --start older:{before} --limit losing")
    cases = ElementTree.parse(project.work / "junit.xml").getroot().iter("testcase")
    bad = {case.get("name"): case.find("failure") for case in cases}
    assert [name for name, failure in bad.items() if failure is not None] == result["failed"]
    assert bad["losing"] is not None
    assert again in (bad["losing"].text or "")

    # Nothing of it is left, and nothing of the project has changed.
    assert not lock.exists()
    assert not [*paths.home().glob("*")]
    assert "/dev/ttyUSB" not in ended.err


def test_a_template_that_fails_for_one_device_is_told_before_any_board_starts(
    project: Station,
) -> None:
    project.write("config.j2", "{{ topic }}\n")
    project.write(
        "fleet.yaml",
        """
        defaults: {board: esp32, firmware: {file: esp32.bin}}
        groups:
          sensors: {files: [{src: config.j2, dest: /config, template: true}]}
        devices:
          kitchen: {port: /dev/ttyUSB0, groups: [sensors], vars: {topic: air}}
          garden: {port: /dev/ttyUSB1, groups: [sensors]}
        """,
    )
    ended = project.provision("rehearse", "--junit", "missing/junit.xml")
    assert ended.code == 2
    assert "there is no directory" in ended.err

    ended = project.provision("rehearse", "--junit", "junit.xml")
    assert ended.code == 3
    assert "config.j2:1" in ended.err
    assert "garden" in ended.err
    assert "topic" in ended.err
    case = next(ElementTree.parse(project.work / "junit.xml").getroot().iter("testcase"))
    assert case.find("error") is not None


def test_faults_of_a_seed_are_survived_and_told(project: Station) -> None:
    """Cables and power, on boards that get everything anew."""
    words = ("--faults", "--seed", "7", "--runs", "1", "--start", "blank", "-l", "sound,deaf")
    ended, result = rehearse(project, *words)
    assert (ended.code, result["passed"]) == (0, True)
    for each in result["runs"][0]["devices"]:
        assert each["faults"] == [*map(str, draw_board_faults(7, each["device"]))] != []
    assert any(each["cut_short"] for each in result["runs"][0]["devices"])


@pytest.mark.slow
def test_an_app_that_sleeps_deeply_or_restarts_its_board_is_none_that_keeps_it(
    project: Station,
) -> None:
    """Apply gets at such boards by a reset, in its own time."""
    project.write("sleep.py", "import machine, time\ntime.sleep(1)\nmachine.deepsleep(5000)\n")
    project.write("loop.py", "import machine, time\ntime.sleep(0.2)\nmachine.reset()\n")
    project.write("deaf.py", DEAF)
    project.write(
        "fleet.yaml",
        """
        defaults: {board: esp32, firmware: {file: esp32.bin}}
        devices:
          sleeping: {port: /dev/ttyUSB0, files: [{src: sleep.py, dest: /main.py}]}
          looping: {port: /dev/ttyUSB1, files: [{src: loop.py, dest: /main.py}]}
          deaf: {port: /dev/ttyUSB2, files: [{src: deaf.py, dest: /main.py}]}
        """,
    )
    _, result = rehearse(project, "--start", "blank", "--runs", "1")
    assert result["failed"] == ["deaf"]


def test_the_demo_passes(station: Station) -> None:
    folder = station.work / "demo"
    ignored = shutil.ignore_patterns("firmware", "*.lock")
    shutil.copytree(ROOT / "examples" / "demo", folder, ignore=ignored)
    (folder / "firmware").mkdir()
    for chip in (ESP8266, ESP32, ESP32C3, RP2040):
        image = f"{chip}-1.24.1.{'uf2' if chip == RP2040 else 'bin'}"
        shutil.copyfile(station.work / station.firmware(chip), folder / "firmware" / image)
    ended = station.provision("rehearse", "demo", "--start", "blank", "--runs", "1")
    assert ended.code == 0, ended.said
    assert ended.out.startswith("passed: ")
