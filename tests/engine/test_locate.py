"""Which port each device is on: by MAC, by asking the boards nobody else owns, and what is said
where that cannot be told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32
from provision.engine.locate import locate, probe
from provision.errors import DeviceError, NoAnswer, PortNotFound
from provision.model.board import ResetWiring
from provision.model.state import DesiredState, FirmwareIdentity, PortSelector
from tests.fakes.world import FakeBoard, FakeWorld
from tests.images import profile

MAC = "24:6f:28:00:00:01"
RUNS = FirmwareIdentity(version="1.24.1", machine="ESP32 module with ESP32", chip=ESP32)
BOARD = profile(ESP32)


def wanted(name: str, port: PortSelector | None) -> DesiredState:
    return DesiredState(device=name, board=BOARD, port=port)


def by_mac(mac: str = MAC) -> PortSelector:
    return PortSelector(kind="mac", value=mac)


def test_a_running_board_is_asked_at_its_repl_and_not_reset() -> None:
    board = FakeBoard(firmware=RUNS, mac=MAC)
    found = probe(FakeWorld({"/dev/a": board}), "/dev/a", BOARD)
    assert (found.chip, found.mac, found.firmware) == (ESP32, MAC, RUNS)
    assert board.log == []
    assert not board.open


def test_an_app_that_the_question_interrupted_goes_on() -> None:
    board = FakeBoard(firmware=RUNS)
    world = FakeWorld({"/dev/a": board})
    world.interrupts = True
    probe(world, "/dev/a", BOARD)
    assert board.log == ["resume"]


def test_a_blank_board_is_asked_in_its_bootloader_and_restarted() -> None:
    board = FakeBoard(mac=MAC)
    found = probe(FakeWorld({"/dev/a": board}), "/dev/a", BOARD)
    assert (found.chip, found.mac, found.firmware) == (ESP32, MAC, None)
    assert board.log == ["bootloader", "restart"]
    assert not board.open


def test_a_board_that_only_a_person_can_reset_is_left_alone() -> None:
    board = FakeBoard()
    with pytest.raises(NoAnswer):
        probe(FakeWorld({"/dev/a": board}), "/dev/a", replace(BOARD, reset=ResetWiring.NONE))
    assert board.log == []
    assert not board.open


def test_boards_that_do_not_answer_are_not_the_one_looked_for() -> None:
    world = FakeWorld({"/dev/a": FakeBoard(dead=True), "/dev/b": FakeBoard(mac=MAC)})
    assert locate([wanted("kitchen", by_mac())], world, world) == {"kitchen": "/dev/b"}


@pytest.mark.parametrize("order", [1, -1], ids=["bare first", "bare last"])
def test_boards_of_different_kinds_are_found_whatever_their_order(order: int) -> None:
    """One answers at its REPL; the other is blank and must be reset to tell its MAC, for which the
    profile of the first has no lines."""
    blank_mac = "24:6f:28:00:00:0b"
    bare = replace(BOARD, reset=ResetWiring.NONE, usb=("0403:6001",))
    states = [
        DesiredState(device="bare", board=bare, port=by_mac()),
        DesiredState(device="blank", board=BOARD, port=by_mac(blank_mac)),
    ]
    world = FakeWorld({"/dev/a": FakeBoard(mac=blank_mac), "/dev/b": FakeBoard(firmware=RUNS)})
    found = locate(states[::order], world, world)
    assert found == {"bare": "/dev/b", "blank": "/dev/a"}


def test_a_mac_that_nobody_has_says_how_many_were_asked() -> None:
    world = FakeWorld({"/dev/a": FakeBoard(dead=True), "/dev/b": FakeBoard(firmware=RUNS)})
    other = by_mac("24:6f:28:00:00:99")
    found = locate([wanted("kitchen", other), wanted("well", by_mac())], world, world)
    error = found["kitchen"]
    assert isinstance(error, PortNotFound)
    assert "24:6f:28:00:00:99 (2 ports asked)" in error.message
    assert error.hint
    assert found["well"] == "/dev/b"


def test_a_mac_that_answers_twice_is_told_and_not_chosen_from() -> None:
    world = FakeWorld({"/dev/a": FakeBoard(mac=MAC), "/dev/b": FakeBoard(mac=MAC)})
    error = locate([wanted("kitchen", by_mac())], world, world)["kitchen"]
    assert isinstance(error, DeviceError)
    assert "more than one port: /dev/a, /dev/b" in error.message
    assert "unplug" in error.hint


def test_a_device_without_a_port_says_what_to_add() -> None:
    world = FakeWorld({})
    error = locate([wanted("kitchen", None)], world, world)["kitchen"]
    assert isinstance(error, PortNotFound)
    assert "port:" in error.hint


def test_two_names_of_one_port_are_one_port(tmp_path: Path) -> None:
    real, link = tmp_path / "ttyUSB0", tmp_path / "by-id"
    real.touch()
    link.symlink_to(real)
    boards = {str(real): FakeBoard(), str(link): FakeBoard()}
    urls = ["rfc2217://pi:4000/?ign_set_control", "rfc2217://pi:4000"]
    world = FakeWorld({**boards, **{url: FakeBoard() for url in urls}})
    states = [
        wanted(f"{number}", PortSelector(kind="path", value=address))
        for number, address in enumerate([*boards, *urls])
    ]
    found = locate(states, world, world)
    assert all(isinstance(one, DeviceError) for one in found.values())
    assert "also the port of 1" in str(found["0"])
    assert "also the port of 2" in str(found["3"])
