"""`provision discover`: ports, the devices on them, and what the boards say when asked."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner

from provision.boards import profiles
from provision.cli import main
from provision.cli.discover import port_data, table
from provision.core.chips.esp.chips import ESP32C3, ESP8266
from provision.engine.discover import ask_boards, list_ports
from provision.errors import NoAnswer, UsageError
from provision.interfaces import PortInfo
from provision.model.board import BoardProfile
from provision.model.state import (
    ActualState,
    DesiredState,
    FirmwareIdentity,
    PortKind,
    PortSelector,
)
from provision.output.style import PLAIN

BOARD = profiles()["wemos-d1-mini"]
WITH_CH340 = replace(BOARD, name="with-ch340", usb=("1a86:7523",))
PROFILES = [replace(BOARD, name="with-cp210x", usb=("10c4:ea60",)), WITH_CH340]
MAC = "5c:cf:7f:01:02:03"
PORTS = [
    PortInfo(path="/dev/ttyS0"),
    PortInfo(
        path="/dev/ttyUSB0",
        description="CP2102\x1b[2J",
        usb_id="10c4:ea60",
        serial_number="0001",
        location="1-1",
        links=("/dev/serial/by-id/cp2102", "/dev/serial/by-path/pci-1"),
    ),
    PortInfo(path="/dev/ttyUSB1", usb_id="1a86:7523", location="1-2"),
]


def device(name: str, kind: PortKind, value: str) -> DesiredState:
    return DesiredState(device=name, board=BOARD, port=PortSelector(kind=kind, value=value))


STATES = [
    device("kitchen", "serial", "0001"),
    device("far", "url", "rfc2217://host:4000"),
    device("moving", "mac", MAC),
    DesiredState(device="nowhere", board=BOARD, port=None),
]


def test_ports_carry_their_devices_and_urls_come_last() -> None:
    found = list_ports(PORTS, STATES)
    assert [(one.port.path, one.devices) for one in found] == [
        ("/dev/ttyS0", ()),
        ("/dev/ttyUSB0", ("kitchen",)),
        ("/dev/ttyUSB1", ()),
        ("rfc2217://host:4000", ("far",)),
    ]


def test_built_in_ports_are_those_with_neither_usb_nor_device() -> None:
    on_board = device("hat", "path", "/dev/ttyS0")
    assert [one.port.path for one in list_ports(PORTS, STATES) if one.built_in] == ["/dev/ttyS0"]
    assert not any(one.built_in for one in list_ports(PORTS, [*STATES, on_board]))


def test_all_adds_what_is_built_in(folder: Path) -> None:
    shown, everything = (
        {port["port"]: port for port in json.loads(discover("--json", *words)[1])["ports"]}
        for words in ((), ("--all",))
    )
    assert shown.items() <= everything.items()
    assert all(port["usb"] or port["devices"] for port in shown.values())
    assert not any(everything[path]["usb"] for path in everything.keys() - shown.keys())


def test_the_table_is_for_people() -> None:
    assert list(table(list_ports(PORTS, STATES), False, PLAIN)) == [
        "PORT                 DEVICE   USB        SERIAL  LOCATION  DESCRIPTION",
        "/dev/ttyS0           -        -          -       -",
        "/dev/ttyUSB0         kitchen  10c4:ea60  0001    1-1       CP2102",
        "  /dev/serial/by-path/pci-1",
        "/dev/ttyUSB1         -        1a86:7523  -       1-2",
        "rfc2217://host:4000  far      -          -       -",
    ]


def test_probing_asks_each_board_with_its_profile_and_finds_devices_by_mac() -> None:
    asked: list[tuple[str, BoardProfile]] = []
    identity = FirmwareIdentity(version="1.24.1", machine="ESP module", chip=ESP8266)

    def probe(address: str, board: BoardProfile) -> ActualState:
        asked.append((address, board))
        if address == "/dev/ttyUSB0":
            return ActualState(
                chip=ESP8266,
                mac="5c:cf:7f:00:00:01",
                flash_size=4 * 1024**2,
                firmware=identity,
            )
        if address == "/dev/ttyUSB1":
            return ActualState(chip=ESP32C3, mac=MAC)
        raise NoAnswer("the board does not answer")

    found = ask_boards(
        list_ports(PORTS, STATES), STATES, {"kitchen": "5c:cf:7f:00:00:01"}, PROFILES, probe
    )
    assert sorted(asked, key=lambda each: each[0]) == [
        ("/dev/ttyUSB0", BOARD),
        ("/dev/ttyUSB1", WITH_CH340),  # the likeliest for this bridge
        ("rfc2217://host:4000", BOARD),
    ]
    assert list(table(found, True, PLAIN)) == [
        "PORT                 DEVICE   CHIP      MAC                FLASH  FIRMWARE",
        "/dev/ttyS0           -        -         -                  -      not asked",
        "/dev/ttyUSB0         kitchen  ESP8266   5c:cf:7f:00:00:01  4 MB   "
        "MicroPython 1.24.1 (ESP module)",
        "  /dev/serial/by-path/pci-1",
        f"/dev/ttyUSB1         moving   ESP32-C3  {MAC}  -      no MicroPython answers",
        "rfc2217://host:4000  far      -         -                  -      "
        "the board does not answer",
    ]
    data = [port_data(one) for one in found]
    assert data[1]["probed"] == {
        "chip": "esp8266",
        "mac": "5c:cf:7f:00:00:01",
        "flash_size": 4194304,
        "firmware": {"version": "1.24.1", "machine": "ESP module", "date": ""},
    }
    assert (data[0]["probed"], data[0]["error"]) == (None, None)
    assert data[3]["error"] == "the board does not answer"
    json.dumps(data)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def terminal() -> Iterator[str]:
    if sys.platform == "win32":
        pytest.skip("pseudo terminals")
    master, slave = os.openpty()
    yield os.ttyname(slave)
    os.close(slave)
    os.close(master)


def discover(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["discover", *arguments], standalone_mode=False)
    if result.exception is not None:
        raise result.exception
    return result.return_value, result.stdout, result.stderr


def test_the_command_lists_the_devices_of_the_manifest(folder: Path, terminal: str) -> None:
    (folder / "fleet.yaml").write_text(
        "devices:\n"
        f"  kitchen: {{port: {terminal}, board: wemos-d1-mini}}\n"
        "  gone: {port: /dev/no-such-port, board: wemos-d1-mini}\n"
    )
    code, out, _ = discover("--json")
    assert code == 0
    ports = {port["port"]: port for port in json.loads(out)["ports"]}
    assert ports[terminal]["devices"] == ["kitchen"]
    assert "/dev/no-such-port" not in ports
    code, out, _ = discover(str(folder / "fleet.yaml"))
    assert any(line.split()[:2] == [terminal, "kitchen"] for line in out.splitlines())


def test_a_broken_manifest_that_lies_around_is_ignored(folder: Path) -> None:
    (folder / "fleet.yaml").write_text("devices: [")
    code, out, err = discover("--json")
    assert code == 0
    assert json.loads(out)["version"] == 1
    assert "fleet.yaml is ignored" in err
    assert "`provision validate`" in err


@pytest.mark.parametrize("port", ["rfc2217://cellar.example:4001", "/dev/ttyUSB0"])
def test_a_port_is_no_manifest(port: str) -> None:
    with pytest.raises(UsageError, match=f"{port} is a port") as raised:
        discover(port)
    assert f"`provision init {port}`" in (raised.value.hint or "")
