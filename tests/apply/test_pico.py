"""Boards that take their firmware as a file on a USB drive: all that is theirs alone, as a user
meets it. A virtual board's drive is a folder, and its USB socket has the board's name."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP8266
from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.model.chip import Chip
from tests.apply.station import PATIENCE, Station
from tests.sim.bench import release

BOARDS = {RP2040: "pico", RP2350: "pico2"}
EACH = pytest.mark.parametrize("chip", [RP2040, pytest.param(RP2350, marks=pytest.mark.slow)])
APP = {"main.py": "print('ready')\n", "lib/a.py": "x = 1\n"}


def fleet(station: Station, chip: Chip, version: str = "1.24.1", **device: str) -> None:
    """A fleet of one device `x` with APP."""
    image = station.firmware(chip, version)
    for path, text in APP.items():
        station.write(path, text)
    told = {"board": BOARDS[chip], "firmware": f"{{file: {image}}}", "port": "sim://x", **device}
    keys = ", ".join(f"{key}: {value}" for key, value in told.items())
    station.write("fleet.yaml", f"devices: {{x: {{{keys}, files: [main.py, lib/]}}}}\n")


def volume(station: Station, name: str = "x") -> Path:
    """The drive that a board is now."""
    where = station.order(name, "status")["volume"]
    assert where, "it is not in BOOTSEL mode"
    return Path(where)


@pytest.mark.parametrize("chip", [RP2040, RP2350])
def test_blank_to_converged_is_one_copy(station: Station, chip: Chip) -> None:
    station.board("x", chip)
    fleet(station, chip)
    refused = station.apply(code=4)
    assert "its board would be erased, and is not in fleet.lock yet" in refused.out
    ended = station.apply("--yes")
    assert ended.done("x") == [
        "erase-flash",
        "write-firmware 1.24.1",
        "make-directory /lib",
        "write-file /lib/a.py",
        "write-file /main.py",
        "reset",
    ]
    assert station.lock == {"x": bytes.fromhex(station.order("x", "status")["serial"]).hex(":")}
    assert station.files("x", chip) == {f"/{path}": text.encode() for path, text in APP.items()}
    assert station.apply().outcomes == {"x": "ok"}


@EACH
def test_an_update_keeps_every_file(station: Station, chip: Chip) -> None:
    station.board("x", chip, station.firmware(chip, "1.20.0"))
    station.put("x", {"/log.txt": "a year of data", "/main.py": APP["main.py"]})
    fleet(station, chip)
    ended = station.apply()
    assert ended.done("x") == [
        "write-firmware 1.24.1",
        "make-directory /lib",
        "write-file /lib/a.py",
        "reset",
    ]
    assert station.files("x", chip)["/log.txt"] == b"a year of data"
    assert station.apply().outcomes == {"x": "ok"}


@EACH
def test_a_run_that_is_killed_amid_the_copy_is_made_good_by_the_next(
    station: Station, chip: Chip
) -> None:
    station.board("x", chip, station.firmware(chip, "1.20.0"))
    station.put("x", {"/log.txt": "a year of data"})
    fleet(station, chip)
    run = station.start("apply", "--json")
    run.until_event("stage-started", stage="flash")
    run.kill()
    ended = station.apply()
    assert ended.outcomes == {"x": "changed"}
    assert station.files("x", chip)["/log.txt"] == b"a year of data"
    assert station.apply().outcomes == {"x": "ok"}


@EACH
def test_the_power_fails_amid_the_copy(station: Station, chip: Chip) -> None:
    """The board comes back in BOOTSEL mode, wherever the copy was cut, and the next run goes on."""
    station.board("x", chip, station.firmware(chip, "1.20.0"))
    station.put("x", {"/log.txt": "a year of data"})
    fleet(station, chip)
    station.fault("x", "cut-write", after=20)
    cut = station.provision("apply")
    assert cut.code in (4, 5), cut.said
    assert "verified" not in cut.said  # a drive shows nothing of what it took
    station.order("x", "power", on=True)
    assert volume(station).is_dir()
    assert station.apply().outcomes == {"x": "changed"}
    assert station.files("x", chip)["/log.txt"] == b"a year of data"


def test_an_image_for_another_chip_reaches_no_flash(station: Station) -> None:
    station.board("x", RP2040, station.firmware(RP2040))
    fleet(station, RP2040)
    image = station.firmware(RP2350)
    before = station.digest("x")
    fleet(station, RP2040, firmware=f"{{file: {image}}}")
    ended = station.apply("--yes", code=4)
    assert "the firmware is for the RP2350, the board pico has an RP2040" in ended.out
    assert station.digest("x") == before


def test_an_image_of_another_family_is_refused_on_a_blank_board(station: Station) -> None:
    """Nobody looks for what it would find there."""
    chips = {"a": (RP2040, "pico", ESP8266), "b": (ESP8266, "wemos-d1-mini", RP2040)}
    text = "devices:\n"
    for name, (chip, board, other) in chips.items():
        station.board(name, chip)
        image = station.firmware(other)
        text += f"  {name}: {{board: {board}, port: sim://{name}, firmware: {{file: {image}}}}}\n"
    station.write("fleet.yaml", text)
    before = {name: station.digest(name) for name in chips}
    ended = station.apply("--yes", code=4)
    assert set(ended.outcomes.values()) == {"refused"}
    for name, (chip, board, other) in chips.items():
        said = ended.finished(name)["error"]
        assert said == (
            f"the firmware is for the {other.label}, the board {board} has an {chip.label}"
        )
        assert station.digest(name) == before[name]


@EACH
def test_a_firmware_whose_app_does_not_run_is_rolled_back(station: Station, chip: Chip) -> None:
    """What is replaced is read by what runs there, before the board is a drive."""
    station.board("x", chip, station.firmware(chip, "1.20.0"))
    station.put("x", {"/log.txt": "a year of data", "/main.py": "print('old')"})
    fleet(station, chip, check='{expression: "1 == 2", on_failure: rollback}')
    ended = station.apply(code=4)
    assert ended.outcomes == {"x": "rolled-back"}, ended.said
    assert station.type("x", "import os; print(os.uname().release)") == "1.20.0"
    found = station.files("x", chip)
    assert found == {"/log.txt": b"a year of data", "/main.py": b"print('old')"}


def test_what_the_app_says_first_is_heard(station: Station) -> None:
    """Its port comes and goes with it: it is started once more when somebody listens."""
    station.board("x", RP2040, station.firmware(RP2040))
    fleet(station, RP2040, check="{console: ready, timeout: 20}")
    assert station.apply().done("x")[-2:] == ["reset", "check"]
    assert station.apply().outcomes == {"x": "ok"}


def test_a_filesystem_that_moves_with_the_build_moves_with_its_files(station: Station) -> None:
    station.board("x", RP2040, station.firmware(RP2040))
    station.put("x", {"/log.txt": "a year of data", "/main.py": APP["main.py"]})
    station.write(
        "w.uf2",
        release(
            RP2040,
            "1.24.1",
            machine="Raspberry Pi Pico W with RP2040",
        ),
    )
    fleet(station, RP2040, board="pico-w", firmware="{file: w.uf2}")
    plan = station.plan()
    assert plan.planned("x")[:2] == ["rewrite-filesystem", "write-firmware 1.24.1"]
    station.apply()
    assert station.apply().outcomes == {"x": "ok"}
    assert station.type("x", "print(open('/log.txt').read())") == "a year of data"


def test_an_rp2040_that_came_to_bootsel_mode_by_hand_is_nobody(station: Station) -> None:
    station.board("x", RP2040, station.firmware(RP2040))
    fleet(station, RP2040)
    station.apply()
    (known,) = station.lock.values()
    station.press("x", "boot", "reset")
    before = station.digest("x")
    ended = station.apply("--yes", code=4)
    assert f"the board does not report its MAC; x is {known}" in ended.out
    assert "--accept-new-board x" in ended.out
    assert station.digest("x") == before
    station.apply("--yes", "--accept-new-board", "x")
    assert station.lock == {"x": known}


def test_an_rp2350_that_came_to_bootsel_mode_by_hand_says_who_it_is(station: Station) -> None:
    station.board("x", RP2350, station.firmware(RP2350))
    fleet(station, RP2350)
    station.apply()
    station.press("x", "boot", "reset")
    ended = station.plan()
    assert ended.planned("x")[:2] == ["erase-flash", "write-firmware 1.24.1"]
    refused = station.apply(code=4)
    assert "nobody could look at what is on it" in refused.out


def test_plan_and_facts_take_no_board_to_bootsel_mode(station: Station) -> None:
    station.board("x", RP2040, station.firmware(RP2040, "1.20.0"))
    fleet(station, RP2040)
    station.plan()
    station.provision("facts")
    assert station.order("x", "status")["mode"] == "run"


def test_a_drive_that_is_full_is_told_and_the_next_run_goes_on(station: Station) -> None:
    station.board("x", RP2040)
    fleet(station, RP2040)
    (volume(station) / "firmware.uf2").symlink_to("/dev/full")
    ended = station.apply("--yes", code=4)
    assert "is full after 0 of" in ended.out
    (volume(station) / "firmware.uf2").unlink()
    assert station.apply("--yes").outcomes == {"x": "changed"}


def test_what_only_one_family_has_is_a_located_error_on_another(station: Station) -> None:
    station.write(
        "fleet.yaml",
        """
        boards: {mine: {extends: pico, flash_mode: dio}}
        devices: {x: {port: sim://x, board: mine}}
        """,
    )
    ended = station.provision("validate")
    assert ended.code == 3
    assert "fleet.yaml:1:" in ended.said
    assert "a board with an RP2040 has no flash_mode" in ended.said


def test_a_fleet_mixes_families(station: Station) -> None:
    chips = {"a": (RP2040, "pico"), "b": (RP2350, "pico2"), "c": (ESP8266, "wemos-d1-mini")}
    station.write("main.py", "print('ready')\n")
    text = "defaults: {files: [main.py]}\ndevices:\n"
    for name, (chip, board) in chips.items():
        station.board(name, chip)
        image = station.firmware(chip)
        text += f"  {name}: {{board: {board}, port: sim://{name}, firmware: {{file: {image}}}}}\n"
    station.write("fleet.yaml", text)
    assert set(station.apply("--yes").outcomes.values()) == {"changed"}
    assert set(station.apply().outcomes.values()) == {"ok"}
    facts = station.provision("facts", "--json")
    assert all(name in facts.out for name in ("rp2040", "rp2350", "esp8266"))
    assert json.loads(facts.out)


def test_an_image_is_built_for_other_tools(station: Station) -> None:
    station.board("x", RP2040)
    fleet(station, RP2040)
    ended = station.provision("image", "build", "x", "-o", "x.uf2")
    assert ended.code == 0, ended.said
    assert "picotool load -x x.uf2" in ended.out
    (volume(station) / "any.uf2").write_bytes((station.work / "x.uf2").read_bytes())
    deadline = time.monotonic() + PATIENCE
    while not station.order("x", "status")["present"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)  # the board tells only when it is asked
    assert station.files("x", RP2040)["/main.py"] == APP["main.py"].encode()
