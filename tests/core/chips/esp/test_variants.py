"""Which build of a release a board calls for, as facts and image in, words out."""

from __future__ import annotations

from typing import Any

import pytest

from provision.core.chips.esp.chips import ESP32, ESP32C2, ESP32P4, ESP32S3, ESP8266
from provision.core.chips.esp.firmware import EspFirmware, read_firmware
from provision.core.chips.esp.image_checks import image_refusals
from provision.core.chips.esp.partition_table import Partition
from provision.core.chips.esp.variants import notes
from provision.model.chip import Chip
from provision.model.state import ActualState, FirmwareIdentity
from provision.sim.esp.firmware import build
from tests.images import profile

MB = 1 << 20
APP = Partition(name="factory", type=0, subtype=0, offset=0x10000, size=3 * MB)
PLAIN = "Generic ESP32 module with ESP32"
SPIRAM = "Generic ESP32 module with SPIRAM with ESP32"
OTA = "Generic ESP32 module with OTA with ESP32"
S3 = "Generic ESP32S3 module with ESP32S3"
OCTAL = "Generic ESP32S3 module with Octal-SPIRAM with ESP32S3"
P4 = "Generic ESP32P4 module with ESP32P4"
P4_WIFI = "Generic ESP32P4 module with WIFI module of external ESP32C6 with ESP32P4"
EARLY = "Generic ESP32P4 with pre revision 3 chip with ESP32-P4"


def image(chip: Chip, machine: str | None, version: str = "1.26.1", **more: Any) -> EspFirmware:
    return read_firmware(build(chip, version, machine=machine, **more), "some.bin")


def running(chip: Chip, machine: str) -> FirmwareIdentity:
    return FirmwareIdentity(version="1.20.0", machine=machine, chip=chip)


@pytest.mark.parametrize(
    ("chip", "wanted", "facts", "said"),
    [
        (ESP32S3, S3, {"psram": 8 * MB}, "8 MB of octal PSRAM, which some.bin cannot use: "
         "the variant SPIRAM_OCT does"),
        (ESP32S3, S3, {"psram": 16 * MB}, "SPIRAM_OCT"),
        (ESP32S3, OCTAL, {"psram": 2 * MB}, "2 MB of quad PSRAM, and some.bin is for octal"),
        (ESP32S3, OCTAL, {"psram": 8 * MB}, None),
        (ESP32S3, S3, {"psram": 2 * MB}, None),
        (ESP32S3, S3, {"psram": 0}, None),
        (ESP32S3, S3, {}, None),
        (ESP32S3, "FeatherS3 with ESP32-S3", {"psram": 8 * MB}, None),  # its maker knows
        (ESP32, PLAIN, {"psram": 2 * MB}, "the variant SPIRAM does"),
        (ESP32, SPIRAM, {"psram": 2 * MB}, None),
        (ESP32, PLAIN, {"firmware": running(ESP32, SPIRAM)}, "a build with SPIRAM is on the board"),
        (ESP32, PLAIN, {"firmware": running(ESP32, OTA)}, "updates over the air end"),
        (ESP32, OTA, {"firmware": running(ESP32, OTA)}, None),
        (ESP32, PLAIN, {"firmware": running(ESP32, "M5Stack ATOM with ESP32-PICO-D4")}, None),
        (ESP32P4, P4, {"firmware": running(ESP32P4, P4_WIFI)}, "a build with WIFI is on the board"),
        (ESP8266, "ESP module (1M) with ESP8266", {"flash_size": 4 * MB}, "is a build for less"),
        (ESP8266, "ESP module (1M) with ESP8266", {"flash_size": MB}, None),
        (ESP8266, "ESP module (512K) with ESP8266", {"flash_size": MB}, "is a build for less"),
        (ESP8266, "ESP module (512K) with ESP8266", {"flash_size": MB // 2}, None),
        (ESP32C2, "Generic ESP32-C2 module with 2MiB Flash with ESP32C2", {"flash_size": 4 * MB},
         "is a build for less"),
    ],
)  # fmt: skip
def test_what_the_plan_says(
    chip: Chip, wanted: str, facts: dict[str, Any], said: str | None
) -> None:
    found = notes(image(chip, wanted), ActualState(chip=chip, **facts))
    assert len(found) == (said is not None)
    assert said is None or said in found[0]


def refusals(wanted: EspFirmware, **facts: Any) -> list[tuple[str, str]]:
    actual = ActualState(chip=wanted.chip, **facts)
    found = image_refusals(wanted, profile(wanted.chip), actual)
    return [(each.kind, each.hint or "") for each in found]


def test_an_image_for_two_cores_does_not_go_onto_a_chip_with_one() -> None:
    plain = image(ESP32, PLAIN)
    assert refusals(plain, cores=1) == [("single-core", "choose the variant UNICORE")]
    assert refusals(plain, cores=2) == refusals(plain) == []
    assert refusals(image(ESP32, "Generic ESP32 module with ESP32-UNICORE"), cores=1) == []
    assert refusals(image(ESP32, "M5Stack ATOM with ESP32-PICO-D4"), cores=1) == []


@pytest.mark.parametrize(
    ("version", "machine", "revision", "hint"),
    [
        ("1.28.0", P4, 103, None),
        ("1.28.0", P4, 301, "a release since 1.29 without PRE_REV3"),
        ("1.29.0", P4, 103, "the variant PRE_REV3"),
        ("1.29.0", P4, 300, None),
        ("1.29.0", EARLY, 103, None),
        ("1.29.0", EARLY, 300, "a release since 1.29 without PRE_REV3"),
    ],
)
def test_builds_for_an_esp32_p4_are_for_its_revision(
    version: str, machine: str, revision: int, hint: str | None
) -> None:
    found = refusals(image(ESP32P4, machine, version), revision=revision)
    assert [kind for kind, _ in found] == ([] if hint is None else ["chip-revision"])
    assert hint is None or hint in found[0][1]


def test_a_small_flash_is_told_its_build() -> None:
    big: dict[str, Any] = {"size": 3 * MB, "partitions": (APP,)}
    assert "the variant D2WD" in refusals(image(ESP32, PLAIN, **big), flash_size=2 * MB)[0][1]
    assert "the variant FLASH_2M" in refusals(image(ESP32C2, None, **big), flash_size=2 * MB)[0][1]
