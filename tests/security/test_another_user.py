"""Other users of the station read no secret from what a run leaves, and cannot hold it up."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import ESP32
from tests.apply.station import Station

SECRET = "correct horse battery"


@pytest.fixture
def ran(station: Station) -> Iterator[Station]:
    """A station where a device with a secret was provisioned, under a careless umask."""
    before = os.umask(0)
    try:
        station.board("x", firmware=station.firmware(ESP32))
        station.write("secrets.yaml", f"wifi: '{SECRET}'\n").chmod(0o600)
        station.write("config.j2", "{{ wifi }}")
        image = station.firmware(ESP32, "1.25.0")
        station.write(
            "fleet.yaml",
            f"""
            devices:
              x:
                port: sim://x
                board: esp32
                firmware: {{file: {image}, erase: always}}
                vars: {{wifi: !secret wifi}}
                files: [{{src: config.j2, dest: /config, template: true}}]
            """,
        )
        station.apply("--yes", "--log-file", "log.txt", "-vv")
        done = station.provision("image", "build", "x", "-o", "x.bin")
        assert done.code == 0, done.said
        yield station
    finally:
        os.umask(before)


def others_may(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode) & 0o077


def test_what_a_run_leaves_is_private_or_holds_no_secret(ran: Station) -> None:
    top = ran.work.parent
    holders = [
        path
        for path in top.rglob("*")
        if path.is_file()
        and SECRET.encode() in path.read_bytes()
        and top / "boards" not in path.parents
    ]
    assert ran.work / "x.bin" in holders, "the image is to hold it: else this shows nothing"
    assert sorted(path.name for path in holders) == ["secrets.yaml", "x.bin"]
    assert [path for path in holders if others_may(path)] == []


def test_directories_of_our_own_are_shut(ran: Station) -> None:
    names = ("PROVISION_STATE_DIR", "PROVISION_RUNTIME_DIR")
    for name in names:
        folder = Path(ran.environment[name])
        for path in folder.rglob("*"):
            if path.is_file():
                assert others_may(path) == 0, path
    assert others_may(Path(ran.environment["PROVISION_STATE_DIR"]) / "runs") == 0
    assert others_may(Path(ran.environment["PROVISION_RUNTIME_DIR"])) == 0
