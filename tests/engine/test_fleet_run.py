"""The engine as a whole, on boards in memory: what is done to a board, in which order, and what
becomes of the others when one fails."""

from __future__ import annotations

import signal
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.boards import profiles
from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.core.chips.esp.firmware import read_firmware
from provision.core.planning.rollout import in_batches
from provision.engine.cancellation import Cancellation
from provision.engine.context import DeviceTime, RunTime
from provision.engine.run import run
from provision.engine.task import Task
from provision.engine.tasks.apply import ApplyTask
from provision.engine.tasks.plan import PlanTask
from provision.errors import NoAnswer
from provision.interfaces import FlashMode
from provision.model.board import ResetWiring
from provision.model.chip import Chip
from provision.model.event import (
    ActionDone,
    BatchStarted,
    DeviceFinished,
    DevicePlanned,
    Event,
    ManualActionNeeded,
    Notice,
    RolloutStopped,
    RunFinished,
    StageStarted,
)
from provision.model.firmware import Firmware
from provision.model.plan import Batches, Share
from provision.model.report import RunReport
from provision.model.state import (
    Check,
    Content,
    DesiredFile,
    DesiredFirmware,
    DesiredState,
    FirmwareIdentity,
    FirmwareSource,
    PortSelector,
)
from provision.sim.esp.firmware import build
from tests.ctrl_c import ctrl_c_raises
from tests.fakes.world import FakeBoard, FakeWorld

PROFILE = profiles()["esp32"]
MAC = "24:6f:28:00:00:01"


@cache
def image(chip: Chip = ESP32, version: str = "1.24.1") -> Firmware:
    return read_firmware(build(chip, version), f"{chip}-{version}.bin")


def firmware(name: str = "new") -> DesiredFirmware:
    return DesiredFirmware(source=FirmwareSource(name=name, file="firmware.bin"))


def file(dest: str, text: str) -> DesiredFile:
    return DesiredFile(dest=dest, source=dest[1:], content=Content(data=text.encode()))


def device(name: str = "kitchen", port: str | None = None, **changes: object) -> DesiredState:
    state = DesiredState(
        device=name,
        board=PROFILE,
        port=PortSelector(kind="path", value=port or f"/dev/{name}"),
        files=(
            file("/boot.py", "import gc\n"),
            file("/lib/app.py", "x = 1\n"),
            file("/main.py", "import app\n"),
        ),
    )
    return replace(state, **changes)  # type: ignore[arg-type]


def running(files: dict[str, bytes] | None = None, **changes: object) -> FakeBoard:
    board = FakeBoard(firmware=image().identity, files=dict(files or {}), **changes)  # type: ignore[arg-type]
    board.directories = {"/lib"} if any(path.startswith("/lib/") for path in board.files) else set()
    return board


def converged(**changes: object) -> FakeBoard:
    return running({file.dest: file.content.data for file in device().files}, **changes)


def go(
    world: FakeWorld, *states: DesiredState, task: Task | None = None, **context: object
) -> RunReport:
    """Run a task, `apply` with yes where none is said, over the fleet."""
    return run(
        states,
        task or ApplyTask(yes=True),
        world.context(**context),
        Cancellation(),
        fleet="test",
    )


def outcomes(report: RunReport) -> dict[str, str]:
    return {item.device: item.outcome for item in report.devices}


def error_of(report: RunReport, name: str = "kitchen") -> str:
    error = next(item.error for item in report.devices if item.device == name)
    assert error is not None
    assert error.device == name
    assert error.hint
    return error.message


def test_files_are_written_in_plan_order_and_the_board_restarted_once() -> None:
    board = running()
    world = FakeWorld({"/dev/kitchen": board})
    report = go(world, device())
    assert outcomes(report) == {"kitchen": "changed"}
    assert board.log == [
        "make-directory /lib",
        "write-file /lib/app.py",
        "write-file /boot.py",
        "write-file /main.py",
        "restart",
    ]
    assert board.files["/lib/app.py"] == b"x = 1\n"
    assert world.identities.macs == {"kitchen": MAC}
    assert not board.open


def test_a_second_run_changes_nothing_and_resets_nothing() -> None:
    board = converged()
    report = go(FakeWorld({"/dev/kitchen": board}), device())
    assert outcomes(report) == {"kitchen": "ok"}
    assert report.exit_code() == 0
    assert board.log == ["leave"]


def test_an_app_that_looking_interrupted_runs_again() -> None:
    board = converged()
    world = FakeWorld({"/dev/kitchen": board})
    world.interrupts = True
    go(world, device())
    assert board.log == ["resume"]


