"""Unmodified esptool on virtual boards, as a user types it."""

from __future__ import annotations

import random

import pytest

from provision.model.chip import Chip
from tests.bench_of_boards import Bench, bench

__all__ = ["bench"]


@pytest.mark.parametrize("chip", [Chip.ESP8266, Chip.ESP32, Chip.ESP32C3])
def test_write_verify_and_read_back(bench: Bench, chip: Chip) -> None:
    data = random.Random(1).randbytes(70_001)
    (bench.work / "image").write_bytes(data)
    port = ("--port", f"sim://a?chip={chip}&flash=1MB")
    said = bench.tool("esptool", *port, "write-flash", "0x10000", "image").stdout
    assert "Hash of data verified." in said
    assert bench.flash("a")[0x10000:][: len(data)] == data
    bench.tool("esptool", *port, "read-flash", "0x10000", "70001", "back")
    assert (bench.work / "back").read_bytes() == data
