"""Apps that give their REPL once: kept from starting where a board restarts with its files kept.

Held start-up files are whole under another name, whatever happens next: the plan shows them as
themselves and the next apply puts them back.
"""

from __future__ import annotations

import random

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.model.chip import Chip
from tests.apply.station import Station

BOARDS = {ESP32: "esp32", ESP8266: "wemos-d1-mini"}
BOTH_CHIPS = pytest.mark.parametrize("chip", [ESP32, ESP8266])
# It writes down under which firmware it ran, and lets go of the REPL under the old one only.
FAITHFUL = """
import os, micropython
f = open('/ran', 'a'); f.write(os.uname().version + ';'); f.close()
while '1.24' in os.uname().version:
    micropython.kbd_intr(-1)
"""
HOLD = "import os; os.rename('/main.py', '/.provision~main.py')"


def manifest(
    station: Station, chip: Chip, files: str, version: str = "1.24.1", erase: str = "auto"
) -> None:
    station.write(
        "fleet.yaml",
        f"""
        devices:
          x:
            port: sim://x
            board: {BOARDS[chip]}
            firmware: {{file: {station.firmware(chip, version)}, erase: {erase}}}
            files: {files}
            transfer_baud: off  # so that there is time for a watchdog to bite
        """,
    )


@BOTH_CHIPS
def test_an_old_app_never_runs_on_new_firmware(station: Station, chip: Chip) -> None:
    station.board("x", chip, station.firmware(chip, "1.20.0"))
    station.put("x", {"/main.py": FAITHFUL, "/data.txt": "measured"})
    station.type("x", "import main")
    station.write("main.py", "print('new')\n")
    manifest(station, chip, "[main.py]")
    ended = station.apply()
    assert ended.planned("x") == ["write-firmware 1.24.1", "write-file /main.py", "reset"]
    assert ended.done("x") == ended.planned("x")
    files = station.files("x", chip)
    assert files["/data.txt"] == b"measured"
    assert b"1.20" in files["/ran"]
    assert b"1.24" not in files["/ran"]
    assert files["/main.py"] == b"print('new')\n"
    assert not [path for path in files if "~" in path]
    assert station.apply().outcomes == {"x": "ok"}


@BOTH_CHIPS
def test_a_held_app_is_shown_as_itself_and_put_back(station: Station, chip: Chip) -> None:
    station.board("x", chip, station.firmware(chip))
    station.put("x", {"/main.py": "print('mine')\n"})
    station.type("x", HOLD)
    station.write("other.py", "")
    manifest(station, chip, "[other.py]")
    before = station.flash("x")
    plan = station.plan("--diff")
    assert plan.planned("x") == ["restore-file /main.py", "write-file /other.py", "reset"]
    assert station.flash("x") == before, "a plan changes nothing"
    assert station.apply().done("x") == plan.planned("x")
    files = station.files("x", chip)
    assert files["/main.py"] == b"print('mine')\n"
    assert "/.provision~main.py" not in files
    assert station.apply().outcomes == {"x": "ok"}


def test_a_held_file_of_the_manifest_is_compared_as_itself(station: Station) -> None:
    station.board("x", ESP32, station.firmware(ESP32))
    station.put("x", {"/main.py": "print('same')\n", "/boot.py": "# mine\n"})
    station.type("x", HOLD)
    station.write("main.py", "print('same')\n")
    manifest(station, ESP32, "[main.py]")
    assert station.plan("--diff").planned("x") == ["restore-file /main.py", "reset"]
    station.write("main.py", "print('other')\n")
    ended = station.plan("--diff")
    assert ended.planned("x") == ["write-file /main.py", "reset"]
    (diffed,) = ended.of("file-diffed", "x")
    assert "-print('same')" in diffed["lines"]
    assert station.apply().done("x") == ["write-file /main.py", "reset"]
    files = station.files("x")
    assert files == {"/boot.py": b"# mine\n", "/main.py": b"print('other')\n"}


def test_a_held_file_gives_way_to_one_that_was_written_since(station: Station) -> None:
    station.board("x", ESP32, station.firmware(ESP32))
    station.put("x", {"/main.py": "print('old')\n"})
    station.type("x", HOLD)
    station.put("x", {"/main.py": "print('since')\n"})
    station.write("other.py", "")
    manifest(station, ESP32, "[other.py]")
    assert station.plan().planned("x") == ["write-file /other.py", "reset"]
    station.apply()
    files = station.files("x")
    assert files["/main.py"] == b"print('since')\n"
    assert "/.provision~main.py" not in files


