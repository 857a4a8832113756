"""What is remembered of checks, as files: by board, private, and never believed when damaged."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import pytest

from provision.errors import UsageError
from provision.model.state import CheckRecord
from provision.project.check_records import CheckRecords

MAC = "24:6f:28:00:00:01"
STATE = "5e" * 32


@pytest.fixture
def records(tmp_path: Path) -> CheckRecords:
    return CheckRecords(tmp_path / "state" / "checks", tmp_path / "fleet.yaml")


def test_the_last_word_on_a_board_counts_whoever_reads_it(
    records: CheckRecords, tmp_path: Path
) -> None:
    assert records.last(MAC, "kitchen") is None
    records.begin(MAC, "kitchen")
    assert records.last(MAC, "kitchen") == CheckRecord(outcome="begun")
    records.end(MAC, "kitchen", STATE, passed=True)
    other = CheckRecords(tmp_path / "state" / "checks", tmp_path / "other.yaml")
    assert other.last(MAC, "shed") == CheckRecord(outcome="passed", state=STATE)
    records.end(MAC, "kitchen", STATE, passed=False)
    assert records.last(MAC, "kitchen") == CheckRecord(outcome="failed", state=STATE)
    assert records.last("24:6f:28:00:00:02", "kitchen") is None


def test_a_board_without_a_mac_is_known_by_its_device(
    records: CheckRecords, tmp_path: Path
) -> None:
    records.end(None, "kitchen", STATE, passed=True)  # before there is a directory
    assert records.last(None, "kitchen") is None
    records.begin(None, "kitchen")
    records.end(None, "kitchen", STATE, passed=True)
    assert records.last(None, "kitchen") == CheckRecord(outcome="passed", state=STATE)
    assert records.last(None, "shed") is None
    other = CheckRecords(tmp_path / "state" / "checks", tmp_path / "other.yaml")
    assert other.last(None, "kitchen") is None


def test_only_what_is_known_is_forgotten(records: CheckRecords, tmp_path: Path) -> None:
    records.forget(MAC, "kitchen")
    assert list(tmp_path.iterdir()) == []
    records.begin(MAC, "kitchen")
    records.end(MAC, "kitchen", STATE, passed=True)
    records.forget(MAC, "kitchen")
    assert records.last(MAC, "kitchen") == CheckRecord(outcome="begun")


@pytest.mark.parametrize(
    "content",
    [b"", b"passed", b"passed 5e5e\n", b"passed " + b"5e" * 32, b"\xff" * 200, b"perhaps \n"],
)
def test_a_damaged_record_proves_nothing(
    records: CheckRecords, tmp_path: Path, content: bytes
) -> None:
    records.begin(MAC, "kitchen")
    (path,) = (tmp_path / "state" / "checks").iterdir()
    path.write_bytes(content)
    assert records.last(MAC, "kitchen") is None


def test_where_nothing_can_be_kept_nothing_is_begun(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    with pytest.raises(UsageError, match="cannot be written") as told:
        CheckRecords(tmp_path / "state" / "checks", tmp_path / "f.yaml").begin(MAC, "kitchen")
    assert "PROVISION_STATE_DIR" in told.value.hint


@pytest.mark.skipif(sys.platform == "win32", reason="has other permissions")
def test_it_is_the_users_own(records: CheckRecords, tmp_path: Path) -> None:
    records.begin(MAC, "kitchen")
    directory = tmp_path / "state" / "checks"
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert [stat.S_IMODE(path.stat().st_mode) for path in directory.iterdir()] == [0o600]
