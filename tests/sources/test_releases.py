from __future__ import annotations

import pytest

from provision.core.chips.esp.chips import ESP32, ESP32C3, ESP32C6, ESP32S3, ESP8266
from provision.core.chips.registry import chip_of_release, is_generic_release
from provision.errors import SourceError
from provision.model.chip import Chip
from provision.model.state import FirmwareIdentity, FirmwareSource
from provision.sources.releases import Version, check_declared


@pytest.mark.parametrize(
    ("text", "numbers", "suffix"),
    [
        ("1.24.1", (1, 24, 1), ""),
        ("v1.20", (1, 20, 0), ""),
        ("1.25.0-preview.31.g1234567", (1, 25, 0), "preview.31.g1234567"),
        ("1.20.0-400-gabcdef", (1, 20, 0), "400-gabcdef"),
    ],
)
def test_reads_a_version(text: str, numbers: tuple[int, int, int], suffix: str) -> None:
    assert Version.parse(text) == Version(numbers, suffix)


@pytest.mark.parametrize(
    "text", ["", "1", "1.2.3.4", "newest", "1.24.x", "1.24.1\n1.25", "1." + "9" * 5000, "1.٣"]
)
def test_rejects_what_is_no_version(text: str) -> None:
    with pytest.raises(SourceError, match="not a MicroPython version"):
        Version.parse(text)


def test_orders_previews_before_and_counted_builds_after_the_release() -> None:
    words = [
        "1.9.4",
        "1.20",
        "1.20.0-400-gabcdef",
        "1.25.0-preview.9.gffffff",
        "1.25.0-preview.31.gaaaaaa",
        "1.25.0",
        "1.25.1",
    ]
    versions = [Version.parse(word) for word in words]
    shuffled = versions[::-2] + versions[-2::-2]
    assert sorted(shuffled, key=lambda version: version.sort_key) == versions


@pytest.mark.parametrize(
    ("declared", "found", "covered"),
    [
        ("1.20", "1.20.0", True),
        ("1.24", "1.24.1", False),
        ("1.25.0", "1.25.0-preview.31.g12", False),
        ("1.25.0-preview", "1.25.0-preview.31.g12", True),
        ("1.25.0-preview.3", "1.25.0-preview.31.g12", False),
        ("1.25.0-preview.31.g1234567", "1.25.0-preview.31.g12345678ab", True),
        ("1.25.0-preview.31", "1.25.0", False),
        ("1.24.1", "1.24.1-dirty", False),
    ],
)
def test_covers(declared: str, found: str, covered: bool) -> None:
    assert Version.parse(declared).covers(Version.parse(found)) is covered


@pytest.mark.parametrize(
    ("board", "chip", "generic"),
    [
        ("ESP32_GENERIC", ESP32, True),
        ("ESP32_GENERIC_S3", ESP32S3, True),
        ("ESP32_GENERIC_C6", ESP32C6, True),
        ("ESP8266_GENERIC", ESP8266, True),
        ("LOLIN_S2_MINI", None, False),
        ("UM_TINYPICO", None, False),
        ("M5STACK_ATOM", None, False),
    ],
)
def test_what_a_release_name_tells(board: str, chip: Chip | None, generic: bool) -> None:
    assert chip_of_release(board) is chip
    assert is_generic_release(board) is generic


def identity(machine: str, chip: Chip, version: str = "1.24.1") -> FirmwareIdentity:
    return FirmwareIdentity(version=version, machine=machine, chip=chip)


GENERIC = identity("Generic ESP32 module with ESP32", ESP32)


@pytest.mark.parametrize(
    ("version", "board", "found"),
    [
        ("1.24.1", "ESP32_GENERIC", GENERIC),
        (None, "ESP32_GENERIC", GENERIC),
        ("latest", "ESP32_GENERIC", GENERIC),
        (None, "ESP8266_GENERIC", identity("ESP module (1M) with ESP8266", ESP8266)),
        (None, "ESP32_GENERIC_C3", identity("ESP32C3 module with ESP32C3", ESP32C3)),
        (None, "UM_TINYPICO", identity("TinyPICO with ESP32-PICO-D4", ESP32)),
    ],
)
def test_accepts_what_agrees(version: str | None, board: str, found: FirmwareIdentity) -> None:
    check_declared(FirmwareSource(name="fw", file="x", version=version, board=board), found, "x")


@pytest.mark.parametrize(
    ("version", "board", "found", "words"),
    [
        ("1.24.0", None, GENERIC, ("1.24.1", "1.24.0")),
        ("1.24.1", None, identity("x", ESP32, "custom"), ("custom", "1.24.1")),
        (None, "ESP32_GENERIC_S3", GENERIC, ("ESP32-S3", "Generic ESP32 module", "ESP32")),
        (None, "ESP8266_GENERIC", GENERIC, ("ESP8266", "Generic ESP32 module")),
        (None, "UM_TINYPICO", GENERIC, ("UM_TINYPICO", "Generic ESP32 module")),
        (None, "ESP32_GENERIC", identity("TinyPICO with ESP32", ESP32), ("TinyPICO",)),
    ],
)
def test_a_contradiction_names_both_sides(
    version: str | None, board: str | None, found: FirmwareIdentity, words: tuple[str, ...]
) -> None:
    source = FirmwareSource(name="fw", file="x", version=version, board=board)
    with pytest.raises(SourceError) as caught:
        check_declared(source, found, "the-file.bin")
    for word in ("the-file.bin", *words):
        assert word in caught.value.message
    assert "fw" in caught.value.hint
