"""`provision boards` as a user meets it."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.boards import profile_from, profiles
from provision.boards.releases import names
from provision.cli.boards import BRIDGES
from tests.cli.conftest import Cli


def test_the_list_has_a_line_for_every_board(cli: Cli) -> None:
    ended = cli("boards")
    assert ended.code == 0
    header, *lines, more = ended.out.splitlines()
    assert header.split() == ["NAME", "CHIP", "FLASH", "DOWNLOAD", "MODE", "BOARD"]
    assert [line.split()[0] for line in lines] == list(profiles())
    assert max(map(len, (*lines, more))) <= 100
    assert more == (
        f"{len(names()) - len(lines)} more have the names of their releases: "
        "`provision boards WORD` searches"
    )


def test_words_find_boards(cli: Cli) -> None:
    ended = cli("boards", "xiao", "wifi")
    assert ended.code == 0
    found = {line.split()[0] for line in ended.out.splitlines()[1:]}
    assert {"SEEED_XIAO_ESP32C3", "SEEED_XIAO_ESP32S3"} <= found
    assert all("XIAO" in name for name in found)
    assert [board["release"] for board in cli("boards", "lora32", "--json").json] == [
        "LILYGO_TTGO_LORA32"
    ]
    one = cli("boards", "LILYGO_TTGO_LORA32")
    assert "LILYGO TTGO LoRa32\n  chip      ESP32\n" in one.out
    assert "https://micropython.org/download/LILYGO_TTGO_LORA32/" in one.out


def test_a_board_that_is_not_provisioned_is_said_to_be_none(cli: Cli) -> None:
    ended = cli("boards", "PYBV11")
    assert ended.code == 2
    assert "a board of MicroPython's stm32 port, which this tool does not provision" in ended.err


def test_one_board_in_full(cli: Cli) -> None:
    ended = cli("boards", "olimex-esp8266-evb")
    assert ended.code == 0
    assert "by hand. Hold the USER button, plug in the power" in ended.out
    assert "flash     2MB\n  mode      dio\n" in ended.out
    assert "ESP8266_GENERIC" in ended.out


@pytest.mark.parametrize("name", list(profiles()))
def test_every_board_can_be_shown(cli: Cli, name: str) -> None:
    ended = cli("boards", name)
    assert ended.out.startswith(f"{name}  {profiles()[name].title}\n")
    assert max(map(len, ended.out.splitlines())) <= 100


def test_every_bridge_has_a_name() -> None:
    assert {usb for board in profiles().values() for usb in board.usb} == BRIDGES.keys()


def test_json_is_what_a_manifest_takes(cli: Cli) -> None:
    listed = cli("boards", "--json").json
    assert [board["name"] for board in listed] == list(profiles())
    shown = cli("boards", "wemos-d1-mini-pro", "--json").json
    assert (shown["flash_size"], shown["header_size"]) == ("16MB", "4MB")
    for board in listed:
        name = board.pop("name")
        given = {key: value for key, value in board.items() if value is not None}
        assert profile_from(name, given, None) == profiles()[name]


def test_a_mistyped_name_is_corrected(cli: Cli) -> None:
    ended = cli("boards", "wemos-d1-mimi")
    assert ended.code == 2
    assert "did you mean 'wemos-d1-mini' or 'wemos-d1-mini-pro'" in ended.err
    assert ended.out == ""


def test_a_manifest_names_a_board_by_its_release(cli: Cli, tmp_path: Path) -> None:
    (tmp_path / "fleet.yaml").write_text(
        "boards: {mine: {extends: UM_TINYS3, flash_size: 8MB}}\n"
        "devices:\n"
        "  gate: {board: LILYGO_TTGO_LORA32, port: /dev/ttyUSB0, firmware: 1.24.1}\n"
        "  own: {board: mine, port: /dev/ttyUSB1, firmware: 1.24.1}\n"
    )
    shown = {device["name"]: device for device in cli("show", "--json").json["devices"]}
    assert shown["gate"]["firmware"]["board"] == "LILYGO_TTGO_LORA32"
    assert shown["own"]["firmware"]["board"] == "UM_TINYS3"


@pytest.mark.parametrize(
    ("board", "message"),
    [
        ("LILYGO_TTGO_LORA", "unknown board 'LILYGO_TTGO_LORA'; did you mean 'LILYGO_TTGO_LORA32'"),
        ("PYBV11", "PYBV11 is a board of MicroPython's stm32 port, which this tool does not"),
        ("wemos-d1-mimi", "unknown board 'wemos-d1-mimi'; did you mean 'wemos-d1-mini'?"),
    ],
)
def test_a_board_that_there_is_not(cli: Cli, tmp_path: Path, board: str, message: str) -> None:
    (tmp_path / "fleet.yaml").write_text(f"devices: {{a: {{board: {board}, port: /dev/x}}}}\n")
    ended = cli("validate")
    assert ended.code == 3
    assert f"fleet.yaml:1:22: devices.a.board: {message}" in ended.everything
