"""Virtual boards are ports here."""

from __future__ import annotations

import pytest
import serial


@pytest.fixture(autouse=True)
def handler(monkeypatch: pytest.MonkeyPatch) -> None:
    packages = [*serial.protocol_handler_packages, "provision.sim"]
    monkeypatch.setattr(serial, "protocol_handler_packages", packages)
