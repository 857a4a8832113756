"""How fast a line was is remembered for a week, by line, and never believed when damaged."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from provision.device.transport.line_rates import WEEK, LineRates


def test_each_line_has_its_own_rate_for_a_week(tmp_path: Path) -> None:
    now = 0.0
    rates = LineRates(tmp_path / "state" / "rates", now=lambda: now)
    desk, shelf = rates.of("/dev/ttyUSB0 1a86:7523"), rates.of("/dev/ttyUSB0 0403:6001")
    assert desk.known() is None
    desk.remember(460_800)
    now = desk.path.stat().st_mtime + WEEK - 1
    assert rates.of("/dev/ttyUSB0 1a86:7523").known() == 460_800
    assert shelf.known() is None
    now += 2
    assert desk.known() is None
    assert stat.S_IMODE(desk.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(desk.path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize("damaged", [b"", b"fast\n", b"921600", b"9" * 100, b"-1\n"])
def test_what_is_damaged_is_not_believed(tmp_path: Path, damaged: bytes) -> None:
    memory = LineRates(tmp_path).of("a")
    memory.path.write_bytes(damaged)
    assert memory.known() is None


def test_what_cannot_be_kept_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "rates").write_text("a file is here")
    memory = LineRates(tmp_path / "rates").of("a")
    memory.remember(230_400)
    assert memory.known() is None
