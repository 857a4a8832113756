"""A check of several steps on a virtual board: names, limits, values, and where it stops."""

from __future__ import annotations

import json

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import Ended, Station

APP = """
import time
supply = 3.31
def adc(): return supply
def wifi(): return "up"
print("ready: kitchen")
while True:
    time.sleep(1)
"""


def apply(station: Station, check: str, *, app: str = APP, code: int = 0) -> Ended:
    if not (station.home / "x").exists():
        station.board("x", ESP32, station.firmware(ESP32))
    station.write("main.py", app)
    station.write(
        "fleet.yaml",
        "devices:\n  x:\n    port: sim://x\n    board: esp32\n    files: [main.py]\n"
        f"    check:\n{check}",
    )
    return station.apply(code=code)


def results(ended: Ended) -> list[tuple[str, bool, object]]:
    told = [event["result"] for event in ended.of("step-checked", "x")]
    return [(one["name"], one["passed"], one["value"]) for one in told]


STEPS = """
      - {name: boots, console: "ready: .*", timeout: 20}
      - {name: supply, expression: "adc()", min: 3.2, max: 3.4}
      - {name: wifi, expression: "wifi()"}
"""


def test_steps_pass_one_after_the_other_and_tell_their_values(station: Station) -> None:
    ended = apply(station, STEPS)
    assert results(ended) == [
        ("boots", True, "ready: kitchen"),
        ("supply", True, "3.31"),
        ("wifi", True, "'up'"),
    ]
    assert ended.done("x")[-1] == "check"
    again = station.apply()
    assert again.outcomes == {"x": "ok"}
    assert results(again) == [], "what has passed on this state is not asked again"
    asked = station.provision("check", "fleet.yaml")
    assert asked.code == 0
    assert "x: supply 3.31 (3.2 to 3.4)" in asked.said
    assert "x: wifi 'up'" in asked.said


def test_the_first_step_that_fails_ends_it(station: Station) -> None:
    ended = apply(
        station,
        """
      - {name: supply, expression: "adc()", min: 3.4, timeout: 1.5}
      - {name: wifi, expression: "wifi()"}
""",
        code=4,
    )
    assert results(ended) == [("supply", False, "3.31")]
    error = ended.finished("x")["error"]
    assert error.startswith("supply: adc() gave 3.31, less than 3.4 after")
    assert ended.finished("x")["code"] == "check-failed"
    assert station.plan("--json").planned("x") == ["reset", "check"]


def test_a_step_that_needs_longer_gets_its_own_time(station: Station) -> None:
    """What was passed before it is not asked again after a restart."""
    up = "def up(): return time.ticks_diff(time.ticks_ms(), t) > 2500"
    slow = f"import time\nt = time.ticks_ms()\n{up}\n{APP}"
    ended = apply(
        station,
        """
      - {name: wifi, expression: "wifi()"}
      - {name: long, expression: "up()", timeout: 20}
""",
        app=slow,
    )
    assert [(name, passed) for name, passed, _ in results(ended)] == [
        ("wifi", True),
        ("long", True),
    ]


def test_a_line_that_does_not_come_names_its_step(station: Station) -> None:
    ended = apply(station, "      - {name: boots, console: never, timeout: 1}\n", code=4)
    assert results(ended) == [("boots", False, None)]
    assert ended.finished("x")["error"].startswith("boots: ")


def test_mistakes_in_steps_are_told_where_they_are(station: Station) -> None:
    station.write(
        "fleet.yaml",
        """
        devices:
          x:
            port: sim://x
            board: esp32
            check:
              - {expression: "a()"}
              - {name: one, expression: "a("}
              - {name: one, console: x, min: 1}
              - {name: two, expression: b, min: 2, max: 1}
              - {name: three}
        """,
    )
    ended = station.provision("validate", "fleet.yaml")
    assert ended.code == 3
    for line, told in (
        (6, "check[0]: needs a `name`"),
        (7, "check[1].expression: 'a(' is not an expression"),
        (8, "check[2].name: a second step 'one'"),
        (8, "check[2].min: `min` has no meaning beside `console`"),
        (9, "check[3]: `min` 2 is more than `max` 1"),
        (10, "check[4]: needs `expression` or `console`"),
    ):
        assert any(
            one.startswith(f"fleet.yaml:{line}:") and told in one for one in ended.said.splitlines()
        ), told


def test_show_lists_the_steps(station: Station) -> None:
    station.write("main.py", APP)
    station.write(
        "fleet.yaml",
        f"devices:\n  x:\n    port: sim://x\n    board: esp32\n    check:\n{STEPS}",
    )
    shown = json.loads(station.provision("show", "--json", "fleet.yaml").out)
    steps = shown["devices"][0]["check"] if "devices" in shown else shown[0]["check"]
    assert [one["name"] for one in steps] == ["boots", "supply", "wifi"]
    assert (steps[1]["min"], steps[1]["max"]) == (3.2, 3.4)
    assert "supply: `adc()` from 3.2 to 3.4 within 10 s" in station.provision("show").out
