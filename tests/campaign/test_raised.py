"""A few runs of the campaign of raised transfers: the long one is run by hand."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.campaign.raised import work


@pytest.mark.slow
def test_a_disturbed_transfer_at_a_raised_rate_ends_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROVISION_SIM_HOME", str(tmp_path))
    record = tmp_path / "record.jsonl"
    place = tmp_path / "0"
    place.mkdir()
    work(place, [random.randrange(1 << 30) for _ in range(12)], record)
    results = [json.loads(line) for line in record.read_text().splitlines()]
    assert len(results) == 12
    assert [result for result in results if result["broken"]] == []
