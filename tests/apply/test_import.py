"""`provision import`: what is on a board becomes the project's own."""

from __future__ import annotations

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import Station
from tests.fakes.indexes import serve_package
from tests.fakes.web import serving

pytest.importorskip("micropython_unix")

SOURCE = "def hello():\n    return 'hello'\n"
MANIFEST = """\
# mine
devices:
  other:  # and this
    port: /dev/there-is-no-such-port
    board: esp32
    packages: [greet]

# the end
"""


def folder_of(station: Station, name: str) -> dict[str, str]:
    top = station.work / name
    return {
        path.relative_to(top).as_posix(): path.read_text()
        for path in top.rglob("*")
        if path.is_file()
    }


def test_a_board_is_as_the_manifest_says_from_then_on(
    station: Station, monkeypatch: pytest.MonkeyPatch
) -> None:
    mac = station.board("one", ESP32, station.firmware(ESP32))
    station.type("one", "import os", "os.mkdir('/lib')", "os.mkdir('/.git')")
    station.put(
        "one",
        {
            "/main.py": "print('up')\n",
            "/lib/own.py": "X = 1\n",
            "/lib/greet.py": SOURCE,
            "/.git/config": "[core] fsmonitor = evil",
            "/.envrc": "evil",
            "/secrets.yaml": "a: 1\n",
            "/a:b.txt": "odd",
        },
    )
    station.write("fleet.yaml", MANIFEST)
    with serving() as site:
        monkeypatch.setenv("PROVISION_INDEX", site.base)
        serve_package(site, "greet", {"greet.py": SOURCE.encode()}, kind="py")
        assert station.provision("lock").code == 0

        ended = station.provision("import", "sim://one")
        assert ended.code == 2
        assert "`provision import sim://one --as NAME`" in ended.err
        ended = station.provision("import", "sim://nobody", "--as", "one")
        assert ended.code == 5
        assert "`provision discover` lists" in ended.err
        ended = station.provision("import", "sim://one", "--as", "one")
    assert ended.code == 0, ended.said
    text = (station.work / "fleet.yaml").read_text()
    head, end = MANIFEST.split("\n\n")
    assert text.startswith(head + "\n  one:\n")
    assert text.endswith("    packages: [greet]\n    files: [{src: one/, dest: /}]\n\n" + end)
    assert f'mac: "{mac}"' in text
    files = folder_of(station, "one")
    assert files.pop("boot.py").startswith("#")  # the firmware's own
    assert files == {"main.py": "print('up')\n", "lib/own.py": "X = 1\n"}
    for path in ("/.git/config", "/.envrc", "/secrets.yaml", "/a:b.txt"):
        assert f"not imported: {path}: " in ended.err
    assert "/lib/greet.py" not in ended.err
    assert station.plan("-l", "one").outcomes == {"one": "ok"}
    ended = station.provision("import", "one")
    assert ended.code == 2
    assert "lines with `packages`, `files` cannot be added to the device one" in ended.err


def test_an_import_that_fails_leaves_nothing(station: Station) -> None:
    station.board("one", ESP32, station.firmware(ESP32))
    station.put("one", {"/big.txt": "line\n" * 2000, "/main.py": "print('up')\n"})
    assert station.provision("init", "sim://one").code == 0
    before = (station.work / "fleet.yaml").read_text()
    names = sorted(path.name for path in station.work.iterdir())
    station.write("board-1/mine.py", "x")
    ended = station.provision("import", "board-1")
    assert ended.code == 2
    assert "board-1 is there already" in ended.err
    station.fault("one", "unplug", bytes=6000)
    ended = station.provision("import", "board-1", "--to", "boards/one")
    assert ended.code in (4, 5), ended.said
    assert (station.work / "fleet.yaml").read_text() == before
    assert sorted(path.name for path in station.work.iterdir()) == sorted(
        [*names, "board-1", "boards"]
    )
    assert [*(station.work / "boards").iterdir()] == []
    assert folder_of(station, "board-1") == {"mine.py": "x"}
    station.order("one", "replug")
    ended = station.provision("import", "board-1", "--to", "boards/one")
    assert ended.code == 0, ended.said
    assert folder_of(station, "boards/one").keys() == {"big.txt", "main.py", "boot.py"}
