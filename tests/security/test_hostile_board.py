"""A board answers and prints what it likes; the terminal, the logs and the memory bear it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import Station

CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
ESCAPES = "\\x1b]0;owned\\x07\\x1b[2J\\x1b[31mred\\x9b1A\\x08\\u202eevil\\r"
REPORTS = ("--log-file", "log.txt", "--junit", "junit.xml", "--html", "run.html")
SMALL = 1 << 20  # bytes: what a run may leave of a board that never stops to talk


@pytest.fixture
def board(station: Station) -> Station:
    station.board("x", firmware=station.firmware(ESP32))
    return station


def manifest(station: Station, check: str) -> None:
    station.write(
        "fleet.yaml",
        f"devices: {{x: {{port: 'sim://x', board: esp32, files: [main.py], check: {check}}}}}\n",
    )


def left_behind(station: Station) -> dict[str, str]:
    """All that a run has written, by name."""
    records = Path(station.environment["PROVISION_STATE_DIR"]).rglob("*.jsonl")
    paths = [*records, *(station.work / name for name in ("log.txt", "junit.xml", "run.html"))]
    return {path.name: path.read_text(encoding="utf-8") for path in paths}


@pytest.mark.parametrize(
    ("main", "check"),
    [
        (f"print('{ESCAPES}')\n", "{console: never, timeout: 2}"),
        (
            f"class E(Exception):\n    pass\ndef check():\n    raise E('{ESCAPES}')\n",
            '{expression: "check()", timeout: 2}',
        ),
        (f"def check():\n    return '{ESCAPES}'\n", '{expression: "int(check())", timeout: 2}'),
    ],
    ids=["printed", "raised", "answered"],
)
def test_no_control_sequence_of_a_board_gets_through(board: Station, main: str, check: str) -> None:
    board.write("main.py", main)
    manifest(board, check)
    ended = board.provision("apply", "-vv", *REPORTS)
    assert ended.code == 4, ended.said
    texts = {"output": ended.said, **left_behind(board)}
    for name, text in texts.items():
        assert CONTROLS.search(text) is None, (name, CONTROLS.findall(text))
    for line in texts[next(name for name in texts if name.endswith(".jsonl"))].splitlines():
        assert CONTROLS.search(str(json.loads(line))) is None, "hidden in an escape of JSON"


def test_a_board_that_never_stops_to_talk(board: Station) -> None:
    board.write("main.py", "while True:\n    print('flood ' * 40)\n")
    manifest(board, "{console: never, timeout: 3}")
    ended = board.provision("apply", "-vv", *REPORTS)
    assert ended.code == 4, ended.said
    assert "no line with 'never' on the console in 3 s" in ended.err
    assert len(ended.said) < SMALL
    assert sum(map(len, left_behind(board).values())) < SMALL
