"""From a selector to a port: the one that is meant, or an error that names the candidates."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from serial.tools.list_ports_common import ListPortInfo

from provision.core.planning.port_choice import candidates, choose, matching
from provision.device.transport.discovery import SerialDiscovery
from provision.errors import PortNotFound, ProvisionError, UsageError
from provision.interfaces import PortInfo
from provision.model.state import PortKind, PortSelector

PORTS = [
    PortInfo(path="/dev/ttyS0"),
    PortInfo(
        path="/dev/ttyUSB0",
        description="CP2102 USB to UART Bridge Controller",
        usb_id="10c4:ea60",
        serial_number="0001",
        location="1-1.1",
        links=("/dev/serial/by-path/pci-1", "/dev/serial/by-id/cp2102"),
    ),
    PortInfo(path="/dev/ttyUSB1", usb_id="1a86:7523", location="1-1.2"),
    PortInfo(path="/dev/ttyUSB2", usb_id="10c4:ea60", serial_number="AbC", location="1-1.3:1.0"),
    PortInfo(path="/dev/ttyUSB3", usb_id="10c4:ea60", serial_number="AbC", location="1-1.3:1.1"),
]


def selector(kind: PortKind, value: str) -> PortSelector:
    return PortSelector(kind=kind, value=value)


@pytest.mark.parametrize(
    ("kind", "value", "numbers"),
    [
        ("path", "/dev/ttyUSB0", [0]),
        ("path", "/dev/serial/by-id/cp2102", [0]),
        ("path", "/dev/ttyUSB", []),
        ("serial", "0001", [0]),
        ("serial", "aBc", [2, 3]),
        ("serial", "", []),
        ("location", "1-1.2", [1]),
        ("location", "1-1", []),
        ("location", "1-1.3", [2, 3]),
        ("location", "1-1.3:1.1", [3]),
        ("usb", "1A86:7523", [1]),
        ("usb", "10c4:ea60", [0, 2, 3]),
        ("url", "socket://host:1", []),
        ("mac", "5c:cf:7f:01:02:03", []),
    ],
)
def test_what_a_selector_means(kind: PortKind, value: str, numbers: list[int]) -> None:
    found = matching(selector(kind, value), PORTS[1:])
    assert [port.path for port in found] == [f"/dev/ttyUSB{number}" for number in numbers]


def test_several_matches_name_themselves() -> None:
    with pytest.raises(UsageError) as caught:
        choose(selector("serial", "AbC"), PORTS)
    assert "/dev/ttyUSB2 (10c4:ea60, serial AbC, location 1-1.3:1.0)" in caught.value.message
    assert "/dev/ttyUSB3" in caught.value.message
    assert "by-path" in caught.value.hint


@pytest.mark.parametrize(
    ("kind", "value", "words"),
    [
        ("serial", "0002", "no port has the serial 0002; plugged in: /dev/ttyUSB0 (CP2102"),
        ("location", "9-9", "no port has the location 9-9; plugged in"),
        ("usb", "303a:1001", "no port has the USB id 303a:1001; plugged in"),
    ],
)
def test_no_match_names_what_is_there(kind: PortKind, value: str, words: str) -> None:
    with pytest.raises(PortNotFound) as caught:
        choose(selector(kind, value), PORTS)
    assert caught.value.message.startswith(words)
    with pytest.raises(PortNotFound, match="nothing is plugged in"):
        choose(selector(kind, value), PORTS[:1])


def test_what_other_devices_own_is_never_probed() -> None:
    owned = [
        selector("path", "/dev/serial/by-path/pci-1"),
        selector("location", "1-1.3"),
        selector("url", "socket://host:1"),
    ]
    assert [port.path for port in candidates(PORTS, owned)] == ["/dev/ttyUSB1"]


def test_candidates_begin_with_the_bridges_of_the_board_and_skip_built_in_ports() -> None:
    assert [port.path for port in candidates(PORTS, [], ["1A86:7523"])] == [
        "/dev/ttyUSB1", "/dev/ttyUSB0", "/dev/ttyUSB2", "/dev/ttyUSB3",
    ]  # fmt: skip


def listed(path: str, vid: int | None = None, **details: str) -> ListPortInfo:
    info = ListPortInfo(path)
    if vid is not None:
        info.vid, info.pid = vid, 0xEA60
    for name, value in details.items():
        setattr(info, name, value)
    return info


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links")
def test_ports_are_listed_with_their_links_in_natural_order(tmp_path: Path) -> None:
    first, second = tmp_path / "ttyUSB2", tmp_path / "ttyUSB10"
    by_id, by_path = tmp_path / "by-id", tmp_path / "by-path"
    for path in (first, second):
        path.touch()
    for directory in (by_id, by_path):
        directory.mkdir()
    (by_id / "cp2102").symlink_to("../ttyUSB2")
    (by_path / "pci-1").symlink_to("../ttyUSB2")
    (by_id / "dangling").symlink_to("../ttyUSB7")
    discovery = SerialDiscovery(
        lambda: [
            listed(str(second)),
            listed(str(first), 0x10C4, serial_number="0001", location="1-1", description="CP2102"),
        ],
        [by_id, by_path, tmp_path / "none"],
    )
    assert discovery.ports() == [
        PortInfo(
            path=str(first),
            description="CP2102",
            usb_id="10c4:ea60",
            serial_number="0001",
            location="1-1",
            links=(str(by_id / "cp2102"), str(by_path / "pci-1")),
        ),
        PortInfo(path=str(second)),
    ]
    assert discovery.resolve(selector("path", str(by_id / "cp2102"))) == str(by_id / "cp2102")
    assert discovery.resolve(selector("serial", "0001")) == str(first)
    assert discovery.resolve(selector("url", "socket://h:1")) == "socket://h:1"
    with pytest.raises(PortNotFound, match=r"there is no port .*dangling; plugged in: .*ttyUSB2"):
        discovery.resolve(selector("path", str(by_id / "dangling")))
    with pytest.raises(ProvisionError, match="by asking the boards"):
        discovery.resolve(selector("mac", "5c:cf:7f:01:02:03"))


def test_this_computer_can_be_listed() -> None:
    assert all(port.path for port in SerialDiscovery().ports())


def test_names_of_ports_may_go_while_they_are_listed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """/dev/serial/by-id is there only while something is plugged in."""
    monkeypatch.setattr(Path, "is_dir", lambda _: True)  # it was, a moment ago
    gone = SerialDiscovery(lambda: [ListPortInfo("/dev/ttyUSB0")], [tmp_path / "by-id"])
    assert [port.path for port in gone.ports()] == ["/dev/ttyUSB0"]
