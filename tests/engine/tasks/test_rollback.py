"""What an apply replaces is kept before its first write, goes back when the check fails, and is put
back by hand; whatever ends a run in the middle, the next one knows the state before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from provision.core.chips.esp.chips import ESP32
from provision.core.chips.registry import family_of, read_firmware
from provision.engine.run import run
from provision.engine.task import Task
from provision.engine.tasks.apply import ApplyTask
from provision.engine.tasks.check import CheckTask
from provision.engine.tasks.plan import PlanTask
from provision.engine.tasks.restore import RestoreTask
from provision.engine.tasks.rollback import RollbackTask
from provision.errors import UsageError
from provision.model.backup import Backup
from provision.model.event import Notice, Trace
from provision.model.kept import KeptState
from provision.model.report import RunReport
from provision.model.state import Check, DesiredFile, DesiredState
from provision.sim.esp.firmware import build
from tests.engine.test_fleet_run import (
    MAC,
    PROFILE,
    Cancellation,
    device,
    error_of,
    file,
    firmware,
    image,
    outcomes,
    running,
)
from tests.fakes.world import FakeBoard, FakeImages, FakeRollbacks, FakeWorld

CHECK = Check(console="up", on_failure="rollback")
UP, DOWN = file("/main.py", "print('up')\n"), file("/main.py", "print('down')\n")
OLD = device(check=CHECK, files=(file("/lib/old.py", "old"), UP))
NEW = replace(OLD, files=(file("/pkg/new.py", "new"), DOWN), absent=("/lib",))
MENDED = replace(NEW, files=(NEW.files[0], file("/main.py", "print('up', 2)\n")))
BEFORE = {"/lib/old.py": b"old", "/main.py": b"print('up')\n", "/mine": b"the user's own"}


class Bench:
    """A board that runs the state OLD, which has passed its check."""

    def __init__(self, rollbacks: FakeRollbacks | None = None) -> None:
        self.board: FakeBoard = running(dict(BEFORE), prints=None)
        self.world = FakeWorld({"/dev/kitchen": self.board}, {"new": image(version="1.25.0")})
        if rollbacks is not None:
            self.world.rollbacks = rollbacks
        assert self.go(OLD) == "ok"
        self.board.log.clear()

    def report(self, state: DesiredState, task: Task | None = None) -> RunReport:
        self.world.events.clear()
        task = task or ApplyTask(yes=True)
        return run([state], task, self.world.context(), Cancellation(), fleet="test")

    def go(self, state: DesiredState, task: Task | None = None) -> str:
        return outcomes(self.report(state, task))["kitchen"]

    @property
    def notices(self) -> list[str]:
        return [event.message for event in self.world.events if isinstance(event, Notice)]

    @property
    def kept(self) -> KeptState | None:
        return self.world.rollbacks.last(MAC, "kitchen")

    def cut_amid(self, state: DesiredState, task: Task | None = None, after: int = 2) -> None:
        """The port is lost after so many actions of a run."""
        self.board.cut_after = after
        assert self.go(state, task) == "unreachable"


def test_a_failed_check_brings_the_files_back_and_the_check_that_they_had_passed() -> None:
    bench = Bench()
    report = bench.report(NEW)
    assert outcomes(report) == {"kitchen": "rolled-back"}
    assert report.exit_code() == 4
    assert "the files from before are back, and their check passed" in error_of(report)
    assert bench.board.files == BEFORE
    assert bench.board.directories == {"/lib"}
    assert bench.go(NEW, PlanTask()) == "pending"
    assert any("was rolled back: the board has the files from before" in one
               for one in bench.notices)  # fmt: skip
    other = replace(OLD, files=(*OLD.files, file("/other.py", "x")))
    assert bench.go(other, PlanTask()) == "pending"
    assert not bench.notices, "none of what was rolled back is wanted"
    assert bench.go(NEW, RollbackTask()) == "ok"
    assert bench.go(OLD) == "ok"
    assert bench.go(OLD, PlanTask()) == "ok"
    assert not bench.notices


def test_nothing_is_kept_any_longer_of_a_device_that_is_not_to_be_rolled_back() -> None:
    bench = Bench()
    assert bench.go(NEW) == "rolled-back"
    assert bench.kept is not None
    assert bench.go(replace(OLD, check=replace(CHECK, on_failure="keep"))) == "ok"
    assert bench.kept is None


def test_what_is_replaced_is_kept_before_the_first_write() -> None:
    on_board: dict[str, dict[str, bytes]] = {}

    class Watched(FakeRollbacks):
        def keep(self, mac: str | None, device: str, kept: KeptState) -> None:
            super().keep(mac, device, kept)
            on_board[kept.phase] = dict(bench.board.files)

    bench = Bench()
    bench.world.rollbacks = Watched()
    bench.world.rollbacks.keep(MAC, "kitchen", KeptState(phase="applied", check_after=CHECK))
    assert bench.go(NEW) == "rolled-back"
    assert on_board["writing"] == BEFORE
    assert on_board["rolling-back"]["/main.py"] == DOWN.content.data
    assert on_board["rolled-back"] == BEFORE
    assert bench.kept is not None
    assert bench.kept.files == {
        "/lib/old.py": b"old", "/main.py": BEFORE["/main.py"], "/pkg/new.py": None
    }  # fmt: skip


def test_nothing_is_written_when_what_is_replaced_cannot_be_kept() -> None:
    class Full(FakeRollbacks):
        def keep(self, mac: str | None, device: str, kept: KeptState) -> None:
            if kept.phase == "writing":
                raise UsageError("the state directory cannot be written: no space left on device")
            super().keep(mac, device, kept)

    bench = Bench(Full())
    assert bench.go(NEW) == "failed"
    assert bench.board.files == BEFORE
    assert not [entry for entry in bench.board.log if entry.startswith(("write", "delete"))]


@pytest.mark.parametrize("after", range(5))
def test_a_run_that_was_cut_anywhere_can_be_gone_on_with_or_back_from(after: int) -> None:
    for task, outcome, files in (
        (RollbackTask(), {"changed", "ok"}, BEFORE),
        (ApplyTask(yes=True), {"rolled-back"}, BEFORE),
    ):
        bench = Bench()
        bench.cut_amid(NEW, after=after)
        assert bench.go(NEW, PlanTask()) == "pending"
        (told,) = [one for one in bench.notices if "last apply" in one]
        assert ("of 3 changed files" if after else "the files from before it") in told
        assert bench.go(NEW, task) in outcome
        assert bench.board.files == files
        assert bench.board.directories == {"/lib"}


def test_an_apply_that_goes_on_with_a_changed_manifest_still_goes_back_to_the_first_state() -> None:
    bench = Bench()
    bench.cut_amid(NEW, after=4)
    other = replace(NEW, files=(file("/pkg/other.py", "other"), DOWN), prune=("/pkg",))
    bench.cut_amid(other, after=1)
    assert bench.go(other) == "rolled-back"
    assert bench.board.files == BEFORE


def test_a_rollback_that_was_cut_goes_on() -> None:
    bench = Bench()
    assert bench.go(MENDED) == "changed"
    bench.cut_amid(MENDED, RollbackTask(), after=2)
    assert bench.go(MENDED, PlanTask()) == "pending"
    assert any("the rollback of its last apply did not come to its end: of 3 changed files" in one
               for one in bench.notices)  # fmt: skip
    assert bench.go(MENDED, RollbackTask()) == "changed"
    assert bench.board.files == BEFORE


def test_by_hand_once_the_apply_is_through() -> None:
    bench = Bench()
    assert bench.go(MENDED) == "changed"
    assert not bench.notices
    assert bench.go(MENDED) == "ok"
    bench.board.files["/main.py"] = b"print('up') # edited"
    report = bench.report(MENDED, RollbackTask())
    assert outcomes(report) == {"kitchen": "refused"}
    assert "/main.py changed on the board since its last apply" in error_of(report)
    assert bench.board.files["/main.py"].endswith(b"edited")
    assert bench.go(MENDED, RollbackTask(yes=True)) == "changed"
    assert bench.board.files == BEFORE


def test_a_file_that_the_app_has_made_its_own_stays() -> None:
    bench = Bench()
    own = DesiredFile(dest="/pkg/counter", source="counter", content=UP.content, create_only=True)
    state = replace(NEW, files=(own, *MENDED.files))
    assert bench.go(state) == "changed"
    bench.board.files["/pkg/counter"] = b"17"
    assert bench.go(state, RollbackTask()) == "changed"
    assert bench.board.files == {**BEFORE, "/pkg/counter": b"17"}
    bench.board.files.pop("/pkg/counter")
    assert bench.go(state) == "changed"
    assert bench.go(state, RollbackTask()) == "changed"
    assert bench.board.files == BEFORE


def test_what_the_new_app_did_to_its_other_files_is_undone() -> None:
    bench = Bench()
    both = replace(OLD, files=(*OLD.files, file("/settings", "of the manifest")))
    assert bench.go(both) == "changed"

    def spoil() -> None:
        if b"down" in bench.board.files["/main.py"]:
            bench.board.files["/settings"] = b"spoilt"

    bench.board.runs = spoil
    broken = replace(both, files=(OLD.files[0], DOWN, both.files[2]))
    assert bench.go(broken) == "rolled-back"
    assert bench.board.files == {**BEFORE, "/settings": b"of the manifest"}


def test_a_board_whose_check_fails_with_the_old_files_as_well() -> None:
    bench = Bench()
    bench.board.files["/mine"] = b"spoilt"
    bench.board.prints = "crashed"
    report = bench.report(NEW)
    assert outcomes(report) == {"kitchen": "rolled-back"}
    assert "their check failed as well" in error_of(report)
    bench.board.prints = None
    assert bench.go(NEW, RollbackTask()) == "ok"  # its check had still to pass


def test_a_board_that_is_gone_when_its_check_has_failed() -> None:
    bench = Bench()

    def leave() -> None:
        bench.board.dead = b"down" in bench.board.files["/main.py"]

    bench.board.runs = leave
    report = bench.report(NEW)
    assert outcomes(report) == {"kitchen": "unreachable"}
    assert "putting back the files from before failed" in error_of(report)
    bench.board.runs, bench.board.dead = None, False
    assert bench.go(NEW, PlanTask()) == "pending"
    assert any("the board has the new files. `provision apply` goes on" in one
               for one in bench.notices)  # fmt: skip
    assert bench.go(NEW, RollbackTask()) == "changed"
    assert bench.board.files == BEFORE


def test_a_check_that_passes_later_ends_an_apply_that_was_cut() -> None:
    bench = Bench()
    assert bench.go(MENDED) == "changed"
    assert bench.kept is not None
    bench.world.rollbacks.keep(MAC, "kitchen", replace(bench.kept, phase="writing"))
    assert bench.go(MENDED, PlanTask()) == "ok"
    assert not bench.notices
    assert bench.go(MENDED, CheckTask()) == "ok"
    assert bench.kept.phase == "applied"


def without_rollback(bench: Bench) -> None:
    assert bench.go(replace(NEW, check=None)) == "changed"


def restored(bench: Bench) -> None:
    backup = Backup(
        device="kitchen", taken="", board="esp32", chip="esp32", mac=MAC, flash_size=None,
        firmware=None, through="repl", files=(),
    )  # fmt: skip
    assert bench.go(OLD, RestoreTask(backup=backup, contents=BEFORE, yes=True)) == "changed"


@pytest.mark.parametrize("change", [without_rollback, restored])
def test_what_is_kept_is_dropped_by_what_makes_another_state(change: Any) -> None:
    bench = Bench()
    assert bench.go(MENDED) == "changed"
    assert bench.kept is not None
    assert not bench.kept.empty
    change(bench)
    assert bench.kept is None or bench.kept.empty
    report = bench.report(OLD, RollbackTask())
    assert outcomes(report) == {"kitchen": "refused"}
    assert "nothing is kept" in error_of(report)


# The firmware


WITH = firmware()
NVS = 0x9000


class Flashed(Bench):
    """The same board, whose flash can be read: MicroPython 1.24.1 and what it keeps in NVS. The
    manifest's firmware is 1.25.0."""

    def __init__(self) -> None:
        super().__init__()
        self.before = {one.offset: one.data for one in family_of(ESP32).regions(
            image(), PROFILE, 4 << 20)}  # fmt: skip
        self.before[NVS] = b"the old app's".ljust(4096, b"\xff")
        self.board.flash = dict(self.before)

    @property
    def as_before(self) -> bool:
        flash, held = self.board.flash or {}, self.board.flash_at
        return (
            (self.board.files, self.board.directories) == (BEFORE, {"/lib"})
            and self.board.firmware is not None
            and self.board.firmware.agrees_with(image().identity)
            and bool(flash)
            and all(held(place, len(data)) == data for place, data in self.before.items())
        )


