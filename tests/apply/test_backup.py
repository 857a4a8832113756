"""`provision backup` and `restore`, as a user types it: what comes back is what was there."""

from __future__ import annotations

import hashlib
import json
import random
import signal
import stat
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.model.board_path import path_bytes
from provision.model.chip import Chip
from tests.apply.station import FILESYSTEMS, ROOT, Station
from tests.apply.test_board_files import APP, files_on, read
from tests.filesystems import read_filesystem

pytest.importorskip("micropython_unix")

SCHEMA = json.loads((ROOT / "schemas/backup.schema.json").read_text())
BOARDS = {ESP32: "esp32", ESP8266: "nodemcu"}


def the_backup(station: Station, device: str = "desk") -> tuple[Path, dict[str, Any]]:
    (folder,) = (station.work / "backups" / device).iterdir()
    record = json.loads((folder / "backup.json").read_text())
    jsonschema.validate(record, SCHEMA)
    return folder, record


def manifest_of(station: Station, name: str = "desk", chip: Chip = ESP32) -> None:
    station.write(
        "fleet.yaml",
        f"""
        devices:
          desk:
            port: sim://{name}
            board: {BOARDS[chip]}
            firmware: {{file: {station.firmware(chip)}}}
            files: [main.py]
            check: {{console: up}}
        """,
    )


@pytest.fixture
def project(station: Station) -> Station:
    """A board with the manifest's app, and files of the app's own."""
    station.board("desk", ESP32)
    station.write("main.py", APP)
    manifest_of(station)
    station.apply("--yes")
    station.type("desk", "import os; os.mkdir('/log'); os.mkdir('/empty')")
    files_on(station, "desk", {"/log/a.bin": bytes(range(256)) * 30, "/état.txt": b"x"})
    return station


def test_a_backup_has_all_that_is_on_a_board(project: Station) -> None:
    project.type("desk", "f = open(b'/raw\\xff', 'wb'); f.write(b'raw'); f.close()")
    ended = project.provision("backup", "desk")
    assert ended.code == 0, ended.said
    assert "may hold passwords" in ended.err
    folder, record = the_backup(project)
    assert ended.out.strip() == f"desk: backups/desk/{folder.name}"
    on_board = {each["path"]: (folder / each["file"]).read_bytes() for each in record["files"]}
    assert on_board.pop("/raw\udcff") == b"raw"
    assert on_board == {"/main.py": APP.encode(), "/log/a.bin": bytes(range(256)) * 30,
                        "/état.txt": b"x"}  # fmt: skip
    assert record["directories"] == ["/empty", "/log"]
    assert record["mac"] == project.lock["desk"]
    assert (record["chip"], record["through"]) == ("esp32", "repl")
    assert record["firmware"]["version"] == "1.24.1"
    assert [part["name"] for part in record["partitions"]] == ["nvs", "phy_init", "factory", "vfs"]
    image = (project.work / project.firmware(ESP32)).read_bytes()
    assert (folder / "firmware.bin").read_bytes() == image
    for path in (folder, *folder.rglob("*")):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600)
    before = read(folder)
    assert project.provision("backup", "desk").code == 0
    assert read(folder) == before
    assert len(list((project.work / "backups/desk").iterdir())) == 2


def test_the_whole_flash_goes_along_when_it_is_asked_for(project: Station) -> None:
    ended = project.provision("backup", "--flash", "--to", "kept", "desk")
    assert ended.code == 0, ended.said
    (folder,) = (project.work / "kept/desk").iterdir()
    flash = (folder / "flash.bin").read_bytes()
    assert len(flash) == 4 << 20
    assert hashlib.sha256(flash).hexdigest() == project.digest("desk")
    record = json.loads((folder / "backup.json").read_text())
    assert record["flash"]["sha256"] == project.digest("desk")


def test_a_backup_comes_back(project: Station) -> None:
    assert project.provision("backup").code == 0
    folder, _ = the_backup(project)
    before = project.files("desk")
    project.type("desk", "import os; os.remove('/log/a.bin'); os.rmdir('/log'); os.rmdir('/empty')")
    files_on(project, "desk", {"/main.py": b"print('other')", "/new.txt": b"new"})
    ended = project.provision("restore", "desk", str(folder))
    assert ended.code == 4
    assert "would be made" in ended.err
    assert "delete /new.txt" in ended.out
    assert project.files("desk")["/new.txt"] == b"new"
    ended = project.provision("restore", "--json", "--yes", "desk", str(folder))
    assert ended.code == 0, ended.said
    assert project.files("desk") == before
    assert "/empty" in project.provision("ls", "desk").out
    ended = project.provision("restore", "--json", "desk", str(folder))
    assert ended.outcomes == {"desk": "ok"}
    assert project.apply().outcomes == {"desk": "ok"}  # its check has passed on this state


