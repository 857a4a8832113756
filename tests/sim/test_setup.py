"""The settings in a `sim://` address."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP8266
from provision.core.chips.rp2.chips import RP2350
from provision.errors import SimulatorError
from provision.model.board import ResetWiring
from provision.sim.setup import BoardSetup, parse_address


def setup_of(address: str) -> BoardSetup:
    return BoardSetup.from_query(*parse_address(address), Path("/nowhere"))


def test_an_address_says_what_the_board_is() -> None:
    setup = setup_of(
        "sim://desk-01?chip=esp8266&flash=1MB&mac=5C-CF-7F-01-02-03&wiring=none&wire=115200"
        "&latency=1ms&ring=256&timing=on&scale=10&heap=36k"
    )
    assert (setup.name, setup.chip, setup.flash_size) == ("desk-01", ESP8266, 1 << 20)
    assert (setup.mac, setup.wiring) == ("5c:cf:7f:01:02:03", ResetWiring.NONE)
    wire = setup.wire
    assert (wire.paced, wire.ceiling, wire.latency, wire.ring) == (True, 115200, 0.001, 256)
    assert (setup.timing, setup.scale, setup.heap) == (1.0, 10.0, 36 * 1024)


def test_a_pico_has_no_reset_lines_and_a_serial_number() -> None:
    setup = setup_of("sim://desk?chip=rp2350&serial=E6614103E7452D2F")
    assert (setup.chip, setup.flash_size, setup.wiring) == (RP2350, 4 << 20, ResetWiring.NONE)
    assert setup.serial == "e6614103e7452d2f"
    assert setup_of("sim://a?chip=rp2040").flash_size == 2 << 20
    assert setup_of("sim://a?chip=rp2040").serial != setup_of("sim://b?chip=rp2040").serial
    assert setup.contradictions({"wiring": "usb", "serial": "e6614103e7452d2f"}) == []


def test_two_boards_have_two_macs_and_one_board_keeps_its_own() -> None:
    assert setup_of("sim://a").mac != setup_of("sim://b").mac
    assert setup_of("sim://a").mac == setup_of("sim://a").mac


@pytest.mark.parametrize(
    "address",
    [
        "sim://",
        "sim://a b",
        "sim://../etc",
        "rfc2217://a",
        "sim://a?chip=esp99",
        "sim://a?flash=3MB",
        "sim://a?flash=big",
        "sim://a?mac=1:2",
        "sim://a?wiring=cross",
        "sim://a?wire=fast",
        "sim://a?latency=1",
        "sim://a?timing=1",
        "sim://a?timing=-4x",
        "sim://a?scale=0",
        "sim://a?colour=red",
        "sim://a?chip=esp32&chip=esp8266",
        "sim://a?chip=rp2040&wiring=auto",
        "sim://a?chip=rp2040&serial=1234",
    ],
)
def test_what_cannot_be_is_named(address: str) -> None:
    with pytest.raises(SimulatorError) as refusal:
        setup_of(address)
    assert refusal.value.hint


def test_a_later_opening_may_say_less_or_the_same_but_nothing_else() -> None:
    setup = setup_of("sim://a?chip=esp32c3&flash=4MB")
    assert setup.contradictions({}) == []
    assert setup.contradictions({"chip": "esp32c3", "flash": "4096k"}) == []
    assert setup.contradictions({"chip": "esp32", "timing": "on"}) == [
        "chip is esp32c3, not esp32",
        "timing is off, not on",
    ]