def test_plan_changes_nothing() -> None:
    board = running()
    world = FakeWorld({"/dev/kitchen": board})
    report = go(world, device(), task=PlanTask())
    assert outcomes(report) == {"kitchen": "pending"}
    assert (report.exit_code(), report.exit_code(detailed=True)) == (0, 6)
    assert board.log == ["leave"]
    assert world.identities.macs == {}


def test_a_blank_board_is_erased_flashed_and_filled_in_one_bootloader_session() -> None:
    board = FakeBoard()
    world = FakeWorld({"/dev/kitchen": board}, {"new": image()})
    report = go(world, device(firmware=firmware()))
    assert outcomes(report) == {"kitchen": "changed"}
    assert board.log == [
        "bootloader",
        "erase",
        "flash filesystem partition table app bootloader",
        "restart",
        "restart",
    ]
    assert board.files == {file.dest: file.content.data for file in device().files}


def test_a_filesystem_that_cannot_be_built_goes_over_the_repl_after_its_first_boot() -> None:
    board = FakeBoard()
    world = FakeWorld({"/dev/kitchen": board}, {"new": image()})
    world.filesystems.buildable = False
    report = go(world, device(firmware=firmware()))
    assert outcomes(report) == {"kitchen": "changed"}
    assert "first boot" in board.log
    assert board.log.index("first boot") < board.log.index("write-file /main.py")


def test_the_boot_py_of_a_first_boot_is_no_users_file() -> None:
    own = replace(file("/boot.py", "import gc\n"), create_only=True)
    board = FakeBoard()
    world = FakeWorld({"/dev/kitchen": board}, {"new": image()})
    world.filesystems.buildable = False
    go(world, device(firmware=firmware(), files=(own,)))
    assert board.files["/boot.py"] == b"import gc\n"


def test_the_boot_py_of_a_first_boot_is_pruned_like_any_file() -> None:
    board = FakeBoard()
    world = FakeWorld({"/dev/kitchen": board}, {"new": image()})
    world.filesystems.buildable = False
    state = device(firmware=firmware(), files=(file("/main.py", "x = 1\n"),), prune=("/",))
    assert outcomes(go(world, state)) == {"kitchen": "changed"}
    assert set(board.files) == {"/main.py"}


def test_an_update_keeps_the_files() -> None:
    board = converged()
    board.firmware = image(version="1.20.0").identity
    board.files["/data.csv"] = b"1,2\n"
    world = FakeWorld({"/dev/kitchen": board}, {"new": image()})
    report = go(world, device(firmware=firmware()))
    assert outcomes(report) == {"kitchen": "changed"}
    assert "erase" not in board.log
    assert board.files["/data.csv"] == b"1,2\n"


def test_another_version_than_flashed_answers() -> None:
    board = FakeBoard()
    stale = FirmwareIdentity(version="1.0", machine="x with ESP32", chip=ESP32)
    world = FakeWorld({"/dev/kitchen": board}, {"new": image()}, boots=stale)
    report = go(world, device(firmware=firmware()))
    assert outcomes(report) == {"kitchen": "failed"}
    assert "after flashing, MicroPython 1.0" in error_of(report)


@pytest.mark.parametrize(
    ("board", "state", "said"),
    [
        (FakeBoard(chip=ESP8266), device(firmware=firmware()), "ESP8266"),
        (
            FakeBoard(mac="24:6f:28:00:00:99"),
            device(firmware=firmware(), mac=MAC),
            "24:6f:28:00:00:99",
        ),
        (FakeBoard(secured="secure boot"), device(firmware=firmware()), "secure boot"),
        (FakeBoard(flash_size=1 << 20), device(firmware=firmware()), "1 MB"),
    ],
    ids=["wrong chip", "wrong MAC", "secure boot", "flash too small"],
)
def test_a_board_that_is_not_proved_is_not_touched(
    board: FakeBoard, state: DesiredState, said: str
) -> None:
    world = FakeWorld({"/dev/kitchen": board}, {"new": image()})
    report = go(world, state)
    assert outcomes(report) == {"kitchen": "refused"}
    assert report.exit_code() == 4
    assert said in error_of(report)
    assert not any(entry.startswith(("erase", "flash", "put")) for entry in board.log)
    assert world.identities.macs == {}


def test_the_learned_mac_is_asked_for_and_can_be_replaced() -> None:
    board = running(mac="24:6f:28:00:00:99")
    world = FakeWorld({"/dev/kitchen": board})
    world.identities.macs["kitchen"] = MAC
    assert outcomes(go(world, device())) == {"kitchen": "refused"}
    exchanged = ApplyTask(yes=True, accept_new=frozenset({"kitchen"}))
    assert outcomes(go(world, device(), task=exchanged)) == {"kitchen": "changed"}
    assert world.identities.macs["kitchen"] == "24:6f:28:00:00:99"