@pytest.mark.parametrize("erase", ["auto", "always"])
def test_a_firmware_whose_check_fails_goes_back_with_the_files_and_nvs(erase: Any) -> None:
    bench = Flashed()

    def spoil() -> None:
        runs = "/main.py" not in bench.board.disabled
        if runs and bench.board.flash and b"down" in bench.board.files.get("/main.py", b""):
            bench.board.flash[NVS] = b"the new app's".ljust(4096, b"\xff")

    bench.board.runs = spoil
    state = replace(NEW, firmware=replace(WITH, erase=erase))
    report = bench.report(state)
    assert outcomes(report) == {"kitchen": "rolled-back"}
    assert "the firmware and files from before are back, and their check passed" in error_of(report)
    assert bench.as_before
    assert bench.go(state, PlanTask()) == "pending"
    (told,) = (one for one in bench.notices if "last apply" in one)
    assert "the board has the firmware from before it (1.24.1)" in told
    assert bench.go(replace(MENDED, firmware=WITH)) == "changed"
    assert bench.board.firmware == image(version="1.25.0").identity
    report = bench.report(replace(MENDED, firmware=WITH), RollbackTask())
    assert outcomes(report) == {"kitchen": "changed"}
    assert bench.as_before


@pytest.mark.parametrize("new_tells", [True, False])
@pytest.mark.parametrize("cut_flash", [True, False])
def test_a_board_whose_mac_only_download_mode_tells_has_one_record(
    cut_flash: bool, new_tells: bool
) -> None:
    """Also where the firmware that is written tells it. Whichever mode it is in when it is looked
    at next, what is kept is found, and of another board at its port nothing is."""
    bench = Flashed()
    bench.world.rollbacks.kept.clear()
    bench.world.identities.macs.clear()
    bench.board.nameless = True

    def start() -> None:
        running = bench.board.firmware
        new = running is not None and running.version == "1.25.0"
        bench.board.nameless = not (new and new_tells)

    bench.board.runs = start
    state = replace(NEW, firmware=WITH)
    if cut_flash:
        bench.board.cut_flash = True
        assert bench.go(state) == "unreachable"
    else:
        bench.cut_amid(state)
    records = bench.world.rollbacks.kept
    assert len(records) == 1
    assert [kept.mac for kept in records.values()] == [MAC]
    assert bench.go(state, PlanTask()) == "pending"
    assert any("its last apply did not come to its end" in one for one in bench.notices)
    bench.board.mac, mac = "24:6f:28:00:00:99", bench.board.mac
    if not bench.board.nameless or cut_flash:
        assert bench.go(state, RollbackTask()) == "refused"
    bench.board.mac = mac
    assert bench.go(state, RollbackTask()) == "changed"
    assert bench.as_before
    assert len(records) == 1
    assert bench.go(replace(MENDED, firmware=WITH)) == "changed"
    assert len(records) == 1
    if not new_tells:  # else the lock knows it by now, and wants to be told it at any time
        assert bench.go(replace(MENDED, firmware=WITH), RollbackTask()) == "changed"
        assert bench.as_before
        assert len(records) == 1


