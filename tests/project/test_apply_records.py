"""What is remembered of applies: the last of a device, and the last that left it as wanted."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32
from provision.model.event import DeviceFinished, Outcome, RunStarted, SeenBoard
from provision.model.state import FirmwareIdentity
from provision.project.apply_records import Applied, ApplyRecords, LastApply

COMMIT = "1" * 40
BOARD = SeenBoard(
    mac="24:6f:28:00:00:01",
    chip=ESP32,
    firmware=FirmwareIdentity(version="1.24.1", machine="Generic ESP32 module", chip=ESP32),
)
MADE = Applied(
    time="1970-01-01T00:00:00+00:00",
    commit=COMMIT,
    mac="24:6f:28:00:00:01",
    chip="esp32",
    version="1.24.1",
    machine="Generic ESP32 module",
)


def records(folder: Path, seconds: float = 0, manifest: str = "/fleet.yaml") -> ApplyRecords:
    return ApplyRecords(folder / "applies", Path(manifest), clock=lambda: seconds)


def run(kept: ApplyRecords, outcome: Outcome, *, task: str = "apply", error: str | None = None,
        board: SeenBoard | None = BOARD, commit: str | None = COMMIT) -> None:  # fmt: skip
    kept.handle(
        RunStarted(task=task, changes_boards=True, fleet="f", devices=("a",), commit=commit)
    )
    kept.handle(
        DeviceFinished(device="a", outcome=outcome, seconds=1, error=error, changes=2, board=board)
    )


def test_an_apply_is_remembered_with_its_board_and_commit(tmp_path: Path) -> None:
    assert records(tmp_path).last("a") is None
    run(records(tmp_path), "changed")
    expected = LastApply(
        time=MADE.time, outcome="changed", changes=2, commit=COMMIT, mac=MADE.mac, made=MADE
    )
    assert records(tmp_path).last("a") == expected
    assert records(tmp_path).last("b") is None
    assert records(tmp_path, manifest="/other.yaml").last("a") is None


def test_one_that_failed_leaves_what_was_made_before(tmp_path: Path) -> None:
    run(records(tmp_path), "ok")
    stranger = SeenBoard(mac="24:6f:28:00:00:99")
    run(records(tmp_path, 60), "refused", error="the wrong board", board=stranger, commit="2" * 40)
    last = records(tmp_path).last("a")
    assert last is not None
    assert last.made == MADE
    assert (last.outcome, last.error, last.commit) == ("refused", "the wrong board", "2" * 40)
    assert last.time == "1970-01-01T00:01:00+00:00"


def test_an_error_without_an_end_is_cut_and_the_record_stays_readable(tmp_path: Path) -> None:
    run(records(tmp_path), "failed", error="\U0001f600" * 100_000)
    last = records(tmp_path).last("a")
    assert last is not None
    assert last.outcome == "failed"
    assert last.error is not None
    assert len(last.error) == 4000


@pytest.mark.parametrize("task", ["plan", "facts", "check", "reset"])
def test_what_is_no_apply_is_not_remembered(tmp_path: Path, task: str) -> None:
    run(records(tmp_path), "ok", task=task)
    assert records(tmp_path).last("a") is None


def test_an_apply_that_was_taken_back_by_hand(tmp_path: Path) -> None:
    run(records(tmp_path), "changed", task="rollback")
    assert records(tmp_path).last("a") is None
    run(records(tmp_path), "changed")
    run(records(tmp_path, 30), "refused", task="rollback")
    run(records(tmp_path, 60), "changed", task="rollback")
    last = records(tmp_path).last("a")
    assert last is not None
    assert (last.outcome, last.error) == ("rolled-back", "by `provision rollback`")
    assert (last.time, last.made, last.mac) == ("1970-01-01T00:01:00+00:00", MADE, MADE.mac)


def test_a_device_that_was_skipped_keeps_its_record(tmp_path: Path) -> None:
    run(records(tmp_path), "ok")
    run(records(tmp_path, 60), "skipped", board=None)
    last = records(tmp_path).last("a")
    assert last is not None
    assert last.outcome == "ok"


@pytest.mark.parametrize(
    "text",
    ["", "[]", "{}", '{"version": 2}', '{"version": 1, "time": 5}', "[" * 60000,
     '{"version": 1, "time": "x"}', '{"version": 1, "outcome": "ok"}', "\udcff"],
)  # fmt: skip
def test_a_damaged_record_is_none(tmp_path: Path, text: str) -> None:
    run(records(tmp_path), "ok")
    (file,) = (tmp_path / "applies").iterdir()
    file.write_text(text, encoding="utf-8", errors="surrogateescape")
    assert records(tmp_path).last("a") is None
    run(records(tmp_path), "ok")
    assert records(tmp_path).last("a") is not None


def test_a_record_where_made_is_damaged_still_tells_the_rest(tmp_path: Path) -> None:
    run(records(tmp_path), "ok")
    (file,) = (tmp_path / "applies").iterdir()
    file.write_text('{"version": 1, "time": "x", "outcome": "ok", "made": {"time": 7}}')
    last = records(tmp_path).last("a")
    assert last is not None
    assert last.made is None


@pytest.mark.skipif(sys.platform == "win32", reason="no permission bits")
def test_records_are_private(tmp_path: Path) -> None:
    run(records(tmp_path), "ok")
    folder = tmp_path / "applies"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (file,) = folder.iterdir()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_state_directory_that_cannot_be_written_stops_no_run(tmp_path: Path) -> None:
    (tmp_path / "applies").write_text("a file")
    run(records(tmp_path), "ok")
    assert records(tmp_path).last("a") is None
