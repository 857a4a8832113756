"""The files of a project are opened in one way: what is no regular file inside of it is an error
that says so; nothing waits, fills memory, is read from elsewhere or written there."""

from __future__ import annotations

import hashlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from provision.api_project.needs import lock, vendor
from provision.atomic_files import read_plain_file
from provision.core.chips.esp.chips import ESP32
from provision.errors import LockError, SourceError, UsageError
from provision.lockfile.store import LearnedMacs, read_lock, update_lock
from provision.project.manifest_file import load
from provision.project.source_folder import SourceFolder
from provision.sim.esp.firmware import build
from provision.sources.cache import Cache, object_path
from provision.sources.images import LocalImages
from tests.fleets import fleet, problems, write_tree

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX files")

MANIFEST = "devices: {d: {port: /dev/ttyUSB0, board: esp32, files: [%s]}}\n"
MAC = "5c:cf:7f:01:02:03"


def dangling(path: Path) -> None:
    path.symlink_to(path.parent.parent / "nothing-yet")


def loop(path: Path) -> None:
    path.symlink_to(path.name)


def outside(path: Path) -> None:
    other = path.parent.parent / "of-another-fleet"
    other.write_text("wifi: hunter2\n")
    path.symlink_to(other)


def endless(path: Path) -> None:
    path.symlink_to("/dev/zero")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def local_socket(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as made:
        before = Path.cwd()
        os.chdir(path.parent)  # a socket's path is short
        try:
            made.bind(path.name)
        finally:
            os.chdir(before)


def folder(path: Path) -> None:
    path.mkdir()


UNUSABLE: dict[Callable[[Path], None], str] = {
    dangling: "it is a link to something that does not exist",
    loop: "it is a link that leads to itself",
    outside: "it is a link that leads outside of the project",
    endless: "it is a link that leads outside of the project",
    pipe: r"it is a pipe \(FIFO\), not a file",
    local_socket: "it is a socket, not a file",
    folder: "it is a folder, not a file",
}
unusable = pytest.mark.parametrize(
    ("make", "said"), UNUSABLE.items(), ids=[make.__name__ for make in UNUSABLE]
)


@pytest.fixture(autouse=True)
def runtime(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISION_RUNTIME_DIR", str(tmp_path / "run"))
    monkeypatch.setenv("PROVISION_CACHE_DIR", str(tmp_path / "cache"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    made = tmp_path / "project"
    write_tree(made, {"fleet.yaml": MANIFEST % "", "app/main.py": "print(1)\n"})
    return made


@unusable
def test_a_manifest(project: Path, make: Callable[[Path], None], said: str) -> None:
    (project / "fleet.yaml").unlink()
    make(project / "fleet.yaml")
    if make is folder:
        said = "there is no"  # it is looked for in the folder
    with pytest.raises(UsageError, match=said) as caught:
        load(str(project / "fleet.yaml"))
    assert "hunter2" not in str(caught.value)


@unusable
def test_a_manifest_that_changes_after_it_was_read(
    project: Path, make: Callable[[Path], None], said: str
) -> None:
    loaded = load(str(project / "fleet.yaml"))
    assert not loaded.changed()
    (project / "fleet.yaml").unlink()
    make(project / "fleet.yaml")
    assert loaded.changed()


PARTS = {
    "rooms.yaml": "include: [rooms.yaml]\n",
    "class.csv": "devices: {'d{{ n }}': {csv: class.csv, board: esp32}}\n",
}


@unusable
@pytest.mark.parametrize("name", PARTS)
def test_what_a_manifest_is_made_of(
    project: Path, make: Callable[[Path], None], said: str, name: str
) -> None:
    make(project / name)
    (told,) = problems(project, PARTS[name])
    assert said.replace("\\", "") in told
    assert "hunter2" not in told


@unusable
def test_a_secrets_file(project: Path, make: Callable[[Path], None], said: str) -> None:
    make(project / "secrets.yaml")
    with pytest.raises(UsageError, match=said):
        load(str(project / "fleet.yaml"))


@unusable
def test_a_lock(project: Path, tmp_path: Path, make: Callable[[Path], None], said: str) -> None:
    path = project / "fleet.lock"
    make(path)
    before = {each: each.stat().st_mtime_ns for each in tmp_path.iterdir()}
    with pytest.raises(LockError, match=said):
        read_lock(path)
    with pytest.raises(LockError, match=said):
        LearnedMacs(path)
    with pytest.raises(LockError, match=said):
        update_lock(path, lambda lock: lock.with_macs({"d": MAC}))
    with pytest.raises(LockError, match=said):
        lock(project / "fleet.yaml", offline=True)
    after = {each: each.stat().st_mtime_ns for each in tmp_path.iterdir() if each.name != "run"}
    assert after == before


SOURCES = {
    dangling: "no such file or folder: 'x.py'",
    loop: "no such file or folder: 'x.py'",
    outside: "'x.py' leads out of the manifest's folder",
    endless: "'x.py' leads out of the manifest's folder",
    pipe: "'x.py' is neither a file nor a folder",
    local_socket: "'x.py' is neither a file nor a folder",
}


@pytest.mark.parametrize("make", SOURCES)
def test_a_source(project: Path, make: Callable[[Path], None]) -> None:
    make(project / "x.py")
    (found,) = problems(project, MANIFEST % "x.py")
    assert SOURCES[make] in found


@unusable
def test_a_source_that_was_a_file_a_moment_ago(
    project: Path, make: Callable[[Path], None], said: str
) -> None:
    (project / "x.py").write_text("")
    sources = SourceFolder(project)
    assert sources.kind("x.py") == "file"
    (project / "x.py").unlink()
    make(project / "x.py")
    with pytest.raises(OSError, match=said):
        sources.read("x.py")


def test_sources_are_bounded_together(project: Path) -> None:
    for name in "ab":
        (project / f"app/{name}.dat").write_bytes(bytes(600_000))
    sources = SourceFolder(project, most=2**20)
    assert sources.read("app/a.dat") is sources.read("app/a.dat")
    with pytest.raises(OSError, match="all sources together are larger than 1 MB"):
        sources.read("app/b.dat")
    assert sources.read("app/main.py").data == b"print(1)\n"


@pytest.mark.parametrize("place", ["app/.provisionignore", ".provisionignore"])
@pytest.mark.parametrize("make", [loop, dangling, pipe, local_socket, endless, folder])
def test_an_ignore_file(project: Path, make: Callable[[Path], None], place: str) -> None:
    make(project / place)
    (found,) = problems(project, MANIFEST % "{src: app/, dest: /}")
    assert f"'app': {place}: {UNUSABLE[make]}".replace("\\", "") in found


@pytest.mark.parametrize("make", [loop, dangling, pipe, local_socket])
def test_an_image(project: Path, make: Callable[[Path], None]) -> None:
    make(project / "own.bin")
    manifest = "firmware: {own: {file: own.bin}}\ndevices: {d: {board: esp32, firmware: own}}\n"
    (found,) = problems(project, manifest)
    assert "own.bin" in found


def test_an_image_may_lie_outside_but_must_be_a_file(project: Path, tmp_path: Path) -> None:
    (tmp_path / "own.bin").write_bytes(build(ESP32, "1.24.1"))
    manifest = "firmware: {own: {file: ../own.bin}}\ndevices: {d: {board: esp32, firmware: own}}\n"
    (state,) = fleet(project, manifest).states()
    assert state.firmware is not None
    assert LocalImages(project).problem(state.firmware.source, state.board) is None
    (tmp_path / "own.bin").unlink()
    (tmp_path / "own.bin").symlink_to("/dev/zero")
    said = LocalImages(project).problem(state.firmware.source, state.board)
    assert said is not None
    assert "it is a device, not a file" in said


def test_an_image_of_many_names_is_kept_once(project: Path) -> None:
    image = build(ESP32, "1.24.1")
    (project / "own.bin").write_bytes(image)
    (project / "link.bin").symlink_to("own.bin")
    right, wrong = hashlib.sha256(image).hexdigest(), "0" * 64
    manifest = (
        "firmware: {a: {file: own.bin}, b: {file: ./own.bin, sha256: %s}, c: {file: link.bin}, "
        "d: {file: own.bin, sha256: '%s'}}\n"
        "devices: {a: {board: esp32, firmware: a}, b: {board: esp32, firmware: b}, "
        "c: {board: esp32, firmware: c}, d: {board: esp32, firmware: d}}\n"
    )
    states = fleet(project, manifest % (right, wrong)).states()
    images = LocalImages(project)
    said = []
    for state in states:
        assert state.firmware is not None
        said.append(images.problem(state.firmware.source, state.board))
        (project / "own.bin").write_bytes(b"another")
    assert said[:3] == [None, None, None]
    assert said[3] is not None
    assert "sha256" in said[3]


@pytest.mark.parametrize("name", ["a\\0b", "x" * 5000, "y/" * 3000 + "y"])
def test_names_that_no_file_has(project: Path, name: str) -> None:
    manifest = (
        f'firmware: {{own: {{file: "{name}"}}}}\n'
        f'devices: {{d: {{board: esp32, firmware: own, files: ["{name}", "{name}/"]}}}}\n'
    )
    found = problems(project, manifest)
    assert len(found) == 3
    assert all("no such file" in each for each in found)


@unusable
def test_what_is_vendored(project: Path, make: Callable[[Path], None], said: str) -> None:
    path = object_path(project / "vendor", hashlib.sha256(b"x").hexdigest())
    path.parent.mkdir(parents=True)
    if make is outside:
        path.symlink_to("../../../../of-another-fleet")
        (project.parent / "of-another-fleet").write_bytes(b"x")
    else:
        make(path)
    with pytest.raises(SourceError, match=said):
        Cache(project / "none", vendored=(project / "vendor",)).get(path.name)


def test_the_times_of_what_is_vendored_stay(project: Path) -> None:
    cache = Cache(project / "vendor")
    path = object_path(project / "vendor", cache.add(b"x", name="x"))
    os.utime(path, (1, 1))
    assert Cache(project / "none", vendored=(project / "vendor",)).get(path.name) == b"x"
    assert path.stat().st_mtime == 1


@pytest.mark.parametrize("link", ["vendor", "vendor/objects", "vendor/objects/00/x"])
def test_nothing_is_vendored_through_a_link(project: Path, tmp_path: Path, link: str) -> None:
    other = tmp_path / "of-the-user"
    other.mkdir()
    kept = object_path(other, "0" * 64)
    kept.parent.mkdir(parents=True)
    kept.write_bytes(b"kept")
    (project / link).parent.mkdir(parents=True, exist_ok=True)
    (project / link).symlink_to(other)
    with pytest.raises(SourceError, match="is a link"):
        vendor(project / "fleet.yaml", offline=True)
    assert kept.read_bytes() == b"kept"


def test_links_inside_are_followed(project: Path) -> None:
    write_tree(project, {"real/fleet.yaml": MANIFEST % "", "real/secrets.yaml": "a: x\n",
                         "real/fleet.lock": "version: 1\n"})  # fmt: skip
    for name in ("fleet.yaml", "secrets.yaml", "fleet.lock"):
        (project / name).unlink(missing_ok=True)
        (project / name).symlink_to(f"real/{name}")
    assert load(str(project)).manifest.devices.keys() == {"d"}
    LearnedMacs(project / "fleet.lock").learn("d", MAC)
    assert (project / "fleet.lock").is_symlink()
    assert read_lock(project / "real/fleet.lock").mac_of("d") == MAC


def test_a_secrets_file_of_the_users_own_naming_may_be_a_pipe(
    project: Path, tmp_path: Path
) -> None:
    pipe(tmp_path / "secrets")
    manager = threading.Thread(target=(tmp_path / "secrets").write_text, args=("a: hunter2\n",))
    manager.start()
    loaded = load(str(project), secrets=tmp_path / "secrets")
    manager.join()
    assert "hunter2" not in loaded.redactor.text("hunter2")


def test_a_file_that_is_replaced_by_a_pipe_after_it_was_looked_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "x"
    path.write_text("")

    def swapped(name: Path, flags: int) -> int:
        path.unlink()
        pipe(path)
        return opened(name, flags)

    opened = os.open
    monkeypatch.setattr(os, "open", swapped)
    with pytest.raises(OSError, match="not a file"):
        read_plain_file(path, most=9, root=None)


@pytest.mark.parametrize("name", ["fleet.yaml", "secrets.yaml", "fleet.lock", "app/x.py"])
def test_no_command_waits_for_a_pipe(project: Path, name: str) -> None:
    write_tree(project, {"fleet.yaml": MANIFEST % "{src: app/, dest: /}"})
    (project / name).unlink(missing_ok=True)
    pipe(project / name)
    for command in ("validate", "plan"):
        if (command, name) == ("validate", "fleet.lock"):
            continue  # it does not read it
        done = subprocess.run(
            [sys.executable, "-m", "provision", command],
            cwd=project,
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode in (2, 3), done.stderr
        assert name in done.stderr
        assert "pipe" in done.stderr or "neither a file nor a folder" in done.stderr
