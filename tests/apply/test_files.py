"""Files: what is written, kept, removed and made sure of, on boards that have MicroPython."""

from __future__ import annotations

import os

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.model.chip import Chip
from tests.apply.station import Station


def test_absent_prune_and_create_only(station: Station) -> None:
    station.board("x", firmware=station.firmware(ESP32))
    station.type("x", "import os; os.mkdir('/lib'); os.mkdir('/lib/deep'); os.mkdir('/log')")
    station.put(
        "x",
        {
            "/lib/stale.py": "s",
            "/lib/deep/stale.py": "s",
            "/old.py": "o",
            "/log/kept.txt": "k",
            "/settings.json": "by the app",
        },
    )
    station.write("lib/name.py", "NAME = 1\n")
    station.write("settings.json", "factory\n")
    station.write("state.json", "factory\n")
    manifest = """
        devices:
          x:
            port: sim://x
            board: esp32
            files:
              - lib/
              - {dest: /old.py, state: absent}
              - {dest: /never-there.py, state: absent}
              - {src: settings.json, create_only: true}
              - {src: state.json, create_only: true}
            prune: [/lib]
        """
    station.write("fleet.yaml", manifest)
    ended = station.apply()
    assert ended.done("x") == [
        "delete-file /lib/deep/stale.py",
        "delete-file /lib/stale.py",
        "delete-file /old.py",
        "remove-directory /lib/deep",
        "write-file /lib/name.py",
        "write-file /state.json",
        "reset",
    ]
    files = station.files("x")
    assert files == {
        "/boot.py": files["/boot.py"],
        "/lib/name.py": b"NAME = 1\n",
        "/log/kept.txt": b"k",
        "/settings.json": b"by the app",
        "/state.json": b"factory\n",
    }
    station.write("state.json", "another factory\n")
    assert station.apply().outcomes == {"x": "ok"}


@pytest.mark.parametrize("filled", [True, False])
@pytest.mark.parametrize("chip", [ESP32, ESP8266], ids=["esp32", "esp8266"])
def test_a_directory_on_the_board_is_not_replaced_by_a_file(
    station: Station, chip: Chip, filled: bool
) -> None:
    station.board("x", chip, firmware=station.firmware(chip))
    station.type("x", "import os; os.mkdir('/app')")
    if filled:
        station.put("x", {"/app/state.json": "s"})
    before = station.files("x", chip)
    station.write("main.py", "print(1)\n")
    entry = "{src: main.py, dest: %s}"
    manifest = f"devices: {{x: {{port: sim://x, board: {chip}, files: [%s]}}}}\n"
    station.write("fleet.yaml", manifest % (entry % "/app"))
    for command in (station.plan, station.apply):
        ended = command(code=4)
        assert ended.outcomes == {"x": "refused"}
        assert "/app is a directory on the board and is to be a file" in ended.said
        assert "write `dest: /app/` to put the file into it" in ended.said
        assert station.files("x", chip) == before
    station.write("fleet.yaml", manifest % (entry % "/app/"))
    assert station.apply().outcomes == {"x": "changed"}
    assert station.files("x", chip) == {**before, "/app/main.py": b"print(1)\n"}
    # and the other advice
    station.write("fleet.yaml", manifest % "{dest: /app, state: absent}")
    assert station.apply().outcomes == {"x": "changed"}
    station.write("fleet.yaml", manifest % (entry % "/app"))
    assert station.apply().outcomes == {"x": "changed"}
    assert station.files("x", chip)["/app"] == b"print(1)\n"


def test_a_template_for_each_device(station: Station) -> None:
    image = station.firmware(ESP32)
    for name in ("desk-01", "desk-02"):
        station.board(name, firmware=image)
    station.write(
        "config.json.j2", '{"name": "{{ name }}", "seat": {{ seat }}, "room": "{{ room }}"}\n'
    )
    station.write(
        "fleet.yaml",
        """
        defaults:
          board: esp32
          vars: {room: lab}
          files: [{src: config.json.j2, dest: /config.json, template: true}]
        devices:
          desk-01: {port: sim://desk-01, vars: {seat: 1}}
          desk-02: {port: sim://desk-02, vars: {seat: 2, room: hall}}
        """,
    )
    station.apply()
    assert station.files("desk-01")["/config.json"] == (
        b'{"name": "desk-01", "seat": 1, "room": "lab"}\n'
    )
    assert station.files("desk-02")["/config.json"] == (
        b'{"name": "desk-02", "seat": 2, "room": "hall"}\n'
    )


