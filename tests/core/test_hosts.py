"""`host:`: whose a device is, and what is said where it is somebody else's."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.core.hosts import host_fault, refuse_elsewhere, same_host
from provision.errors import UsageError
from tests.fleets import fleet, problems

ROOMS = """
groups:
  room1: {host: room-1}
  room2: {host: Room-2.school.example}
defaults: {board: esp32}
devices:
  kitchen: {port: /dev/ttyUSB0, groups: [room1]}
  hall: {port: /dev/ttyUSB0, groups: [room2]}
  free: {port: /dev/ttyUSB1}
  gw-[1:2]: {port: /dev/ttyUSB0, host: "gw-{{ index }}"}
  moved: {port: /dev/ttyUSB1, groups: [room1], host: gw-1}
"""


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("room-1", "room-1", True),
        ("room-1", "ROOM-1", True),
        ("room-1", "room-1.school.example", True),
        ("room-1.school.example", "Room-1", True),
        ("room-1.school.example", "room-1.school.example.", True),
        ("room-1.school.example", "room-1.other.example", False),
        ("room-1", "room-10", False),
        ("room-1", "room", False),
    ],
)
def test_a_host_is_named_in_full_or_by_its_first_label(one: str, other: str, same: bool) -> None:
    assert same_host(one, other) is same
    assert same_host(other, one) is same


@pytest.mark.parametrize("name", ["room-1", "a", "PC_7", "room-1.school.example", "7up", "x."])
def test_what_hostname_prints_is_a_name(name: str) -> None:
    assert host_fault(name) is None


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("localhost", "every computer is localhost to itself"),
        ("LocalHost.localdomain", "every computer is localhost to itself"),
        ("10.0.0.7", "is an address"),
        ("fe80::1", "is an address"),
        ("room 1", "is no name of a computer"),
        ("-a", "is no name of a computer"),
        ("room-1/../x", "is no name of a computer"),
        ("a..b", "is no name of a computer"),
        ("user@room-1", "is no name of a computer"),
        ("a\nb", "is no name of a computer"),
        ("a" * 64, "is no name of a computer"),
        (".".join(["a" * 60] * 5), "is no name of a computer"),
    ],
)
def test_what_names_no_computer_is_told(name: str, said: str) -> None:
    assert said in (host_fault(name) or "")


def test_each_device_has_the_host_of_its_last_layer(tmp_path: Path) -> None:
    states = fleet(tmp_path, ROOMS).states()
    assert {state.device: state.host for state in states} == {
        "kitchen": "room-1",
        "hall": "Room-2.school.example",
        "free": None,
        "gw-1": "gw-1",
        "gw-2": "gw-2",
        "moved": "gw-1",
    }


@pytest.mark.parametrize(
    ("host", "devices"),
    [
        ("room-1", ("kitchen",)),
        ("room-2", ("hall",)),
        ("GW-1.school.example", ("gw-1", "moved")),
    ],
)
def test_a_host_does_its_own_devices(tmp_path: Path, host: str, devices: tuple[str, ...]) -> None:
    loaded = fleet(tmp_path, ROOMS)
    assert loaded.names((), host) == devices
    assert tuple(state.device for state in loaded.states((), host)) == devices


@pytest.mark.parametrize(
    ("host", "limit", "said"),
    [
        ("rom-1", (), "no device hangs on 'rom-1'; did you mean 'room-1'?"),
        ("pi", (), "no device hangs on 'pi'; they are on Room-2.school.example, gw-1, gw-2 and 1"),
        ("room-1", ("hall,free",), "that are selected hang on other computers than room-1"),
    ],
)
def test_a_host_without_devices_is_told(
    tmp_path: Path, host: str, limit: tuple[str, ...], said: str
) -> None:
    with pytest.raises(UsageError) as caught:
        fleet(tmp_path, ROOMS).names(limit, host)
    assert said in caught.value.message


def test_a_manifest_without_hosts_has_nothing_to_select(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        fleet(tmp_path, "devices: {d: {board: esp32}}").names((), "room-1")
    assert "no device of the manifest says on which computer it hangs" in caught.value.message
    assert "`host: room-1`" in caught.value.hint


def test_ports_of_other_computers_are_no_ports_of_this_one(tmp_path: Path) -> None:
    loaded = fleet(tmp_path, ROOMS)
    assert [port.value for port in loaded.ports(host="gw-1")] == [
        "/dev/ttyUSB1",
        "/dev/ttyUSB0",
        "/dev/ttyUSB1",
    ]
    assert len(loaded.ports()) == 6


@pytest.mark.parametrize(
    ("limit", "message", "hint"),
    [
        (("hall,free",), "hall hangs on Room-2.school.example, and this is room-1", "type the"),
        (("kitchen,hall",), "hall hangs on Room-2.school.example, and this is", "add --here to"),
        (("gw-1,moved",), "gw-1 and moved hang on gw-1, and this is room-1", "(`ssh gw-1`)"),
        (("gw-*",), "2 devices hang on other computers (gw-1 and gw-2), and", "`--host gw-1`"),
    ],
)
def test_a_board_of_another_computer_is_refused(
    tmp_path: Path, limit: tuple[str, ...], message: str, hint: str
) -> None:
    with pytest.raises(UsageError) as caught:
        refuse_elsewhere(fleet(tmp_path, ROOMS).states(limit), "room-1")
    assert caught.value.message.startswith(message)
    assert hint in caught.value.hint
    assert ("--here" in caught.value.hint) == ("kitchen" in limit[0])


def test_boards_of_this_computer_and_of_none_are_not(tmp_path: Path) -> None:
    refuse_elsewhere(fleet(tmp_path, ROOMS).states(["kitchen,free"]), "room-1.school.example")


@pytest.mark.parametrize(
    ("manifest", "said"),
    [
        ("devices: {d: {board: esp32, host: localhost}}", "1:35: devices.d.host: every computer"),
        ("devices: {d: {board: esp32, host: 10.0.0.1}}", "1:35: devices.d.host: '10.0.0.1' is an"),
        ("devices: {d: {board: esp32, host: [a]}}", "devices.d.host: expected text, got a list"),
        ("devices: {d: {board: esp32, host: ''}}", "devices.d.host: expected some text"),
        (
            "devices: {'d-[1:2]': {board: esp32, host: 'a {{ index }}'}}",
            "1:43: devices.d-[1:2].host: 'a 1' is no name of a computer",
        ),
        ("devices: {d: {board: esp32, host: '{{ nme }}'}}", "devices.d.host: 'nme' is undefined"),
        (
            "{defaults: {board: esp32}, groups: {a: {host: pi}, b: {host: pi.example}}, "
            "devices: {c: {groups: [a]}, d: {groups: [b]}}}",
            "1:62: groups.b.host: 'pi.example' is 'pi' on line 1, in other words; write one of",
        ),
        (
            "{defaults: {board: esp32, host: pi}, devices: {c: {port: /dev/a}, d: {port: /dev/a}}}",
            "devices.d.port: '/dev/a' is the port of c already",
        ),
        (
            "{defaults: {board: esp32, host: 'pi-{{ number }}'}, "
            "devices: {'c-[1:2]': {port: '/dev/{{ fleet }}', host: 'pi{{ fleet }}'}}}",
            "'/dev/fleet' would be the port of c-1 and of c-2; tell them apart",
        ),
    ],
)
def test_mistakes_about_hosts_have_their_place(tmp_path: Path, manifest: str, said: str) -> None:
    found = problems(tmp_path, manifest)
    assert len([line for line in found if said in line]) >= 1, found
