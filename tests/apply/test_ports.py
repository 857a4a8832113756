"""Ports that cannot be had, or go away: what the user reads, and that the rest goes on."""

from __future__ import annotations

import os
import pty
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from provision.model.chip import Chip
from tests.apply.station import ROOT, Station


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
    station.board("x", firmware=station.firmware(Chip.ESP32))
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
    station.board("x", Chip.ESP8266, **wiring)
    station.board("y", firmware=station.firmware(Chip.ESP32))
    station.write("main.py", "print('new')\n")
    station.write(
        "fleet.yaml",
        f"""
        defaults: {{files: [main.py]}}
        devices:
          x:
            port: sim://x
            board: esp8266-bare
            firmware: {{file: {station.firmware(Chip.ESP8266)}}}
          y: {{port: sim://y, board: esp32}}
        """,
    )
    first = station.start("apply", "--yes", "--json", terminal=True)
    first.until_event("hands-needed", device="x")  # it has the port until somebody comes
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
    station.board("here", firmware=station.firmware(Chip.ESP32))
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


@contextmanager
def open_to_all() -> Iterator[Path]:
    """A folder that every user of this machine may use."""
    folder = Path(tempfile.mkdtemp(prefix="provision-test-"))
    folder.chmod(0o777)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


def test_no_permission_says_what_to_do_and_that_it_is_not_sudo(station: Station) -> None:
    nobody: dict[str, object] = {}
    with open_to_all() as folder:
        if os.geteuid() == 0:  # whom no permission stops
            nobody = {"user": 65534, "group": 65534, "extra_groups": []}
            look = [sys.executable, "-c", f"import sys; sys.path[0] = {str(ROOT)!r}; import provision.cli"]
            if subprocess.run(look, cwd=folder, check=False, stderr=subprocess.DEVNULL, **nobody).returncode:  # type: ignore[call-overload]
                pytest.skip("runs as root, and other users cannot read this checkout")
        master, slave = pty.openpty()
        try:
            tty = os.ttyname(slave)
            os.chmod(tty, 0)
            (folder / "main.py").write_text("print('new')\n", encoding="utf-8")
            (folder / "fleet.yaml").write_text(one_device(tty), encoding="utf-8")
            own = {
                f"PROVISION_{name}": str(folder / name.lower())
                for name in ("STATE_DIR", "RUNTIME_DIR", "CACHE_DIR", "SIM_HOME")
            }
            ended = station.provision("apply", cwd=folder, environment=own, **nobody)
        finally:
            os.close(master)
            os.close(slave)
    assert ended.code == 5, ended.said
    assert f"port-denied: no permission to open {tty}" in ended.out
    assert "group" in ended.err
    assert "sudo" in ended.err


CONTENT = bytes(range(256)) * 160  # 40 kB on the wire: it does not fit what a fault lets pass


@pytest.mark.parametrize("chip", [Chip.ESP32, Chip.ESP8266])
def test_a_cable_pulled_during_the_upload(station: Station, chip: Chip) -> None:
    board = {Chip.ESP32: "esp32", Chip.ESP8266: "wemos-d1-mini"}[chip]
    station.board("x", chip, station.firmware(chip))
    data = os.urandom(60_000)
    station.write("data.bin", data)
    station.write("main.py", "print('old')\n")
    station.write("fleet.yaml", one_device("sim://x").replace("esp32", board))
    station.apply()
    station.write("main.py", "print('new')\n")
    station.write(
        "fleet.yaml", one_device("sim://x").replace("esp32", board).replace("[", "[data.bin, ")
    )
    station.fault("x", "unplug", bytes=30_000)
    cut = station.provision("apply")
    assert cut.code == 5, cut.said
    assert "port-lost: sim://x" in cut.out
    assert "x:   the board: each file is its old or its new self" in cut.err
    assert "hint: plug the board in again" in cut.err
    files = station.files("x", chip)
    assert files["/main.py"] == b"print('old')\n"
    assert files.get("/data.bin") in (None, data)

    station.fault("x", "replug")
    ended = station.apply()
    assert ended.outcomes == {"x": "changed"}
    files = station.files("x", chip)
    assert files["/main.py"] == b"print('new')\n"
    assert files["/data.bin"] == data
    assert not [path for path in files if path not in ("/boot.py", "/main.py", "/data.bin")]


def test_a_cable_pulled_while_flashing(station: Station) -> None:
    station.board("x", firmware=station.firmware(Chip.ESP32, "1.20.0"))
    image = station.firmware(Chip.ESP32, size=500_000)
    station.write("main.py", "print('new')\n")
    station.write("fleet.yaml", one_device("sim://x", f", firmware: {{file: {image}}}"))
    station.fault("x", "unplug", bytes=150_000)
    cut = station.provision("apply")
    assert cut.code == 5, cut.said
    assert "port-lost: sim://x" in cut.out
    assert "x:   the board: its flash is being written" in cut.err
    station.fault("x", "replug")
    ended = station.apply("--yes")
    assert ended.outcomes == {"x": "changed"}
    assert station.files("x")["/main.py"] == b"print('new')\n"
    assert station.apply().outcomes == {"x": "ok"}
