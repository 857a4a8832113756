"""Runs as their records tell them, whole ones, cut ones and ones that somebody has made up."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.model.event import DeviceFinished, Event, Outcome, RunFinished, RunStarted
from provision.model.plan import Batches
from provision.output.run_log import RunRecord
from provision.output.saved.history import PastRun, RunHistory

MANIFEST = Path("/school/fleet.yaml")
DEVICES = ("a", "b", "c", "d")
BATCHES = Batches(devices=(("a",), ("b", "c"), ("d",)), max_failures=1)


def ended(device: str, outcome: Outcome, state: str | None = None) -> DeviceFinished:
    error = None if outcome in ("ok", "changed", "skipped") else "no"
    return DeviceFinished(device=device, outcome=outcome, seconds=1, error=error, state=state)


def record(
    folder: Path, second: int, *events: Event, task: str = "apply", resumes: str | None = None,
    devices: tuple[str, ...] = DEVICES,
) -> str:  # fmt: skip
    """The id of a run that was about these devices and left these events."""
    kept = RunRecord(folder, clock=lambda: 1752345678.0 + second)
    started = RunStarted(
        task=task, changes_boards=True, fleet="school", devices=devices, manifest=str(MANIFEST),
        rollout=BATCHES, resumes=resumes,
    )  # fmt: skip
    for event in (started, *events):
        kept.handle(event)
    kept.close()
    return kept.path.stem


def found(run: PastRun | None) -> PastRun:
    assert run is not None
    return run


def test_the_last_apply_of_a_manifest(tmp_path: Path) -> None:
    history = RunHistory(tmp_path)
    assert history.last(MANIFEST) is None
    wanted = record(tmp_path, 1, ended("a", "changed", "0a"), ended("b", "failed"))
    record(tmp_path, 2, task="plan")
    (tmp_path / "20990101T000000.000000Z-1.jsonl").write_text("")  # of the run that asks
    assert history.last(Path("/other/fleet.yaml")) is None
    last = found(history.last(MANIFEST))
    assert (last.id, last.devices, last.batches) == (wanted, DEVICES, BATCHES)
    assert last.failed == ("b", "c", "d")  # of the others nobody knows how they ended
    assert last.left({"a": "0a", "b": "0b", "c": "0c"}) == ("b", "c")
    assert last.left({"a": "ff"}) == ("a",)


def test_what_was_not_started_has_not_failed(tmp_path: Path) -> None:
    record(
        tmp_path, 1, ended("a", "unreachable"), ended("b", "ok", "0b"), ended("c", "skipped"),
        ended("d", "rolled-back"), RunFinished(seconds=1, exit_code=4),
    )  # fmt: skip
    last = found(RunHistory(tmp_path).last(MANIFEST))
    assert last.failed == ("a", "d")
    assert last.left(dict.fromkeys(DEVICES, "0b")) == ("a", "c", "d")


def test_runs_that_went_on_with_one_another_are_one(tmp_path: Path) -> None:
    history = RunHistory(tmp_path)
    first = record(tmp_path, 1, ended("a", "changed", "0a"), ended("b", "failed"))
    second = record(
        tmp_path, 2, ended("b", "ok", "0b"), ended("c", "failed"), resumes=first,
        devices=("b", "c", "d"),
    )  # fmt: skip
    third = record(tmp_path, 3, ended("c", "ok", "0c"), resumes=second, devices=("c", "d"))
    now = {name: f"0{name}" for name in DEVICES}
    assert found(history.named(second)).left(now) == ("c", "d")
    assert found(history.last(MANIFEST)).id == third
    assert found(history.last(MANIFEST)).left(now) == ("d",)
    assert found(history.last(MANIFEST)).left({**now, "a": "ff"}) == ("a", "d")
    (tmp_path / f"{first}.jsonl").unlink()  # the oldest records go
    assert found(history.named(third)).left(now) == ("d",)


def test_records_that_go_on_with_themselves_end(tmp_path: Path) -> None:
    first = record(tmp_path, 1)
    path = tmp_path / f"{first}.jsonl"
    path.write_text(path.read_text().replace('"resumes": null', f'"resumes": "{first}"'))
    assert found(RunHistory(tmp_path).named(first)).devices == DEVICES


@pytest.mark.parametrize(
    "run", ["", "..", "../secrets", "/etc/passwd", "a/b", "a\0b", "x" * 100, "-x", "unknown"]
)
def test_an_id_leads_to_records_alone(tmp_path: Path, run: str) -> None:
    (tmp_path / "runs").mkdir()
    record(tmp_path, 1)
    assert RunHistory(tmp_path / "runs").named(run) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no json",
        "[1]",
        "{}",
        '{"kind": "run-started"}',
        '{"kind": "run-started", "devices": 3, "rollout": {"devices": 3}}',
        '{"kind": "run-started", "devices": [1, null], "rollout": {"devices": [[2], 3]}}',
        '{"kind": "device-finished", "device": ["a"], "outcome": 1}',
        "[" * 100_000,
        "\udcff",
    ],
)
def test_a_damaged_record_is_read_as_far_as_it_goes(tmp_path: Path, text: str) -> None:
    path = tmp_path / "20250712T184119.000000Z-1.jsonl"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    history = RunHistory(tmp_path)
    assert history.last(MANIFEST) is None
    run = history.named(path.stem)
    assert run is None or run.left({}) == ()