@BOTH_CHIPS
def test_a_watchdog_that_bites_while_files_are_sent(station: Station, chip: Chip) -> None:
    """It goes on while we hold the REPL; a reset without the app disarms it."""
    station.board("x", chip, station.firmware(chip), timing="on", wire="on")
    with station.console("x") as port:
        station.press("x", "reset")  # on the first boot of all it sets up its filesystem
        assert port.read_until(b">>> ")
    app = "import time\nfrom machine import WDT\nw = WDT(timeout=3000)\n"
    app += "while 1: w.feed(); time.sleep(0.1)\n"
    station.put("x", {"/main.py": app})
    station.press("x", "reset")
    content = random.Random(1).randbytes(60_000)
    station.write("big.bin", content)
    station.write("main.py", "print('well-behaved')\n")
    manifest(station, chip, "[big.bin, main.py]")
    ended = station.apply("-vv")
    assert "retrying without the app" in ended.out
    assert ended.done("x") == ["write-file /big.bin", "write-file /main.py", "reset"]
    files = station.files("x", chip)
    assert files["/big.bin"] == content
    assert not [path for path in files if "~" in path]
    assert station.apply().outcomes == {"x": "ok"}


@pytest.mark.parametrize("chip", [ESP32, pytest.param(ESP8266, marks=pytest.mark.slow)])
def test_a_watchdog_that_bites_in_a_long_look(station: Station, chip: Chip) -> None:
    """Before an erase all of the filesystem is looked at, and what lies beside it."""
    station.board("x", chip, station.firmware(chip, "1.20.0"), wire="on")
    with station.console("x") as port:
        station.press("x", "reset")
        assert port.read_until(b">>> ")
    station.type("x", "f=open('/mine.bin','wb');f.write(b'mine'*5000);f.close()")
    app = "import time\nfrom machine import WDT\nw = WDT(timeout=1000)\n"
    app += "while 1: w.feed(); time.sleep(0.1)\n"
    station.put("x", {"/main.py": app})
    station.press("x", "reset")
    station.write("main.py", "print('well-behaved')\n")
    manifest(station, chip, "[main.py]", erase="always")
    plan = station.plan("-vv")
    assert "once more after a reset" in plan.out
    assert plan.planned("x")[0] == "erase-flash"
    assert "/mine.bin" in plan.out


def test_an_app_is_put_back_when_nothing_could_be_written(station: Station) -> None:
    """The state directory cannot be written once the app is held."""
    station.board("x", ESP32, station.firmware(ESP32, "1.20.0"))
    station.put("x", {"/main.py": "print('mine')\n"})
    manifest(station, ESP32, "[]")
    state = station.home.parent / "state"
    state.mkdir(exist_ok=True)
    (state / "flashing").write_text("a file in the journal's place")
    ended = station.apply(code=4)
    assert ended.finished("x")["board_state"] == "nothing was changed"
    files = station.files("x")
    assert files["/main.py"] == b"print('mine')\n"
    assert "/.provision~main.py" not in files


@pytest.mark.parametrize(
    "write", [1, *(pytest.param(later, marks=pytest.mark.slow) for later in (2, 3))]
)
def test_the_power_fails_while_an_app_is_held(station: Station, write: int) -> None:
    """In the middle of a write of LittleFS: the file is under one of its names, and whole."""
    station.board("x", ESP32, station.firmware(ESP32, "1.20.0"))
    station.put("x", {"/main.py": "print('mine')\n"})
    station.write("other.py", "")
    manifest(station, ESP32, "[other.py]")
    station.fault("x", "cut-write", after=write)
    ended = station.provision("apply")
    assert ended.code in (4, 5), ended.said
    found = station.files("x")
    names = [name for name in ("/main.py", "/.provision~main.py") if name in found]
    assert [found[name] for name in names] == [b"print('mine')\n"]
    station.order("x", "power", on=True)
    station.apply()
    files = station.files("x")
    assert files["/main.py"] == b"print('mine')\n"
    assert not [path for path in files if "~" in path]
    assert station.apply().outcomes == {"x": "ok"}
