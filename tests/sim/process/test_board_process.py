"""A board's own process, seen from outside: its memory, the callers it has no time for, its end."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32
from provision.core.littlefs_blocks import VERSION_2_0, superblock_version
from provision.errors import SimulatorError
from provision.sim import client, paths
from provision.sim.esp.firmware import build
from tests.bench_of_boards import Bench, bench
from tests.filesystems import read_filesystem

__all__ = ["bench"]

FLASH = 16 << 10  # KiB


def most_memory(pid: int) -> int:
    """KiB that a process has held at most since its peak was reset."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(status.partition("VmHWM:")[2].split()[0])


@pytest.mark.skipif(sys.platform != "linux", reason="read from /proc")
def test_a_board_that_boots_does_not_copy_its_flash(bench: Bench) -> None:
    image = bench.work / "firmware.bin"
    image.write_bytes(build(ESP32, "1.24.1", flash_size=FLASH << 10))
    status = client.ensure("desk", {"chip": "esp32", "flash": "16MB", "firmware": str(image)})
    Path(f"/proc/{status['pid']}/clear_refs").write_text("5", encoding="ascii")
    before = most_memory(status["pid"])
    client.request("desk", "unplug")
    client.request("desk", "replug")
    assert client.request("desk", "status")["boots"] == status["boots"] + 1
    assert most_memory(status["pid"]) - before < FLASH // 2


@pytest.mark.skipif(sys.platform != "linux", reason="other systems refuse instead of waiting")
def test_who_calls_a_board_that_is_busy_waits_until_it_takes_callers(bench: Bench) -> None:
    path = paths.socket_path(paths.home(), "busy")
    path.parent.mkdir(parents=True, exist_ok=True)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as board:
        board.bind(str(path))
        board.listen(0)
        with (
            socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as first,
            ThreadPoolExecutor(1) as others,
        ):
            first.connect(str(path))  # the queue is full
            waiting = others.submit(client.running, "busy")
            assert not wait([waiting], timeout=0.2).done  # it has not given up
            for _ in range(2):
                board.accept()[0].close()
            assert waiting.result()


def test_boards_that_were_given_each_others_name_can_be_removed(bench: Bench) -> None:
    """As releases left them that let one board be plugged in by another's name: whoever listens
    there is asked to stop only if it is the board that is meant."""
    pids = [client.ensure(name, {"chip": "esp32"})["pid"] for name in ("a", "b")]
    (bench.home / "a" / "name").write_text("b\n")
    (bench.home / "b" / "name").write_text("a\n")
    bench.provision("sim", "rm", "a")
    assert [entry.name for entry in bench.home.iterdir() if entry.is_dir()] == ["b"]
    assert client.request("b", "status")["pid"] == pids[1]
    bench.provision("sim", "rm", "--all")
    assert [entry.name for entry in bench.home.iterdir() if entry.is_dir()] == []


def test_a_board_of_another_user_is_told_as_that(bench: Bench) -> None:
    """Root becomes somebody else for it; for all others a lock that nobody may open does."""
    client.ensure("theirs", {"chip": "esp32"})
    lock = bench.home / "theirs" / "lock"
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    else:
        lock.chmod(0)
    try:
        with pytest.raises(SimulatorError, match="'theirs' belongs to ") as caught:
            client.stop("theirs")
    finally:
        if root:
            os.seteuid(0)
        else:
            lock.chmod(0o600)
    assert "`provision sim rm theirs`" in caught.value.hint
    assert client.running("theirs")


def test_nobody_else_may_enter_a_boards_folder(bench: Bench) -> None:
    """Whatever the umask of whoever starts it, and also where an older release made it."""
    before = os.umask(0)
    try:
        old = bench.home / "old"
        old.mkdir(parents=True)
        for name in ("new", "old"):
            client.ensure(name, {"chip": "esp32"})
    finally:
        os.umask(before)
    for folder in ("new", "old"):
        assert stat.S_IMODE((bench.home / folder).stat().st_mode) == 0o700


