"""Ports that cannot be had, or go away: what the user reads, and that the rest goes on."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32, ESP8266
from tests.apply.station import Station


def one_device(port: str, more: str = "") -> str:
    return f"""
        devices:
          x: {{port: "{port}", board: esp32, files: [main.py]{more}}}
        """


@contextmanager
def program_on(path: str) -> Iterator[int]:
    """Another program that has the port open; its process id."""
    code = f"import os; os.open({path!r}, os.O_RDWR | os.O_NOCTTY); print(flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as program:
        assert program.stdout is not None
        program.stdout.readline()
        yield program.pid
        program.communicate()


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="the owner is looked up in /proc")
def test_a_port_taken_by_another_program_names_it(station: Station) -> None:
    station.board("x", firmware=station.firmware(ESP32))
    tty = station.order("x", "pty")["pty"]
    station.write("main.py", "print('new')\n")
    station.write("fleet.yaml", one_device(tty))
    with program_on(tty) as pid:
        ended = station.provision("apply")
        assert ended.code == 5
        assert f"port-busy: {tty} is in use by process {pid} ({sys.executable}" in ended.out
        assert "hint: close the other program that uses the port" in ended.err
    assert station.apply().outcomes == {"x": "changed"}


def test_two_runs_at_once_the_second_says_who_has_the_port(station: Station) -> None:
    wiring = {"wiring": "none"}
    station.board("x", ESP8266, **wiring)
    station.board("y", firmware=station.firmware(ESP32))
    station.write("main.py", "print('new')\n")
    station.write(
        "fleet.yaml",
        f"""
        defaults: {{files: [main.py]}}
        devices:
          x:
            port: sim://x
            board: esp8266-bare
            firmware: {{file: {station.firmware(ESP8266)}}}
          y: {{port: sim://y, board: esp32}}
        """,
    )
    first = station.start("apply", "--yes", "--json", terminal=True)
    first.until_event("manual-action-needed", device="x")  # it has the port until somebody comes
    first.until_event("device-finished", device="y")
    second = station.apply(code=5)
    assert second.outcomes == {"x": "unreachable", "y": "ok"}
    finished = second.finished("x")
    assert finished["code"] == "port-busy"
    assert f"sim://x is in use by process {first.process.pid} (" in finished["error"]
    assert finished["error"].endswith("for device x")
    station.press("x", "boot", "reset")
    assert first.end().code == 0
    assert set(station.lock) == {"x", "y"}


def test_nothing_plugged_in_does_not_hinder_the_others(station: Station) -> None:
    station.board("here", firmware=station.firmware(ESP32))
    station.board("pulled")
    station.fault("pulled", "unplug")
    station.write("main.py", "print('new')\n")
    station.write(
        "fleet.yaml",
        """
        defaults: {board: esp32, files: [main.py]}
        devices:
          gone: {port: /dev/no-such-port}
          pulled: {port: sim://pulled}
          serial: {port: {serial: no-such-serial}}
          here: {port: sim://here}
        """,
    )
    ended = station.provision("apply")
    assert ended.code == 5
    assert "port-not-found: there is no port /dev/no-such-port" in ended.out
    assert "port-not-found: sim://pulled: no such file or directory" in ended.out
    assert "no-such-serial" in ended.out
    assert "gone:   hint: plug the board in" in ended.err
    assert "changed=1 ok=0 failed=0 unreachable=3" in ended.out


# Root passes every permission check, but not without these capabilities (linux/capability.h).
AS_A_USER = """
import ctypes, os, sys
PR_CAPBSET_DROP, CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 24, 1, 2
for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
    if ctypes.CDLL(None).prctl(PR_CAPBSET_DROP, capability, 0, 0, 0):
        sys.exit("capabilities cannot be dropped here")
os.execv(sys.executable, [sys.executable, *sys.argv[1:]])
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="permissions as Linux has them")
def test_no_permission_says_what_to_do_and_that_it_is_not_sudo(station: Station) -> None:
    station.write("main.py", "print('new')\n")
    master, slave = pty.openpty()
    try:
        tty = os.ttyname(slave)
        Path(tty).chmod(0)
        station.write("fleet.yaml", one_device(tty))
        ended = station.provision("apply", wrapper=AS_A_USER if os.geteuid() == 0 else None)
    finally:
        os.close(master)
        os.close(slave)
    if "cannot be dropped" in ended.err:
        pytest.skip("runs as root, and may not drop root's capabilities")
    assert ended.code == 5, ended.said
    assert f"port-denied: no permission to open {tty}" in ended.out
    assert "hint: " in ended.err
    assert "group" in ended.err
    assert "sudo" in ended.err


@pytest.mark.parametrize("carrier", ["sim", "pty"])
def test_a_cable_pulled_during_the_upload(station: Station, carrier: str) -> None:
    chip, board = (ESP8266, "wemos-d1-mini") if carrier == "sim" else (ESP32, "esp32")
    station.board("x", chip, station.firmware(chip))
    port = "sim://x" if carrier == "sim" else station.order("x", "pty")["pty"]
    manifest = one_device(port).replace("esp32", board)
    data = os.urandom(60_000)
    station.write("data.bin", data)
    station.write("main.py", "print('old')\n")
    station.write("fleet.yaml", manifest)
    station.apply()

    station.write("main.py", "print('new')\n")
    station.write("fleet.yaml", manifest.replace("[", "[data.bin, "))
    station.fault("x", "unplug", bytes=30_000)
    cut = station.provision("apply")
    assert cut.code == 5, cut.said
    assert f"port-lost: {port}" in cut.out
    assert (
        "x:   the board: update incomplete: every file is intact, some still the old version"
        in cut.err
    )
    if carrier == "sim":
        assert "hint: connect the board directly to the computer" in cut.err
    else:
        assert f"{port} vanished while in use" in cut.out
        assert "hint: plug the board in again" in cut.err
    files = station.files("x", chip)
    assert files["/main.py"] == b"print('old')\n"
    assert "/data.bin" not in files

    station.fault("x", "replug")
    ended = station.apply()
    assert ended.all_done == {"x": ["write-file /data.bin", "write-file /main.py", "reset"]}
    files = station.files("x", chip)
    assert files == {
        "/boot.py": files["/boot.py"],
        "/main.py": b"print('new')\n",
        "/data.bin": data,
    }


def test_a_cable_pulled_while_flashing(station: Station) -> None:
    station.board("x", firmware=station.firmware(ESP32, "1.20.0"))
    image = station.firmware(ESP32, size=500_000)
    station.write("main.py", "print('new')\n")
    station.write("fleet.yaml", one_device("sim://x", f", firmware: {{file: {image}}}"))
    station.fault("x", "unplug", bytes=150_000)
    cut = station.provision("apply")
    assert cut.code == 5, cut.said
    assert "port-lost: sim://x" in cut.out
    assert "x:   the board: its flash is only partly written" in cut.err
    station.fault("x", "replug")
    ended = station.apply()
    assert ended.outcomes == {"x": "changed"}
    assert station.files("x")["/main.py"] == b"print('new')\n"
    assert station.apply().outcomes == {"x": "ok"}


def test_one_board_on_two_ports(station: Station) -> None:
    image = station.firmware(ESP32)
    for name in ("twin-a", "twin-b"):
        station.board(name, firmware=image, mac="24:6f:28:00:00:07")
    before = {name: station.digest(name) for name in ("twin-a", "twin-b")}
    station.write("main.py", "print('new')\n")
    station.write(
        "fleet.yaml",
        """
        defaults: {board: esp32, files: [main.py]}
        devices:
          left: {port: sim://twin-a}
          right: {port: sim://twin-b}
        """,
    )
    ended = station.apply(code=4)
    assert sorted([ended.outcomes["left"], ended.outcomes["right"]]) == ["changed", "refused"]
    (refused,) = [name for name in ("left", "right") if ended.outcomes[name] == "refused"]
    assert (
        "the board with the MAC 24:6f:28:00:00:07 answers on its port and on that of"
        in (ended.finished(refused)["error"])
    )
    untouched = {"left": "twin-a", "right": "twin-b"}[refused]
    assert station.digest(untouched) == before[untouched]


def test_a_board_that_needs_hands_says_so_where_nobody_looks_on(station: Station) -> None:
    station.board("x", ESP8266, wiring="none")
    station.write(
        "fleet.yaml",
        f"""
        devices:
          x:
            port: sim://x
            board: adafruit-huzzah-breakout
            firmware: {{file: {station.firmware(ESP8266)}}}
        """,
    )
    alone = station.provision("apply", "--yes")
    assert alone.code == 5
    assert (
        "manual-action-required: the Adafruit HUZZAH breakout (FTDI Friend) must be put in"
        in alone.out
    )
    assert "hint: Hold the GPIO0 button, press and release the RESET button" in alone.err

    nobody_came = station.start("apply", "--yes", "--manual-timeout", "1", terminal=True).end()
    assert nobody_came.code == 5
    assert "did not come into download mode" in nobody_came.out
    assert station.flash("x").count(b"\xff") == 4 << 20