def test_the_question_can_be_answered(project: Station) -> None:
    assert project.provision("backup").code == 0
    folder, _ = the_backup(project)
    files_on(project, "desk", {"/new.txt": b"new"})
    for answer, code in (("n", 4), ("y", 0)):
        run = project.start("restore", "desk", str(folder), terminal=True)
        run.until(lambda run: "[y/N]" in run.err + run.out)
        run.answer(answer + "\n")
        assert run.end().code == code
        assert ("/new.txt" in project.files("desk")) == (answer == "n")


@pytest.mark.parametrize(
    ("chip", "dead"),
    [
        (ESP32, False),
        (ESP8266, False),
        (ESP32, True),
        pytest.param(ESP8266, True, marks=pytest.mark.slow),
    ],
)
def test_onto_a_blank_board_of_the_same_kind(station: Station, chip: Chip, dead: bool) -> None:
    """Of a board that answers, and of one whose REPL is dead."""
    station.board("old", chip)
    station.write("main.py", APP)
    manifest_of(station, "old", chip)
    station.apply("--yes")
    files_on(station, "old", {"/data.bin": random.Random(1).randbytes(9000)})
    if dead:
        station.fault("old", "main-deaf")
    before = station.files("old", chip)
    ended = station.provision("backup")
    assert ended.code == 0, ended.said
    folder, record = the_backup(station)
    assert record["through"] == ("bootloader" if dead else "repl")
    assert station.files("old", chip) == before
    station.board("new", chip)
    manifest_of(station, "new", chip)
    if dead:
        manifest = station.work / "fleet.yaml"
        manifest.write_text(manifest.read_text().replace("check: {console: up}", ""))
    ended = station.provision("restore", "--yes", "desk", str(folder))
    assert ended.code == 4, ended.said
    assert "--new-board" in ended.err, ended.err
    ended = station.provision("restore", "--json", "--yes", "--new-board", "desk", str(folder))
    assert ended.code == 0, ended.said
    assert station.files("new", chip) == before
    assert station.lock["desk"] != record["mac"]


def test_the_firmware_comes_out_of_the_backup(project: Station) -> None:
    """Also where the manifest wants another one meanwhile."""
    assert project.provision("backup").code == 0
    folder, _ = the_backup(project)
    manifest = project.work / "fleet.yaml"
    newer = project.firmware(ESP32, "1.26.1")
    manifest.write_text(manifest.read_text().replace(project.firmware(ESP32), newer))
    project.apply("--yes")
    ended = project.provision("restore", "--json", "--yes", "desk", str(folder))
    assert ended.code == 0, ended.said
    assert "write-firmware 1.24.1" in ended.done("desk")
    assert project.files("desk")["/log/a.bin"] == bytes(range(256)) * 30


def test_another_board_needs_the_word_for_it(project: Station) -> None:
    assert project.provision("backup").code == 0
    folder, record = the_backup(project)
    record["mac"] = "24:6f:28:00:11:22"
    (folder / "backup.json").write_text(json.dumps(record))
    files_on(project, "desk", {"/new.txt": b"new"})
    ended = project.provision("restore", "--yes", "desk", str(folder))
    assert ended.code == 4
    assert "the backup is of the board 24:6f:28:00:11:22" in ended.err
    assert "--new-board" in ended.err
    assert "/new.txt" in project.files("desk")


