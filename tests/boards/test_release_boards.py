"""Boards by the names of their releases: the list that was imported from MicroPython."""

from __future__ import annotations

import pytest

from provision.boards import profiles
from provision.boards.releases import catalogue, names, release_profile, search
from provision.core.chips.esp.chips import ESP32, ESP32S3
from provision.core.chips.registry import CHIPS, chip_of_release


def test_a_board_by_its_release() -> None:
    board = release_profile("LILYGO_TTGO_LORA32")
    assert board is not None
    assert (board.name, board.release, board.title) == (
        "LILYGO_TTGO_LORA32", "LILYGO_TTGO_LORA32", "LILYGO TTGO LoRa32",
    )  # fmt: skip
    generic = profiles()["esp32"]
    assert (board.chip, board.settings) == (ESP32, generic.settings)
    assert board.quirks == ()  # that of the generic builds' variants is none of its own
    assert release_profile("ESP32_GENERIC_S3") is not None


def test_what_is_said_of_a_chip_holds_for_its_boards() -> None:
    nano = release_profile("M5STACK_NANOH2")
    assert nano is not None
    assert "It has no Wi-Fi" in nano.quirks[0]
    generic = release_profile("ESP32_GENERIC_P4")
    assert generic is not None
    assert "variants: C5_WIFI (Support for external C5 WiFi/BLE)" in generic.quirks[-1]


@pytest.mark.parametrize("name", catalogue().boards)
def test_every_board_of_a_chip_that_is_provisioned_has_a_profile(name: str) -> None:
    board = catalogue().boards[name]
    told = chip_of_release(name)
    assert told is None or told.name == board.chip
    if board.chip not in CHIPS:
        with pytest.raises(ValueError, match=f"{name} has an .*, which this tool does not"):
            release_profile(name)
        return
    profile = release_profile(name)
    assert profile is not None
    assert profile.chip.name == board.chip
    assert profile.release == name
    assert name in names()


def test_a_board_of_another_port_is_named_as_such() -> None:
    with pytest.raises(ValueError, match="PYBV11 is a board of MicroPython's stm32 port"):
        release_profile("PYBV11")


def test_a_name_that_is_nearly_one() -> None:
    with pytest.raises(ValueError, match="did you mean 'LILYGO_TTGO_LORA32'"):
        release_profile("LILYGO_TTGO_LORA")
    assert release_profile("wemos-d1-mimi") is None


def test_words_find_boards() -> None:
    assert [board.name for board in search(("xiao", "s3"))] == ["SEEED_XIAO_ESP32S3"]
    found = [board.name for board in search(("d1 mini",))]
    assert found == ["wemos-d1-mini", "wemos-d1-mini-pro"]
    assert {board.chip for board in search(("esp32s3", "battery"))} == {ESP32S3}
    assert list(search(("no", "such", "thing"))) == []
