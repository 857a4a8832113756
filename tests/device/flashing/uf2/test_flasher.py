"""The flasher of boards that are a drive: sent there when the first byte is to be written, proved
by what can prove it, and written in one copy."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from provision.atomic_files import lock_path, locked, take_lock
from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.core.chips.rp2.uf2 import read_uf2
from provision.device.flashing.uf2.flasher import Uf2Flasher
from provision.device.flashing.uf2.records import BootselRecords, FollowedVolumes, Sent
from provision.device.flashing.uf2.site import Drives, Site
from provision.errors import Interrupted, ManualActionRequired, NoAnswer, PortLost, Refused
from provision.interfaces import Volume
from provision.model.board import ResetWiring
from provision.model.chip import Chip
from provision.model.firmware import Region
from provision.model.state import ActualState
from tests.fakes.bootsel import FakeVolumes, Rom, drive
from tests.images import profile

ID = "e6:60:58:38:83:4a:5f:2e"
OTHER = "e6:60:58:38:83:4a:5f:2f"
PORT = "/dev/ttyACM0"
PLACE = "1-1.4"
PROGRAM = [Region(name="firmware", offset=0, data=b"program" * 1000)]


class Bench:
    """A computer with one port, and the drives that its board becomes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder / "RPI-RP2"
        self.plugged = FakeVolumes()
        self.records = BootselRecords(folder / "records")
        self.drives = Drives(
            volumes=FollowedVolumes(self.plugged, self.records), records=self.records
        )
        self.calls: list[str] = []
        self.becomes: Volume | None = None

    def goes_to(self, volume: Callable[[], Volume], how: str = "bootloader") -> None:
        self._comes, self._how = volume, how

    def _told(self, how: str) -> bool:
        self.calls.append(how)
        if how == getattr(self, "_how", None):
            self.plugged.drives.append(self._comes())
        return True

    def read(self, offset: int, size: int) -> bytes | None:
        return PROGRAM[0].data.ljust(8192, b"\xff")[offset : offset + size]

    def flasher(
        self,
        chip: Chip = RP2040,
        *,
        running: ActualState | None = None,
        absent: bool = False,
        usb_serial: str | None = None,
        place: str | None = PLACE,
        wait: Callable[[float], bool] | None = None,
    ) -> Uf2Flasher:
        board = profile(
            chip,
            name="pico",
            title="Raspberry Pi Pico",
            flash_size=64 << 10,
            reset=ResetWiring.USB,
            download="Hold BOOTSEL while you plug it in.",
        )
        site = Site(
            drives=self.drives,
            name=PORT,
            place=place,
            absent=absent,
            running=running,
            usb_serial=usb_serial,
            bootloader=lambda: running is not None and self._told("bootloader"),
            touch=lambda: self._told("touch"),
            read=self.read,
        )
        return Uf2Flasher(
            site,
            board,
            device="d",
            wait_for_operator=wait,
            operator_seconds=5.0,
            trace=lambda level, text: None,
            touch_within=0.05,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def ignored(done: int, total: int) -> None:
    """Nobody watches."""


RUNNING = ActualState(chip=RP2040, mac=ID)


def test_a_running_board_is_sent_followed_and_written(bench: Bench) -> None:
    bench.goes_to(lambda: drive(bench.folder))
    flasher = bench.flasher(running=RUNNING)
    assert flasher.identify() == RUNNING
    assert bench.calls == []  # who it is takes it nowhere
    with Rom(bench.folder) as rom:
        flasher.write(PROGRAM, ignored)
    assert bench.calls == ["bootloader"]
    assert read_uf2(rom.taken, "x").data.rstrip(b"\xff") == PROGRAM[0].data
    assert flasher.restart()


def test_a_board_that_is_sent_is_remembered_until_it_is_back(bench: Bench) -> None:
    bench.goes_to(lambda: drive(bench.folder, location=None), how="never")
    with pytest.raises(ManualActionRequired, match="must be put in BOOTSEL mode by hand") as caught:
        bench.flasher(usb_serial=ID.replace(":", "").upper()).write(PROGRAM, ignored)
    assert "Hold BOOTSEL while you plug it in. Then run again" in caught.value.hint
    assert bench.records.all() == [Sent(mac=ID, address=PORT, place=PLACE)]
    bench.plugged.drives.append(drive(bench.folder))
    later = bench.flasher(absent=True)
    assert later.identify() == ActualState(
        chip=RP2040, mac=ID, description="RP2040 in BOOTSEL mode"
    )
    with Rom(bench.folder):
        later.write(PROGRAM, ignored)
    bench.records.back(address="/dev/ttyACM7", place=PLACE)
    assert bench.records.all() == []


def test_what_came_to_the_socket_otherwise_is_nobody(bench: Bench) -> None:
    bench.plugged.drives.append(drive(bench.folder))
    assert bench.flasher(absent=True).identify().mac is None


def test_an_rp2350_says_who_it_is(bench: Bench) -> None:
    volume = drive(bench.folder, board="RP2350", serial=ID.replace(":", "").upper())
    bench.plugged.drives.append(volume)
    found = bench.flasher(RP2350, absent=True).identify()
    assert (found.chip, found.mac) == (RP2350, ID)


@pytest.mark.parametrize(
    ("board", "serial", "message"),
    [
        ("RPI-RP2", "E0C9125B0D9B", "the board in BOOTSEL mode has an RP2040"),
        ("RP2350", OTHER.replace(":", ""), f"another board is in BOOTSEL mode: {OTHER}, not {ID}"),
    ],
)
def test_another_board_at_the_socket_is_not_written(
    board: str, serial: str, message: str, bench: Bench
) -> None:
    bench.goes_to(lambda: drive(bench.folder, board=board, serial=serial))
    flasher = bench.flasher(RP2350, running=ActualState(chip=RP2350, mac=ID))
    with pytest.raises(Refused) as caught:
        flasher.write(PROGRAM, ignored)
    assert caught.value.message.startswith(message)
    assert not list(bench.folder.glob("*.uf2"))
    assert not flasher.restart()


def test_a_board_that_was_there_before_is_not_ours(bench: Bench) -> None:
    before = drive(bench.folder.with_name("other"), location=None)
    bench.plugged.drives.append(before)
    bench.goes_to(lambda: drive(bench.folder, location=None))
    with Rom(bench.folder):
        bench.flasher(running=RUNNING, place=None).write(PROGRAM, ignored)
    assert before.path is not None
    assert not list(before.path.glob("*.uf2"))


def test_a_board_that_was_there_before_is_not_taken_for_the_one_that_was_sent(
    bench: Bench,
) -> None:
    """That a board was sent which no socket is known of makes none of those that are there it."""
    before = drive(bench.folder, location=None)
    bench.plugged.drives.append(before)
    flasher = bench.flasher(usb_serial=ID.replace(":", ""), place=None)
    with pytest.raises(ManualActionRequired):
        flasher.write(PROGRAM, ignored)
    assert not list(bench.folder.glob("*.uf2"))


def test_a_drive_that_is_mounted_meanwhile_was_there_before(bench: Bench) -> None:
    bench.plugged.drives.append(Volume(path=None, info={"Board-ID": "RPI-RP2"}, device="/dev/sdb1"))
    mounted = drive(bench.folder, location=None, device="/dev/sdb1")
    bench.goes_to(lambda: mounted, how="touch")
    flasher = bench.flasher(usb_serial=ID.replace(":", ""), place=None)
    with pytest.raises(ManualActionRequired):
        flasher.write(PROGRAM, ignored)
    assert not list(bench.folder.glob("*.uf2"))


@pytest.mark.parametrize(
    ("tells_sockets", "place", "alone"),
    [(True, PLACE, False), (False, PLACE, True), (True, None, True)],
)
def test_where_no_socket_of_a_drive_is_told_one_board_at_a_time_is_one(
    tells_sockets: bool, place: str | None, alone: bool, bench: Bench
) -> None:
    """macOS and Windows tell the sockets of ports, not those of drives."""
    held: list[bool] = []

    def comes() -> Volume:
        lock = take_lock(lock_path("bootsel", "the board without a socket"), wait=False)
        held.append(lock is None)
        if lock is not None:
            lock.close()
        return drive(bench.folder, location=place if tells_sockets else None)

    bench.plugged.tells_sockets = tells_sockets
    bench.goes_to(comes)
    with Rom(bench.folder):
        bench.flasher(running=RUNNING, place=place).write(PROGRAM, ignored)
    assert held == [alone]


def test_a_run_that_is_cancelled_waits_for_no_turn(bench: Bench) -> None:
    """Another board is being written, and this one was not sent anywhere yet."""
    flasher = bench.flasher(running=RUNNING, place=None)
    looks: list[bool] = []

    def cancelled() -> bool:
        looks.append(True)
        return len(looks) > 2

    with locked("bootsel", "the board without a socket"):
        with pytest.raises(Interrupted), flasher.turn(cancelled):
            pytest.fail("two boards have their turn")
        assert len(looks) == 3
        assert bench.calls == []
    bench.goes_to(lambda: drive(bench.folder, location=None))
    with Rom(bench.folder), flasher.turn(cancelled):
        flasher.write(PROGRAM, ignored)
    with bench.flasher(running=RUNNING, place=None).turn(cancelled):
        assert len(looks) == 3


def test_one_that_was_met_as_a_drive_is_still_that_one(bench: Bench) -> None:
    """Another board may have been put in its place since."""
    bench.plugged.drives.append(drive(bench.folder, board="RP2350", serial=ID.replace(":", "")))
    flasher = bench.flasher(RP2350, absent=True)
    assert flasher.identify().mac == ID
    bench.plugged.drives[:] = [drive(bench.folder, board="RP2350", serial=None)]
    with pytest.raises(Refused, match=f"one without an id, not {ID}"):
        flasher.write(PROGRAM, ignored)
    bench.plugged.drives[:] = [drive(bench.folder, board="RP2350", serial=None, location=None)]
    with pytest.raises(PortLost):
        flasher.write(PROGRAM, ignored)
    assert not list(bench.folder.glob("*.uf2"))


def test_what_is_remembered_of_a_socket_is_the_last_board_that_was_sent_from_it(
    bench: Bench,
) -> None:
    records = bench.records
    records.sent(Sent(mac=ID, address="/dev/ttyACM5", place=PLACE))
    records.sent(Sent(mac=OTHER, address=PORT, place=PLACE))
    assert records.all() == [Sent(mac=OTHER, address=PORT, place=PLACE)]
    records.sent(Sent(mac=OTHER, address="/dev/ttyACM6", place="1-2"))
    assert records.all() == [Sent(mac=OTHER, address="/dev/ttyACM6", place="1-2")]


def test_a_person_is_waited_for(bench: Bench) -> None:
    def press(left: float) -> bool:
        bench.plugged.drives.append(drive(bench.folder))
        return True

    with Rom(bench.folder):
        bench.flasher(usb_serial=ID.replace(":", ""), wait=press).write(PROGRAM, ignored)
    assert bench.calls == ["touch"]


def test_a_firmware_that_heeds_the_touch_needs_nobody(bench: Bench) -> None:
    bench.goes_to(lambda: drive(bench.folder), how="touch")
    with Rom(bench.folder):
        bench.flasher(usb_serial=ID.replace(":", "")).write(PROGRAM, ignored)


def test_a_port_that_tells_nothing_is_no_board(bench: Bench) -> None:
    with pytest.raises(NoAnswer, match="does not say who it is"):
        bench.flasher(usb_serial="abc").identify()
    with pytest.raises(NoAnswer, match="gone from BOOTSEL"):
        bench.flasher(absent=True).identify()


def test_a_board_that_goes_before_it_is_written(bench: Bench) -> None:
    bench.plugged.drives.append(drive(bench.folder))
    flasher = bench.flasher(absent=True)
    flasher.identify()
    bench.plugged.drives.clear()
    with pytest.raises(PortLost):
        flasher.write(PROGRAM, ignored)


def test_an_erase_leaves_nothing_of_what_was_there(bench: Bench) -> None:
    bench.goes_to(lambda: drive(bench.folder))
    flasher = bench.flasher(running=RUNNING)
    flasher.erase(PROGRAM, ignored)
    with Rom(bench.folder) as rom:
        flasher.write(PROGRAM, ignored)
    found = read_uf2(rom.taken, "x")
    assert len(found.data) == 64 << 10
    assert found.data == PROGRAM[0].data.ljust(64 << 10, b"\xff")


def test_what_runs_there_reads_the_flash_until_it_is_sent(bench: Bench) -> None:
    flasher = bench.flasher(running=RUNNING)
    assert flasher.read(0, 7) == b"program"
    assert flasher.differs([*PROGRAM, Region(name="x", offset=0, data=b"p0")]) == ("x",)
    assert not flasher.is_blank(0, 8192)
    assert flasher.is_blank(7168, 1024)
    assert bench.calls == []


def test_nothing_is_read_back_of_a_drive(bench: Bench) -> None:
    bench.plugged.drives.append(drive(bench.folder))
    flasher = bench.flasher(absent=True)
    assert flasher.read(0, 16) is None
    with pytest.raises(NoAnswer):
        flasher.differs(PROGRAM)
    with pytest.raises(NoAnswer):
        flasher.is_blank(0, 4096)


def test_a_board_that_was_not_sent_stays_as_it_is(bench: Bench) -> None:
    flasher = bench.flasher(running=RUNNING)
    flasher.identify()
    assert flasher.restart()
    assert bench.calls == []
