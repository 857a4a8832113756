"""fleet.lock: what is learned stays, whoever else writes, and a damaged one is never touched."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from provision.atomic_files import locked
from provision.errors import LockError
from provision.lockfile.entries import Lock
from provision.lockfile.store import LearnedMacs, read_lock, update_lock
from provision.lockfile.yaml_format import format_lock
from tests.power_cut import Disk

MAC = "5c:cf:7f:01:02:03"
OTHER = "10:20:30:40:50:59"  # YAML 1.1 would read it as a number of base 60
MACS = ("02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03")


def by_hand(path: Path, macs: dict[str, str]) -> None:
    """As an editor or git writes: a new file in its place, no lock between processes."""
    edited = path.with_name("edited")
    edited.write_text(format_lock(read_lock(path).with_macs(macs)))
    edited.replace(path)


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISION_RUNTIME_DIR", str(tmp_path / "run"))


def test_no_file_is_an_empty_lock(tmp_path: Path) -> None:
    assert read_lock(tmp_path / "fleet.lock") == Lock()
    assert LearnedMacs(tmp_path / "fleet.lock").known("kitchen") is None


def test_what_is_learned_is_written_sorted_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "fleet.lock"
    lock = LearnedMacs(path)
    lock.learn("shed", OTHER)
    lock.learn("kitchen", MAC)
    assert lock.known("kitchen") == MAC
    assert path.read_text().splitlines()[1:] == [
        "devices:",
        "  kitchen:",
        f"    mac: {MAC}",
        "  shed:",
        f"    mac: '{OTHER}'",
        "version: 1",
    ]
    assert LearnedMacs(path).known("shed") == OTHER
    assert read_lock(path).mac_of("kitchen") == MAC


def test_what_is_known_already_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "fleet.lock"
    LearnedMacs(path).learn("kitchen", MAC)
    written = path.stat()
    LearnedMacs(path).learn("kitchen", MAC)
    update_lock(path, lambda lock: lock)
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (written.st_ino, written.st_mtime_ns)


def test_a_mac_that_two_devices_have_is_moved_to_the_one_that_it_is_learned_for(
    tmp_path: Path,
) -> None:
    path = tmp_path / "fleet.lock"
    path.write_text(f"version: 1\ndevices: {{hall: {{mac: {MAC!r}}}, kitchen: {{mac: {MAC!r}}}}}\n")
    lock = LearnedMacs(path)
    assert lock.macs == {"hall": MAC, "kitchen": MAC}
    lock.learn("kitchen", MAC)
    assert lock.macs == LearnedMacs(path).macs == {"kitchen": MAC}


def test_what_others_wrote_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "fleet.lock"
    file = f"{{size: 9, sha256: {'0f3c' * 16}, mode: 7}}"
    path.write_text(
        "version: 1\n"
        f"firmware:\n  esp32: {file}\n"
        f"packages:\n  umqtt.simple:\n    mpy-6: {{files: {{a.mpy: {file}}}, author: b}}\n"
        "notes: [a]\n"
        f"devices:\n  kitchen: {{mac: {MAC!r}, since: 2025-01-01}}\n"
    )
    before = read_lock(path)
    update_lock(path, lambda lock: lock.with_macs({"shed": OTHER, "kitchen": OTHER}))
    after = read_lock(path)
    assert {name: entry.mac for name, entry in after.devices.items()} == {
        "kitchen": OTHER,
        "shed": OTHER,
    }
    assert format_lock(after.with_macs({"kitchen": MAC})) == format_lock(
        before.with_macs({"shed": OTHER})
    )


@pytest.mark.parametrize("there", [True, False])
def test_what_an_editor_writes_meanwhile_stays(tmp_path: Path, there: bool) -> None:
    path = tmp_path / "fleet.lock"
    if there:
        by_hand(path, {"shed": OTHER})
    edits = 3

    def change(lock: Lock) -> Lock:
        nonlocal edits
        if edits:
            edits -= 1
            by_hand(path, {f"edit{edits}": MACS[edits]})
        return lock.with_macs({"kitchen": MAC})

    after = update_lock(path, change)
    assert read_lock(path) == after
    assert {*after.devices} == {"kitchen", "edit0", "edit1", "edit2", *(("shed",) if there else ())}


def test_a_lock_that_is_written_without_end_is_told(tmp_path: Path) -> None:
    path = tmp_path / "fleet.lock"
    number = 0

    def change(lock: Lock) -> Lock:
        nonlocal number
        number += 1
        by_hand(path, {f"d{number}": MACS[0]})
        return lock.with_macs({"kitchen": MAC})

    with pytest.raises(LockError, match="another program writes it again and again"):
        update_lock(path, change)
    assert read_lock(path).mac_of("kitchen") is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "version: 2\n",
        "version: 1\ndevices:\n  kitchen: {mac: oops}\n",
        "version: 1\nfirmware:\n  esp32: {size: 7}\n",
    ],
)
def test_a_damaged_lock_stays_as_it_is(tmp_path: Path, text: str) -> None:
    path = tmp_path / "fleet.lock"
    path.write_text(text)
    with pytest.raises(LockError) as caught:
        update_lock(path, lambda lock: lock.with_macs({"kitchen": MAC}))
    assert path.read_text() == text
    assert [problem.place.file for problem in caught.value.problems] == [str(path)] * len(
        caught.value.problems
    )


def test_bytes_that_are_no_text_are_a_located_error(tmp_path: Path) -> None:
    path = tmp_path / "fleet.lock"
    path.write_bytes(b"version: 1\n\xff\xfe")
    with pytest.raises(LockError) as caught:
        read_lock(path)
    assert caught.value.problems[0].place.line == 2


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")
def test_permission_bits_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "fleet.lock"
    LearnedMacs(path).learn("kitchen", MAC)
    path.chmod(0o664)
    LearnedMacs(path).learn("shed", OTHER)
    assert stat.S_IMODE(path.stat().st_mode) == 0o664


def test_a_place_that_cannot_be_written_or_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LockError, match="cannot be written"):
        LearnedMacs(tmp_path / "no" / "fleet.lock").learn("kitchen", MAC)
    with pytest.raises(LockError, match="cannot be read"):
        LearnedMacs(tmp_path)


def test_many_threads_learn_and_none_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "fleet.lock"
    lock = LearnedMacs(path)
    macs = {f"desk-{n:02}": f"5c:cf:7f:00:00:{n:02x}" for n in range(20)}
    threads = [threading.Thread(target=lock.learn, args=item) for item in macs.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert {name: read_lock(path).mac_of(name) for name in macs} == macs


def test_what_is_learned_during_a_write_is_written_in_one_batch(tmp_path: Path) -> None:
    path = tmp_path / "fleet.lock"
    lock = LearnedMacs(path)
    macs = {f"desk-{n:02}": f"5c:cf:7f:00:00:{n:02x}" for n in range(20)}
    with locked("fleet", str(path.resolve())):  # as another run holds it
        threads = [threading.Thread(target=lock.learn, args=item) for item in macs.items()]
        for thread in threads:
            thread.start()
        while len(lock.waiting) < len(macs):
            threads[0].join(0.01)
        assert not path.exists()
    versions = set()
    while any(thread.is_alive() for thread in threads):
        versions.add(len(read_lock(path).devices))
        threads[0].join(0.001)
    for thread in threads:
        thread.join()
    assert versions <= {0, len(macs)}
    assert {name: read_lock(path).mac_of(name) for name in macs} == macs


def test_each_of_those_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    lock = LearnedMacs(tmp_path / "no" / "fleet.lock")
    told: list[str] = []

    def learn(device: str) -> None:
        try:
            lock.learn(device, MAC)
        except LockError:
            told.append(device)

    threads = [threading.Thread(target=learn, args=(f"desk-{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(told) == [f"desk-{n}" for n in range(8)]
    assert lock.waiting == ()
    (tmp_path / "no").mkdir()
    lock.learn("late", OTHER)
    assert set(read_lock(tmp_path / "no" / "fleet.lock").devices) == {"late"}


WRITER = """
import sys
from pathlib import Path
from provision.lockfile.store import LearnedMacs
path, name, count = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
lock = LearnedMacs(path)
print("ready", flush=True)
sys.stdin.readline()
for number in range(count):
    mac = f"5c:cf:7f:{len(name):02x}:00:{number:02x}"
    lock.learn(f"{name}-{number}", mac)