def test_a_firmware_that_does_not_start_goes_back() -> None:
    bench = Flashed()

    def start() -> None:
        running = bench.board.firmware
        bench.board.silent = running is not None and running.version == "1.25.0"

    bench.board.runs = start
    report = bench.report(replace(MENDED, firmware=WITH))
    assert outcomes(report) == {"kitchen": "rolled-back"}
    assert "the firmware and files from before are back" in error_of(report)
    assert bench.as_before


@pytest.mark.parametrize("after", [None, 0, 2, 4])
def test_an_update_that_was_cut_anywhere_can_be_gone_on_with_or_back_from(
    after: int | None,
) -> None:
    state = replace(NEW, firmware=WITH)
    for task, outcome in ((RollbackTask(), "changed"), (ApplyTask(yes=True), "rolled-back")):
        bench = Flashed()
        if after is None:
            bench.board.cut_flash = True
            assert bench.go(state) == "unreachable"
        else:
            bench.cut_amid(state, after=after)
        assert bench.go(state, PlanTask()) == "pending"
        (told,) = (one for one in bench.notices if "last apply" in one)
        expected = "no firmware answers" if after is None else "the board has the new firmware"
        assert expected in told
        assert "`provision apply` goes on with the new firmware and files" in told
        assert bench.go(state, task) == outcome
        assert bench.as_before


