"""A user's fleet at its twins: nothing of it leads to a real port."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import pytest

from provision.app_drives import board_drives, serial_discovery
from provision.boards import profiles
from provision.core.rehearsal.schedule import draw_runs
from provision.errors import PortNotFound, SimulatorError, SourceError, UsageError
from provision.model.board import BoardProfile
from provision.model.state import DesiredState, FirmwareSource, PortSelector
from provision.rehearsal.rehearse import rehearse
from provision.rehearsal.stand_ins import stand_in
from provision.rehearsal.twin_fleet import (
    Options,
    fetch_images,
    make_twins,
    on_twins,
    open_for_twins,
    placeholders,
)
from provision.rehearsal.twins import Twin
from provision.rehearsal.worker import Job
from provision.sim.app.interpreter import find_library
from tests.core.rehearsal.test_schedule import NEW

MANIFEST = """
fleet: ports
defaults: {board: esp32, firmware: 1.24.1, files: [main.py]}
devices:
  by-path: {port: /dev/ttyUSB0, host: elsewhere, mac: "24:6f:28:00:00:01"}
  by-serial: {port: {serial: "0001"}}
  by-location: {port: {location: 1-1.1}}
  by-mac: {port: {mac: "24:6f:28:00:00:02"}}
  anywhere: {port: any, check: {console: ready}}
  over-the-net: {port: "rfc2217://192.0.2.1:2217", vars: {wifi: !secret wifi_password}}
  nowhere: {board: pico-w, baud: 115200}
  "ünder the stairs": {port: sim://my-own, board: esp8266-1m}
"""


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PROVISION_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setenv("PROVISION_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "main.py").write_text("print(1)\n")
    path = tmp_path / "fleet.yaml"
    path.write_text(MANIFEST.replace('"ünder the stairs"', "ünder-the-stairs"))
    (tmp_path / "fleet.lock").write_text(
        "version: 1\ndevices:\n  by-serial: {mac: '24:6f:28:00:00:03'}\n"
    )
    return path


def test_every_device_is_at_its_twin_whatever_its_port(manifest: Path, tmp_path: Path) -> None:
    fleet = open_for_twins(manifest, Options())
    twins = make_twins(fleet, tmp_path)
    moved = on_twins(fleet, twins, tmp_path / "copy.lock", Options(checks=False))
    assert len(moved.states) == 8
    for device, state in moved.states.items():
        assert state.port == PortSelector(kind="url", value=twins[device].address)
        assert state.host is None
        assert state.check is None
    assert len({twin.address for twin in twins.values()}) == 8
    assert "sim://my-own" not in {twin.address for twin in twins.values()}
    macs = {name: twin.setup.mac for name, twin in twins.items()}
    assert macs["by-path"] == "24:6f:28:00:00:01"
    assert macs["by-mac"] == "24:6f:28:00:00:02"
    assert macs["by-serial"] == "24:6f:28:00:00:03"
    assert moved.fleet.on_twins
    assert moved.fleet.lock_path == tmp_path / "copy.lock"
    assert moved.fleet.lock_path.read_text() == fleet.loaded.lock_path.read_text()
    assert placeholders(fleet) == ("placeholders stand for the secrets wifi_password",)


def test_a_run_on_twins_sees_no_port_of_this_computer() -> None:
    discovery = serial_discovery(virtual=True)
    assert list(discovery.ports()) == []
    with pytest.raises(PortNotFound):
        discovery.resolve(PortSelector(kind="serial", value="0001"))
    assert board_drives(virtual=True).volumes.tells_sockets


@pytest.mark.parametrize("board", profiles().values(), ids=lambda board: board.name)
def test_every_board_has_a_twin_and_a_stand_in(board: BoardProfile) -> None:
    twin = Twin.of(DesiredState(device="x", board=board, port=None), 1, None)
    assert twin.setup.chip == board.chip
    if board.flash_size:
        assert twin.setup.flash_size == board.flash_size
    image = stand_in(FirmwareSource(name="1.24.1", version="1.24.1"), board)
    assert image.identity.version == "1.24.1"
    assert image.chip == board.chip


def test_firmware_that_cannot_be_had_is_an_error_or_stood_in_for(manifest: Path) -> None:
    fleet = open_for_twins(manifest, Options(), limit=["by-path"])
    with pytest.raises(SourceError, match=r"has no entry in fleet\.lock") as raised:
        fetch_images(fleet, Options())
    assert "--stand-in-firmware" in (raised.value.hint or "")
    (note,) = fetch_images(fleet, Options(stand_in_firmware=True))
    assert note.startswith("a stand-in for the firmware 1.24.1: ")


def test_without_the_virtual_boards_the_hint_is_the_usual_one(
    manifest: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "micropython_run", None)  # as if it was not installed
    find_library.cache_clear()
    try:
        with pytest.raises(SimulatorError, match="is not installed") as raised:
            rehearse(manifest)
    finally:
        find_library.cache_clear()
    assert "pip install 'micropython-provision[sim]'" in (raised.value.hint or "")


def test_where_there_is_no_room_another_folder_is_suggested(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    with pytest.raises(UsageError, match=r"no room for the twins in .*missing: No such") as told:
        rehearse(manifest)
    assert "TMPDIR=" in (told.value.hint or "")


def test_a_job_is_told_as_text(tmp_path: Path) -> None:
    job = Job(
        manifest=tmp_path / "fleet.yaml",
        devices=("a", "b"),
        run=draw_runs(3, 1, faults=True, commits=[NEW])[0],
        options=Options(secrets=tmp_path / "s.yaml", yes=True, allow=("data-lost",)),
        folder=tmp_path,
        older=tmp_path / "older" / "fleet.yaml",
    )
    assert Job.from_json(job.to_json()) == job
