"""The sections of fleet.lock are written and read back the same, and damage is an error."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.errors import LockError
from provision.lockfile.entries import (
    Locked,
    LockedFile,
    LockedFirmware,
    LockedPackage,
    request_key,
)
from provision.lockfile.store import read_lock, update_lock
from provision.model.state import FirmwareSource

FILE = LockedFile(url="https://example.org/a.bin", size=7, sha256="0123456789abcdef" * 4)
DIGITS = LockedFile(url="", size=0, sha256="12345678" * 8)
LOCKED = Locked(
    firmware={
        "ESP32_GENERIC 1.20": LockedFirmware(file=FILE, version="1.20"),
        "own.bin": LockedFirmware(file=DIGITS, version="1.24.1"),
    },
    packages={
        ("umqtt.simple", "6"): LockedPackage(version="1.4", files={"umqtt/simple.mpy": FILE}),
        ("umqtt.simple", "py"): LockedPackage(version="", files={"umqtt/simple.py": DIGITS}),
        ("github:org/repo@v1", "6"): LockedPackage(version="on", files={}),
    },
)


def test_survives_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROVISION_RUNTIME_DIR", str(tmp_path / "run"))
    path = tmp_path / "fleet.lock"
    update_lock(path, lambda lock: lock.with_macs({"kitchen": "5c:cf:7f:01:02:03"}))

    for _ in range(2):
        for name, content in LOCKED.sections().items():
            update_lock(path, lambda lock, n=name, c=content: lock.with_section(n, c))  # type: ignore[misc]
    lock = read_lock(path)
    assert Locked.read(lock.sections) == LOCKED
    assert lock.mac_of("kitchen") == "5c:cf:7f:01:02:03"
    assert lock.with_section("firmware", None).with_section("packages", None).sections == {}


def test_nothing_locked_is_no_section() -> None:
    assert Locked().sections() == {"firmware": None, "packages": None}
    assert Locked.read({}) == Locked()
    assert Locked.read({"firmware": None, "packages": None, "other": 7}) == Locked()


@pytest.mark.parametrize(
    "sections",
    [
        {"firmware": []},
        {"firmware": {"a": "b"}},
        {"firmware": {"a": {"url": "u", "size": "7", "sha256": FILE.sha256}}},
        {"firmware": {"a": {"url": "u", "size": 7, "sha256": "abc"}}},
        {"firmware": {"a": {"url": "u", "size": -7, "sha256": FILE.sha256}}},
        {"firmware": {"a": {"url": "u", "size": 7}}},
        {"packages": {"a": []}},
        {"packages": {"a": {"mpy-6": {"files": ["x"]}}}},
        {"packages": {"a": {"mpy-6": {"files": {"x": {"size": 7, "sha256": 8}}}}}},
    ],
)
def test_damage_is_an_error_that_says_where(sections: dict[str, object]) -> None:
    with pytest.raises(LockError, match=r"fleet\.lock: (firmware|packages)"):
        Locked.read(sections)


@pytest.mark.parametrize(
    ("source", "key"),
    [
        (FirmwareSource(name="x", version="1.24.1", board="ESP32_GENERIC"), "ESP32_GENERIC 1.24.1"),
        (
            FirmwareSource(name="x", version="latest", board="A", variant="B", preview=True),
            "A-B latest preview",
        ),
        (FirmwareSource(name="x", url="http://a/b", version="1.2.3"), "http://a/b"),
        (FirmwareSource(name="x", file="fw/a.bin", board="B"), "fw/a.bin"),
    ],
)
def test_what_a_source_asks_for(source: FirmwareSource, key: str) -> None:
    assert request_key(source) == key