def test_the_board_of_another_device_is_not_written_on_first_contact() -> None:
    board = running({"/main.py": b"hall's own"})
    world = FakeWorld({"/dev/kitchen": board})
    world.identities.macs["hall"] = MAC
    report = go(world, device())
    assert outcomes(report) == {"kitchen": "refused"}
    assert error_of(report) == (
        f"the board on this port is {MAC}, which fleet.lock knows as that of hall"
    )
    assert board.files == {"/main.py": b"hall's own"}
    assert world.identities.macs == {"hall": MAC}
    moved = ApplyTask(yes=True, accept_new=frozenset({"kitchen"}))
    assert outcomes(go(world, device(), task=moved)) == {"kitchen": "changed"}
    assert world.identities.macs == {"kitchen": MAC}


@pytest.mark.parametrize("accept", [frozenset(), frozenset({"kitchen"})], ids=["plain", "accepted"])
@pytest.mark.parametrize("blank", [False, True], ids=["running", "blank"])
def test_a_board_that_the_manifest_declares_as_anothers_is_never_taken(
    accept: frozenset[str], blank: bool
) -> None:
    board = FakeBoard() if blank else running()
    world = FakeWorld({"/dev/kitchen": board}, {"new": image()})
    task = ApplyTask(yes=True, accept_new=accept)
    context = {"declared_macs": {"hall": MAC}}  # of a device that --limit leaves out
    report = go(world, device(firmware=firmware()), task=task, **context)
    assert error_of(report) == (
        f"the board on this port is {MAC}, which the manifest declares as that of hall"
    )
    assert not any(entry.startswith(("erase", "flash", "write")) for entry in board.log)


def test_what_the_manifest_declares_goes_before_what_the_lock_has_learned() -> None:
    world = FakeWorld({"/dev/hall": running(), "/dev/kitchen": running(mac="24:6f:28:00:00:02")})
    world.identities.macs["kitchen"] = MAC
    states = (device("hall", mac=MAC), device())
    assert outcomes(go(world, *states)) == {"hall": "changed", "kitchen": "refused"}
    assert world.identities.macs == {"hall": MAC}
    assert outcomes(go(world, *states)) == {"hall": "ok", "kitchen": "changed"}
    assert world.identities.macs == {"hall": MAC, "kitchen": "24:6f:28:00:00:02"}


def old() -> FakeBoard:
    board = converged()
    board.firmware = image(version="1.23.0").identity
    return board


def stops_answering() -> FakeBoard:
    board = converged(failures=[NoAnswer("its watchdog bit")])
    board.files["/main.py"] = b"old"
    return board


def hogging() -> FakeBoard:
    return running({"/main.py": b"old"}, hogged=True)


EXCHANGES = {
    "blank, after flashing": (FakeBoard, 2),
    "to be updated, in download mode": (old, 1),
    "to be updated, after flashing": (old, 2),
    "without an answer, to be rid of its app": (stops_answering, 1),
    "without its app": (stops_answering, 2),
    "without an answer, at its REPL after a reset": (hogging, 2),
}


@pytest.mark.parametrize(("met", "start"), EXCHANGES.values(), ids=EXCHANGES.keys())
@pytest.mark.parametrize("known", [True, False])
def test_a_board_that_is_exchanged_meanwhile_is_not_written_and_not_learned(
    met: Callable[[], FakeBoard], start: int, known: bool
) -> None:
    """Also on first contact, when nothing but the session itself knows which board it was."""
    board = met()
    board.exchanged = (start, "24:6f:28:00:00:99")
    world = FakeWorld({"/dev/kitchen": board}, {"new": image()})
    if known:
        world.identities.macs["kitchen"] = MAC
    report = go(world, device(firmware=firmware()))
    assert outcomes(report) == {"kitchen": "refused"}
    assert "24:6f:28:00:00:99 answers now, 24:6f:28:00:00:01 did before" in error_of(report)
    after = board.log[board.log.index("exchanged") :]
    writes = ("erase", "flash", "write", "make", "delete", "disable", "restore")
    assert not [entry for entry in after if entry.startswith(writes)]
    assert world.identities.macs == ({"kitchen": MAC} if known else {})


