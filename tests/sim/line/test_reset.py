"""Where each way of moving DTR and RTS, and of pressing buttons, leaves a board."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.core.chips.esp.chips import CHIPS, ESP32, ESP32C3, ESP32C6, ESP8266
from provision.model.chip import Chip
from provision.sim.chip.parts import Mode
from provision.sim.esp.chips import FACTS
from provision.sim.line.reset import Button
from provision.sim.setup import ResetCause, ResetKind, ResetRequest
from tests.sim.chip_bench import ChipBench

# (DTR, RTS) as the tools set them, from both asserted on opening. Those that set one line at a
# time pass through states that those setting both at once do not.
CLASSIC = [(0, 1), (0, 1), (1, 1), (1, 0), (0, 0)]
TIGHT = [(0, 0), (1, 1), (0, 1), (1, 0), (0, 0), (0, 0)]
USB_JTAG = [(1, 0), (0, 0), (1, 0), (1, 0), (1, 1), (0, 1), (0, 1), (0, 1), (0, 0)]
HARD = [(1, 1), (0, 1), (0, 0)]
HARD_FROM_REST = [(0, 0), (0, 1), (0, 0)]
CLOSE = [(1, 0), (0, 0)]  # mpremote: RTS first


def bench_of(directory: Path, chip: Chip = ESP32, **settings: str) -> ChipBench:
    bench = ChipBench(directory, chip, **settings)
    bench.board.power_on()
    bench.board.open(bench.host, dtr=True, rts=True, baud=115200)
    return bench


def move(bench: ChipBench, sequence: list[tuple[int, int]]) -> None:
    for dtr, rts in sequence:
        bench.board.circuit.lines(bool(dtr), bool(rts))


@pytest.mark.parametrize(
    ("wiring", "sequence", "mode", "boots"),
    [
        ("auto", CLASSIC, Mode.DOWNLOAD, 2),
        ("auto", TIGHT, Mode.DOWNLOAD, 2),
        ("auto", HARD, Mode.RUN, 2),
        ("auto", HARD_FROM_REST, Mode.RUN, 2),
        ("auto", CLOSE, Mode.RUN, 1),
        ("usb-jtag", USB_JTAG, Mode.DOWNLOAD, 2),
        ("usb-jtag", HARD_FROM_REST, Mode.RUN, 2),
        ("usb-jtag", CLASSIC, Mode.RUN, 2),
        ("usb-jtag", TIGHT, Mode.RUN, 2),
        ("usb-jtag", CLOSE, Mode.RUN, 1),
        ("none", CLASSIC, Mode.RUN, 1),
        ("none", TIGHT, Mode.RUN, 1),
        ("none", HARD, Mode.RUN, 1),
    ],
)
def test_where_a_sequence_ends(
    tmp_path: Path, wiring: str, sequence: list[tuple[int, int]], mode: Mode, boots: int
) -> None:
    with bench_of(tmp_path, ESP32C3, wiring=wiring) as bench:
        move(bench, sequence)
        assert bench.board.mode is mode
        assert bench.board.boots == boots


def test_opening_and_closing_a_port_resets_nothing(tmp_path: Path) -> None:
    with bench_of(tmp_path) as bench:
        bench.board.closed(bench.host)
        bench.board.open(bench.host, dtr=True, rts=True, baud=115200)
        assert bench.board.boots == 1


def test_a_chip_held_in_reset_is_dead(tmp_path: Path) -> None:
    with bench_of(tmp_path) as bench:
        move(bench, [(0, 1)])
        assert bench.board.mode is Mode.RESET
        assert not bench.application.running
        bench.board.from_host(b"hello")
        assert not bench.application.received


def test_a_port_closed_in_reset_lets_the_chip_run(tmp_path: Path) -> None:
    with bench_of(tmp_path) as bench:
        move(bench, [(0, 1)])
        bench.board.closed(bench.host)
        assert bench.board.mode is Mode.RUN


def test_both_lines_left_asserted_are_a_release_in_the_end(tmp_path: Path) -> None:
    with bench_of(tmp_path) as bench:
        move(bench, [(0, 1), (1, 1)])
        assert bench.board.mode is Mode.RESET
        bench.wait(lambda: bench.board.mode is Mode.RUN)


@pytest.mark.parametrize("wiring", ["auto", "usb-jtag", "none"])
def test_fingers_enter_download_mode_on_any_board(tmp_path: Path, wiring: str) -> None:
    with ChipBench(tmp_path, ESP32C6, wiring=wiring) as bench:
        bench.plug_in()
        bench.board.press(Button.BOOT, Button.RESET)
        assert bench.board.mode is Mode.RESET
        bench.board.release(Button.RESET)
        assert bench.board.mode is Mode.DOWNLOAD
        bench.board.release(Button.BOOT)
        assert bench.board.mode is Mode.DOWNLOAD
        bench.board.press(Button.RESET)
        bench.board.release(Button.RESET)
        assert bench.board.mode is Mode.RUN


def test_the_boot_button_alone_does_nothing(tmp_path: Path) -> None:
    with ChipBench(tmp_path) as bench:
        bench.plug_in()
        bench.board.press(Button.BOOT)
        bench.board.release(Button.BOOT)
        assert bench.board.mode is Mode.RUN
        assert bench.board.boots == 1


def test_holding_boot_while_power_comes(tmp_path: Path) -> None:
    with ChipBench(tmp_path, ESP8266, wiring="none") as bench:
        bench.board.press(Button.BOOT)
        bench.plug_in()
        assert bench.board.mode is Mode.DOWNLOAD


def test_power_off_is_the_end_and_on_a_new_start(tmp_path: Path) -> None:
    with bench_of(tmp_path) as bench:
        bench.board.power_off()
        assert bench.board.mode is Mode.OFF
        assert not bench.application.running
        move(bench, HARD)
        assert bench.board.mode is Mode.OFF
        bench.board.power_on()
        assert bench.application.boots == [ResetCause.POWER_ON] * 2


def test_pulling_the_cable_takes_port_and_power(tmp_path: Path) -> None:
    with bench_of(tmp_path) as bench:
        bench.board.unplug()
        assert bench.host.pulled
        assert bench.board.mode is Mode.OFF
        bench.board.replug()
        assert bench.board.mode is Mode.RUN
        assert not bench.board.taken


@pytest.mark.parametrize(
    ("kind", "mode", "cause"),
    [
        (ResetKind.RESET, Mode.RUN, ResetCause.SOFTWARE),
        (ResetKind.WATCHDOG, Mode.RUN, ResetCause.WATCHDOG),
        (ResetKind.BOOTLOADER, Mode.DOWNLOAD, ResetCause.POWER_ON),
    ],
)
def test_what_an_application_asks_for(
    tmp_path: Path, kind: ResetKind, mode: Mode, cause: ResetCause
) -> None:
    with bench_of(tmp_path) as bench:
        bench.application.request_reset(ResetRequest(kind=kind))
        assert bench.board.mode is mode
        assert bench.application.boots[-1] is cause


def test_deep_sleep_ends_by_itself_or_by_reset(tmp_path: Path) -> None:
    with bench_of(tmp_path, scale="1000") as bench:
        bench.application.request_reset(ResetRequest(kind=ResetKind.DEEPSLEEP, seconds=20))
        assert bench.board.mode is Mode.SLEEP
        bench.wait(lambda: bench.board.mode is Mode.RUN)
        assert bench.application.boots[-1] is ResetCause.DEEPSLEEP
        bench.application.request_reset(ResetRequest(kind=ResetKind.DEEPSLEEP))
        move(bench, HARD)
        assert bench.application.boots[-1] is ResetCause.EXTERNAL


def test_a_boot_message_at_an_odd_rate_is_garbage(tmp_path: Path) -> None:
    with bench_of(tmp_path, ESP8266) as bench:
        move(bench, TIGHT)
        assert bench.host.arrived
        assert b"ets" not in bench.host.arrived
        bench.host.arrived.clear()
        bench.board.set_host_baud(74880)
        move(bench, TIGHT)
        assert b"ets Jan  8 2013,rst cause:2, boot mode:(1,6)" in bench.host.arrived


@pytest.mark.parametrize("chip", [chip for chip in CHIPS if chip is not ESP8266])
def test_download_mode_announces_itself(tmp_path: Path, chip: Chip) -> None:
    with bench_of(tmp_path, chip) as bench:
        bench.board.set_host_baud(FACTS[chip].boot_baud)
        move(bench, TIGHT)
        assert b"\r\nwaiting for download\r\n" in bench.host.arrived
        assert b",boot:0x" in bench.host.arrived