def test_the_folder_of_all_boards_is_made_private(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = bench.home / "deep" / "er"
    monkeypatch.setenv("PROVISION_SIM_HOME", str(home))
    before = os.umask(0)
    try:
        client.ensure("a", {"chip": "esp32"})
        client.stop("a")
    finally:
        os.umask(before)
    for folder in (home, home.parent, bench.home):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_a_board_whose_socket_was_removed_can_be_removed(bench: Bench) -> None:
    client.ensure("lost", {"chip": "esp32"})
    paths.socket_path(paths.home(), "lost").unlink()
    with pytest.raises(SimulatorError, match="'lost' is running but cannot be reached") as caught:
        client.ensure("lost", {})
    assert "`provision sim rm lost`" in str(caught.value.hint)
    bench.provision("sim", "rm", "lost")
    assert not (bench.home / "lost").exists()
    assert client.ensure("lost", {"chip": "esp8266"})["chip"] == "esp8266"


@pytest.mark.skipif(
    sys.platform != "linux", reason="elsewhere a killed board's MicroPython goes on"
)
def test_what_an_old_release_has_written_is_in_flash_whatever_ends_its_process(
    bench: Bench,
) -> None:
    """Its filesystem is worked on in a file of its own (`provision.sim.esp.old_driver`)."""
    image = bench.work / "firmware.bin"
    image.write_bytes(build(ESP32, "1.20.0"))
    board = {"chip": "esp32", "firmware": str(image)}
    status = client.ensure("desk", board)
    exec_ = ("mpremote", "connect", "sim://desk", "resume", "exec")
    bench.tool(*exec_, "f = open('/a.txt', 'w'); f.write('content'); f.close()")
    os.kill(status["pid"], signal.SIGKILL)
    stored = bench.flash("desk")[0x200000:]
    assert read_filesystem(stored)["/a.txt"] == b"content"
    assert superblock_version(stored[: 2 * 4096], fcrc=False) == VERSION_2_0
    assert client.ensure("desk", board)["pid"] != status["pid"]
    assert bench.tool(*exec_, "print(open('/a.txt').read())").stdout.strip() == "content"


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere nobody tells who closes it")
def test_two_that_close_a_terminal_at_once_are_seen_to_have(bench: Bench) -> None:
    """The system tells a board's process of both as of one, if that has not come to look."""
    pid = client.ensure("a", {"chip": "esp32"})["pid"]
    link = client.request("a", "pty")["pty"]
    holders = []
    for _ in range(2):
        code = "import sys; port = open(sys.argv[1], 'rb+', 0); print(flush=True); input()"
        holder = subprocess.Popen(
            [sys.executable, "-c", code, link], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert holder.stdout is not None
        holder.stdout.readline()
        assert client.request("a", "status")["taken"]
        holders.append(holder)
    os.kill(pid, signal.SIGSTOP)
    for holder in holders:
        holder.communicate(b"\n")
    os.kill(pid, signal.SIGCONT)
    client.open_port("a", {}, dtr=True, rts=True, baud=115200)[0].close()


# In a namespace of its own: a user's watchers are all in use, as beside 128 virtual boards.
WITHOUT_WATCHERS = 'echo 0 > /proc/sys/user/max_inotify_instances && exec "$@"'
BESIDE_A_TERMINAL = """
import os
from provision.sim import client

def refused():
    try:
        client.open_port("a", {}, dtr=True, rts=True, baud=115200)
    except client.BoardTaken:
        return client.request("a", "status")["taken"]

client.ensure("a", {"chip": "esp32"})
link = client.request("a", "pty")["pty"]
for _ in range(2):
    terminal = os.open(link, os.O_RDWR | os.O_NOCTTY)
    while b"invalid header" not in os.read(terminal, 4096):  # a blank board says so for ever
        pass
    assert refused()
    os.close(terminal)
    assert not client.request("a", "status")["taken"]
    port, _ = client.open_port("a", {}, dtr=True, rts=True, baud=115200)
    assert refused()
    port.close()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="a namespace is Linux's")
def test_a_terminal_that_nobody_may_have_open_makes_way(bench: Bench) -> None:
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", "sh", "-c", WITHOUT_WATCHERS, "sh",
         sys.executable, "-c", BESIDE_A_TERMINAL],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
