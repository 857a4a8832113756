"""The queue of jobs: what is asked for, answered, cancelled, and found again."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision import api
from provision.api_runs import keep_run, read_run, recorded_run, recorded_runs
from provision.errors import Interrupted, UsageError
from provision.model.event import (
    DeviceFinished,
    Notice,
    RunFailed,
    RunFinished,
    RunQueued,
    RunStarted,
)
from provision.model.plan import DeleteFile, EraseFlash, Plan
from provision.web.device_pieces import last_row
from provision.web.jobs import MOST_WAITING, Job
from provision.web.questions import Questions
from provision.web.site import Site
from tests.fleets import write_tree
from tests.web.client import play

ERASE = Plan(device="a", actions=(EraseFlash(reason="a new layout", losses=("NVS", "/data.csv")),))
MANIFEST = """
    devices:
      kitchen: {board: esp32, port: /dev/none-1}
      shed: {board: esp32, port: /dev/none-2}
"""


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    write_tree(tmp_path, {"fleet.yaml": MANIFEST})
    made = Site(lambda: api.load(tmp_path / "fleet.yaml"), backups=tmp_path / "backups")
    made.queue.start()
    yield made
    made.close()
    made.queue.join()


def ended(site: Site, job: Job) -> Job:
    """The job, once the queue is done with it."""

    async def over() -> None:
        while True:
            mark = site.fleet_topic.mark
            if job.view.over and site.queue.running is not job:
                return
            assert await site.fleet_topic.changed(mark, 60)

    play(over)
    return job


def test_a_job_tells_page_tile_and_record_the_same(site: Site) -> None:
    job = ended(site, site.queue.submit("plan", ["kitchen", "shed"]))
    assert job.view.state == "finished"
    assert [row.state for row in job.view.failures] == ["unreachable", "unreachable"]
    tile = site.tiles.tile("kitchen")
    assert tile is not None
    assert (tile.state, tile.run) == ("unreachable", job.id)
    assert tile.error is not None
    assert "/dev/none-1" in tile.error
    assert tile.hint is not None
    (run,) = recorded_runs(site.project.path)
    assert (run.id, run.state, run.task) == (job.id, "finished", "plan")
    assert run.outcomes == {"kitchen": "unreachable", "shed": "unreachable"}
    again = Site(site.project.reload, backups=Path())
    view = again.view(job.id)
    assert view is not None
    assert [row.finished for row in view.failures] == [row.finished for row in job.view.failures]
    remembered = again.tiles.tile("kitchen")
    assert remembered is not None
    assert remembered.state == "unreachable"


def test_a_manifest_that_became_invalid_fails_the_job_and_not_the_page(
    site: Site, tmp_path: Path
) -> None:
    (tmp_path / "fleet.yaml").write_text("devices: {kitchen: {board: nonsense}}")
    job = ended(site, site.queue.submit("plan", ["kitchen"]))
    assert job.view.state == "failed"
    assert job.view.failed is not None
    assert "nonsense" in job.view.failed.problems[0].message
    assert site.project.problem is not None
    assert list(site.project.devices) == ["kitchen", "shed"]
    write_tree(tmp_path, {"fleet.yaml": MANIFEST})
    site.project.refresh(now=True)
    assert site.project.problem is None


def test_a_job_that_waits_is_cancelled_at_once_and_does_nothing(tmp_path: Path) -> None:
    write_tree(tmp_path, {"fleet.yaml": MANIFEST})
    site = Site(lambda: api.load(tmp_path / "fleet.yaml"), backups=tmp_path)
    first, second = (site.queue.submit("reset", [name]) for name in ("kitchen", "shed"))
    site.queue.stop(second)
    assert second.view.state == "cancelled"
    site.queue.start()
    ended(site, first)
    states = {run.id: run.state for run in recorded_runs(site.project.path)}
    assert states == {first.id: "finished", second.id: "cancelled"}
    site.close()
    with pytest.raises(UsageError):
        site.queue.submit("plan", ["kitchen"])


def test_a_button_pressed_twice_is_one_job_and_the_queue_has_an_end(tmp_path: Path) -> None:
    write_tree(tmp_path, {"fleet.yaml": MANIFEST})
    site = Site(lambda: api.load(tmp_path / "fleet.yaml"), backups=tmp_path)
    first = site.queue.submit("apply", ["kitchen", "shed"])
    assert site.queue.submit("apply", ["shed", "kitchen"]) is first
    assert site.queue.submit("plan", ["shed", "kitchen"]) is not first
    with pytest.raises(UsageError) as raised:
        for number in range(MOST_WAITING + 1):
            site.queue.submit("plan", [str(number)])
    assert "jobs wait already" in raised.value.message
    site.close()


def asked(questions: Questions, device: str, answers: dict[str, bool | str]) -> threading.Thread:
    """A device's thread, which asks."""

    def ask() -> None:
        try:
            answers[device] = questions(device, ERASE)
        except Interrupted:
            answers[device] = "interrupted"

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    return thread


