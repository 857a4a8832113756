"""What a run says of a board that calls for another build of the release than the one wanted."""

from __future__ import annotations

import pytest

from provision.core.chips.esp.chips import ESP32P4, ESP32S3
from tests.apply.station import FILESYSTEMS, Station

pytest.importorskip("micropython_unix")

MANIFEST = """
devices:
  x: {{board: {chip}, port: sim://x, firmware: {{file: {image}}}}}
"""
OCTAL = "the variant SPIRAM_OCT does"


@pytest.mark.parametrize("runs", [False, True], ids=["blank", "running"])
def test_memory_that_the_image_cannot_use_is_told(station: Station, runs: bool) -> None:
    """By its eFuses: at once of a board in download mode, else on the way to the flash."""
    old = station.firmware(ESP32S3, "1.20.0") if runs else None
    station.board("x", ESP32S3, old, psram="8MB")
    station.write("fleet.yaml", MANIFEST.format(chip=ESP32S3, image=station.firmware(ESP32S3)))
    told = [OCTAL in event["message"] for event in station.plan().of("notice", "x")]
    assert told == ([] if runs else [True])
    ended = station.apply("--yes")
    assert [OCTAL in event["message"] for event in ended.of("notice", "x")] == [True]
    assert ended.outcomes == {"x": "changed"}


@pytest.mark.parametrize("runs", [False, True], ids=["blank", "running"])
def test_a_build_for_another_revision_is_refused(station: Station, runs: bool) -> None:
    old = station.firmware(ESP32P4, "1.28.0") if runs else None
    station.board("x", ESP32P4, old)  # its chip is v1.3
    image = station.firmware(ESP32P4, "1.29.0")
    station.write("fleet.yaml", MANIFEST.format(chip=ESP32P4, image=image))
    before = station.flash("x")
    files = station.files("x", ESP32P4) if runs else {}
    ended = station.apply("--yes", code=4)
    assert "does not run on revision v1.3 of the ESP32-P4" in ended.finished("x")["error"]
    assert "choose the variant PRE_REV3" in ended.finished("x")["hint"]
    if runs:  # its start-up files were out of the way while it was asked
        start = FILESYSTEMS[ESP32P4][0]
        assert station.flash("x")[:start] == before[:start]
        assert station.files("x", ESP32P4) == files
    else:
        assert station.flash("x") == before
