"""`provision reset` on virtual boards, over every carrier."""

from __future__ import annotations

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import CARRIERS, Station


@pytest.mark.parametrize("carrier", CARRIERS)
def test_the_board_restarts_and_its_app_runs(station: Station, carrier: str) -> None:
    station.board("x", firmware=station.firmware(ESP32))
    station.put("x", {"/main.py": "import time\nwhile True: print('app: up'); time.sleep(0.1)"})
    station.write(
        "fleet.yaml",
        f"devices: {{x: {{port: '{station.port('x', carrier)}', board: esp32}}}}\n",
    )
    before = station.order("x", "status")["boots"]
    ended = station.provision("reset", "--json")
    assert ended.code == 0, ended.said
    assert ended.done("x") == ["reset"]
    assert ended.outcomes == {"x": "ok"}
    assert station.order("x", "status")["boots"] == before + 1
    assert "resetting" in station.provision("reset", "-l", "x").err
    with station.console("x") as port:
        assert port.read_until(b"app: up").endswith(b"app: up")


def test_another_board_is_left_alone(station: Station) -> None:
    station.board("x", firmware=station.firmware(ESP32))
    station.write(
        "fleet.yaml",
        "devices: {x: {port: 'sim://x', board: esp32, mac: '24:6f:28:00:00:99'}}\n",
    )
    before = station.order("x", "status")["boots"]
    ended = station.provision("reset")
    assert ended.code == 4
    assert "the board on this port is" in ended.err
    assert station.order("x", "status")["boots"] == before


def test_a_device_named_as_a_manifest_is_told_how(station: Station) -> None:
    station.write("fleet.yaml", "devices: {x: {port: 'sim://x', board: esp32}}\n")
    ended = station.provision("reset", "x")
    assert ended.code == 2
    assert "write `provision reset --limit x`" in ended.err
