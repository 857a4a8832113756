"""Records that were damaged, and the key that tells runs apart: whatever is on disk, there is an
answer."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from provision.model.event import RunFinished, RunStarted
from provision.output.jsonlines import to_json
from provision.output.run_log import state_directory, user_key
from provision.output.saved.event_reader import read_events
from provision.output.saved.past_runs import read_run, recorded_runs, runs_directory

MANIFEST = Path("/school/fleet.yaml")
STARTED = RunStarted(
    task="apply", changes_boards=True, fleet="school", devices=("a",), manifest=str(MANIFEST)
)
FINISHED = RunFinished(seconds=1.0, exit_code=0, outcomes={"a": "ok"}, macs={"a": "x"})


@pytest.mark.parametrize("key", ["outcomes", "macs"])
@pytest.mark.parametrize("value", [[], "a", 5, {"a": []}, None])
def test_a_line_with_something_else_in_place_of_an_object_is_left_out(key: str, value: Any) -> None:
    damaged = json.dumps({**to_json(FINISHED, 1752345678.0), key: value})
    assert list(read_events([damaged])) == []


def test_a_record_with_bytes_that_are_no_text_is_read_as_far_as_it_goes() -> None:
    folder = runs_directory()
    folder.mkdir(parents=True)
    run = "20250712T184118.000000Z-1"
    lines = [json.dumps(to_json(each, 1752345678.0)).encode() for each in (STARTED, FINISHED)]
    (folder / f"{run}.jsonl").write_bytes(b"\n".join([lines[0], b"\xff\xfe{", lines[1], b""]))
    assert [event for _, event in read_run(run)] == [STARTED, FINISHED]
    (found,) = recorded_runs(MANIFEST)
    assert (found.id, found.state, found.outcomes) == (run, "finished", {"a": "ok"})


def test_a_key_that_is_cut_short_is_made_anew_and_kept() -> None:
    key = user_key()
    assert (len(key), user_key()) == (32, key)
    path = state_directory() / "key"
    path.write_bytes(key[:7])
    again = user_key()
    assert (len(again), user_key()) == (32, again)
