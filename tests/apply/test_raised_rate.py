"""Files sent at a raised line rate, as a user sees it: proved, remembered, and gone back from."""

from __future__ import annotations

import random
import signal

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import Ended, Station

LINE = "the line "
APP = random.Random(1).randbytes(40_000)


def fleet(station: Station, transfer_baud: str = "", *, board: str = "esp32") -> None:
    station.write(
        "fleet.yaml",
        f"""
        boards:
          long-cable: {{extends: esp32, transfer_baud: 230400}}
        devices:
          x:
            port: sim://x
            board: {board}
            {transfer_baud}
            files: [app.bin, main.py]
        """,
    )


def board(station: Station, **settings: str) -> None:
    settings = {"wire": "on", "latency": "1ms", "scale": "2", **settings}
    station.board("x", ESP32, station.firmware(ESP32), **settings)
    station.type("x", "1")  # it has booted
    station.write("app.bin", APP)
    station.write("main.py", "print('up')\n")


def rates(ended: Ended) -> list[str]:
    """What was said of the line's rate, each once, in short."""
    texts = [event["text"] for event in ended.of("trace")]
    return [*dict.fromkeys(text.removeprefix(LINE) for text in texts if text.startswith(LINE))]


def test_the_best_rate_that_holds_is_found_once_and_left_after_the_files(
    station: Station,
) -> None:
    board(station, bridge="460800")
    fleet(station)
    first = station.apply("-v")
    assert first.outcomes == {"x": "changed"}
    assert rates(first) == ["does not hold 921600 baud", "is at 460800 baud"]
    assert station.type("x", "6 * 7") == "42"  # at 115200 baud
    station.order("x", "measure")
    unchanged = station.apply("-v")
    assert unchanged.outcomes == {"x": "ok"}
    assert rates(unchanged) == []
    assert station.order("x", "measure")["to_chip"] < 2_000
    station.write("app.bin", APP[::-1])
    assert rates(station.apply("-v")) == ["is at 460800 baud"]
    station.write("app.bin", APP)
    fleet(station, "transfer_baud: off")
    assert rates(station.apply("-v")) == []
    station.write("app.bin", APP[::-1])
    fleet(station, "transfer_baud: 921600", board="long-cable")
    assert rates(station.apply("-v")) == ["is at 230400 baud"]


@pytest.mark.parametrize("wiring", ["none", pytest.param("auto", marks=pytest.mark.slow)])
def test_a_run_that_is_killed_amid_it_leaves_a_board_that_the_next_one_finds(
    station: Station, wiring: str
) -> None:
    board(station, wiring=wiring)
    fleet(station)
    run = station.start("apply", "-vv")
    run.until(lambda run: "is at 921600 baud" in run.err)
    run.signal(signal.SIGKILL)
    run.end()
    boots = station.order("x", "status")["boots"]
    plan = station.plan()  # which sends nothing, and finds it
    assert plan.planned("x")[0] == "write-file /app.bin"
    assert station.order("x", "status")["boots"] == boots
    assert station.apply().outcomes == {"x": "changed"}
    assert station.apply().outcomes == {"x": "ok"}
    assert station.files("x")["/app.bin"] == APP