def test_erasing_an_unknown_board_needs_a_yes() -> None:
    def fresh() -> tuple[FakeBoard, FakeWorld]:
        board = FakeBoard()
        return board, FakeWorld({"/dev/kitchen": board}, {"new": image()})

    board, world = fresh()
    report = go(world, device(firmware=firmware()), task=ApplyTask())
    assert outcomes(report) == {"kitchen": "refused"}
    assert "erase" not in board.log

    board, world = fresh()
    asked: list[str] = []

    def decline(name: str, plan: object) -> bool:
        asked.append(name)
        return False

    assert outcomes(go(world, device(firmware=firmware()), task=ApplyTask(), confirm=decline)) == {
        "kitchen": "refused"
    }
    assert asked == ["kitchen"]
    assert "erase" not in board.log

    board, world = fresh()
    world.identities.macs["kitchen"] = MAC
    report = go(world, device(firmware=firmware()), task=ApplyTask())
    assert outcomes(report) == {"kitchen": "changed"}


def test_erasing_what_does_not_answer_needs_a_yes_unless_a_run_was_cut_short_on_it() -> None:
    def met(cut: bool, **options: object) -> tuple[FakeBoard, RunReport]:
        board = running({"/data.csv": b"1,2\n"}, silent=True, damaged=True)
        world = FakeWorld({"/dev/kitchen": board}, {"new": image()})
        world.identities.macs["kitchen"] = MAC
        if cut:
            world.journal.begin(MAC, "kitchen", "erase")
        report = go(world, device(firmware=firmware()), **options)
        assert world.journal.open == {}
        return board, report

    board, report = met(cut=False, task=ApplyTask())
    assert outcomes(report) == {"kitchen": "refused"}
    assert "a filesystem that cannot be read would be lost" in error_of(report)
    assert board.files == {"/data.csv": b"1,2\n"}

    board, report = met(cut=True, task=ApplyTask())
    assert outcomes(report) == {"kitchen": "changed"}
    assert "erase the chip" in board.log  # what reads as blank may be half erased

    board, report = met(cut=False)
    assert outcomes(report) == {"kitchen": "changed"}
    assert "erase" in board.log
    assert report.devices[0].plan is not None
    assert "even after a reset" in report.devices[0].plan.actions[0].reason


@pytest.mark.parametrize("task", [PlanTask(), ApplyTask()], ids=["plan", "apply"])
def test_leave_to_erase_ends_when_the_board_answers_again(task: Task) -> None:
    board = converged()
    world = FakeWorld({"/dev/kitchen": board}, {"new": image()})
    world.identities.macs["kitchen"] = MAC
    world.journal.begin(MAC, "kitchen", "erase")
    go(world, device(firmware=firmware()), task=task)
    assert world.journal.open == {}
    board.silent = board.damaged = True
    report = go(world, device(firmware=firmware()), task=ApplyTask())
    assert outcomes(report) == {"kitchen": "refused"}
    assert board.files


@pytest.mark.parametrize("begun", [("hall", "erase"), ("kitchen", "keep")])
def test_what_another_run_was_allowed_is_no_leave_to_erase(begun: tuple[str, FlashMode]) -> None:
    """Another device's erase, and an update that was to keep the files."""
    board = running({"/data.csv": b"1,2\n"}, silent=True)
    board.firmware = image(version="1.23.0").identity
    world = FakeWorld({"/dev/kitchen": board}, {"new": image()})
    world.journal.begin(MAC, *begun)
    always = replace(firmware(), erase="always")
    report = go(world, device(firmware=always), task=ApplyTask())
    assert outcomes(report) == {"kitchen": "refused"}
    assert board.files == {"/data.csv": b"1,2\n"}


def test_a_board_that_answers_is_not_erased_by_leave_of_a_run_that_was_cut() -> None:
    board = old()
    world = FakeWorld({"/dev/kitchen": board}, {"new": image()})
    world.journal.begin(MAC, "kitchen", "erase")
    always = replace(firmware(), erase="always")
    report = go(world, device(firmware=always), task=ApplyTask())
    assert outcomes(report) == {"kitchen": "refused"}
    assert "erase" not in board.log


def test_a_write_that_is_not_verified_stays_in_the_journal() -> None:
    board = FakeBoard(unverified=True)
    world = FakeWorld({"/dev/kitchen": board}, {"new": image()})
    assert outcomes(go(world, device(firmware=firmware()))) == {"kitchen": "failed"}
    assert world.journal.interrupted_mode(MAC) == "erase"


def test_a_filesystem_that_is_too_small_is_told_before_the_flash_is_erased() -> None:
    board = FakeBoard()
    world = FakeWorld({"/dev/kitchen": board}, {"new": image()})
    world.filesystems.room = 10
    report = go(world, device(firmware=firmware()))
    assert outcomes(report) == {"kitchen": "refused"}
    assert board.log == ["bootloader", "restart"]