def test_a_question_is_answered_once_and_by_its_own_answer() -> None:
    asking = {name: threading.Event() for name in ("a", "b", "c")}
    cancel = api.Cancellation()
    questions = Questions(cancel, lambda device, waits: asking[device].set() if waits else None)
    answers: dict[str, bool | str] = {}
    threads = [asked(questions, name, answers) for name in asking]
    assert all(event.wait(60) for event in asking.values())
    ids = {question.device: question.id for question in questions.open}
    assert questions.answer(["an older one"], True) == ()
    assert answers == {}
    assert [each.device for each in questions.answer([ids["a"], ids["a"]], True)] == ["a"]
    assert questions.answer([ids["b"]], False) != ()
    threads[0].join(60)
    threads[1].join(60)
    assert questions.answer([ids["a"], ids["b"]], True) == ()
    cancel.cancel()
    questions.give_up()
    threads[2].join(60)
    assert answers == {"a": True, "b": False, "c": "interrupted"}
    assert questions.open == ()


def test_a_question_says_what_would_be_lost() -> None:
    seen = threading.Event()
    questions = Questions(api.Cancellation(), lambda _device, _waits: seen.set())
    thread = asked(questions, "a", {})
    assert seen.wait(60)
    (question,) = questions.open
    assert question.text == "lose NVS and /data.csv of this board (a new layout)"
    assert question.losses == ("NVS", "/data.csv")
    questions.answer([question.id], False)
    thread.join(60)
    plan = Plan(device="a", actions=(DeleteFile(path="/old.py", reason="r"),))
    assert type(question)(device="a", plan=plan).losses == ("/old.py",)


def started(manifest: Path, *devices: str) -> RunStarted:
    return RunStarted(
        task="apply", changes_boards=True, fleet="f", devices=devices, manifest=str(manifest)
    )


def test_records_tell_how_a_run_ended(tmp_path: Path) -> None:
    manifest = tmp_path / "fleet.yaml"
    ends = {
        "finished": RunFinished(seconds=1.0, exit_code=4, outcomes={"a": "failed"}),
        "cancelled": RunFinished(seconds=1.0, exit_code=130, outcomes={"a": "interrupted"}),
        "failed": RunFailed(error="no", hint="h", code="manifest", exit_code=3),
        "running": None,
    }
    ids = {}
    for state, end in ends.items():
        kept = keep_run(lambda _event: None)
        ids[state] = kept.id
        kept.handle(Notice(message="warning: before it begins"))
        kept.handle(started(manifest, "a"))
        if end is not None:
            kept.handle(end)
        kept.close()
    waiting = keep_run(lambda _event: None)
    waiting.handle(RunQueued(task="apply", devices=("a",), manifest=str(manifest)))
    waiting.close()
    ids["queued"] = waiting.id
    keep_run(lambda _event: None).close()  # one that tells nothing
    other = keep_run(lambda _event: None)
    other.handle(started(tmp_path / "other.yaml", "a"))
    other.close()
    found = recorded_runs(manifest)
    assert {run.state: run.id for run in found} == ids
    assert [run.id for run in found] == sorted(ids.values(), reverse=True)
    assert recorded_run(other.id, manifest) is None


def test_a_record_whose_process_is_gone_is_of_an_interrupted_run(
    tmp_path: Path, own_directories: Path
) -> None:
    manifest = tmp_path / "fleet.yaml"
    kept = keep_run(lambda _event: None)
    kept.handle(started(manifest, "a", "b"))
    kept.handle(DeviceFinished(device="a", outcome="ok", seconds=1.0))
    kept.close()
    gone = orphan(kept.id, own_directories)
    (run,) = recorded_runs(manifest)
    assert (run.id, run.state) == (gone, "interrupted")


def orphan(run: str, own_directories: Path) -> str:
    """Have the record of a run be of a process that is gone; its new id."""
    folder = own_directories / "state" / "runs"
    gone = f"{run.rpartition('-')[0]}-{2**22 + 1}"  # no process has a number that high
    (folder / f"{run}.jsonl").rename(folder / f"{gone}.jsonl")
    return gone


def test_a_job_whose_turn_never_came_is_found_again_not_started(
    tmp_path: Path, own_directories: Path
) -> None:
    write_tree(tmp_path, {"fleet.yaml": MANIFEST})
    site = Site(lambda: api.load(tmp_path / "fleet.yaml"), backups=tmp_path)
    job = site.queue.submit("apply", ["kitchen", "shed"])
    look = site.queue.submit("facts", ["kitchen"])
    site.close()
    assert (job.view.state, look.view.state) == ("not-started", "not-started")
    gone = orphan(job.id, own_directories)
    again = Site(lambda: api.load(tmp_path / "fleet.yaml"), backups=tmp_path)
    assert [(run.id, run.task, run.seconds) for run in again.not_started] == [(gone, "apply", None)]
    view = again.view(gone)
    assert view is not None
    assert (view.state, view.over, view.begun, view.failures) == ("not-started", True, False, [])
    assert [row.state for row in view.rows.values()] == ["skipped", "skipped"]
    assert last_row(again.queue, "kitchen", again.recorded(), again.view) == (None, None)
    tile = again.tiles.tile("kitchen")
    assert tile is not None
    assert tile.state == "new"
    kept = keep_run(lambda _event: None)
    kept.handle(started(site.project.path, "kitchen"))
    kept.close()
    later = Site(lambda: api.load(tmp_path / "fleet.yaml"), backups=tmp_path)
    assert later.not_started == [], "something was begun since"


@pytest.mark.parametrize("run", ["", "..", "../applies/x", "20260101T000000.000000Z-1/../x", "x"])
def test_an_id_is_no_path(tmp_path: Path, run: str) -> None:
    assert recorded_run(run, tmp_path) is None
    assert list(read_run(run)) == []
