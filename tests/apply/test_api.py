"""The Python API: what its documentation shows, run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from provision import apply, load, plan
from provision.core.chips.esp.chips import ESP32
from provision.errors import ManifestError
from provision.model.event import DeviceFinished, Event
from tests.apply.station import ROOT, Station


@pytest.fixture
def project(station: Station, monkeypatch: pytest.MonkeyPatch) -> Station:
    station.board("kitchen", firmware=station.firmware(ESP32))
    station.write("main.py", "print('up')\n")
    station.write(
        "fleet.yaml",
        """
        defaults: {board: esp32, files: [main.py]}
        devices: {kitchen: {port: sim://kitchen}, garden: {port: /dev/no-such-port}}
        """,
    )
    monkeypatch.chdir(station.work)
    return station


def test_the_readme_s_example_runs(project: Station) -> None:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    section = text.split("## Python API")[1]
    example = re.search(r"```python\n(.*?)```", section, re.DOTALL)
    assert example is not None
    script = project.write("example.py", example[1])
    ran = subprocess.run(
        [sys.executable, script.name],
        cwd=project.work,
        env=project.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert ran.returncode == 5, ran.stderr
    kitchen, garden = ran.stdout.splitlines()
    assert kitchen.startswith("kitchen pending (WriteFile(path='/main.py', size=12")
    assert garden.startswith("garden unreachable there is no port /dev/no-such-port")
    assert project.files("kitchen")["/main.py"] == b"print('up')\n"


def test_the_three_calls_and_their_results(project: Station) -> None:
    fleet = load("fleet.yaml")
    planned = plan(fleet, limit=["kitchen"])
    assert planned.pending
    assert planned.exit_code() == 0
    assert planned.exit_code(detailed=True) == 6

    events: list[Event] = []
    report = apply(fleet, on_event=events.append)
    assert [device.device for device in report.devices] == ["kitchen", "garden"]
    kitchen, garden = report.devices
    assert kitchen.outcome == "changed"
    assert kitchen.actual is not None
    assert kitchen.actual.mac == project.order("kitchen", "status")["mac"]
    assert garden.outcome == "unreachable"
    assert garden.error is not None
    assert garden.error.code == "port-not-found"
    assert report.exit_code() == 5
    finished = {one.device: one.outcome for one in events if isinstance(one, DeviceFinished)}
    assert finished == {"kitchen": "changed", "garden": "unreachable"}

    assert not plan(fleet, limit=["kitchen"]).pending


def test_a_program_can_answer_for_a_board_that_would_be_erased(project: Station) -> None:
    project.write(
        "blank.yaml",
        f"""
        devices:
          bench:
            port: sim://bench?chip=esp32
            board: esp32
            firmware: {{file: {project.firmware(ESP32)}}}
        """,
    )
    asked = []

    def confirm(device: str, plan: object) -> bool:
        asked.append(device)
        return False

    fleet = load(Path("blank.yaml"))
    (bench,) = apply(fleet, confirm=confirm).devices
    assert asked == ["bench"]
    assert bench.outcome == "refused"
    assert project.flash("bench").count(b"\xff") == 4 << 20


def test_every_problem_of_a_manifest_is_in_the_error(project: Station) -> None:
    project.write("fleet.yaml", "devices: {x: {bord: esp32}, y: {port: 1, files: [gone.py]}}\n")
    with pytest.raises(ManifestError) as caught:
        load()
    assert len(caught.value.problems) >= 2
    assert {problem.place.line for problem in caught.value.problems} == {1}
