"""The Python API: what its documentation shows, run as it stands there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import provision
from provision import Cancellation, apply, facts, load, plan, stream
from provision.core.chips.esp.chips import ESP32
from provision.errors import ManifestError, UsageError
from provision.model.event import DeviceFinished, Event, RunFinished, StageStarted
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


def test_the_example_of_its_page_runs(project: Station) -> None:
    text = (ROOT / "docs/python-api.md").read_text(encoding="utf-8")
    example = re.search(r"```python\n(.*?)```", text, re.DOTALL)
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


def test_a_template_s_problem_is_among_them_wherever_its_device_stands(project: Station) -> None:
    project.write("good.j2", "{{ name }}\n")
    project.write("bad.j2", "{{ topic }}\n")
    project.write("worse.j2", "{% if %}\n")
    project.write(
        "fleet.yaml",
        """
        defaults: {board: esp32}
        devices:
          kitchen: {port: sim://kitchen, files: [{src: good.j2, dest: /a, template: true}]}
          garden: {port: /dev/a, files: [{src: bad.j2, dest: /a, template: true}, gone.py]}
          well: {port: /dev/b, files: [{src: worse.j2, dest: /a, template: true}]}
        """,
    )
    with pytest.raises(ManifestError) as caught:
        load()
    found = {(problem.place.file, problem.place.line) for problem in caught.value.problems}
    assert found == {("bad.j2", 1), ("worse.j2", 1), ("fleet.yaml", 4)}


def test_devices_left_out_are_not_resolved_and_their_ports_are_not_asked(project: Station) -> None:
    """Their templates may be broken; only where they are is read."""
    project.board("garden", firmware=project.firmware(ESP32))
    before = project.order("garden", "status")["bytes"]
    project.write(
        "fleet.yaml",
        """
        defaults: {board: esp32, vars: {where: garden}}
        devices:
          kitchen: {port: sim://kitchen, files: [main.py]}
          garden:
            port: "sim://{{ where }}"
            files: [{src: main.py, dest: "/{{ nothing }}"}, gone.py]
          well: {port: "/dev/{{ unknown }}"}
        """,
    )
    fleet = load(limit=["kitchen"])
    assert fleet.devices == ("kitchen",)
    assert plan(fleet).pending
    assert project.provision("apply", "--limit", "kitchen").code == 0
    assert not plan(fleet).pending
    assert project.order("garden", "status")["bytes"] == before
    with pytest.raises(UsageError, match="garden was left out"):
        plan(fleet, limit=["garden"])
    assert project.provision("plan").code == 3


def test_facts_of_a_fleet(project: Station) -> None:
    kitchen, garden = facts(load()).devices
    assert kitchen.outcome == "ok"
    assert kitchen.plan is None
    assert kitchen.actual is not None
    assert kitchen.actual.mac == project.order("kitchen", "status")["mac"]
    assert garden.outcome == "unreachable"


def test_the_events_of_a_run_as_an_iterator(project: Station) -> None:
    with stream(apply, load(), limit=["kitchen"]) as events:
        seen = list(events)
    assert isinstance(seen[-1], RunFinished)
    assert seen[-1].outcomes == {"kitchen": "changed"}
    assert events.report.exit_code() == 0


def test_another_thread_stops_a_run(project: Station) -> None:
    """Here the thread of the very device, when its files are about to be sent."""
    cancel = Cancellation()

    def on_event(event: Event) -> None:
        if isinstance(event, StageStarted) and event.stage == "observe":
            cancel.cancel()

    report = apply(load(), limit=["kitchen"], on_event=on_event, cancel=cancel)
    assert [device.outcome for device in report.devices] == ["interrupted"]
    assert report.exit_code() == 130
    assert "/main.py" not in project.files("kitchen")


def test_the_package_shows_what_it_offers_and_costs_nothing_to_import() -> None:
    assert {"Cancellation", "apply", "facts", "load", "plan", "stream"} <= set(dir(provision))
    for name in provision.__all__:
        assert getattr(provision, name) is not None
    code = "import sys, provision; print(sorted(n for n in sys.modules if 'provision.' in n))"
    ran = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert ran.stdout == "['provision._version']\n"
