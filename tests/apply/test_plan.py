"""`provision plan` says what apply would do and changes nothing: not a byte of flash, not the
state of a REPL, and an app that ran runs again."""

from __future__ import annotations

import pytest

from provision.core.chips.esp.chips import ESP32, ESP32C3
from tests.apply.station import Station

MANIFEST = """
    defaults: {board: esp32, files: [main.py, lib/]}
    devices: {x: {port: sim://x}}
    """


@pytest.fixture
def project(station: Station) -> Station:
    """A board with MicroPython, and a project with two files for it."""
    station.board("x", firmware=station.firmware(ESP32))
    station.write("main.py", "print('one')\n")
    station.write("lib/name.py", "NAME = 1\n")
    station.write("fleet.yaml", MANIFEST)
    return station


def test_a_repl_that_answers_is_not_even_reset(project: Station) -> None:
    station = project
    station.type("x", "kept = 'in RAM'")
    boots = station.order("x", "status")["boots"]
    before = station.digest("x")

    for words in (["plan"], ["plan", "--diff"], ["apply", "--check"]):
        planned = station.provision(*words)
        assert planned.code == 0, planned.said
        assert "make the directory /lib" in planned.out
        assert "write /main.py (13 B)" in planned.out
        assert "Plan: 1 device: 1 to change (2 files), 0 without changes" in planned.out

    assert station.digest("x") == before
    assert station.order("x", "status")["boots"] == boots
    assert station.type("x", "kept") == "'in RAM'"
    assert station.lock == {}, "a plan learns no board"


def test_the_exit_code_tells_pending_changes_only_when_asked(project: Station) -> None:
    station = project
    assert station.plan().outcomes == {"x": "pending"}
    pending = station.plan("--detailed-exitcode", code=6)
    assert pending.of("run-finished")[0]["exit_code"] == 6
    checked = station.apply("--check", "--detailed-exitcode", code=6)
    assert checked.all_done == {}
    station.apply()
    assert station.plan("--detailed-exitcode").outcomes == {"x": "ok"}


def test_an_app_that_ran_runs_again(station: Station) -> None:
    station.board("x", firmware=station.firmware(ESP32))
    station.write(
        "main.py",
        """
        import time
        print("started")
        while True:
            print("beat")
            time.sleep_ms(50)
        """,
    )
    station.write("lib/name.py", "NAME = 1\n")
    station.write("fleet.yaml", MANIFEST)
    station.apply()
    station.write("lib/name.py", "NAME = 2\n")
    boots = station.order("x", "status")["boots"]
    before = station.digest("x")
    with station.console("x") as console:
        console.read_until(b"beat\r\n")
    assert station.plan().planned("x") == ["write-file /lib/name.py", "reset"]
    with station.console("x") as console:
        console.read_until(b"beat\r\n")
    assert station.digest("x") == before
    assert station.order("x", "status")["boots"] == boots, "by a soft reset, not by the lines"


def test_a_blank_board_stays_blank(station: Station) -> None:
    station.board("x", ESP32C3)
    station.write("main.py", "print('one')\n")
    station.write(
        "fleet.yaml",
        f"""
        devices:
          x:
            port: sim://x
            board: esp32c3
            firmware: {{file: {station.firmware(ESP32C3)}}}
            files: [main.py]
        """,
    )
    planned = station.plan()
    assert planned.planned("x") == [
        "erase-flash",
        "write-firmware 1.24.1",
        "write-file /main.py",
        "reset",
    ]
    assert station.flash("x").count(b"\xff") == 4 << 20


SECRET = "correct horse battery"


def test_a_diff_shows_what_changes_and_no_secret(project: Station) -> None:
    station = project
    station.apply()
    station.write("main.py", "print('one')\nprint('two')\n")
    station.write("lib/picture.bin", b"\0\1\2")
    station.write("wifi.py.j2", "PASSWORD = {{ password | tojson }}\n")
    station.write("secrets.yaml", f"wifi: {SECRET}\n").chmod(0o600)
    station.write(
        "fleet.yaml",
        """
        defaults: {board: esp32, files: [main.py, lib/]}
        devices:
          x:
            port: sim://x
            vars: {password: !secret wifi}
            files: [{src: wifi.py.j2, dest: /wifi.py, template: true}]
        """,
    )
    shown = station.provision("plan", "--diff")
    assert shown.code == 0, shown.said
    assert [line for line in shown.out.splitlines() if "print(" in line or "@@" in line] == [
        "@@ -1 +1,2 @@",
        " print('one')",
        "+print('two')",
    ]
    assert "--- board:/main.py" in shown.out
    assert "+++ manifest:/main.py" in shown.out
    assert "/lib/picture.bin: missing -> 3 bytes; not shown, it is not text" in shown.out
    assert "not shown, it holds secrets" in shown.out
    assert SECRET not in shown.said


def test_a_flash_that_differs_though_its_banner_agrees_is_found_on_request(
    project: Station,
) -> None:
    station = project
    image = station.firmware(ESP32)
    more = f", firmware: {{file: {image}, verify: VERIFY}}}}}}"
    manifest = MANIFEST.replace("}}", more)
    with station.flash_file("x").open("r+b") as flash:
        flash.seek(0x8000 + 0xBFF)  # behind the last entry of the partition table
        flash.write(b"\0")
    station.write("fleet.yaml", manifest.replace("VERIFY", "banner"))
    station.apply()
    assert station.apply().outcomes == {"x": "ok"}
    station.write("fleet.yaml", manifest.replace("VERIFY", "flash"))
    files = station.files("x")
    ended = station.apply()
    assert ended.done("x") == ["write-firmware 1.24.1", "reset"]
    (planned,) = ended.of("device-planned")
    assert planned["plan"]["actions"][0]["reason"] == (
        "the flash differs from the image: partition table"
    )
    assert station.files("x") == files
    assert station.apply().outcomes == {"x": "ok"}
