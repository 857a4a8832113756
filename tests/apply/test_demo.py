"""The demo that the README starts with, as it is shipped: six boards, then nothing, then only
what was changed."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

from provision.core.chips.esp.chips import ESP32, ESP32C3
from tests.apply.station import ROOT, Ended, Station

DEVICES = ("kitchen", "garden", "cellar", "gate", "attic", "shed")
MANIFEST = "examples/demo/fleet.yaml"


def run_demo(station: Station) -> Ended:
    """`python3 examples/demo` in a copy of the examples; the environment that it would make is
    the one that runs these tests."""
    if not (station.work / "examples").exists():
        ignored = shutil.ignore_patterns("__pycache__", "firmware", "fleet.lock", ".venv")
        shutil.copytree(ROOT / "examples", station.work / "examples", ignore=ignored)
        (station.work / ".venv").symlink_to(sys.prefix, target_is_directory=True)
    done = subprocess.run(
        [sys.executable, "examples/demo"],
        cwd=station.work,
        env=station.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    return Ended(done.returncode, done.stdout, done.stderr)


def edit(station: Station, path: str, old: str, new: str) -> None:
    file = station.work / path
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


@pytest.mark.skipif(os.name == "nt", reason="virtual boards need a POSIX system")
def test_the_demo_converges_then_does_only_what_was_changed(station: Station) -> None:
    first = run_demo(station)
    assert first.code == 0, first.said
    assert "6 devices" in first.out
    assert "changed=6 ok=0 failed=0 unreachable=0" in first.out
    assert station.files("attic", ESP32C3)["/config.json"].strip() == (
        b'{"device": "attic", "room": "attic", "interval": 5}'
    )

    second = run_demo(station)
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
