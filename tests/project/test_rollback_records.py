"""What is kept of the last apply, as files: by board, private, whole or not believed."""

from __future__ import annotations

import json
import stat
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provision.core.chips.esp.chips import ESP32
from provision.errors import UsageError
from provision.model.firmware import Region
from provision.model.kept import KeptFlash, KeptState, KnownImage
from provision.model.state import Check, FirmwareIdentity
from provision.project.rollback_records import RollbackRecords
from tests.power_cut import Disk

MAC = "24:6f:28:00:00:01"
SHA = "5e" * 32
KEPT = KeptState(
    phase="writing",
    files={"/main.py": b"print()\n", "/b\udcff": b"\x00\xff", "/new.py": None},
    written={"/main.py": (SHA,), "/b\udcff": (SHA, None), "/new.py": (None, SHA)},
    made=frozenset({"/pkg"}),
    removed=frozenset({"/lib"}),
    spared=frozenset({"/new.py"}),
    firmware=FirmwareIdentity(version="1.24.1", machine="Generic", chip=ESP32, date="2024-11-29"),
    check_before=Check(expression="ready", timeout=2.5, on_failure="rollback"),
    check_after=Check(console="^up$", on_failure="rollback"),
    image=KnownImage(sha256=SHA, file="firmware/new.bin"),
)
IMAGE = b"\xe9 an image" * 100
FLASHED = replace(
    KEPT,
    flash=KeptFlash(
        name="firmware/old.bin",
        image=IMAGE,
        written=FirmwareIdentity(version="1.25.0", machine="Generic", chip=ESP32),
        data=(Region(name="NVS", offset=0x9000, data=b"\x00\xff" * 64),),
    ),
)
OTHER_MAC = "24:6f:28:00:00:02"
STEPS = Check(
    on_failure="rollback",
    steps=(
        Check(expression="wifi()", name="wifi"),
        Check(expression="volts()", name="volts", min=3.0, max=3.6, on_failure="rollback"),
        Check(console="^up$", name="up", timeout=3.5),
    ),
)


@pytest.fixture
def records(tmp_path: Path) -> RollbackRecords:
    return RollbackRecords(tmp_path / "state" / "rollback", tmp_path / "fleet.yaml")


def test_what_is_kept_is_the_boards_whichever_manifest_asks(
    records: RollbackRecords, tmp_path: Path
) -> None:
    assert records.last(MAC, "kitchen") is None
    records.keep(MAC, "kitchen", KEPT)
    other = RollbackRecords(tmp_path / "state" / "rollback", tmp_path / "other.yaml")
    assert other.last(MAC, "shed") == KEPT
    assert records.last("24:6f:28:00:00:02", "kitchen") is None
    records.keep(MAC, "kitchen", replace(KEPT, phase="applied", firmware=None, check_before=None))
    found = records.last(MAC, "kitchen")
    assert found is not None
    assert (found.phase, found.firmware, found.check_before) == ("applied", None, None)
    records.forget(MAC, "kitchen")
    records.forget(MAC, "kitchen")
    assert records.last(MAC, "kitchen") is None


def test_a_check_of_steps_is_what_it_was(records: RollbackRecords) -> None:
    """Else each apply of a board that is as it must be would take it for another check, and write
    all that is kept anew."""
    kept = replace(KEPT, check_before=STEPS, check_after=replace(STEPS, steps=STEPS.steps[:1]))
    records.keep(MAC, "kitchen", kept)
    assert records.last(MAC, "kitchen") == kept


def test_a_board_without_a_mac_is_known_by_its_device(
    records: RollbackRecords, tmp_path: Path
) -> None:
    records.keep(None, "kitchen", KEPT)
    assert records.last(None, "kitchen") == KEPT
    assert records.last(None, "shed") is None
    other = RollbackRecords(tmp_path / "state" / "rollback", tmp_path / "other.yaml")
    assert other.last(None, "kitchen") is None


@pytest.mark.skipif(sys.platform == "win32", reason="permission bits are POSIX's")
def test_nobody_else_can_read_it_and_nothing_of_it_stays(
    records: RollbackRecords, tmp_path: Path
) -> None:
    records.keep(MAC, "kitchen", KEPT)
    folder = tmp_path / "state" / "rollback"
    (kept,) = folder.iterdir()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (folder / f".{kept.name}.0123456789ab.tmp").write_bytes(b"half of a secret")  # of a kill
    records.keep(MAC, "kitchen", KEPT)
    assert list(folder.iterdir()) == [kept]
    (folder / f".{kept.name}.0123456789ab.tmp").write_bytes(b"half of a secret")
    records.forget(MAC, "kitchen")
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(sys.platform != "linux", reason="sees what is flushed through /proc")
def test_what_was_kept_is_there_after_a_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "rollback"
    records = RollbackRecords(directory, tmp_path / "fleet.yaml")
    records.keep(MAC, "kitchen", replace(KEPT, phase="applied"))
    disk = Disk(directory, monkeypatch)
    records.keep(MAC, "kitchen", KEPT)
    at_every_moment = [*disk.moments, *disk.after_a_cut()]
    (path,) = directory.iterdir()
    whole = path.read_bytes()
    for left in at_every_moment:
        path.write_bytes(left[path.name])
        found = records.last(MAC, "kitchen")
        assert found is not None
        assert found.phase in ("applied", "writing")
    assert all(left[path.name] == whole for left in disk.after_a_cut())


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60)
@given(at=st.floats(0, 1, exclude_max=True), byte=st.integers(0, 255))
def test_what_is_damaged_is_not_believed(
    records: RollbackRecords, tmp_path: Path, at: float, byte: int
) -> None:
    records.keep(MAC, "kitchen", KEPT)
    (path,) = (tmp_path / "state" / "rollback").iterdir()
    data = path.read_bytes()
    place = int(at * len(data))
    path.write_bytes(data[:place])
    assert records.last(MAC, "kitchen") is None
    path.write_bytes(data[:place] + bytes([byte]) + data[place + 1 :])
    found = records.last(MAC, "kitchen")
    if found is not None:  # damage to a name or a number cannot be told; to a content it can
        known = {content for content in KEPT.files.values() if content is not None}
        assert {content for content in found.files.values() if content is not None} <= known


