"""`provision ls`, `cat` and `cp`: files of boards, as a user types it."""

from __future__ import annotations

import hashlib
import json
import signal
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from tests.apply.station import Station

pytest.importorskip("micropython_unix")

APP = "import time\nwhile True:\n    print('up')\n    time.sleep(0.1)\n"


@pytest.fixture
def project(station: Station) -> Station:
    """Two boards with an app and files that the manifest does not have."""
    station.board("desk-1", ESP32, station.firmware(ESP32))
    station.board("desk-2", ESP8266, station.firmware(ESP8266))
    station.write("main.py", APP)
    station.write("secrets.yaml", "wifi: correct-horse\n")
    station.write("config.py.j2", "PASSWORD = {{ wifi }}\n")
    station.write(
        "fleet.yaml",
        """
        fleet: class
        defaults:
          vars: {wifi: !secret wifi}
          files: [main.py, {src: config.py.j2, dest: /config.py, template: true}]
        devices:
          desk-1: {port: sim://desk-1, board: esp32}
          desk-2: {port: sim://desk-2, board: nodemcu}
        """,
    )
    station.apply()
    return station


def files_on(station: Station, name: str, files: dict[str, bytes]) -> None:
    """What the app itself has left on its board, at its prompt."""
    station.type(
        name,
        "import os",
        *(f"f = open({path.encode()!r}, 'wb'); f.write({data!r}); f.close()"
          for path, data in files.items()),
    )  # fmt: skip


def test_ls_lists_what_is_there(project: Station) -> None:
    project.type("desk-1", "import os; os.mkdir('/log'); os.mkdir('/log/old')")
    files_on(project, "desk-1", {"/log/a.txt": b"12345", "/log/old/b": b"1"})
    ended = project.provision("ls", "desk-1:/log")
    assert (ended.code, ended.out) == (0, "5  /log/a.txt\n-  /log/old/\n")
    ended = project.provision("ls", "-R", "--json", "--sha256", "desk-1:/log", "desk-2:/main.py")
    assert ended.code == 0, ended.said
    one, two = json.loads(ended.out)
    assert [each["path"] for each in one["entries"]] == ["/log/a.txt", "/log/old", "/log/old/b"]
    assert one["entries"][0]["sha256"] == hashlib.sha256(b"12345").hexdigest()
    assert [(each["path"], each["size"]) for each in two["entries"]] == [("/main.py", len(APP))]
    ended = project.provision("ls", "--limit", "desk-2")
    assert "/main.py\n" in ended.out
    assert "desk-1" not in ended.out


def test_what_is_not_there_fails_its_device_alone(project: Station) -> None:
    ended = project.provision("ls", "--json", ":/none", "desk-1:/main.py")
    assert ended.code == 4
    one, two = json.loads(ended.out)
    assert (one["outcome"], one["error"]) == ("failed", "there is no /none on the board")
    ended = project.provision("cat", "desk-1:/none")
    assert (ended.code, ended.out) == (4, "")
    assert "there is no /none on the board" in ended.err
    assert two["outcome"] == "failed"


def test_cat_prints_a_file_and_masks_secrets(project: Station) -> None:
    ended = project.provision("cat", "desk-1:/main.py")
    assert (ended.code, ended.out) == (0, APP)
    ended = project.provision("cat", "desk-1:/config.py")
    assert ended.code == 0
    assert ended.out.startswith("PASSWORD = ")
    assert "correct" not in ended.said
    assert "a secret in /config.py was masked" in ended.err
    ended = project.provision("cat", "--json", ":/config.py")
    assert [one["files"][0]["masked"] for one in json.loads(ended.out)] == [True, True]
    assert "correct" not in ended.said


def test_the_app_goes_on_after_a_look(project: Station) -> None:
    project.provision("ls", "desk-1")
    with project.console("desk-1") as port:
        assert port.read_until(b"up\r\n").endswith(b"up\r\n")