def test_a_rollback_that_was_cut_amid_the_flash_goes_on() -> None:
    bench = Flashed()
    state = replace(MENDED, firmware=WITH)
    assert bench.go(state) == "changed"
    bench.board.cut_flash = True
    assert bench.go(state, RollbackTask()) == "unreachable"
    assert bench.go(state, PlanTask()) == "pending"
    assert any("the rollback of its last apply did not come to its end: no firmware answers" in one
               for one in bench.notices)  # fmt: skip
    assert bench.go(state, RollbackTask()) == "changed"
    assert bench.as_before


def test_an_image_that_this_computer_has_is_not_read_off_the_board() -> None:
    bench = Flashed()
    bench.world.images = FakeImages({"new": image(version="1.25.0"), "old": image()})
    old, state = replace(OLD, firmware=firmware("old")), replace(NEW, firmware=WITH)
    assert bench.go(old) == "ok"
    assert bench.go(state) == "rolled-back"
    assert bench.as_before
    said = [event.text for event in bench.world.events if isinstance(event, Trace)]
    assert any("which this computer has" in text for text in said)
    other = read_firmware(build(ESP32, "1.24.1", date="2024-12-24"), "another build of it")
    bench.before |= {one.offset: one.data for one in family_of(ESP32).regions(
        other, PROFILE, 4 << 20)}  # fmt: skip
    bench.board.flash, bench.board.firmware = dict(bench.before), other.identity
    assert bench.go(state) == "rolled-back"
    assert bench.as_before
    said = [event.text for event in bench.world.events if isinstance(event, Trace)]
    assert any("off the board" in text for text in said)