def test_one_failure_leaves_the_others_alone() -> None:
    world = FakeWorld(
        {
            "/dev/a": running(dead=True),
            "/dev/b": running(),
            "/dev/c": running(worn=True, mac="24:6f:28:00:00:0c"),
        }
    )
    states = [device(name) for name in ("a", "b", "c", "gone")]
    report = go(world, *states)
    assert outcomes(report) == {
        "a": "unreachable",
        "b": "changed",
        "c": "failed",
        "gone": "unreachable",
    }
    assert report.exit_code() == 4
    assert "no port" in error_of(report, "gone")
    assert "still to be done" in error_of(report, "c")
    assert sum(isinstance(event, DeviceFinished) for event in world.events) == 4


def test_devices_that_are_not_plugged_in_take_no_thread_of_their_own() -> None:
    """A fleet of thousands whose boards are in a drawer is one thread's work."""
    world = FakeWorld({"/dev/a": converged(), "/dev/b": converged(mac="24:6f:28:00:00:0b")})
    threads: set[str] = set()

    def emit(event: Event) -> None:
        if isinstance(event, DeviceFinished):
            threads.add(threading.current_thread().name)

    states = [device(name) for name in ("gone", "a", *(f"gone{n}" for n in range(50)), "b")]
    report = go(world, *states, emit=emit)
    assert Counter(outcomes(report).values()) == {"unreachable": 51, "ok": 2}
    assert len(threads) <= 3


def test_a_bug_met_on_one_device_leaves_the_others_alone() -> None:
    world = FakeWorld({"/dev/a": running(), "/dev/b": running(mac="24:6f:28:00:00:0b")})
    learn = world.identities.learn

    def fails(name: str, mac: str) -> None:
        if name == "a":
            raise KeyError("oops")
        learn(name, mac)

    world.identities.learn = fails  # type: ignore[method-assign]
    report = go(world, device("a"), device("b"))
    assert outcomes(report) == {"a": "failed", "b": "changed"}
    assert error_of(report, "a") == "internal: KeyError: 'oops'"
    assert report.exit_code() == 1


def test_a_stop_while_the_flash_is_written_comes_before_the_files() -> None:
    board = running(files={})
    board.firmware = image(version="1.23.0").identity
    world = FakeWorld({"/dev/kitchen": board}, {"new": image()})
    told = threading.Event()

    def emit(event: Event) -> None:
        world.events.append(event)
        if isinstance(event, StageStarted) and event.stage == "flash":
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
            assert told.wait(30)
        if isinstance(event, Notice):
            told.set()

    with ctrl_c_raises():
        report = go(world, device(firmware=firmware()), emit=emit)
    assert outcomes(report) == {"kitchen": "interrupted"}
    assert report.exit_code() == 130
    assert [line for line in board.log if line.startswith("flash")]
    assert not [line for line in board.log if line.startswith("put")]
    assert world.journal.open == {}
    finished = [event for event in world.events if isinstance(event, DeviceFinished)]
    assert finished[0].board_state == (
        "the firmware is written and runs; 4 changes to files are still to come"
    )
    assert (finished[0].changes, finished[0].partly) == (1, False)


def test_an_app_that_keeps_its_repl_after_an_update_is_caught_by_a_reset() -> None:
    board = running(hogged=True)
    board.firmware = image(version="1.23.0").identity
    world = FakeWorld({"/dev/kitchen": board}, {"new": image()})
    assert outcomes(go(world, device(firmware=firmware()))) == {"kitchen": "changed"}
    assert board.log.index("flash bootloader partition table app") < board.log.index("reset", 3)


def test_an_app_that_keeps_its_repl_where_nothing_resets_it_is_told() -> None:
    profile = replace(PROFILE, reset=ResetWiring.NONE, download="Hold BOOT, press RESET.")
    board = running(hogged=True)
    world = FakeWorld({"/dev/kitchen": board}, {"new": image()})
    report = go(world, device(board=profile, firmware=firmware()), operator=True)
    assert outcomes(report) == {"kitchen": "unreachable"}
    assert "no MicroPython answers" in error_of(report)


@pytest.mark.parametrize(("wiring", "outcome"), [("none", "unreachable"), ("auto", "refused")])
def test_a_board_that_answers_and_runs_no_program_is_not_told_to_be_silent(
    wiring: str, outcome: str
) -> None:
    profile = replace(PROFILE, reset=ResetWiring(wiring), download="Hold BOOT, press RESET.")
    world = FakeWorld({"/dev/kitchen": running(spoilt=True)})
    report = go(world, device(board=profile))
    assert outcomes(report) == {"kitchen": outcome}
    assert "no memory, from a fresh interpreter too" in error_of(report)