def test_cp_fetches_files_and_folders_as_they_are(project: Station) -> None:
    project.type("desk-1", "import os; os.mkdir('/data'); os.mkdir('/data/x'); os.mkdir('/data/e')")
    every = bytes(range(256))
    files_on(project, "desk-1", {"/data/a.bin": every * 20, "/data/x/b c.txt": b"b"})
    assert project.provision("cp", "desk-1:/config.py", "here.py").code == 0
    assert (project.work / "here.py").read_text() == "PASSWORD = correct-horse\n"
    assert project.provision("cp", "desk-1:/data", "copy").code == 0
    assert read(project.work / "copy") == {"a.bin": every * 20, "x/b c.txt": b"b"}
    assert (project.work / "copy/e").is_dir()
    assert (
        project.provision("cp", "desk-1:/data", "copy").code == 0
    )  # into the folder that is there
    assert read(project.work / "copy/data") == {"a.bin": every * 20, "x/b c.txt": b"b"}
    ended = project.provision("cp", "--json", ":/main.py", "all/")
    assert ended.code == 0, ended.said
    assert read(project.work / "all") == {
        "desk-1/main.py": APP.encode(),
        "desk-2/main.py": APP.encode(),
    }
    assert not list(project.work.rglob("*.tmp"))


def test_a_hostile_board_writes_nowhere_else(project: Station) -> None:
    outside = project.write("outside/secret.txt", "kept")
    names = {"/d/..\\..\\x": b"1", "/d/C:\\x": b"2", "/d/NUL": b"3", "/d/Aa": b"4", "/d/aA": b"5"}
    project.type("desk-1", "import os; os.mkdir('/d'); os.mkdir('/d/link')")
    files_on(project, "desk-1", {**names, "/d/link/secret.txt": b"6"})
    (project.work / "there").mkdir()
    ended = project.provision("cp", "desk-1:/d", "there")
    assert ended.code == 0, ended.said
    assert read(project.work / "there/d") == {
        "..%5C..%5Cx": b"1", "C%3A%5Cx": b"2", "%4EUL": b"3", "Aa": b"4", "aA": b"5",
        "link/secret.txt": b"6",
    }  # fmt: skip
    assert "/d/NUL has the name" in ended.err
    (project.work / "there/d/link/secret.txt").unlink()
    (project.work / "there/d/link").rmdir()
    (project.work / "there/d/link").symlink_to(outside.parent)
    ended = project.provision("cp", "desk-1:/d", "there")
    assert ended.code == 4
    assert "nothing is written through it" in ended.err
    assert outside.read_text() == "kept"


def test_cp_to_boards_is_one_transfer_and_tells_what_apply_undoes(project: Station) -> None:
    project.write("lib/a.py", "A = 1\n")
    project.write("lib/deep/b.py", "B = 2\n")
    ended = project.provision("cp", "--json", "lib", ":/")
    assert ended.code == 0, ended.said
    assert set(ended.outcomes.values()) == {"changed"}
    assert not [event for event in ended.of("notice") if "apply" in event["message"]]
    for name, chip in (("desk-1", ESP32), ("desk-2", ESP8266)):
        assert project.files(name, chip)["/lib/deep/b.py"] == b"B = 2\n"
    assert set(project.provision("cp", "--json", "lib", ":/").outcomes.values()) == {"ok"}
    project.write("new.py", "print('new')\n")
    ended = project.provision("cp", "new.py", "desk-1:/main.py")
    assert ended.code == 0, ended.said
    assert "desk-1: the manifest manages /main.py: the next `provision apply`" in ended.err
    assert project.files("desk-1")["/main.py"] == b"print('new')\n"
    assert project.plan().planned("desk-1") == ["write-file /main.py", "reset"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["cp", "desk-1:/x"], "where to"),
        (["cp", "a", "b"], "one side of a copy is boards"),
        (["cp", "desk-1:/x", "desk-2:/y"], "one side of a copy is boards"),
        (["cp", "none.py", "desk-1:/x"], "none.py cannot be read"),
        (["cp", "desk-1:/../x", "."], "no `.` or `..`"),
        (["cat", "desk-1"], "name a file"),
        (["ls", "desk-9:/"], "desk-9"),
        (["ls", "-l", "desk-1", "desk-2:/"], "--limit goes with"),
        (["ls", "lib/x"], "names no place on a board"),
    ],
)
def test_what_makes_no_sense_is_said_before_any_board_is_touched(
    station: Station, words: list[str], said: str
) -> None:
    station.write("fleet.yaml", "devices: {desk-1: {port: sim://a, board: esp32}, desk-2: "
                  "{port: sim://b, board: esp32}}\n")  # fmt: skip
    ended = station.provision(*words)
    assert ended.code == 2, ended.said
    assert said in ended.err
    assert not station.home.exists() or not list(station.home.iterdir())