"""


def writer(path: Path, name: str, count: int) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), name, str(count)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def test_two_runs_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "fleet.lock"
    processes = [writer(path, name, 40) for name in ("left", "right")]
    try:
        for process in processes:  # both read the empty lock before either wrote
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
        assert [process.wait() for process in processes] == [0, 0]
    finally:
        for process in processes:
            process.kill()
            process.communicate()
    assert sorted(read_lock(path).devices) == sorted(
        f"{name}-{number}" for name in ("left", "right") for number in range(40)
    )


@pytest.mark.skipif(sys.platform != "linux", reason="sees what is flushed through /proc")
def test_what_was_learned_is_there_after_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And until then what was known before, whole."""
    path = tmp_path / "fleet.lock"
    LearnedMacs(path).learn("shed", OTHER)
    before = path.read_bytes()
    disk = Disk(tmp_path, monkeypatch)
    LearnedMacs(path).learn("kitchen", MAC)
    after = path.read_bytes()
    assert after != before
    assert {left["fleet.lock"] for left in disk.moments} == {before, after}
    assert [left["fleet.lock"] for left in disk.after_a_cut()] == [after, after]


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_killed_writer_leaves_what_was_learned_whole(tmp_path: Path) -> None:
    path = tmp_path / "fleet.lock"
    for round_ in range(5):
        process = writer(path, f"round{round_}", 100_000)
        try:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
            process.stdin.flush()
            before = len(read_lock(path).devices)
            while len(read_lock(path).devices) < before + 3:  # every reading must succeed
                os.sched_yield()
            process.send_signal(signal.SIGKILL)
            process.wait()
        finally:
            process.kill()
            process.communicate()
        devices = read_lock(path).devices
        mine = [name for name in devices if name.startswith(f"round{round_}-")]
        assert sorted(mine) == sorted(f"round{round_}-{number}" for number in range(len(mine)))
        LearnedMacs(path).learn(f"after{round_}", MAC)  # and the lock is free
    assert [entry.name for entry in tmp_path.glob(".*")] == []  # nor is there any litter
