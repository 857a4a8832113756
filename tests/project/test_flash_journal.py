"""The journal of flashing: what was begun is known after whatever ended the run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from provision.project.flash_journal import FlashJournal
from tests.power_cut import Disk

MAC = "24:6f:28:00:00:01"


@pytest.mark.skipif(sys.platform != "linux", reason="sees what is flushed through /proc")
def test_what_was_begun_is_known_after_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "flashing"
    journal = FlashJournal(directory, tmp_path / "fleet.yaml")
    journal.begin("24:6f:28:00:00:02", "shed", "keep")
    disk = Disk(directory, monkeypatch)
    journal.begin(MAC, "kitchen", "erase")
    there = [path.name for path in directory.iterdir() if path.name.startswith("24-6f-28-00-00-01")]
    for left in disk.after_a_cut():
        assert left.keys() >= set(there)
    assert len(there) == 1
