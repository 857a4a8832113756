"""The command line, on virtual boards: a check that fails brings back what was there before."""

from __future__ import annotations

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.core.chips.esp.partition_table import Partition
from provision.model.chip import Chip
from provision.sim.esp.firmware import build
from tests.apply.station import FILESYSTEMS, Ended, Station

CHECK = 'check: {console: "^app: up$", timeout: 2, on_failure: rollback}'
GOOD = "print('app: up')\n"
BAD = "print('app: down')\n"
KEPT = "{src: keep.txt, dest: /keep.txt, create_only: true}"
OLD = ("main.py", "{src: lib/, dest: /lib}", KEPT)
EMPTY = ("/spare", "/data", "/data/empty")
NEW = (
    "main.py",
    "{dest: /spare, state: absent}",
    "{dest: /data/empty, state: absent}",
    "{src: pkg/, dest: /pkg}",
    "{dest: /lib/old.py, state: absent}",
    KEPT,
)


def manifest(station: Station, *files: str) -> None:
    station.write(
        "fleet.yaml",
        f"""
        defaults: {{board: esp32, files: [{", ".join(files)}]}}
        devices:
          x: {{port: sim://x, {CHECK}}}
        """,
    )


def notices(run: Ended) -> list[str]:
    return [event["message"] for event in run.of("notice", "x")]


@pytest.fixture
def before(station: Station) -> dict[str, bytes]:
    """A board that runs the old app, which has passed its check; what is on it."""
    station.board("x", firmware=station.firmware(ESP32))
    station.write("main.py", GOOD)
    station.write("lib/old.py", "old = 1\n")
    station.write("keep.txt", "the manifest's")
    manifest(station, *OLD)
    station.apply()
    station.type("x", "import os", *(f"os.mkdir({path!r})" for path in EMPTY))
    station.put("x", {"/mine.txt": "the app's own", "/keep.txt": "the app's by now"})
    return station.files("x")


def change_app(station: Station, main: str) -> None:
    station.write("main.py", main)
    station.write("pkg/deep/new.py", "new = 1\n")
    manifest(station, *NEW)


def test_a_check_that_fails_brings_the_old_files_back(
    station: Station, before: dict[str, bytes]
) -> None:
    change_app(station, BAD)
    run = station.provision("apply", "--json", "--junit", "report.xml")
    assert run.code == 4, run.said
    assert run.outcomes == {"x": "rolled-back"}
    end = run.finished("x")
    assert end["code"] == "rolled-back"
    assert "the files from before are back, and their check passed" in end["error"]
    assert run.done("x")[-4:] == ["write-file /lib/old.py", "write-file /main.py", "reset", "check"]
    assert station.files("x") == before
    assert {"make-directory /spare", "make-directory /data/empty"} <= {*run.done("x")}
    assert '<failure type="rolled-back"' in (station.work / "report.xml").read_text("utf-8")
    (kept,) = (station.home.parent / "state" / "rollback").iterdir()
    assert kept.stat().st_mode & 0o777 == 0o600
    assert kept.parent.stat().st_mode & 0o777 == 0o700

    told = station.provision("plan", "--detailed-exitcode")
    assert told.code == 6
    assert "was rolled back: the board has the files from before it" in told.said

    station.write("main.py", GOOD + "# mended\n")
    assert station.apply().outcomes == {"x": "changed"}
    back = station.provision("rollback", "-l", "x")
    assert back.code == 0, back.said
    assert "delete /pkg/deep/new.py" in back.out
    assert "rolled-back" not in back.out
    assert station.files("x") == before


def test_a_run_that_is_killed_amid_its_files_offers_both_ways(
    station: Station, before: dict[str, bytes]
) -> None:
    change_app(station, BAD)
    run = station.start("apply", "--json")
    run.until_event("stage-started", stage="files")
    run.kill()
    (told,) = notices(station.plan())
    assert "its last apply did not come to its end" in told
    assert "`provision rollback -l x` puts back those from before" in told
    ended = station.provision("rollback", "-l", "x", "--json")
    assert ended.outcomes in ({"x": "changed"}, {"x": "ok"}), ended.said
    assert station.files("x") == before