def test_a_board_that_is_another_is_not_looked_at(project: Station) -> None:
    lock = project.work / "fleet.lock"
    lock.write_text(lock.read_text().replace(project.lock["desk-1"], "24:6f:28:aa:bb:cc"))
    for words in (["ls", "desk-1"], ["cat", "desk-1:/main.py"], ["cp", "desk-1:/main.py", "x"]):
        ended = project.provision(*words)
        assert ended.code == 4, ended.said
        assert "24:6f:28:aa:bb:cc" in ended.err
        assert not ended.out or words[0] == "cp"
    assert not (project.work / "x").exists()


def test_a_board_whose_repl_is_dead_is_read_through_its_bootloader(project: Station) -> None:
    files_on(project, "desk-1", {"/data.bin": bytes(range(256)) * 30})
    project.fault("desk-1", "main-deaf")
    ended = project.provision("cp", "desk-1:/data.bin", "here.bin")
    assert ended.code == 0, ended.said
    assert (project.work / "here.bin").read_bytes() == bytes(range(256)) * 30
    assert "/data.bin" in project.provision("ls", "desk-1").out


@pytest.mark.parametrize("carrier", ["rfc2217", "pty"])
def test_other_carriers(project: Station, carrier: str) -> None:
    url = project.order("desk-1", carrier)[carrier]
    manifest = (project.work / "fleet.yaml").read_text().replace("sim://desk-1", url)
    project.write("fleet.yaml", manifest)
    every = bytes(range(256)) * 20
    project.write("every.bin", every)
    ended = project.provision("cp", "every.bin", "desk-1:/every.bin")
    assert ended.code == 0, ended.said
    assert project.provision("cp", "desk-1:/every.bin", "back.bin").code == 0
    assert (project.work / "back.bin").read_bytes() == every
    assert "5120  /every.bin" in project.provision("ls", "desk-1").out


def test_a_copy_that_is_interrupted_leaves_nothing_half(station: Station) -> None:
    station.board("slow", ESP32, station.firmware(ESP32), wire="on")
    station.write("big.bin", bytes(range(256)) * 400)
    station.write("fleet.yaml", "devices: {slow: {port: sim://slow, board: esp32}}\n")
    assert station.provision("cp", "big.bin", "slow:/").code == 0
    run = station.start("cp", "--json", "slow:/big.bin", "big.copy")
    run.until_event("stage-progress", stage="read-files")
    run.signal(signal.SIGINT)
    ended = run.end()
    assert ended.code == 130, ended.said
    assert sorted(each.name for each in station.work.iterdir() if "big" in each.name or
                  each.name.endswith(".tmp")) == ["big.bin"]  # fmt: skip
    assert station.provision("cp", "slow:/big.bin", "big.copy").code == 0
    assert (station.work / "big.copy").read_bytes() == bytes(range(256)) * 400


def read(folder: Path) -> dict[str, bytes]:
    """The files below a folder."""
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }
