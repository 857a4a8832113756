"""Files as they come to this computer's disk."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from provision.errors import BoardError
from provision.project.received_files import ReceivedFiles


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def receive(received: ReceivedFiles, path: str, data: bytes) -> bool:
    received.write(path, 0, data)
    return received.finish(path, len(data), sha256(data))


def test_a_file_is_seen_once_it_is_verified(tmp_path: Path) -> None:
    received = ReceivedFiles(tmp_path / "to", {"/a": ("lib", "a")}, private=True)
    received.write("/a", 2, b"cd")
    received.write("/a", 0, b"ab")
    assert not received.finish("/a", 4, sha256(b"other"))
    assert not (tmp_path / "to/lib/a").exists()
    assert receive(received, "/a", b"ab")  # shorter than what had come before
    assert (tmp_path / "to/lib/a").read_bytes() == b"ab"
    if os.name == "posix":
        assert stat.S_IMODE((tmp_path / "to/lib/a").stat().st_mode) == 0o600
        assert stat.S_IMODE((tmp_path / "to/lib").stat().st_mode) == 0o700
    received.close()
    assert [path.name for path in (tmp_path / "to/lib").iterdir()] == ["a"]


def test_what_has_not_come_whole_is_removed(tmp_path: Path) -> None:
    received = ReceivedFiles(tmp_path, {"/a": ("a",)})
    received.write("/a", 0, b"half")
    received.close()
    assert not list(tmp_path.iterdir())


def test_a_name_that_the_disk_takes_for_another_gets_a_suffix(tmp_path: Path) -> None:
    """As `A` and `a` are on some disks: here two paths are given the same place."""
    received = ReceivedFiles(tmp_path, {"/a": ("a",), "/A": ("a",)})
    assert receive(received, "/a", b"1")
    assert receive(received, "/A", b"2")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {
        "a": b"1",
        "a%~2": b"2",
    }
    assert len(received.renamed()) == 1


def test_what_was_there_before_is_replaced_and_a_link_is_not_followed(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(b"kept")
    target = tmp_path / "to"
    target.mkdir()
    (target / "old").write_bytes(b"old")
    (target / "link").symlink_to(outside)
    received = ReceivedFiles(target, {"/old": ("old",), "/link": ("link",)})
    assert receive(received, "/old", b"new")
    assert receive(received, "/link", b"new")
    assert outside.read_bytes() == b"kept"
    assert not (target / "link").is_symlink()


@pytest.mark.parametrize("what", ["link", "file"])
def test_nothing_is_written_through_what_is_no_folder(tmp_path: Path, what: str) -> None:
    target = tmp_path / "to"
    target.mkdir()
    if what == "link":
        (target / "lib").symlink_to(tmp_path)
    else:
        (target / "lib").write_bytes(b"")
    received = ReceivedFiles(target, {"/lib/a": ("lib", "a")})
    with pytest.raises(BoardError, match="nothing is written through it"):
        received.write("/lib/a", 0, b"x")
    assert not (tmp_path / "a").exists()
