"""Boards that come and go leave nothing behind in a process that goes on."""

from __future__ import annotations

import random
import sys
from pathlib import Path

import pytest

from tests.campaign.soak import WARM_UP, leaks, soak


@pytest.mark.skipif(sys.platform != "linux", reason="counts are read from /proc")
@pytest.mark.parametrize(
    ("boards", "minutes"), [(4, 0.0), pytest.param(200, 30.0, marks=pytest.mark.slow)]
)
def test_boards_that_come_and_go_leak_nothing(
    boards: int, minutes: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("STATE", "RUNTIME", "CACHE"):
        monkeypatch.setenv(f"PROVISION_{variable}_DIR", str(tmp_path))
    monkeypatch.setenv("PROVISION_SIM_HOME", str(tmp_path))
    samples = soak(boards, minutes, random.randrange(1 << 30), tmp_path)
    assert len(samples) > WARM_UP
    assert leaks(samples) == []