@pytest.mark.slow
def test_an_app_that_gives_nobody_its_repl_is_rolled_back(
    station: Station, before: dict[str, bytes]
) -> None:
    change_app(station, "import micropython\nmicropython.kbd_intr(-1)\nwhile True:\n    pass\n")
    run = station.provision("apply", "--json")
    assert run.outcomes == {"x": "rolled-back"}, run.said
    assert station.files("x") == before


# The firmware

BOARDS = {ESP32: "esp32", ESP8266: "wemos-d1-mini"}
MOVED = (
    Partition(name="nvs", type=1, subtype=2, offset=0x9000, size=0x6000),
    Partition(name="phy_init", type=1, subtype=1, offset=0xF000, size=0x1000),
    Partition(name="factory", type=0, subtype=0, offset=0x10000, size=0x200000),
    Partition(name="vfs", type=1, subtype=0x81, offset=0x210000, size=0x1F0000),
)


def update(station: Station, chip: Chip, image: str | None, *more: str) -> None:
    firmware = f"firmware: {{file: {image}}}, " if image is not None else ""
    files = ", ".join(("main.py", "{src: lib/, dest: /lib}", *more))
    station.write(
        "fleet.yaml",
        f"""
        devices:
          x: {{port: sim://x, board: {BOARDS[chip]}, {firmware}files: [{files}], {CHECK}}}
        """,
    )


def beside_the_files(station: Station, chip: Chip) -> bytes:
    """All of the flash but its filesystem, and what the virtual board writes to NVS by itself."""
    start, size = FILESYSTEMS[chip]
    flash = bytearray(station.flash("x"))
    flash[start : start + size] = b""
    return bytes(flash)


@pytest.mark.parametrize(
    ("chip", "moves"),
    [
        (ESP8266, False),
        pytest.param(ESP32, False, marks=pytest.mark.slow),
        (ESP32, True),
        pytest.param(ESP8266, True, marks=pytest.mark.slow),
    ],
)
def test_the_firmware_that_a_failed_check_brings_back_is_read_off_the_board(
    station: Station, chip: Chip, moves: bool
) -> None:
    station.board("x", chip, station.firmware(chip, "1.20.0"))
    station.write("main.py", GOOD)
    station.write("lib/old.py", "old = 1\n" * 100)
    update(station, chip, None)
    station.apply()
    station.put("x", {"/mine.txt": "the app's own"})
    if chip is ESP32:
        station.type("x", "import esp32; n = esp32.NVS('app'); n.set_i32('count', 7); n.commit()")
    before, beside = station.files("x", chip), beside_the_files(station, chip)

    image = station.firmware(chip)
    if moves and chip is ESP32:
        station.write(image, build(chip, "1.24.1", partitions=MOVED))
    elif moves:
        small = "ESP module (1M) with ESP8266"
        station.write(image, build(chip, "1.24.1", machine=small))
    station.write("main.py", BAD)
    station.write("lib/new.py", "new = 1\n")
    (station.work / "lib/old.py").unlink()
    update(station, chip, image, "{dest: /lib/old.py, state: absent}")
    run = station.provision("apply", "--json")
    assert run.outcomes == {"x": "rolled-back"}, run.said
    assert run.code == 4
    assert "firmware and files from before are back, and their check passed" in run.said
    assert {"write-firmware 1.24.1", "write-firmware 1.20.0"} <= {*run.done("x")}
    assert station.files("x", chip) == before
    assert beside_the_files(station, chip) == beside
    told = station.provision("plan")
    assert "was rolled back: the board has the firmware from before it (1.20.0)" in told.said

    station.write("main.py", GOOD + "# mended\n")
    assert station.apply().outcomes == {"x": "changed"}
    back = station.provision("rollback", "--json")
    assert back.code == 0, back.said
    assert "write-firmware 1.20.0" in back.planned("x")
    assert station.files("x", chip) == before
    assert beside_the_files(station, chip) == beside
