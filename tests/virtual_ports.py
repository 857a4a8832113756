"""Virtual boards as ports of pyserial, for tests that open one without the program around it."""

from __future__ import annotations

import pytest
import serial


@pytest.fixture(autouse=True)
def virtual_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    packages = [*serial.protocol_handler_packages, "provision.sim"]
    monkeypatch.setattr(serial, "protocol_handler_packages", packages)
