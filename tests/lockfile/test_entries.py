"""What a lock knows: of devices by name and MAC, of firmware by what was asked for."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provision.lockfile.entries import Lock, LockedDevice, LockedFile, LockedFirmware, request_key
from provision.model.state import FirmwareSource

MAC = "5c:cf:7f:01:02:03"
OTHER = "10:20:30:40:50:59"


def test_macs_are_learned_and_learned_anew() -> None:
    lock = Lock().with_macs({"kitchen": MAC, "shed": MAC}).with_macs({"shed": OTHER})
    assert lock.mac_of("kitchen") == MAC
    assert lock.mac_of("shed") == OTHER
    assert lock.mac_of("desk") is None


def test_a_board_that_is_learned_anew_keeps_what_else_is_known_of_it() -> None:
    lock = Lock(devices={"kitchen": LockedDevice(mac=MAC, unknown={"since": "2025-01-01"})})
    learned = lock.with_macs({"kitchen": OTHER}).devices["kitchen"]
    assert learned == LockedDevice(mac=OTHER, unknown={"since": "2025-01-01"})


def test_a_board_that_goes_to_another_device_is_in_the_lock_once() -> None:
    noted = LockedDevice(mac=MAC, unknown={"since": "2025-01-01"})
    for entry, left in ((LockedDevice(mac=MAC), None), (noted, replace(noted, mac=None))):
        moved = Lock(devices={"hall": entry}).with_macs({"kitchen": MAC})
        assert moved.mac_of("kitchen") == MAC
        assert moved.devices.get("hall") == left
    swapped = Lock().with_macs({"hall": MAC, "kitchen": OTHER})
    swapped = swapped.with_macs({"hall": OTHER}).with_macs({"kitchen": MAC})
    assert (swapped.mac_of("hall"), swapped.mac_of("kitchen")) == (OTHER, MAC)


def test_sources_are_replaced_and_devices_stay() -> None:
    file = LockedFile(url="https://example.org/a.bin", size=7, sha256="0" * 64)
    firmware = {"A 1.2.3": LockedFirmware(file=file, version="1.2.3")}
    lock = Lock().with_macs({"kitchen": MAC}).with_sources(firmware=firmware, packages={})
    assert lock.firmware == firmware
    assert lock.mac_of("kitchen") == MAC
    assert lock.with_sources(firmware={}, packages={}) == Lock().with_macs({"kitchen": MAC})


@pytest.mark.parametrize(
    ("source", "key"),
    [
        (FirmwareSource(name="x", version="1.24.1", board="ESP32_GENERIC"), "ESP32_GENERIC 1.24.1"),
        (
            FirmwareSource(name="x", version="latest", board="A", variant="B", preview=True),
            "A-B latest preview",
        ),
        (FirmwareSource(name="x", url="http://a/b", version="1.2.3"), "http://a/b"),
        (FirmwareSource(name="x", file="fw/a.bin", board="B"), "fw/a.bin"),
    ],
)
def test_what_a_source_asks_for(source: FirmwareSource, key: str) -> None:
    assert request_key(source) == key
