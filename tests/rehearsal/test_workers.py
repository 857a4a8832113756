"""The processes of a rehearsal, as seen by whoever starts them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from provision.core.rehearsal.schedule import PlannedRun, Start
from provision.rehearsal.twin_fleet import Options
from provision.rehearsal.worker import Job, remove_if_last
from provision.rehearsal.workers import CLEANER, WORKER
from provision.sim import client, paths


def test_modules_of_the_users_folder_are_the_boards_not_the_workers(tmp_path: Path) -> None:
    for name in ("json.py", "secrets.py", "provision.py"):
        (tmp_path / name).write_text("raise SystemExit('a module of the project was imported')\n")
    job = Job(
        manifest=tmp_path / "missing.yaml",
        devices=("one",),
        run=PlannedRun(seed=1, start=Start(kind="blank")),
        options=Options(),
        folder=tmp_path / "job",
    )
    done = subprocess.run(
        [sys.executable, "-c", WORKER],
        cwd=tmp_path, input=job.to_json() + "\n", capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert "missing.yaml" in json.loads(done.stdout)["error"]


def test_the_folder_of_a_rehearsal_that_was_killed_goes_with_its_last_job(tmp_path: Path) -> None:
    folder = tmp_path / "rehearsal-x"
    other = folder / "2-0"
    other.mkdir(parents=True)
    (folder / "1-0.log").touch()
    (folder / "older" / "1a2b").mkdir(parents=True)
    remove_if_last(folder)
    assert folder.exists()
    other.rmdir()
    remove_if_last(folder)
    assert [*tmp_path.iterdir()] == []


def test_boards_of_a_worker_that_was_killed_are_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(paths.HOME_VARIABLE, str(tmp_path / "boards"))
    client.ensure("one", {"chip": "esp32"})
    assert client.running("one")
    subprocess.run([sys.executable, "-c", CLEANER], check=True)
    assert not client.running("one")
    assert not paths.directory("one").exists()
