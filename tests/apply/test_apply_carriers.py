"""The same manifest over every carrier: only `port:` changes."""

from __future__ import annotations

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.model.chip import Chip
from tests.apply.station import Station


@pytest.mark.parametrize("chip", [ESP32, pytest.param(ESP8266, marks=pytest.mark.slow)])
def test_a_blank_board_on_another_host(station: Station, chip: Chip) -> None:
    board = {ESP32: "esp32", ESP8266: "wemos-d1-mini"}[chip]
    station.board("x", chip)
    url = station.order("x", "rfc2217")["rfc2217"]
    station.write("main.py", "print('up')\n")
    station.write(
        "fleet.yaml",
        f"""
        devices:
          x:
            port: {url}
            board: {board}
            firmware: {{file: {station.firmware(chip)}}}
            files: [main.py]
            check: {{console: "^up"}}
        """,
    )
    ended = station.apply("--yes")
    assert ended.done("x") == [
        *("erase-flash", "write-firmware 1.24.1", "write-file /main.py", "reset", "check")
    ]
    assert station.files("x", chip)["/main.py"] == b"print('up')\n"
    assert station.apply().outcomes == {"x": "ok"}


def test_a_terminal_without_reset_lines(station: Station) -> None:
    """A pseudo terminal carries bytes only: a board that runs MicroPython needs no more."""
    station.board("x", firmware=station.firmware(ESP32))
    tty = station.order("x", "pty")["pty"]
    station.write("main.py", "print('up')\n")
    station.write(
        "fleet.yaml",
        f"""
        devices:
          x: {{port: {tty}, board: esp32, files: [main.py], check: {{console: "^up"}}}}
        """,
    )
    assert station.apply().done("x") == ["write-file /main.py", "reset", "check"]
    assert station.apply().outcomes == {"x": "ok"}
