"""The demo that the README starts with, as it is shipped: six boards, then nothing, then only
what was changed."""

from __future__ import annotations

import html
import importlib.util
import os
import re
from types import ModuleType

import pytest

from provision.core.chips.esp.chips import ESP32, ESP32C3
from tests.apply.examples import run_example
from tests.apply.station import ROOT, Station

DEVICES = ("kitchen", "garden", "cellar", "gate", "attic", "shed")
MANIFEST = "examples/demo/fleet.yaml"


def edit(station: Station, path: str, old: str, new: str) -> None:
    file = station.work / path
    text = file.read_text(encoding="utf-8")
    assert old in text
    file.write_text(text.replace(old, new), encoding="utf-8")


def recorder() -> ModuleType:
    """`docs/record.py`, which draws the picture of README.md."""
    spec = importlib.util.spec_from_file_location("record", ROOT / "docs" / "record.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def lines_in(drawing: str) -> set[str]:
    """What a drawing shows, but for times, sizes, and which devices were told together: that hangs
    on which was ready first."""
    rows: dict[float, list[tuple[float, str]]] = {}
    for x, y, text in re.findall(
        r'<text [^>]*x="([\d.]+)" y="([\d.]+)"[^>]*>(.*?)</text>', drawing
    ):
        rows.setdefault(float(y), []).append((float(x), html.unescape(text)))
    found = set()
    for row in rows.values():
        line = " ".join(" ".join(text for _, text in sorted(row)).split())
        line = re.sub(r"\d+(\.\d+)? s\b", "DURATION", line)
        line = re.sub(r"\(\d[^()]* B\)|\b\d+ bytes\b", "SIZE", line)
        if not re.fullmatch(r"[\w, -]+( \(\d+ devices\))?: \d+ changes.*", line):
            found.add(line)
    return found


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

    drawing = (ROOT / "docs" / "apply.svg").read_text(encoding="utf-8")
    fresh = recorder().screens(first.out, second.out)
    assert lines_in(fresh) == lines_in(drawing), "`python docs/record.py apply` draws it anew"

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