def test_fail_fast_starts_no_further_device() -> None:
    world = FakeWorld({"/dev/a": running(dead=True), "/dev/b": running()})
    report = go(world, device("a"), device("b"), forks=1, fail_fast=True)
    assert outcomes(report) == {"a": "unreachable", "b": "skipped"}
    assert world.boards["/dev/b"].log == []


def in_turn(world: FakeWorld, batches: Batches, **context: object) -> RunReport:
    """Apply to the devices of these batches, given in the order of their names."""
    names = sorted(name for batch in batches.devices for name in batch)
    return run(
        [device(name) for name in names],
        ApplyTask(yes=True),
        world.context(**context),
        Cancellation(),
        fleet="test",
        batches=batches,
    )


def test_batches_begin_one_after_another() -> None:
    world = FakeWorld(
        {f"/dev/{name}": running(mac=f"24:6f:28:00:00:{name}") for name in ("a1", "b1", "c1")}
    )
    report = in_turn(world, Batches(devices=(("b1",), ("a1", "c1"))))
    assert [item.outcome for item in report.devices] == ["changed"] * 3
    assert [item.device for item in report.devices] == ["a1", "b1", "c1"]
    assert report.stopped is None
    seen = [
        event.device if isinstance(event, DeviceFinished) else event.devices
        for event in world.events
        if isinstance(event, (BatchStarted, DeviceFinished))
    ]
    assert seen[:3] == [("b1",), "b1", ("a1", "c1")]


def test_a_first_batch_that_does_not_converge_leaves_all_other_boards_alone() -> None:
    world = FakeWorld({"/dev/a": converged(), "/dev/b": running(dead=True), "/dev/c": running()})
    batches = Batches(devices=(("b",), ("a", "c")), max_failures=3)
    report = in_turn(world, batches)
    assert outcomes(report) == {"a": "skipped", "b": "unreachable", "c": "skipped"}
    assert world.boards["/dev/a"].log == world.boards["/dev/c"].log == []
    assert report.stopped == "1 device failed in the first batch, which has to converge whole"
    assert report.exit_code() == 4
    (stopped,) = [event for event in world.events if isinstance(event, RolloutStopped)]
    assert (stopped.batch, stopped.of, stopped.not_started) == (1, 2, ("a", "c"))
    assert isinstance(world.events[-1], RunFinished)
    assert world.events[-1].exit_code == 4


def test_failures_within_the_limit_stop_nothing() -> None:
    world = FakeWorld({"/dev/b": running(dead=True), "/dev/a": running(), "/dev/c": converged()})
    report = in_turn(world, Batches(devices=(("a",), ("b",), ("c",)), max_failures=1))
    assert list(outcomes(report).values())[:2] == ["changed", "unreachable"]
    assert outcomes(report)["c"] != "skipped"
    assert report.stopped is None
    assert not any(isinstance(event, RolloutStopped) for event in world.events)


def test_nothing_has_stopped_where_the_last_batch_fails() -> None:
    world = FakeWorld({"/dev/a": running(), "/dev/b": running(dead=True)})
    report = in_turn(world, Batches(devices=(("a",), ("b",))))
    assert outcomes(report) == {"a": "changed", "b": "unreachable"}
    assert report.stopped is None
    assert report.exit_code() == 5


@given(
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=4),
    most=st.integers(0, 3),
    bad=st.sets(st.integers(0, 7)),
)
def test_no_board_is_touched_that_the_rule_leaves_alone(
    sizes: list[int], most: int, bad: set[int]
) -> None:
    """Whole batches at once: a board is touched where its batch begins, and in no other case."""
    names = [f"d{number}" for number in range(8)]
    macs = {name: f"24:6f:28:00:00:0{number}" for number, name in enumerate(names)}
    dead = {f"d{number}" for number in bad}
    world = FakeWorld(
        {f"/dev/{name}": running(mac=macs[name], dead=name in dead) for name in names}
    )
    drawn = in_batches(names, names[::-1], [Share(number=size) for size in sizes])
    batches = Batches(devices=drawn, max_failures=most)
    report = in_turn(world, batches)
    begun: set[str] = set()
    for number, batch in enumerate(drawn):
        if number and len(dead & begun) > (0 if number == 1 else most):
            break
        begun |= {*batch}
    touched = {name for name in names if "write-file /main.py" in world.boards[f"/dev/{name}"].log}
    assert touched <= begun - dead
    if sum(map(len, drawn[:1])) and not any(one.outcome == "skipped" for one in report.devices):
        assert touched == {*names} - dead
    assert len({*dead} & begun) <= most + max(map(len, drawn))
    assert {one.device for one in report.devices if one.outcome == "skipped"} >= {*names} - begun