@pytest.mark.parametrize("write_only", [False, True])
def test_nothing_is_written_when_the_firmware_cannot_be_kept(write_only: bool) -> None:
    bench = Flashed()
    bench.board.flash, bench.board.write_only = {}, write_only
    report = bench.report(replace(NEW, firmware=WITH))
    assert outcomes(report) == {"kitchen": "failed"}
    assert "cannot be kept for a rollback" in error_of(report)
    assert ("cannot be read back" in error_of(report)) == write_only
    assert bench.board.files == BEFORE
    assert not bench.board.disabled
    assert not [entry for entry in bench.board.log if entry.startswith(("write", "flash"))]


def test_of_a_flash_that_another_run_has_begun_to_write_nothing_goes_back() -> None:
    bench = Flashed()
    bench.world.journal.begin(MAC, "kitchen", "keep")
    assert bench.go(replace(NEW, firmware=WITH)) == "failed"
    assert any("an earlier run has begun to write its flash" in one for one in bench.notices)
    assert bench.kept is None


def test_the_first_rollback_of_a_board_knows_no_check_that_it_had_passed() -> None:
    bench = Bench()
    bench.world.rollbacks = FakeRollbacks()
    report = bench.report(NEW)
    assert outcomes(report) == {"kitchen": "rolled-back"}
    assert "are back, and no check is known that they had passed" in error_of(report)
    assert bench.board.files == BEFORE
    assert bench.go(MENDED) == "changed"
    assert bench.go(MENDED, RollbackTask()) == "changed"
    assert any("no check is known that they had passed" in one for one in bench.notices)


def test_by_hand_where_nothing_is_kept() -> None:
    bench = Bench()
    report = bench.report(OLD, RollbackTask())
    assert outcomes(report) == {"kitchen": "refused"}
    assert "no apply has changed the board since its check says" in error_of(report)
    report = bench.report(replace(OLD, check=None), RollbackTask())
    assert "its check does not say `on_failure: rollback`" in error_of(report)
