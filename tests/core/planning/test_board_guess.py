"""Which board is guessed from what can be seen, and what is said beside."""

from __future__ import annotations

import pytest

from provision.boards import profiles
from provision.core.chips.esp.chips import ESP32, ESP32S3, ESP8266
from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.core.planning.board_guess import guess_board
from provision.model.chip import Chip

MB = 1 << 20


@pytest.mark.parametrize(
    ("chip", "size", "usb", "board", "reason"),
    [
        (ESP8266, 4 * MB, "1a86:7523", "wemos-d1-mini",
         "guessed from ESP8266, 4 MB, USB 1a86:7523; lolin-nodemcu and nodemcu would fit as well"),
        (ESP8266, 16 * MB, "10c4:ea60", "wemos-d1-mini-pro",
         "guessed from ESP8266, 16 MB, USB 10c4:ea60"),
        (ESP8266, 4 * MB, "10c4:ea60", "esp8266",
         "ESP8266, 4 MB, USB 10c4:ea60; may be adafruit-feather-huzzah, adafruit-huzzah-breakout, "
         "lolin-nodemcu or nodemcu"),
        (ESP8266, 1 * MB, "1a86:7523", "esp8266-1m", "guessed from ESP8266, 1 MB, USB 1a86:7523"),
        (ESP8266, 2 * MB, "1a86:7523", "esp8266", "ESP8266, 2 MB, USB 1a86:7523"),
        (ESP8266, 16 * MB, None, "wemos-d1-mini-pro", "guessed from ESP8266, 16 MB"),
        (ESP8266, None, "1a86:7523", "esp8266", "ESP8266, USB 1a86:7523"),
        (ESP32, 4 * MB, "dead:beef", "esp32", "ESP32, 4 MB, USB dead:beef"),
        (ESP32S3, 8 * MB, "303a:1001", "esp32s3", "ESP32-S3, 8 MB, USB 303a:1001"),
    ],
)  # fmt: skip
def test_the_guess_and_its_reason(
    chip: Chip, size: int | None, usb: str | None, board: str, reason: str
) -> None:
    guess = guess_board(chip, size, usb, profiles().values())
    assert guess is not None
    assert (guess.board.name, guess.reason) == (board, reason)


@pytest.mark.parametrize(
    ("chip", "machine", "board", "reason"),
    [
        (RP2040, "Raspberry Pi Pico W with RP2040", "pico-w",
         "its firmware is for the Raspberry Pi Pico W"),
        (RP2350, "Raspberry Pi Pico2 with RP2350-RISCV", "pico2",
         "its firmware is for the Raspberry Pi Pico2"),
        (RP2040, "Another board with RP2040", "rp2040", "RP2040, USB 2e8a:0005"),
    ],
)  # fmt: skip
def test_a_banner_may_name_the_board(chip: Chip, machine: str, board: str, reason: str) -> None:
    guess = guess_board(chip, None, "2e8a:0005", profiles().values(), machine)
    assert guess is not None
    assert (guess.board.name, guess.reason) == (board, reason)


def test_no_profile_no_guess() -> None:
    assert guess_board(ESP32, 4 * MB, None, []) is None


def test_every_guess_is_of_the_chip_and_may_have_the_flash() -> None:
    for board in profiles().values():
        for usb in (None, *board.usb):
            guess = guess_board(board.chip, board.flash_size, usb, profiles().values())
            assert guess is not None
            assert guess.board.chip == board.chip
            assert guess.board.flash_size in (None, board.flash_size)
