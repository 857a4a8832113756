"""Which port each device is on: by MAC, by asking the boards nobody else owns, and what is said
where that cannot be told."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from serial.tools.list_ports_common import ListPortInfo

from provision.core.chips.esp.chips import ESP32
from provision.device.transport.discovery import SerialDiscovery
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


def test_ports_are_listed_once_for_all() -> None:
    """However many devices are not plugged in, or are looked for by what the system tells of a
    port: a listing takes milliseconds, and fleets have thousands."""
    listings = []

    def listing() -> list[ListPortInfo]:
        listings.append(1)
        return []

    selectors = [
        *(PortSelector(kind="path", value=f"/dev/none{number}") for number in range(9)),
        PortSelector(kind="serial", value="0001"),
        PortSelector(kind="location", value="1-1"),
        by_mac(),
    ]
    states = [wanted(str(number), port) for number, port in enumerate(selectors)]
    found = locate(states, SerialDiscovery(listing, []), FakeWorld({}))
    assert len(found) == len(states)
    assert all(isinstance(one, PortNotFound) for one in found.values())
    assert listings == [1]


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


MACS = {name: f"24:6f:28:00:00:{number:02x}" for number, name in enumerate("abcd", 10)}


def on_port(name: str, *, mac: str | None = None) -> DesiredState:
    return replace(wanted(name, PortSelector(kind="path", value=f"/dev/{name}")), mac=mac)


def seats(**boards: str) -> FakeWorld:
    """A running board on each port: which one, by the device that it is."""
    return FakeWorld(
        {
            f"/dev/{port}": FakeBoard(firmware=RUNS, mac=MACS[board])
            for port, board in boards.items()
        }
    )


def fleet(*names: str) -> list[DesiredState]:
    return [on_port(name, mac=MACS[name]) for name in names]


def test_boards_that_changed_places_are_followed_only_when_asked_to() -> None:
    world = seats(a="b", b="c", c="a")
    own = {name: f"/dev/{name}" for name in "abc"}
    assert locate(fleet(*"abc"), world, world) == own
    assert not any(board.log for board in world.boards.values())
    assert locate(fleet(*"abc"), world, world, match_by_mac=True) == {
        "a": "/dev/c", "b": "/dev/a", "c": "/dev/b",
    }  # fmt: skip


def test_a_board_on_a_port_that_is_no_devices_is_followed_there() -> None:
    world = seats(elsewhere="a", b="b")
    found = locate(fleet("a", "b"), world, world, match_by_mac=True)
    assert found == {"a": "/dev/elsewhere", "b": "/dev/b"}


def test_a_device_whose_port_another_board_followed_to_is_left_without() -> None:
    """Whether its own board is known and answers nowhere, or not known at all."""
    world = seats(a="b", b="d")
    unknown = on_port("a")
    for state in (unknown, *fleet("a")):
        found = locate([state, *fleet("b")], world, world, match_by_mac=True)
        assert found["b"] == "/dev/a"
        assert isinstance(found["a"], PortNotFound)
        assert found["a"].message.startswith("on its port /dev/a is the board of b")


def test_a_device_whose_board_does_not_answer_keeps_its_port() -> None:
    world = seats(a="a", b="b")
    world.boards["/dev/a"].dead = True
    found = locate(fleet("a", "b"), world, world, match_by_mac=True)
    assert found == {"a": "/dev/a", "b": "/dev/b"}


def test_the_ports_of_devices_that_are_left_out_are_not_asked() -> None:
    world = seats(a="b", b="a")
    ports = [state.port for state in fleet("a", "b") if state.port is not None]
    found = locate(fleet("a"), world, world, owned=ports, match_by_mac=True)
    assert found == {"a": "/dev/a"}
    assert world.boards["/dev/b"].log == []


def test_any_port_is_where_the_board_with_the_devices_mac_is() -> None:
    world = seats(x="a", y="b", z="c")
    states = [wanted(name, PortSelector(kind="any", value="any")) for name in ("a", "b", "unknown")]
    states = [replace(state, mac=MACS.get(state.device)) for state in states]
    found = locate(states, world, world)
    assert (found["a"], found["b"]) == ("/dev/x", "/dev/y")
    assert isinstance(found["unknown"], PortNotFound)
    assert "nothing says which board it is" in found["unknown"].message
    assert "mac:" in (found["unknown"].hint or "")