DAMAGES = {
    "cut": ("main.py", b"print", "is not what was backed up"),
    "gone": ("main.py", None, "cannot be read"),
    "no record": ("backup.json", None, "there is no backup in"),
    "half a record": ("backup.json", b'{"version": 1, "dev', "cannot be read"),
    "a newer record": ("backup.json", b'{"version": 2}', "its version is 2"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_backup_is_refused_before_the_board_is_touched(
    project: Station, damage: str
) -> None:
    assert project.provision("backup").code == 0
    folder, _ = the_backup(project)
    name, content, said = DAMAGES[damage]
    target = folder / "files" / name if name == "main.py" else folder / name
    target.unlink()
    if content is not None:
        target.write_bytes(content)
    before = project.digest("desk")
    ended = project.provision("restore", "--yes", "desk", str(folder))
    assert ended.code == 2, ended.said
    assert said in ended.err
    assert project.digest("desk") == before
    if damage == "cut":
        ended = project.provision("restore", "--yes", "desk", str(folder.parent))
        assert f"the newest below it is {folder}".split("/")[-1] in ended.err


def test_a_backup_leads_to_nothing_outside_of_it(project: Station) -> None:
    assert project.provision("backup").code == 0
    folder, record = the_backup(project)
    project.write("outside.txt", "outside")
    content = b"outside"
    for file, path in (("../../../outside.txt", "/x"), ("files/main.py", "/../x")):
        entry = {"path": path, "file": file, "size": len(content),
                 "sha256": hashlib.sha256(content).hexdigest()}  # fmt: skip
        (folder / "backup.json").write_text(json.dumps({**record, "files": [entry]}))
        ended = project.provision("restore", "--yes", "desk", str(folder))
        assert ended.code == 2, ended.said


def test_an_interrupted_backup_is_none(station: Station) -> None:
    station.board("desk", ESP32, station.firmware(ESP32), wire="on")
    station.write("main.py", APP)
    manifest_of(station)
    station.write("big.bin", random.Random(2).randbytes(60_000))
    assert station.provision("cp", "big.bin", "desk:/").code == 0
    for number in (signal.SIGINT, signal.SIGKILL):
        run = station.start("backup", "--json")
        run.until_event("stage-progress", stage="read-files")
        run.signal(number)
        run.end()
        left = [path.name for path in (station.work / "backups/desk").iterdir()]
        assert len(left) == (number == signal.SIGKILL)
        for name in left:
            assert name.startswith(".")
            ended = station.provision("restore", "--yes", "desk", f"backups/desk/{name}")
            assert (ended.code, "was interrupted" in ended.err) == (2, True)
    assert station.provision("backup").code == 0


def test_a_restore_that_was_killed_is_finished_by_the_next(station: Station) -> None:
    station.board("desk", ESP32, station.firmware(ESP32), wire="on")
    station.write("main.py", APP)
    manifest_of(station)
    station.apply()
    for number in range(6):
        station.write(f"data/{number}.bin", random.Random(number).randbytes(6_000))
    assert station.provision("cp", "data", "desk:/").code == 0
    assert station.provision("backup").code == 0
    folder, _ = the_backup(station)
    before = station.files("desk")
    station.type("desk", "import os", *(f"os.remove('/data/{n}.bin')" for n in range(6)))
    run = station.start("restore", "--json", "--yes", "desk", str(folder))
    run.until_event("stage-progress", stage="files")
    run.signal(signal.SIGKILL)
    run.end()
    ended = station.provision("restore", "--json", "--yes", "desk", str(folder))
    assert ended.code == 0, ended.said
    assert station.files("desk") == before


def raw_files(station: Station, name: str, chip: Chip) -> dict[bytes, bytes]:
    """The files in a board's flash, read with littlefs-python, by their names as they are."""
    start, size = FILESYSTEMS[chip]
    found = read_filesystem(station.flash(name)[start : start + size], "latin-1")
    return {path.encode("latin-1"): data for path, data in found.items()}


def random_tree(rng: random.Random) -> dict[str, bytes]:
    """Files of any names and sizes, some in folders, some with names that are no text."""
    alphabet = [*"abcXYZ09 _-.~!'\"\\%", "é", "日", "\udcff", "\udc80"]
    folders = [""]
    for _ in range(rng.randrange(6)):
        folders.append(f"{rng.choice(folders)}/d{''.join(rng.choices(alphabet, k=4))}d")
    files = {}
    for _ in range(rng.randrange(1, 25)):
        name = "f" + "".join(rng.choices(alphabet, k=rng.randrange(1, 20)))
        size = rng.choice([0, 1, 200, 4096, rng.randrange(9000)])
        files[f"{rng.choice(folders)}/{name}"] = rng.randbytes(size)
    return files


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(30))
def test_random_trees_come_back_onto_a_blank_board(station: Station, seed: int) -> None:
    rng = random.Random(seed)
    chip = rng.choice([ESP32, ESP8266])
    version = rng.choice(["1.20", "1.24.1"])
    image = station.firmware(chip, version)
    station.board("old", chip)
    station.board("new", chip)
    station.write("main.py", APP)
    template = (
        "devices: {desk: {port: sim://%s, board: %s, firmware: {file: %s}, files: [main.py]}}"
    )
    station.write("fleet.yaml", template % ("old", BOARDS[chip], image))
    station.apply("--yes")
    tree = random_tree(rng)
    for path, data in tree.items():
        place = station.work / "tree" / path[1:]
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    ended = station.provision("cp", *(str(each) for each in (station.work / "tree").iterdir()),
                              "desk:/")  # fmt: skip
    assert ended.code == 0, ended.said
    dead = rng.random() < 0.4
    if dead:
        station.fault("old", "main-deaf")
    before = raw_files(station, "old", chip)
    ended = station.provision("backup")
    assert ended.code == 0, ended.said
    folder, record = the_backup(station)
    # An old MicroPython can be interrupted before it has mounted anything, whatever its app does.
    caught_early = dead and version == "1.20" and record["through"] == "repl"
    assert caught_early or record["through"] == ("bootloader" if dead else "repl")
    assert {path_bytes(each["path"]) for each in record["files"]} == set(before)
    station.write("fleet.yaml", template % ("new", BOARDS[chip], image))
    ended = station.provision("restore", "--json", "--yes", "--new-board", "desk", str(folder))
    assert ended.code == 0, ended.said
    assert raw_files(station, "new", chip) == before
    if not dead:
        with station.console("new") as port:
            assert port.read_until(b"up\r\n").endswith(b"up\r\n")
