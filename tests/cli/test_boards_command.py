"""`provision boards` as a user meets it."""

from __future__ import annotations

import pytest

from provision.boards import profile_from, profiles
from provision.cli.boards import BRIDGES
from tests.cli.conftest import Cli


def test_the_list_has_a_line_for_every_board(cli: Cli) -> None:
    ended = cli("boards")
    assert ended.code == 0
    header, *lines = ended.out.splitlines()
    assert header.split() == ["NAME", "CHIP", "FLASH", "DOWNLOAD", "MODE", "BOARD"]
    assert [line.split()[0] for line in lines] == list(profiles())
    assert max(map(len, lines)) <= 100


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
    assert "did you mean 'wemos-d1-mini'?" in ended.err
    assert ended.out == ""