@pytest.mark.parametrize("chip", [ESP32, ESP8266])
def test_names_and_contents_of_all_kinds(station: Station, chip: Chip) -> None:
    board = {ESP32: "esp32", ESP8266: "wemos-d1-mini"}[chip]
    station.board("x", chip, station.firmware(chip))
    contents = {
        "empty.txt": b"",
        "every byte.bin": bytes(range(256)) * 5,
        "ctrl.bin": b"\x01\x02\x03\x04\x05\r\n\x04\x04>",
        "größe/ß.py": "x = 'ä€😀'\n".encode(),
        "a/b/c/d/e.py": b"deep = True\n",
        "random.bin": os.urandom(9000),
        "zeros.bin": bytes(20_000),
    }
    for path, content in contents.items():
        station.write(f"app/{path}", content)
    station.write(
        "fleet.yaml",
        f"""
        devices:
          x: {{port: sim://x, board: {board}, files: [{{src: app/, dest: /}}]}}
        """,
    )
    station.apply()
    files = station.files("x", chip)
    files.pop("/boot.py")
    assert files == {f"/{path}": content for path, content in contents.items()}
    assert station.apply().outcomes == {"x": "ok"}


def test_out_of_space_is_told_before_the_first_byte(station: Station) -> None:
    station.board("x", firmware=station.firmware(ESP32))
    station.write("big.bin", os.urandom(2_200_000))
    station.write("a.py", "first = True\n")
    station.write(
        "fleet.yaml",
        "devices: {x: {port: sim://x, board: esp32, files: [a.py, big.bin]}}\n",
    )
    before = station.digest("x")
    for command in ("plan", "apply"):
        ended = station.provision(command)
        assert ended.code == 4
        assert "no-room: the files need " in ended.out
        assert "bytes more than the 2,0" in ended.out
        assert "let the manifest bring fewer or smaller files" in ended.out
        assert station.digest("x") == before


def test_a_file_that_does_not_fit_beside_its_old_content(station: Station) -> None:
    """Followed to the letter, the hint makes room."""
    station.board("x", firmware=station.firmware(ESP32))
    station.write("big.bin", os.urandom(1_300_000))
    fleet = "devices: {x: {port: sim://x, board: esp32, files: [%s]}}\n"
    station.write("fleet.yaml", fleet % "big.bin")
    assert station.apply().outcomes == {"x": "changed"}
    station.write("big.bin", os.urandom(1_300_000))
    ended = station.provision("apply")
    assert ended.code == 4
    once = "{dest: /big.bin, state: absent}"
    assert f"`provision apply` once with `{once}`" in " ".join(ended.out.split())
    station.write("fleet.yaml", fleet % once)
    assert station.apply().outcomes == {"x": "changed"}
    station.write("fleet.yaml", fleet % "big.bin")
    assert station.apply().outcomes == {"x": "changed"}


APP = """
    import time
    ready = {ready}
    print("app: {word}")
    """


def check(station: Station, condition: str, **app: object) -> None:
    station.write("main.py", APP.format(**{"ready": True, "word": "up", **app}))
    station.write(
        "fleet.yaml",
        f"""
        devices:
          x: {{port: sim://x, board: esp32, files: [main.py], check: {{{condition}}}}}
        """,
    )


def test_checks_prove_that_the_app_runs(station: Station) -> None:
    station.board("x", firmware=station.firmware(ESP32))
    check(station, 'console: "^app: up$", timeout: 20')
    assert station.apply().done("x") == ["write-file /main.py", "reset", "check"]

    check(station, "expression: ready and word, timeout: 1.5", word="on")
    failed = station.provision("apply", "--json")
    assert failed.code == 4
    finished = failed.finished("x")
    assert finished["code"] == "check-failed"
    assert "name 'word' isn't defined" in finished["error"]
    assert finished["hint"] == (
        "open a REPL on the port to see why the app does not start; `provision check` asks it again"
    )
    assert finished["board_state"] == "everything is written and the board restarted"

    check(station, "expression: ready, timeout: 20", ready=[1])
    assert station.apply().done("x") == ["write-file /main.py", "reset", "check"]

    check(station, 'console: "^app: up$", timeout: 0.5', word="down")
    failed = station.provision("apply")
    assert failed.code == 4
    assert "check-failed: no line with '^app: up$' on the console in 0.5 s" in failed.out
    assert "app: down" in failed.out
    assert station.lock == {"x": station.order("x", "status")["mac"]}