def test_a_content_that_is_not_the_one_that_was_kept_is_not_believed(
    records: RollbackRecords, tmp_path: Path
) -> None:
    records.keep(MAC, "kitchen", KEPT)
    (path,) = (tmp_path / "state" / "rollback").iterdir()
    found = json.loads(path.read_text("utf-8"))
    digest = next(iter(found["contents"]))
    found["contents"][digest] = "AAAA"
    path.write_text(json.dumps(found))
    assert records.last(MAC, "kitchen") is None


@pytest.mark.parametrize(
    "data",
    ["[]", "null", "{", '{"phase": "writing"}', "[" * 100_000,
     json.dumps({"phase": "gone", "files": {}, "contents": {}, "written": {}, "made": [],
                 "removed": [], "spared": [], "firmware": None, "checks": [None, None]}),
     json.dumps({"phase": "writing", "files": {"/a": None}, "contents": {}, "written": {},
                 "made": [], "removed": [], "spared": [], "firmware": None,
                 "checks": [None, None]})],
)  # fmt: skip
def test_what_is_no_record_is_none(records: RollbackRecords, tmp_path: Path, data: str) -> None:
    records.keep(MAC, "kitchen", KEPT)
    (path,) = (tmp_path / "state" / "rollback").iterdir()
    path.write_text(data)
    assert records.last(MAC, "kitchen") is None


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("a file")
    records = RollbackRecords(tmp_path / "state" / "rollback", tmp_path / "fleet.yaml")
    with pytest.raises(UsageError, match="cannot be written") as caught:
        records.keep(MAC, "kitchen", KEPT)
    assert "PROVISION_STATE_DIR" in caught.value.hint


def test_the_image_that_ran_is_a_file_that_boards_share(
    records: RollbackRecords, tmp_path: Path
) -> None:
    folder = tmp_path / "state" / "rollback"
    for mac in (MAC, OTHER_MAC):
        records.keep(mac, "kitchen", FLASHED)
        records.keep(mac, "kitchen", FLASHED)
        assert records.last(mac, "kitchen") == FLASHED
    images = sorted(folder.glob("*.bin"))
    assert [image.read_bytes() for image in images] == [IMAGE, IMAGE]
    assert images[0].samefile(images[1])
    assert stat.S_IMODE(images[0].stat().st_mode) == 0o600
    records.forget(MAC, "kitchen")
    assert records.last(OTHER_MAC, "kitchen") == FLASHED
    records.keep(OTHER_MAC, "kitchen", KEPT)
    assert not list(folder.glob("*.bin"))
    assert records.last(OTHER_MAC, "kitchen") == KEPT


@pytest.mark.parametrize("content", [None, b"", IMAGE[:-1], IMAGE + b"x"])
def test_an_image_that_is_not_the_one_that_was_kept_is_not_believed(
    records: RollbackRecords, tmp_path: Path, content: bytes | None
) -> None:
    records.keep(MAC, "kitchen", FLASHED)
    (image,) = (tmp_path / "state" / "rollback").glob("*.bin")
    image.unlink()
    if content is not None:
        image.write_bytes(content)
    assert records.last(MAC, "kitchen") is None
    records.keep(MAC, "kitchen", FLASHED)
    assert records.last(MAC, "kitchen") == FLASHED


@pytest.mark.skipif(sys.platform != "linux", reason="sees what is flushed through /proc")
def test_an_image_is_there_before_the_record_that_needs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = tmp_path / "rollback"
    records = RollbackRecords(directory, tmp_path / "fleet.yaml")
    records.keep(MAC, "kitchen", replace(KEPT, phase="applied"))
    disk = Disk(directory, monkeypatch)
    records.keep(MAC, "kitchen", FLASHED)
    for left in [*disk.moments, *disk.after_a_cut()]:
        for path in directory.iterdir():
            path.unlink()
        for name, data in left.items():
            (directory / name).write_bytes(data)
        found = records.last(MAC, "kitchen")
        assert found is not None
        assert found.phase == "applied" or found == FLASHED
