"""`apply --fresh`: between two lessons boards hold what the manifest names, and start their app."""

from __future__ import annotations

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import Station

pytest.importorskip("micropython_unix")

APP = "import time\nwhile True:\n    print('up')\n    time.sleep(0.1)\n"
NAMES = ("desk", "new")


@pytest.fixture
def lesson(station: Station) -> Station:
    """Two boards after a lesson; no run has met the second."""
    for name in NAMES:
        station.board(name, ESP32, station.firmware(ESP32))
    station.write("main.py", APP)
    station.write(
        "fleet.yaml",
        """
        defaults: {board: esp32, files: [main.py]}
        devices:
          desk: {port: 'sim://desk', check: {console: up}}
          new: {port: 'sim://new'}
        """,
    )
    station.apply("-l", "desk")
    for name in NAMES:
        station.type(name, "import os; os.mkdir('/games')")
        station.put(name, {"/games/snake.py": "mine", "/notes.txt": "mine"})
    return station


def starts(station: Station) -> dict[str, int]:
    return {name: station.order(name, "status")["boots"] for name in NAMES}


def test_what_nobody_named_goes_and_apps_start(lesson: Station) -> None:
    plan = lesson.plan("--fresh", "-l", "desk", "--detailed-exitcode", code=6)
    gone = ["/games/snake.py", "/notes.txt"]
    assert plan.planned("desk") == [
        *(f"delete-file {path}" for path in gone), "remove-directory /games",
        "delete-file /boot.py", "reset", "check",
    ]  # fmt: skip
    ended = lesson.provision("apply", "--fresh")
    assert ended.code == 2
    assert "nobody can be asked" in ended.err
    before = starts(lesson)

    run = lesson.start("apply", "--fresh", terminal=True)
    run.until(lambda run: "does not name from desk and new? [y/N]: " in run.err)
    assert starts(lesson) == before
    run.answer("y\n")
    asked = (
        "new: delete 3 files of this board, which no run has met yet ('/games/snake.py', "
        "'/notes.txt' and '/boot.py')?"
    )
    run.until(lambda run: asked in " ".join(run.err.split()))
    run.answer("n\n")
    ended = run.end()
    assert ended.code == 4
    assert "deleting its files was declined" in ended.said
    assert lesson.files("desk") == {"/main.py": APP.encode()}
    assert lesson.files("new").keys() == {*gone, "/boot.py"}
    after = starts(lesson)
    assert [after[name] > before[name] for name in NAMES] == [True, False]
    assert lesson.plan("-l", "desk").outcomes == {"desk": "ok"}, "its check counts as ever"

    ended = lesson.apply("--fresh", "--yes")
    assert ended.outcomes == {"desk": "ok", "new": "changed"}
    assert ended.done("desk") == ["reset"]
    assert lesson.files("new") == {"/main.py": APP.encode()}
    assert all(count > after[name] for name, count in starts(lesson).items())
