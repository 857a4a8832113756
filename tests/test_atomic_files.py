"""Our own files: replaced whole whatever happens, locks that end with their process."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from provision.atomic_files import (
    lock_path,
    locked,
    plain_file,
    rename,
    runtime_directory,
    sweep,
    take_lock,
    write_atomic,
)
from provision.errors import UsageError
from tests.power_cut import Disk


def test_replaces_content_and_leaves_nothing_beside(tmp_path: Path) -> None:
    path = tmp_path / "state"
    write_atomic(path, b"one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert [entry.name for entry in tmp_path.iterdir()] == ["state"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_keeps_the_permission_bits_or_takes_those_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"")
    path.chmod(0o640)
    write_atomic(path, b"kept")
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    write_atomic(path, b"private", mode=0o600)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.skipif(sys.platform == "win32", reason="symbolic links")
def test_a_link_stays_a_link(tmp_path: Path) -> None:
    target = tmp_path / "real"
    target.write_bytes(b"old")
    link = tmp_path / "link"
    link.symlink_to(target)
    write_atomic(link, b"new")
    assert link.is_symlink()
    assert target.read_bytes() == b"new"


def test_a_failure_leaves_the_old_content_and_no_litter(tmp_path: Path) -> None:
    path = tmp_path / "directory"
    path.mkdir()
    with pytest.raises(OSError):
        write_atomic(path, b"x")
    assert [entry.name for entry in tmp_path.iterdir()] == ["directory"]


FULL = """
import resource, signal, sys
from pathlib import Path
from provision.atomic_files import write_atomic
if sys.argv[2] == "killed":
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    write_atomic(Path(sys.argv[1]), b"new" * 1000)
except OSError:
    sys.exit(7)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
@pytest.mark.parametrize(
    ("end", "code"), [("refused", 7), ("killed", -getattr(signal, "SIGXFSZ", 0))]
)
def test_a_write_cut_short_leaves_the_old_content(end: str, code: int, tmp_path: Path) -> None:
    """A file may have 1,000 bytes here: past them the writer gets an error, or its end."""
    path = tmp_path / "state"
    path.write_bytes(b"old")
    ended = subprocess.run([sys.executable, "-c", FULL, str(path), end], check=False)
    assert ended.returncode == code
    assert path.read_bytes() == b"old"
    sweep(path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["state"]


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX pipes")
def test_a_pipe_is_written_to_and_not_replaced(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    write_atomic(path, b"report")
    assert os.read(reader, 100) == b"report"
    os.close(reader)
    assert path.is_fifo()


@pytest.mark.skipif(not Path("/dev/stdout").exists(), reason="the system has no /dev/stdout")
def test_a_file_that_is_open_as_stdout_stays_the_same_file(tmp_path: Path) -> None:
    """`--junit /dev/stdout > report.xml`: renamed over, the shell's report.xml would be lost."""
    out = tmp_path / "out"
    out.write_text("before\n")
    there = out.stat().st_ino
    program = (
        "from pathlib import Path; from provision.atomic_files import write_atomic\n"
        "write_atomic(Path('/dev/stdout'), b'report')"
    )
    with out.open("a") as stdout:
        subprocess.run([sys.executable, "-c", program], stdout=stdout, check=True)
    assert (out.stat().st_ino, out.read_text()) == (there, "before\nreport")


@pytest.mark.skipif(sys.platform != "linux", reason="sees what is flushed through /proc")
def test_a_power_cut_leaves_the_old_or_the_new_and_once_written_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "state"
    path.write_bytes(b"old")
    disk = Disk(tmp_path, monkeypatch)
    write_atomic(path, b"new")
    assert len(disk.moments) == 2
    assert {left["state"] for left in disk.moments} <= {b"old", b"new"}
    assert [left["state"] for left in disk.after_a_cut()] == [b"new", b"new"]


def test_a_file_that_comes_and_goes_is_a_file_or_none(tmp_path: Path) -> None:
    """fleet.lock is read while another process writes the first one: it is not taken for a link."""
    path, over, told = tmp_path / "fleet.lock", threading.Event(), set()

    def come_and_go() -> None:
        while not over.is_set():
            path.write_bytes(b"whole")
            path.unlink()

    writer = threading.Thread(target=come_and_go)
    writer.start()
    try:
        for _ in range(20_000):
            try:
                plain_file(path, root=tmp_path)
            except OSError as error:
                told.add(type(error).__name__)
    finally:
        over.set()
        writer.join()
    assert told <= {"FileNotFoundError"}


def test_one_holder_at_a_time_until_it_closes(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    first = take_lock(path, wait=False)
    assert first is not None
    assert take_lock(path, wait=False) is None
    first.close()
    again = take_lock(path, wait=False)
    assert again is not None
    again.close()


def test_a_killed_holder_holds_no_longer(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    holder = subprocess.Popen(
        [
            sys.executable,
            "-c",
            "import sys; from pathlib import Path; from provision.atomic_files import take_lock\n"
            "held = take_lock(Path(sys.argv[1]), wait=False); print(held is not None, flush=True)\n"
            "sys.stdin.read()",
            str(path),
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert take_lock(path, wait=False) is None
        holder.send_signal(signal.SIGTERM)
        holder.wait()
        file = take_lock(path, wait=False)
        assert file is not None
        file.close()
    finally:
        holder.kill()
        holder.communicate()


def test_locked_waits_its_turn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISION_RUNTIME_DIR", str(tmp_path))
    order: list[str] = []

    def second() -> None:
        with locked("thing", "name"):
            order.append("second")

    thread = threading.Thread(target=second)
    with locked("thing", "name"):
        thread.start()
        order.append("first")
    thread.join()
    assert order == ["first", "second"]


def test_other_names_other_locks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISION_RUNTIME_DIR", str(tmp_path / "made"))
    assert lock_path("port", "/dev/ttyUSB0") != lock_path("port", "/dev/ttyUSB1")
    assert lock_path("port", "/dev/ttyUSB0").parent == runtime_directory()
    if os.name == "posix":
        assert stat.S_IMODE(runtime_directory().stat().st_mode) == 0o700


def test_a_directory_for_locks_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_bytes(b"")
    monkeypatch.setenv("PROVISION_RUNTIME_DIR", str(tmp_path / "file" / "below"))
    with pytest.raises(UsageError, match="cannot be created"):
        runtime_directory()


class OpenElsewhere(type(Path())):  # type: ignore[misc]
    """A file that Windows does not rename for as long as another program has it open."""

    looks = 3

    def replace(self, target: Path) -> Path:  # type: ignore[override]
        self.looks -= 1
        if self.looks > 0:
            raise PermissionError(13, "Access is denied")
        return Path(super().replace(target))


def test_a_file_that_windows_holds_open_is_renamed_a_little_later(tmp_path: Path) -> None:
    (tmp_path / "new").write_bytes(b"new")
    (tmp_path / "old").write_bytes(b"old")
    source = OpenElsewhere(tmp_path / "new")
    with pytest.raises(PermissionError):
        rename(source, tmp_path / "old", patience=0.0)
    assert (tmp_path / "old").read_bytes() == b"old"
    rename(source, tmp_path / "old", patience=60.0)
    assert (tmp_path / "old").read_bytes() == b"new"
    assert not source.exists()
