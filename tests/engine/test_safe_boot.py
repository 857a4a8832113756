"""When an app is kept from starting, restored, and restarted without, on boards in memory."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from provision.boards import profiles
from provision.device.micropython.scan_protocol import DirectoryEntry
from provision.device.micropython.startup_files import (
    by_both_names,
    disabled_among,
    under_own_names,
)
from provision.engine.cancellation import Cancellation
from provision.engine.run import run
from provision.engine.tasks.apply import ApplyTask
from provision.engine.tasks.plan import PlanTask
from provision.errors import BoardError, Interrupted, NoAnswer, OutOfSpace, ProvisionError
from provision.interfaces import FlashMode, ScanRequest
from provision.model.board import ResetWiring
from provision.model.board_path import disabled_name
from provision.model.firmware import Firmware
from provision.model.state import FileState, Filesystem
from provision.project.flash_journal import FlashJournal
from tests.engine.test_fleet_run import converged, device, error_of, firmware, go, image, running
from tests.fakes.world import FakeBoard, FakeWorld

OLD = {"/boot.py": b"import gc\n", "/main.py": b"old", "/notes": b"mine"}


def old(**changes: object) -> FakeBoard:
    board = running(OLD, **changes)
    assert board.firmware is not None
    board.firmware = replace(board.firmware, version="1.20.0")
    return board


def updating(board: FakeBoard) -> FakeWorld:
    images: dict[str, Firmware] = {"new": image()}
    return FakeWorld({"/dev/kitchen": board}, images)


def test_an_update_disables_the_app_while_the_board_is_flashed() -> None:
    board = old()
    assert go(updating(board), device(firmware=firmware())).exit_code() == 0
    flashed = next(number for number, one in enumerate(board.log) if one.startswith("flash"))
    assert board.log.index("disable startup") < flashed < board.log.index("restore startup")
    assert board.log.index("restore startup") < board.log.index("write-file /main.py")
    assert board.disabled == set()
    assert board.files["/notes"] == b"mine"


def test_an_erasing_run_disables_nothing() -> None:
    board = FakeBoard()
    assert go(updating(board), device(firmware=firmware())).exit_code() == 0
    assert "disable startup" not in board.log


def test_looking_and_planning_disable_and_restore_nothing() -> None:
    board = old()
    board.disabled = {"/main.py"}
    report = go(updating(board), device(firmware=firmware()), task=PlanTask())
    assert report.devices[0].outcome == "pending"
    assert board.log == ["leave"]
    assert board.disabled == {"/main.py"}


def test_what_a_run_before_disabled_is_restored() -> None:
    board = converged()
    board.disabled = {"/boot.py", "/main.py"}
    report = go(FakeWorld({"/dev/kitchen": board}), device())
    (plan,) = [item.plan for item in report.devices]
    assert plan is not None
    assert [action.kind for action in plan.actions] == ["restore-file", "restore-file", "reset"]
    assert board.log == ["restore startup", "restart"]
    assert go(FakeWorld({"/dev/kitchen": board}), device()).devices[0].outcome == "ok"


def test_an_app_is_restored_when_nobody_enters_download_mode() -> None:
    board = old()
    esp32_without_lines = replace(profiles()["esp32"], reset=ResetWiring.NONE, download="hold BOOT")
    report = go(
        updating(board), device(firmware=firmware(), board=esp32_without_lines), operator=False
    )
    assert report.devices[0].outcome == "unreachable"
    assert "hold BOOT" in error_of(report)
    assert board.log == ["disable startup", "restore startup", "restart"]
    assert board.disabled == set()


def test_a_board_that_waits_for_its_turn_is_left_as_it_was_when_the_run_is_cancelled() -> None:
    cancel = Cancellation()

    def wait(stopping: Callable[[], bool]) -> None:
        assert not stopping()
        cancel.cancel()
        assert stopping()
        raise Interrupted("the run was cancelled")

    board = old(turn=wait)
    world = updating(board)
    report = run(
        [device(firmware=firmware())], ApplyTask(yes=True), world.context(), cancel, fleet="f"
    )
    assert report.exit_code() == 130
    assert not [one for one in board.log if one.startswith(("erase", "flash"))]
    assert (board.files, board.disabled) == (OLD, set())
    assert world.journal.interrupted_mode(board.mac) is None


@pytest.mark.parametrize("error", [NoAnswer("it restarted"), BoardError("rubbish")])
def test_a_board_that_stops_answering_is_restarted_once_without_its_app(
    error: ProvisionError,
) -> None:
    board = converged(failures=[error])
    board.files["/main.py"] = b"old"
    report = go(FakeWorld({"/dev/kitchen": board}), device())
    assert report.exit_code() == 0
    assert board.log == [
        "write-file /main.py", "reset", "disable startup", "restart", "restore startup",
        "write-file /main.py", "restart",
    ]  # fmt: skip
    assert board.files["/main.py"] == b"import app\n"


def test_a_board_that_stops_answering_twice_is_told() -> None:
    board = converged(failures=[NoAnswer("first"), NoAnswer("second", hint="press RESET")])
    board.files["/main.py"] = b"old"
    report = go(FakeWorld({"/dev/kitchen": board}), device())
    assert error_of(report) == "second"
    assert board.disabled == set()


def test_a_full_board_is_not_restarted() -> None:
    board = converged(failures=[OutOfSpace("full", hint="delete something")])
    board.files["/main.py"] = b"old"
    assert error_of(go(FakeWorld({"/dev/kitchen": board}), device())) == "full"
    assert "disable startup" not in board.log


def test_an_update_cut_short_is_finished_in_place_and_forgotten() -> None:
    board = old()
    board.firmware = None  # half of it was written
    board.disabled = {"/main.py"}
    world = updating(board)
    world.journal.begin(board.mac, "kitchen", "keep")
    assert go(world, device(firmware=firmware()), task=ApplyTask()).exit_code() == 0
    assert "erase" not in board.log
    assert board.files["/notes"] == b"mine"
    assert board.disabled == set()
    assert world.journal.open == {}


def test_an_entry_left_by_a_run_killed_at_its_very_end_goes_with_the_next() -> None:
    world = FakeWorld({"/dev/kitchen": converged()})
    world.journal.begin("24:6f:28:00:00:01", "kitchen", "keep")
    go(world, device(), task=PlanTask())
    assert world.journal.open
    go(world, device())
    assert not world.journal.open


def test_the_journal_tells_an_update_from_an_erasing_run(tmp_path: Path) -> None:
    journal = FlashJournal(tmp_path / "flashing", tmp_path / "fleet.yaml")
    mac = "24:6f:28:00:00:01"
    seen: list[FlashMode | None] = []
    modes: tuple[FlashMode, ...] = ("keep", "erase", "keep")
    for mode in modes:
        journal.begin(mac, "kitchen", mode)
        seen.append(journal.interrupted_mode(mac))
    journal.end(mac)
    seen.append(journal.interrupted_mode(mac))
    assert seen == [*modes, None]


def test_leave_to_erase_is_for_one_device_of_one_manifest(tmp_path: Path) -> None:
    """That the flash is half written is true of the board, whoever asks."""
    mac = "24:6f:28:00:00:01"
    mine, other = (
        FlashJournal(tmp_path / "flashing", tmp_path / name) for name in ("a.yaml", "b.yaml")
    )
    mine.begin(mac, "kitchen", "erase")
    assert mine.may_erase(mac, "kitchen")
    assert not mine.may_erase(mac, "hall")
    assert not other.may_erase(mac, "kitchen")
    assert not mine.may_erase("24:6f:28:00:00:02", "kitchen")
    assert other.interrupted_mode(mac) == "erase"
    mine.begin(mac, "kitchen", "keep")
    assert not mine.may_erase(mac, "kitchen")
    mine.begin(mac, "kitchen", "erase")
    other.begin(mac, "kitchen", "keep")  # the board is no more as the first run left it
    assert not mine.may_erase(mac, "kitchen")
    assert mine.interrupted_mode(mac) == "keep"
    mine.end(mac)
    assert list((tmp_path / "flashing").iterdir()) == []


def entry(path: str) -> DirectoryEntry:
    return DirectoryEntry(path=path, folder=False, size=3, sha256=None)


def test_a_disabled_file_is_asked_for_by_both_names_and_seen_as_itself() -> None:
    name = disabled_name("/main.py")
    unmanaged = [entry(name), entry("/lib/.provision~main.py"), entry("/.provision~other.py")]
    assert disabled_among(unmanaged) == {"/main.py": unmanaged[0]}
    wanted = FileState(size=3, sha256="00" * 32)
    request = ScanRequest(paths=("/main.py",), expected={"/main.py": wanted})
    asked = by_both_names(request, ["/main.py"])
    assert asked.paths == (name, "/main.py")
    assert asked.expected == {"/main.py": wanted, name: wanted}
    alone = under_own_names(Filesystem(files={name: wanted}), {"/main.py"})
    assert (alone.files, alone.disabled) == ({"/main.py": wanted}, frozenset({"/main.py"}))
    other = FileState(size=1, sha256=None)
    both = under_own_names(Filesystem(files={name: wanted, "/main.py": other}), {"/main.py"})
    assert (both.files, both.disabled) == ({"/main.py": other}, frozenset())
    neither = under_own_names(Filesystem(files={}), {"/main.py"})
    assert (neither.files, neither.disabled) == ({}, frozenset())
