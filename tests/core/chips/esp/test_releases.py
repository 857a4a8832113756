"""What the names in banners say of the chip."""

from __future__ import annotations

import pytest

from provision.core.chips.esp.chips import ESP32, ESP32H2
from provision.core.chips.esp.releases import chip_of_machine
from provision.model.chip import Chip


@pytest.mark.parametrize(
    ("machine", "chip"),
    [
        ("Olimex ESP32 EVB with ESP32-EVB", ESP32),
        ("a board with ESP32-D0WDQ6", ESP32),
        ("a board with ESP32H2", ESP32H2),
        ("a board with ESP32-H21", None),
        ("a board with ESP32-E22", None),  # and not the ESP32
    ],
)
def test_a_chip_that_is_not_known_is_none_of_those_that_are(
    machine: str, chip: Chip | None
) -> None:
    assert chip_of_machine(machine) == chip