def test_two_devices_on_one_port_are_both_errors() -> None:
    world = FakeWorld({"/dev/a": running()})
    report = go(world, device("one", "/dev/a"), device("two", "/dev/a"))
    assert outcomes(report) == {"one": "failed", "two": "failed"}
    assert "also the port of two" in error_of(report, "one")
    assert world.boards["/dev/a"].log == []


def test_one_board_on_two_ports_is_taken_for_one_device_only() -> None:
    world = FakeWorld({"/dev/a": running(), "/dev/b": running()})
    report = go(world, device("one", "/dev/a"), device("two", "/dev/b"))
    assert sorted(outcomes(report).values()) == ["changed", "refused"]


def test_a_board_that_is_refused_is_left_to_its_own_device() -> None:
    """It is reached by the port of another device, which comes first, as well as by its own."""
    world = FakeWorld({"/dev/a": running(), "/dev/b": running()})
    world.identities.macs = {"one": "24:6f:28:00:00:99", "two": MAC}
    report = go(world, device("one", "/dev/a"), device("two", "/dev/b"), forks=1)
    assert outcomes(report) == {"one": "refused", "two": "changed"}
    assert f"the board on this port is {MAC}, that of two; one is" in error_of(report, "one")


def swapped() -> tuple[FakeWorld, tuple[DesiredState, DesiredState]]:
    other = "24:6f:28:00:00:02"
    world = FakeWorld({"/dev/hall": running(), "/dev/kitchen": running(mac=other)})
    world.identities.macs = {"kitchen": MAC, "hall": other}
    return world, (device("hall"), device("kitchen"))


def test_boards_on_each_others_ports_are_told_in_one_line_and_followed_on_request() -> None:
    world, states = swapped()
    for task in (PlanTask(), ApplyTask(yes=True)):
        world.events.clear()
        assert set(outcomes(go(world, *states, task=task)).values()) == {"refused"}
        assert [event.message for event in world.events if isinstance(event, Notice)] == [
            "2 boards on the port of another device: that of kitchen on the port of hall, that of "
            "hall on the port of kitchen; `provision apply --match-by-mac` finds each board by its "
            "MAC"
        ]
    world.events.clear()
    report = go(world, *states, match_by_mac=True)
    assert outcomes(report) == {"hall": "changed", "kitchen": "changed"}
    assert {item.device: item.address for item in report.devices} == {
        "hall": "/dev/kitchen", "kitchen": "/dev/hall",
    }  # fmt: skip
    assert world.identities.macs == {"kitchen": MAC, "hall": "24:6f:28:00:00:02"}
    assert not any(isinstance(event, Notice) for event in world.events)


def test_a_board_that_is_nobodys_in_the_run_is_no_swap() -> None:
    world, (hall, _) = swapped()
    assert outcomes(go(world, hall)) == {"hall": "refused"}
    assert not any(isinstance(event, Notice) for event in world.events)


def test_a_device_is_found_by_its_mac() -> None:
    world = FakeWorld(
        {"/dev/a": running(mac="24:6f:28:00:00:0a"), "/dev/b": running(mac="24:6f:28:00:00:0b")}
    )
    wanted = device(port=None)
    wanted = replace(wanted, port=PortSelector(kind="mac", value="24:6f:28:00:00:0b"))
    report = go(world, wanted)
    assert outcomes(report) == {"kitchen": "changed"}
    assert report.devices[0].address == "/dev/b"
    assert not any(entry.startswith("put") for entry in world.boards["/dev/a"].log)


def test_probing_never_touches_the_port_of_another_device() -> None:
    world = FakeWorld({"/dev/a": running(mac="24:6f:28:00:00:0a")})
    wanted = replace(device("lost"), port=PortSelector(kind="mac", value="24:6f:28:00:00:0a"))
    report = go(world, device("owner", "/dev/a"), wanted)
    assert outcomes(report) == {"owner": "changed", "lost": "unreachable"}


def test_a_board_without_reset_lines_waits_for_its_operator() -> None:
    profile = replace(PROFILE, reset=ResetWiring.NONE, download="Hold BOOT, press RESET.")
    state = device(board=profile, firmware=firmware())
    board = FakeBoard()
    world = FakeWorld({"/dev/kitchen": board}, {"new": image()})
    assert outcomes(go(world, state)) == {"kitchen": "unreachable"}
    assert "reset" not in board.log

    world = FakeWorld({"/dev/kitchen": board}, {"new": image()})
    assert outcomes(go(world, state, operator=True)) == {"kitchen": "changed"}
    asked = [event for event in world.events if isinstance(event, ManualActionNeeded)]
    assert asked[0].instructions == "Hold BOOT, press RESET."


