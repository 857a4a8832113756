"""The cache is never wrong, whatever happened to its files."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import pytest

from provision.errors import SourceError, UsageError
from provision.sources.cache import Cache, object_path, user_cache

DATA = b"the content of a firmware image"
SHA256 = hashlib.sha256(DATA).hexdigest()
DAY = 86400


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


def test_what_was_added_is_there(cache: Cache) -> None:
    assert cache.get(SHA256) is None
    assert cache.add(DATA, name="fw.bin", url="http://a/fw.bin") == SHA256
    assert cache.get(SHA256) == DATA
    (entry,) = cache.entries()
    assert (entry.sha256, entry.size, entry.name, entry.url) == (
        SHA256,
        len(DATA),
        "fw.bin",
        "http://a/fw.bin",
    )


@pytest.mark.parametrize("damage", [b"", DATA[:-1], DATA + b"x", bytes(len(DATA))])
def test_damaged_content_counts_as_absent_and_is_removed(cache: Cache, damage: bytes) -> None:
    cache.add(DATA, name="fw.bin")
    path = object_path(cache.root, SHA256)
    path.write_bytes(damage)
    assert cache.get(SHA256) is None
    assert not path.exists()
    assert cache.add(DATA, name="fw.bin") == SHA256
    assert cache.get(SHA256) == DATA


def test_adding_mends_what_is_damaged(cache: Cache) -> None:
    cache.add(DATA, name="fw.bin")
    object_path(cache.root, SHA256).write_bytes(b"damage")
    cache.add(DATA, name="fw.bin")
    assert cache.get(SHA256) == DATA


def test_a_damaged_note_harms_nothing(cache: Cache) -> None:
    cache.add(DATA, name="fw.bin")
    note = object_path(cache.root, SHA256).with_name(f"{SHA256}.json")
    for garbage in (b"", b"[]", b"\xff"):
        note.write_bytes(garbage)
        assert [entry.name for entry in cache.entries()] == [""]


@pytest.mark.parametrize("word", ["", "../../etc/passwd", SHA256.upper(), SHA256[:-1]])
def test_a_name_that_is_no_digest(cache: Cache, word: str) -> None:
    with pytest.raises(UsageError, match="not a sha256"):
        cache.get(word)


def test_a_vendored_directory_is_read_and_never_written(tmp_path: Path) -> None:
    vendor = Cache(tmp_path / "vendor")
    vendor.add(DATA, name="fw.bin")
    cache = Cache(tmp_path / "cache", vendored=(tmp_path / "vendor",))
    assert cache.get(SHA256) == DATA
    assert not cache.root.exists()
    path = object_path(vendor.root, SHA256)
    path.write_bytes(b"damage")
    assert cache.get(SHA256) is None
    assert path.read_bytes() == b"damage"


def test_verify_finds_and_removes_what_is_damaged(cache: Cache) -> None:
    other = cache.add(b"other", name="other.bin")
    cache.add(DATA, name="fw.bin")
    object_path(cache.root, SHA256).write_bytes(b"damage")
    sound, damaged = cache.verify()
    assert sound == 1
    assert [entry.name for entry in damaged] == ["fw.bin"]
    assert [entry.sha256 for entry in cache.entries()] == [other]
    assert cache.verify() == (1, [])


def test_prune_removes_what_was_not_used_for_long(cache: Cache) -> None:
    cache.add_compiled("key", b"bytecode", name="main.mpy")
    old = cache.add(DATA, name="fw.bin")
    new = cache.add(b"other", name="other.bin")
    month_ago = time.time() - 30 * DAY
    for entry in cache.entries():
        if entry.sha256 != new:
            os.utime(object_path(cache.root, entry.sha256), (month_ago, month_ago))
    assert cache.get(old) == DATA  # used just now
    files, size = cache.prune(days=20)
    assert (files, size > len(b"bytecode")) == (2, True)
    assert {entry.sha256 for entry in cache.entries()} == {old, new}
    assert cache.compiled("key") is None
    assert list((cache.root / "compiled").iterdir()) == []
    cache.prune(days=0)
    assert cache.entries() == []
    assert [path for path in cache.root.rglob("*") if path.is_file()] == []


def test_prune_leaves_a_download_that_is_under_way(cache: Cache) -> None:
    with cache.partial("http://a/busy") as busy:
        busy.start({"sha256": SHA256})
        busy.path.write_bytes(b"half")
        with cache.partial("http://a/idle") as idle:
            idle.start({"sha256": SHA256})
            idle.path.write_bytes(b"half")
        cache.prune(days=0)
        assert busy.path.exists()
        assert busy.note.exists()
        assert not idle.path.exists()
        assert not idle.note.exists()


def test_compiled_content_is_found_by_its_key(cache: Cache) -> None:
    assert cache.compiled("key") is None
    cache.add_compiled("key", b"bytecode", name="main.mpy")
    assert cache.compiled("key") == b"bytecode"
    (cache.root / "compiled" / "key").write_bytes(b"\xff garbage")
    assert cache.compiled("key") is None


def test_a_cache_that_cannot_be_made(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    cache = Cache(blocked / "cache")
    with pytest.raises(SourceError, match="cannot be used") as caught:
        cache.add(DATA, name="fw.bin")
    assert "PROVISION_CACHE_DIR" in caught.value.hint


def test_the_environment_names_the_cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PROVISION_CACHE_DIR", str(tmp_path / "here"))
    assert user_cache() == tmp_path / "here"
    monkeypatch.delenv("PROVISION_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "home"))
    assert user_cache().name == "provision"
