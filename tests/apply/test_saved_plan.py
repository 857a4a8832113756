"""The command line, on virtual boards: a plan that was saved is carried out as it stands, or not at
all."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import Station
from tests.secret_forms import FORMS

SECRET = "correct-horse-battery"
PLAIN = f"ssid=x\npass={SECRET}\n"  # a source that was not meant to hold it
APP = "print('app: up')\n"


@pytest.fixture
def planned(station: Station) -> Station:
    """A board that a plan was saved for, in fleet.plan; nothing was done yet."""
    station.board("x", firmware=station.firmware(ESP32))
    station.write("app/main.py", APP)
    station.write("app/lib/a.py", "a = 1\n")
    station.write("app/wifi.txt", PLAIN)
    station.write("conf.json.j2", '{"wifi": "{{ wifi }}"}\n')
    station.write("secrets.yaml", f"wifi: {SECRET}\n").chmod(0o600)
    station.write(
        "fleet.yaml",
        """
        defaults: {board: esp32, vars: {wifi: !secret wifi}}
        devices:
          x:
            port: sim://x
            files: [{src: app/, dest: /}, {src: conf.json.j2, dest: /conf.json, template: true}]
        """,
    )
    run = station.provision("plan", "--out", "fleet.plan")
    assert run.code == 0, run.said
    assert (
        "saved for 1 device: `provision apply fleet.plan` carries out exactly this plan" in run.err
    )
    return station


def test_what_was_planned_is_done_and_again_nothing(planned: Station) -> None:
    run = planned.apply("fleet.plan")
    assert run.outcomes == {"x": "changed"}
    assert planned.files("x")["/main.py"] == APP.encode()
    assert planned.apply("fleet.plan").outcomes == {"x": "ok"}
    report = planned.apply("--resume", "last", "fleet.plan", code=2).of("run-failed")[0]
    assert "nothing is left of the run" in report["error"]


def test_a_plan_is_private_and_has_no_secret_and_no_digest_of_one(planned: Station) -> None:
    path = planned.work / "fleet.plan"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text("utf-8")
    for secret in (SECRET, f'{{"wifi": "{SECRET}"}}\n', f"wifi: {SECRET}\n", PLAIN):
        assert [name for name, write in FORMS.items() if write(secret) in text] == []
    assert json.loads(text.splitlines()[1])["secrets"] is not None


def edit(station: Station) -> None:
    station.write("app/main.py", APP + "# more\n")


def add(station: Station) -> None:
    station.write("app/new.py", "new = 1\n")


def remove(station: Station) -> None:
    (station.work / "app/lib/a.py").unlink()


def other_secret(station: Station) -> None:
    station.write("secrets.yaml", f"wifi: {SECRET.upper()}\n")


def other_manifest(station: Station) -> None:
    path = station.work / "fleet.yaml"
    path.write_text(path.read_text() + "# edited\n")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (edit, "changed: app/main.py"),
        (add, "new: app/new.py"),
        (remove, "gone: app/lib/a.py"),
        (other_secret, "changed: a secret"),
        (other_manifest, "changed: fleet.yaml"),
    ],
)
def test_a_project_that_has_changed_is_refused_before_any_board_is_touched(
    planned: Station, change: Callable[[Station], None], told: str
) -> None:
    change(planned)
    before = planned.digest("x")
    run = planned.provision("apply", "fleet.plan")
    assert run.code == 4
    assert f"error: not what fleet.plan was made of any more: {told}\n" in run.err
    assert "hint: nothing was written; make a new plan with `provision plan --out FILE`" in run.err
    assert SECRET not in run.said
    assert planned.digest("x") == before


def test_a_board_that_has_changed_is_refused(planned: Station) -> None:
    planned.put("x", {"/main.py": "print('by hand')\n"})
    before = planned.files("x")
    run = planned.apply("fleet.plan", code=4)
    assert run.outcomes == {"x": "refused"}
    assert "the board is no longer as it was when the plan was made" in run.finished("x")["error"]
    assert planned.files("x") == before


def test_another_computer_cannot_tell_secrets_and_does_the_rest(
    planned: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVISION_STATE_DIR", str(planned.home.parent / "elsewhere"))
    run = planned.apply("fleet.plan")
    assert run.outcomes == {"x": "changed"}
    notices = [event["message"] for event in run.of("notice")]
    assert any("cannot be told here whether its secrets are the same" in each for each in notices)


def test_what_is_no_place_for_a_plan_and_no_place_for_a_manifest(planned: Station) -> None:
    for words, told in (
        (("plan", "--out", "fleet.yaml"), "there is another file of that name"),
        (("plan", "--out", "app/x.txt"), "it would be a file for the boards there"),
        (("plan", "--out", "no/fleet.plan"), "there is no directory"),
        (("plan", "fleet.plan"), "fleet.plan is a saved plan, and no manifest"),
        (("apply", "fleet.plan", "--check"), "which says itself what is to be done"),
        (("apply", "--check", "--resume", "last"), "--resume goes on with a run"),
        (("apply", "fleet.plan", "--limit", "y"), "no device matches 'y'"),
    ):
        run = planned.provision(*words)
        assert run.code == 2, run.said
        assert told in run.err
        assert "hint: " in run.err
    assert planned.provision("plan", "--out", "app/fleet.plan").code == 0
    assert planned.provision("apply", "app/fleet.plan").code == 0
    assert "/fleet.plan" not in planned.files("x")

    damaged = planned.work / "fleet.plan"
    damaged.write_text(damaged.read_text().replace("main.py", "mine.py"))
    run = planned.provision("apply", "fleet.plan")
    assert run.code == 3
    assert "fleet.plan:4:1: what is above is not what was written here" in run.err
