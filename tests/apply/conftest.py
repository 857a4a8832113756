"""The station of each test, gone with everything it started when the test ends."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import serial

from tests.apply.station import Station


@pytest.fixture
def station(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Station]:
    for variable, folder in (
        ("PROVISION_SIM_HOME", "boards"),
        ("PROVISION_STATE_DIR", "state"),
        ("PROVISION_RUNTIME_DIR", "run"),
        ("PROVISION_CACHE_DIR", "cache"),
    ):
        monkeypatch.setenv(variable, str(tmp_path / folder))
    for variable in ("FORCE_COLOR", "PROVISION_SECRETS"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(
        serial,
        "protocol_handler_packages",
        [*{*serial.protocol_handler_packages, "provision.sim"}],
    )
    work = tmp_path / "work"
    work.mkdir()
    made = Station(home=tmp_path / "boards", work=work)
    try:
        yield made
    finally:
        made.close()
