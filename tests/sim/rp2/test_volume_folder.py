"""A folder as a chip's volume: sectors come as they are written, whatever a host does there."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.sim.event_loop import EventLoop
from provision.sim.rp2.volume_folder import VolumeFolder

LINUX = sys.platform == "linux"
SECTOR = 512
LOOKED_AT = 0.12  # seconds: more often than that where nothing notifies


class Watched:
    """A volume, and the sectors that have come from it."""

    def __init__(self, path: Path, *, notified: bool = True) -> None:
        self.notified = notified
        self.wait = 0.0 if notified else LOOKED_AT
        self.loop = EventLoop()
        self.sectors: list[bytes] = []
        files = {"INFO_UF2.TXT": b"UF2 Bootloader v3.0\n", "INDEX.HTM": b"<html>" * 200}
        self.folder = VolumeFolder(
            path, files, loop=self.loop, on_write=self.take, notified=notified
        )

    def take(self) -> None:
        self.sectors += self.folder.sectors()

    def come(self) -> list[bytes]:
        """What has come: Linux notes each write as it happens, elsewhere it is looked for."""
        over: list[bool] = []
        self.loop.after(self.wait, lambda: over.append(True))
        while not over:
            self.loop.step()
        come, self.sectors = self.sectors, []
        return come


@pytest.fixture(
    params=[
        pytest.param(True, marks=pytest.mark.skipif(not LINUX, reason="inotify is Linux's")),
        False,
    ],
    ids=["notified", "polled"],
)
def volume(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Watched]:
    watched = Watched(tmp_path / "board" / "bootsel" / "RPI-RP2", notified=request.param)
    yield watched
    watched.folder.close()


def sectors(*numbers: int) -> list[bytes]:
    return [bytes([number]) * SECTOR for number in numbers]


def test_it_has_its_own_files_which_are_not_written_by_the_host(volume: Watched) -> None:
    names = sorted(entry.name for entry in volume.folder.path.iterdir())
    assert names == ["INDEX.HTM", "INFO_UF2.TXT"]
    assert (volume.folder.path / "INFO_UF2.TXT").read_bytes().startswith(b"UF2 Bootloader")
    assert volume.come() == []


def test_a_file_comes_as_it_grows_in_whole_sectors(volume: Watched) -> None:
    with (volume.folder.path / "a.uf2").open("wb", buffering=0) as file:
        file.write(b"\1" * 700)
        assert volume.come() == sectors(1)
        file.write(b"\1" * 324 + b"\2" * SECTOR)
        assert volume.come() == sectors(1, 2)
    assert volume.come() == []


def test_the_same_copy_again_comes_again(volume: Watched, tmp_path: Path) -> None:
    source = tmp_path / "image.uf2"
    source.write_bytes(b"".join(sectors(1, 2, 3)))
    shutil.copy(source, volume.folder.path)
    assert volume.come() == sectors(1, 2, 3)
    shutil.copy(source, volume.folder.path)
    assert volume.come() == (sectors(1, 2, 3) if volume.notified else [])


def test_a_part_that_is_written_again_comes_again(volume: Watched) -> None:
    with (volume.folder.path / "a.uf2").open("wb", buffering=0) as file:
        file.write(b"".join(sectors(1, 2, 3)))
        assert volume.come() == sectors(1, 2, 3)
        file.seek(SECTOR)
        file.write(sectors(9)[0])
        assert volume.come() == sectors(9)


def test_what_is_written_backwards_comes_backwards(volume: Watched) -> None:
    with (volume.folder.path / "a.uf2").open("wb", buffering=0) as file:
        file.truncate(2 * SECTOR)
        for number in (1, 0):
            file.seek(number * SECTOR)
            file.write(sectors(number + 5)[0])
            assert volume.come()[-1:] == sectors(number + 5)


def test_a_file_that_is_renamed_does_not_come_again(volume: Watched) -> None:
    part, whole = volume.folder.path / ".a.uf2.part", volume.folder.path / "a.uf2"
    with part.open("wb", buffering=0) as file:
        file.write(b"".join(sectors(1)))
        assert volume.come() == sectors(1)
        part.rename(whole)
        file.write(b"".join(sectors(2)))
        assert volume.come() == sectors(2)


def test_a_file_that_is_removed_while_it_is_written(volume: Watched) -> None:
    path = volume.folder.path / "a.uf2"
    path.write_bytes(b"".join(sectors(1, 2)))
    path.unlink()
    volume.come()
    path.write_bytes(b"".join(sectors(3)))
    assert volume.come() == sectors(3)


def test_links_pipes_and_folders_are_no_files(volume: Watched, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"\7" * SECTOR)
    (volume.folder.path / "link").symlink_to(secret)
    (volume.folder.path / "folder").mkdir()
    (volume.folder.path / "folder" / "deep").write_bytes(b"\7" * SECTOR)
    os.mkfifo(volume.folder.path / "pipe")
    (volume.folder.path / "real").write_bytes(b"\1" * SECTOR)
    assert volume.come() == sectors(1)


def test_a_folder_that_somebody_removes_is_no_end(volume: Watched) -> None:
    shutil.rmtree(volume.folder.path)
    assert volume.come() == []
    volume.folder.close()


def test_it_is_gone_when_it_is_closed_and_writing_goes_on_into_nowhere(volume: Watched) -> None:
    with (volume.folder.path / "a.uf2").open("wb", buffering=0) as file:
        volume.folder.close()
        file.write(b"".join(sectors(1)))
    assert not volume.folder.path.exists()
    assert volume.come() == []


def test_what_was_left_of_the_last_time_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "RPI-RP2"
    path.mkdir()
    (path / "old.uf2").write_bytes(b"\1" * SECTOR)
    watched = Watched(path)
    assert watched.come() == []
    assert not (path / "old.uf2").exists()
    watched.folder.close()