def test_who_waits_for_a_person_does_not_work_meanwhile() -> None:
    """A question that is answered after a minute is no minute of a board's."""
    seconds = [0.0]
    states = [device(name, firmware=firmware()) for name in ("kitchen", "hall")]
    boards = {"/dev/kitchen": FakeBoard(), "/dev/hall": converged(mac="24:6f:28:00:00:0b")}
    world = FakeWorld(boards, {"new": image()})
    done = threading.Event()

    def emit(event: Event) -> None:
        if isinstance(event, DeviceFinished) and event.device == "hall":
            done.set()

    def agree(_name: str, _plan: object) -> bool:
        assert done.wait(60)  # so that nobody works meanwhile
        seconds[0] += 60
        return True

    report = go(
        world, *states, task=ApplyTask(), confirm=agree, emit=emit, clock=lambda: seconds[0]
    )
    assert outcomes(report) == {"kitchen": "changed", "hall": "ok"}
    assert [one.seconds for one in report.devices] == [0.0, 0.0]
    assert report.seconds == 0.0


def test_time_counts_while_one_works_and_another_waits() -> None:
    now = [0.0]
    run_time = RunTime(lambda: now[0])
    one, other = DeviceTime(run_time), DeviceTime(run_time)

    def after(seconds: float, done: Callable[[], None]) -> tuple[float, float, float]:
        now[0] += seconds
        done()
        return run_time.seconds, one.seconds, other.seconds

    assert after(1, one.wait) == (1, 1, 1)
    assert after(2, one.wait) == (3, 1, 3)  # the other works, and it waits already
    assert after(4, other.wait) == (7, 1, 7)
    assert after(8, other.go_on) == (7, 1, 7)
    assert after(16, one.end) == (23, 1, 23)  # as if the person had come
    assert after(32, other.end) == (55, 33, 55)


def test_too_little_room_is_told_before_the_first_byte() -> None:
    board = running(free=8192)
    state = device(files=(file("/a.py", "x"), file("/big.bin", "x" * 20_000)))
    report = go(FakeWorld({"/dev/kitchen": board}), state)
    assert outcomes(report) == {"kitchen": "refused"}
    assert "bytes more than the 8,192" in error_of(report)
    assert "(the largest: /big.bin, 20,000 bytes)" in error_of(report)
    assert board.log == ["leave"]


@pytest.mark.parametrize(
    ("check", "outcome"),
    [
        (Check(console="ready: kitchen"), "changed"),
        (Check(console="never said"), "failed"),
        (Check(expression="app.ok", timeout=1), "changed"),
    ],
)
def test_the_check_decides(check: Check, outcome: str) -> None:
    world = FakeWorld({"/dev/kitchen": running()})
    assert outcomes(go(world, device(check=check))) == {"kitchen": outcome}


def test_a_check_that_stays_false_fails_with_what_it_gave() -> None:
    board = running(answers=["False", "None"])
    report = go(
        FakeWorld({"/dev/kitchen": board}), device(check=Check(expression="app.ok", timeout=2))
    )
    assert outcomes(report) == {"kitchen": "failed"}
    assert "app.ok gave None" in error_of(report)


def test_a_hogging_app_is_caught_by_a_reset() -> None:
    board = running(hogged=True)
    assert outcomes(go(FakeWorld({"/dev/kitchen": board}), device())) == {"kitchen": "changed"}
    assert board.log[:2] == ["bootloader", "reset"]


def test_every_action_done_was_planned() -> None:
    world = FakeWorld({"/dev/kitchen": running()})
    go(world, device())
    planned = next(event.plan for event in world.events if isinstance(event, DevicePlanned))
    done = [event.action.kind for event in world.events if isinstance(event, ActionDone)]
    assert done == [action.kind for action in planned.actions]


def test_firmware_is_not_written_over_a_link_that_cannot_carry_it() -> None:
    """Such as a raw socket: nothing is changed, not even the names of start-up files."""
    board = running({"/main.py": b"old"}, writable=False)
    assert board.firmware is not None
    board.firmware = replace(board.firmware, version="1.20.0")
    report = go(FakeWorld({"/dev/kitchen": board}, {"new": image()}), device(firmware=firmware()))
    assert outcomes(report) == {"kitchen": "refused"}
    assert "firmware cannot be written over /dev/kitchen" in error_of(report)
    assert board.log == ["leave"]


def test_files_are_written_over_a_link_that_cannot_flash() -> None:
    board = running({"/main.py": b"old"}, writable=False)
    assert outcomes(go(FakeWorld({"/dev/kitchen": board}), device())) == {"kitchen": "changed"}
