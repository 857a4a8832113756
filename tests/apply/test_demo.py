"""The demo that the README starts with, as it is shipped: six boards, then nothing, then only
what was changed."""

from __future__ import annotations

import os

import pytest

from provision.core.chips.esp.chips import ESP32, ESP32C3
from tests.apply.examples import run_example
from tests.apply.station import Station

DEVICES = ("kitchen", "garden", "cellar", "gate", "attic", "shed")
MANIFEST = "examples/demo/fleet.yaml"


def edit(station: Station, path: str, old: str, new: str) -> None:
    file = station.work / path
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.skipif(os.name == "nt", reason="virtual boards need a POSIX system")
def test_the_demo_converges_then_does_only_what_was_changed(station: Station) -> None:
    first = run_example(station, "demo")
    assert first.code == 0, first.said
    assert "6 devices" in first.out
    assert "changed=6 ok=0 failed=0 unreachable=0" in first.out
    assert station.files("attic", ESP32C3)["/config.json"].strip() == (
        b'{"device": "attic", "room": "attic", "interval": 5}'
    )

    second = run_example(station, "demo")
    assert second.code == 0, second.said
    assert "changed=0 ok=6 failed=0 unreachable=0" in second.out

    main = (station.work / "examples/demo/app/main.py").read_bytes() + b"# edited\n"
    station.write("examples/demo/app/main.py", main)
    edited = station.apply(MANIFEST)
    assert edited.all_done == {
        device: ["write-file /main.py", "reset", "check"] for device in DEVICES
    }

    edit(station, MANIFEST, "{room: garden, interval: 1}", "{room: garden, interval: 2}")
    tuned = station.apply(MANIFEST)
    assert tuned.all_done == {"garden": ["write-file /config.json", "reset", "check"]}

    newer = station.firmware(ESP32, "1.25.0")
    edit(
        station,
        MANIFEST,
        "{file: firmware/esp32-1.24.1.bin, version: 1.24.1}",
        f"{{file: ../../{newer}, version: 1.25.0}}",
    )
    updated = station.apply(MANIFEST)
    assert updated.all_done == {"gate": ["write-firmware 1.25.0", "reset", "check"]}
    assert updated.outcomes == {**dict.fromkeys(DEVICES, "ok"), "gate": "changed"}
