"""The drive of a board in BOOTSEL mode: which one it is, and firmware copied onto it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.core.chips.rp2.uf2 import RP2040_FAMILY, build_uf2
from provision.device.flashing.uf2 import drive as module
from provision.device.flashing.uf2.drive import Bootsel, boards_in_bootsel, choose, copy, is_there
from provision.errors import DeviceError, FlashFailed, PortDenied, PortLost, Refused
from provision.interfaces import Volume
from provision.model.firmware import Region
from tests.fakes.bootsel import Rom, drive

ID = "e6:60:58:38:83:4a:5f:2e"
DATA = build_uf2([Region(name="firmware", offset=0, data=b"x" * 9000)], RP2040_FAMILY)


def test_the_chip_is_the_roms_word(tmp_path: Path) -> None:
    volumes = [
        drive(tmp_path / "a"),
        drive(tmp_path / "b", board="RP2350", serial="E66058388352A421"),
        drive(tmp_path / "c", board="SAMD51P20A-something"),
        Volume(path=tmp_path, info={"Board-ID": "RPI-RP2"}, kind="circuitpython"),
    ]
    found = [(one.chip, one.mac) for one in boards_in_bootsel(volumes)]
    assert found == [(RP2040, None), (RP2350, "e6:60:58:38:83:52:a4:21")]


def board(name: str, location: str | None, mac: str | None = None) -> Bootsel:
    volume = Volume(path=Path("/media") / name, info={}, device=name, usb_location=location)
    return Bootsel(volume=volume, chip=RP2040, mac=mac)


HERE, THERE, NOWHERE = board("a", "1-1.4"), board("b", "1-1.3"), board("c", None)
KNOWN = board("d", None, ID)


@pytest.mark.parametrize(
    ("boards", "address", "place", "mac", "chosen"),
    [
        ([], "x", "1-1.4", None, None),
        ([HERE, THERE], "x", "1-1.4", None, HERE),
        ([THERE], "x", "1-1.4", None, None),  # another socket's is not ours
        ([THERE], "x", None, None, THERE),  # the only one, where nothing tells
        ([HERE, THERE], "/media/b", None, None, THERE),
        ([NOWHERE], "x", "1-1.4", None, NOWHERE),
        ([HERE, NOWHERE], "x", "1-1.4", ID, HERE),
        ([KNOWN, NOWHERE], "x", None, ID, KNOWN),
        ([KNOWN], "x", None, "e6:60:58:38:83:4a:5f:2f", None),
    ],
)
def test_which_board_it_is(
    boards: list[Bootsel], address: str, place: str | None, mac: str | None, chosen: Bootsel | None
) -> None:
    assert choose(boards, address=address, place=place, mac=mac, alone=True) == chosen


@pytest.mark.parametrize(
    ("boards", "place", "mac", "chosen"),
    [
        ([HERE], "1-1.4", None, HERE),
        ([KNOWN], None, ID, KNOWN),
        ([NOWHERE], "1-1.4", None, None),
        ([THERE], None, None, None),
    ],
)
def test_to_be_the_only_one_may_not_be_enough(
    boards: list[Bootsel], place: str | None, mac: str | None, chosen: Bootsel | None
) -> None:
    assert choose(boards, address="x", place=place, mac=mac, alone=False) == chosen


@pytest.mark.parametrize(
    ("boards", "place"), [([NOWHERE, board("e", None)], "1-1.4"), ([HERE, THERE], None)]
)
def test_two_that_cannot_be_told_apart_are_refused(
    boards: list[Bootsel], place: str | None
) -> None:
    with pytest.raises(Refused, match="2 boards in BOOTSEL mode cannot be told apart: /media/"):
        choose(boards, address="x", place=place, mac=None, alone=True)


def copied(volume: Volume, data: bytes = DATA, *, vanishes_within: float = 20.0) -> list[int]:
    seen: list[int] = []
    one = Bootsel(volume=volume, chip=RP2040, mac=None)
    copy(
        data,
        one,
        device="d",
        progress=lambda done, total: seen.append(done),
        exists=lambda: is_there(volume),
        vanishes_within=vanishes_within,
    )
    return seen


def test_a_copy_ends_when_the_drive_goes(tmp_path: Path) -> None:
    volume = drive(tmp_path / "RPI-RP2")
    with Rom(tmp_path / "RPI-RP2") as rom:
        assert copied(volume)[-1] == len(DATA)
    assert rom.taken == DATA


def test_a_flash_is_written_after_the_copy_has_ended(tmp_path: Path) -> None:
    """A system may have kept all of a file back: a Pico 2's flash takes a minute for its 4 MB."""
    data = build_uf2([Region(name="x", offset=0, data=bytes(512 << 10))], RP2040_FAMILY)
    volume = drive(tmp_path / "RPI-RP2")
    with Rom(tmp_path / "RPI-RP2", after=0.2) as rom:
        assert copied(volume, data, vanishes_within=0.0)[-1] == len(data)
    assert rom.taken == data


