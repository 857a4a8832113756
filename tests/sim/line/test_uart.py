"""The registers of a console's UART, as a program on the chip finds and sets them."""

from __future__ import annotations

import pytest

from provision.core.chips.esp.chips import (
    CHIPS,
    ESP32,
    ESP32C3,
    ESP32C5,
    ESP32C6,
    ESP32H2,
    ESP32P4,
    ESP8266,
)
from provision.model.chip import Chip
from provision.sim.esp.chips import FACTS
from provision.sim.line.uart import Uart
from provision.sim.line.wire import TOLERANCE


def made(chip: Chip, baud: int = 115200) -> Uart:
    return Uart(FACTS[chip].uart, baud)


@pytest.mark.parametrize("chip", CHIPS)
@pytest.mark.parametrize("baud", [9600, 115200, 460800, 921600, 2_000_000])
def test_a_console_starts_at_its_firmwares_rate(chip: Chip, baud: int) -> None:
    assert abs(made(chip, baud).rate - baud) <= TOLERANCE * baud


def test_what_a_real_esp32_holds_at_its_prompt() -> None:
    registers = made(ESP32).registers
    assert registers == {0x3FF40014: 0x00A00008, 0x3FF40020: 0x0400001C}


def test_one_megabaud_of_the_slow_clock_and_any_of_the_fast() -> None:
    uart = made(ESP32)
    uart.write(0x3FF40014, 1)
    assert uart.rate == 1_000_000
    uart.write(0x3FF40020, 0x0C00001C)
    uart.write(0x3FF40014, 86 | 13 << 20)
    assert uart.rate == 921_526
    uart.reset()
    assert uart.rate == made(ESP32).rate


def test_an_esp8266_has_no_sixteenths_and_starts_anew_at_a_soft_reset() -> None:
    uart = made(ESP8266)
    assert uart.registers == {0x60000014: 694}
    uart.write(0x60000014, 87 | 15 << 20)
    assert uart.rate == 80_000_000 // 87
    uart.soft_reset()
    assert uart.rate == made(ESP8266).rate


def test_a_soft_reset_leaves_the_rate_of_the_others() -> None:
    uart = made(ESP32C3)
    uart.write(0x60000014, 43 | 6 << 20)
    uart.soft_reset()
    assert abs(uart.rate - 921_600) < 2_000


@pytest.mark.parametrize(
    ("chip", "base", "divider"),
    [
        (ESP32C6, 0x60000000, 43 | 6 << 20),
        (ESP32C5, 0x60000000, 52 | 1 << 20),  # of 48 MHz
        (ESP32H2, 0x60000000, 34 | 11 << 20),  # of 32 MHz
        (ESP32P4, 0x500CA000, 43 | 6 << 20),
    ],
)
def test_the_later_chips_take_a_divider_when_they_are_told_to(
    chip: Chip, base: int, divider: int
) -> None:
    uart = made(chip)
    before = uart.rate
    uart.write(base + 0x14, divider)
    assert uart.rate == before
    uart.write(base + 0x98, 1)
    assert abs(uart.rate - 921_600) < 2_000
    assert uart.registers[base + 0x98] == 0


def test_a_divider_of_nought_divides_by_one() -> None:
    uart = made(ESP8266)
    uart.write(0x60000014, 0)
    assert uart.rate == 80_000_000


def test_other_registers_are_none_of_its() -> None:
    with pytest.raises(KeyError):
        made(ESP32).write(0x3FF4001C, 0)
