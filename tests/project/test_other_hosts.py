"""Rollouts and saved plans of a manifest whose devices hang on several computers: each does its
own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from provision import api, load
from provision.api_project.plans import planned_of, save_plan
from provision.core.planning.rollout import draw_batches
from provision.errors import UsageError
from provision.model.plan import Plan, Reset
from provision.model.report import DeviceReport, RunReport
from provision.model.state import ActualState

MANIFEST = """
rollout: {batches: [1, 50%, 100%], max_failures: 50%}
defaults: {board: esp32, port: "sim://{{ name }}"}
groups: {one: {host: room-1}, two: {host: room-2.school.example}}
devices:
  a-[1:4]: {groups: [one]}
  b-[1:4]: {groups: [two]}
"""


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    path = tmp_path / "fleet.yaml"
    path.write_text(MANIFEST)
    return path


def saved(manifest: Path, *missing: str, accept_new: str = "") -> api.SavedPlan:
    """What `plan --here --out` saves in room-2, where these had no plan."""
    fleet = load(manifest, here=True, host="room-2")
    report = RunReport(
        devices=tuple(
            DeviceReport(
                device=name,
                outcome="pending",
                seconds=1.0,
                plan=Plan(device=name, actions=(Reset(reason="r"),)),
                actual=None if name in missing else ActualState(),
            )
            for name in fleet.devices
        ),
        seconds=1.0,
    )
    new = [accept_new] if accept_new else []
    return save_plan(fleet, report, manifest.parent / "room.plan", accept_new_boards=new)


def test_a_rollout_counts_the_devices_of_this_computer(manifest: Path) -> None:
    fleet = load(manifest, here=True, host="room-2")
    assert fleet.rollout is not None
    drawn = draw_batches(fleet.select(()), fleet.rollout)
    assert drawn.devices == (("b-1",), ("b-2", "b-3"), ("b-4",))
    assert drawn.max_failures == 2


def test_a_plan_is_carried_out_by_the_name_that_the_manifest_has_for_this_computer(
    manifest: Path,
) -> None:
    plan = saved(manifest)
    for where in ({"here": True, "host": "room-2"}, {"host": "Room-2.school.example"}):
        fleet = api.open_planned(plan, **where)  # type: ignore[arg-type]
        assert fleet.devices == ("b-1", "b-2", "b-3", "b-4")
        assert planned_of(fleet, plan, ()) == ["b-1", "b-2", "b-3", "b-4"]
    fleet = api.open_planned(plan, limit=["b-[2:3]"], here=True, host="room-2")
    assert fleet.devices == ("b-2", "b-3")
    for host in ("room-1", None):
        with pytest.raises(UsageError, match=r"hang on room-2\.school\.example, and this is "):
            api.apply(api.open_planned(plan, host=host), saved=plan)


def test_devices_without_a_plan_are_no_reason_to_do_all(manifest: Path) -> None:
    plan = saved(manifest, "b-3", "b-4")
    fleet = api.open_planned(plan, host="room-2")
    assert planned_of(fleet, plan, ["b-[1:3]"]) == ["b-1", "b-2"]
    with pytest.raises(UsageError, match=r"room.plan has no plan for b-3 and b-4") as raised:
        api.apply(fleet, saved=plan, limit=["b-3", "b-4"])
    assert "it has one for b-1 and b-2" in str(raised.value.hint)
    with pytest.raises(UsageError, match="has no plan for what hangs here"):
        planned_of(replace(fleet, states=()), plan, ())


def test_a_board_that_was_accepted_and_is_not_of_this_run_is_no_mistake(manifest: Path) -> None:
    plan = saved(manifest, accept_new="b-1,b-2")
    cancel = api.Cancellation()
    cancel.cancel()
    fleet = api.open_planned(plan, limit=["b-[2:3]"], host="room-2")
    report = api.apply(fleet, saved=plan, cancel=cancel)
    assert {each.device: each.outcome for each in report.devices} == {
        "b-2": "skipped", "b-3": "skipped",
    }  # fmt: skip