def test_a_drive_that_stays_took_nothing(tmp_path: Path) -> None:
    with pytest.raises(FlashFailed, match=r"its drive .* is still there") as caught:
        copied(drive(tmp_path / "RPI-RP2"), vanishes_within=0.05)
    assert "hold BOOTSEL" in caught.value.hint


@pytest.mark.parametrize(
    ("system", "hint"),
    [
        ("linux", "`udisksctl mount -b /dev/sdb1`, then"),
        ("darwin", "`diskutil mount /dev/sdb1`, then"),
        ("win32", "hold BOOTSEL while you plug it in again, then"),
    ],
)
def test_an_unmounted_drive_is_offered_with_the_systems_command(
    system: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.platform", system)
    volume = Volume(path=None, info={"Board-ID": "RPI-RP2"}, device="/dev/sdb1")
    with pytest.raises(PortDenied, match="not mounted") as caught:
        copied(volume)
    assert hint in caught.value.hint


def test_a_drive_that_is_gone_before_the_copy(tmp_path: Path) -> None:
    with pytest.raises(PortLost, match="is gone"):
        copied(Volume(path=tmp_path / "gone", info={}))


FAILURES = [
    (errno.EROFS, 0, PortDenied, "is mounted read-only", "udisksctl unmount -b /dev/RPI-RP2"),
    (errno.EACCES, 0, PortDenied, "no permission to write", "no sudo"),
    (errno.ENOSPC, 512, FlashFailed, "is full after 512 of", "unplug the board"),
    (errno.EIO, 512, PortLost, "went after 512 of", "comes back in BOOTSEL mode"),
    (errno.ENODEV, 0, PortLost, "went after 0 of", "plug the board in again"),
    (errno.EFBIG, 0, FlashFailed, "failed after 0 of", "hold BOOTSEL"),
]


@pytest.mark.parametrize(("number", "done", "kind", "message", "hint"), FAILURES)
def test_each_way_a_copy_fails_says_what_to_do(
    number: int, done: int, kind: type[DeviceError], message: str, hint: str, tmp_path: Path
) -> None:
    one = Bootsel(volume=drive(tmp_path / "x", device="/dev/RPI-RP2"), chip=RP2040, mac=None)
    error = module.copy_failed(OSError(number, os.strerror(number)), one, done, 1024, "d")
    assert type(error) is kind
    assert message in error.message
    assert hint in error.hint
    assert error.device == "d"


def test_a_drive_whose_device_is_gone_is_gone(tmp_path: Path) -> None:
    """A filesystem that was mounted by hand stays, with all that it showed."""
    assert is_there(drive(tmp_path / "a"))
    assert not is_there(drive(tmp_path / "b", device=str(Path("/dev") / "not-there")))


def test_a_full_drive_is_told(tmp_path: Path) -> None:
    volume = drive(tmp_path / "RPI-RP2")
    (tmp_path / "RPI-RP2" / module.FILE).symlink_to("/dev/full")
    with pytest.raises(FlashFailed, match="is full after 0 of"):
        copied(volume)
