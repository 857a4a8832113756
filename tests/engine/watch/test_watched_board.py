"""Boards that are kept in step, in memory: which edits go out how, and what stands in the way."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from provision.engine.cancellation import Cancellation
from provision.engine.run import run
from provision.engine.watch.edits import Edits
from provision.engine.watch.task import WatchTask
from provision.errors import BoardError, NoAnswer, OutOfSpace
from provision.model.event import DeviceUpdated, Notice
from provision.model.report import RunReport
from provision.model.state import DesiredState
from tests.engine.test_fleet_run import MAC, converged, device, file, firmware, image, outcomes
from tests.engine.test_fleet_run import running as running_board
from tests.fakes.world import FakeBoard, FakeWorld

Edit = DesiredState | Callable[[], None]


class Watch:
    """A run in which each edit comes when the board of the one before is listened to."""

    def __init__(self, board: FakeBoard, *, images: dict[str, str] | None = None) -> None:
        found = {name: image(version=version) for name, version in (images or {}).items()}
        self.board = board
        self.world = FakeWorld({"/dev/kitchen": board}, images=found)
        self.world.interrupts = True
        self.edits = Edits()
        self.logs: list[list[str]] = []  # what was done to the board, by edit

    def publish(self, state: DesiredState) -> None:
        self.edits.publish([state], self.world.images, self.edits.now())

    def run(self, first: DesiredState, *later: Edit, reset: bool = True) -> RunReport:
        cancel = Cancellation()
        steps: Iterator[Edit] = iter(later)

        def listens(_stopping: Callable[[], bool]) -> None:
            self.logs.append(self.board.log.copy())
            self.board.log.clear()
            step = next(steps, None)
            if step is None:
                cancel.cancel()
            elif isinstance(step, DesiredState):
                self.publish(step)
            else:
                step()

        self.board.listens = listens
        return run(
            [first],
            WatchTask(edits=self.edits, reset=reset),
            self.world.context(),
            cancel,
            fleet="test",
        )

    @property
    def updates(self) -> list[tuple[tuple[str, ...], str | None]]:
        found = [event for event in self.world.events if isinstance(event, DeviceUpdated)]
        return [(event.paths, event.error) for event in found]

    @property
    def notices(self) -> list[str]:
        return [event.message for event in self.world.events if isinstance(event, Notice)]


def edited(main: str, **changes: object) -> DesiredState:
    files = [one for one in device().files if one.dest != "/main.py"]
    return device(files=(*files, file("/main.py", main)), **changes)


def test_a_small_edit_is_one_program_and_one_start_of_the_app() -> None:
    watch = Watch(converged())
    report = watch.run(device(), edited("2\n"), edited("3\n"))
    assert outcomes(report) == {"kitchen": "ok"}
    assert report.exit_code() == 130
    assert watch.logs == [
        ["start app"],  # which the first look has stopped
        ["update", "write-file /main.py", "start app"],
        ["update", "write-file /main.py", "start app"],
    ]
    assert watch.updates == [((), None), (("/main.py",), None), (("/main.py",), None)]
    assert watch.board.files["/main.py"] == b"3\n"
    assert watch.world.identities.macs == {"kitchen": MAC}
    assert not watch.board.open


def test_an_edit_amid_a_transfer_follows_it() -> None:
    watch = Watch(converged())

    def meanwhile() -> None:
        watch.board.amid = lambda: watch.publish(edited("3\n"))

    watch.run(device(), meanwhile, edited("2\n"))
    assert watch.updates[1:] == [(("/main.py",), None)] * 2
    assert watch.board.files["/main.py"] == b"3\n"


def test_a_board_that_takes_no_small_program_is_looked_at() -> None:
    watch = Watch(converged(takes=False))
    watch.run(device(), edited("2\n"))
    assert watch.logs[1] == ["update", "write-file /main.py", "start app"]
    assert watch.board.files["/main.py"] == b"2\n"


def test_what_is_deleted_or_large_is_looked_at_before_and_after() -> None:
    board = converged()
    board.files["/old.py"] = b""
    watch = Watch(board)
    large = "x" * 20_000
    watch.run(device(), device(absent=("/old.py",)), edited(large))
    assert watch.logs[1:] == [
        ["delete-file /old.py", "start app"],
        ["write-file /main.py", "start app"],
    ]
    assert board.files["/main.py"] == large.encode()


def test_an_edit_that_is_taken_back_asks_nothing_of_the_board() -> None:
    watch = Watch(converged())
    watch.run(device(), edited("2\n"), lambda: None, edited("2\n"))
    assert watch.logs[2:] == [[], []]


def test_without_a_reset_the_app_is_left_stopped_and_started_in_the_end() -> None:
    watch = Watch(converged())
    watch.run(device(), edited("2\n"), reset=False)
    assert watch.logs[1] == ["update", "write-file /main.py", "leave"]
    assert watch.board.log == ["start app"]
    assert not [one for one in watch.world.events if isinstance(one, DeviceUpdated)][1].restarted


def test_firmware_is_said_once_and_files_go_on() -> None:
    watch = Watch(converged(), images={"new": "1.25.0"})
    newer = {"firmware": firmware()}
    report = watch.run(device(), edited("2\n", **newer), edited("3\n", **newer), edited("4\n"))
    assert outcomes(report) == {"kitchen": "ok"}
    said = [text for text in watch.notices if "provision apply" in text]
    assert said == [
        "1.24.1 is on the board, 1.25.0 is wanted; `provision apply --limit kitchen` writes it; "
        "its files are kept up meanwhile"
    ]
    assert watch.board.files["/main.py"] == b"4\n"
    assert not [word for log in watch.logs for word in log if word in ("erase", "bootloader")]


def test_bytecode_waits_for_its_firmware() -> None:
    watch = Watch(converged(), images={"new": "1.25.0"})
    wanted = device(firmware=firmware(), files=(file("/app.mpy", "M"),))
    watch.run(device(), wanted)
    assert any("its files wait for that" in text for text in watch.notices)
    assert "/app.mpy" not in watch.board.files
    assert not [word for word in watch.logs[1] if word.startswith("write")]


def test_a_blank_board_is_left_to_an_apply() -> None:
    watch = Watch(FakeBoard(), images={"new": "1.25.0"})
    watch.run(device(firmware=firmware()))
    ((_, error),) = watch.updates
    assert error == "no MicroPython answers on its board"
    assert not [word for word in watch.logs[0] if word.startswith(("flash", "erase"))]


def test_what_fails_once_is_tried_again_and_what_fails_twice_at_the_next_edit() -> None:
    board = converged(takes=False)
    watch = Watch(board)
    full = OutOfSpace("the board's filesystem is full")

    def fail(*errors: BoardError | NoAnswer) -> Callable[[], None]:
        return lambda: board.failures.extend(errors)

    watch.run(
        device(),
        fail(BoardError("no")), edited("2\n"),
        fail(full), edited("3\n"),
        edited("4\n"),
    )  # fmt: skip
    assert [error for _, error in watch.updates] == [None, None, full.message, None]
    assert board.files["/main.py"] == b"4\n"


def test_a_board_that_was_away_is_looked_at_when_it_is_back() -> None:
    board = converged()
    watch = Watch(board)

    def unplug() -> None:
        board.gone = "unplugged"
        board.files["/main.py"] = b"of somebody else\n"

    watch.run(device(), unplug, edited("2\n"))
    assert watch.notices[:2] == ["unplugged; waiting for it to come back", "its port is back"]
    assert watch.updates[1] == (("/main.py",), None)
    assert board.files["/main.py"] == b"2\n"


def test_another_board_on_the_port_is_refused_until_the_own_one_is_back() -> None:
    board = converged()
    watch = Watch(board)

    def exchange(mac: str) -> Callable[[], None]:
        def do() -> None:
            board.gone, board.mac = "unplugged", mac

        return do

    watch.run(device(), exchange("24:6f:28:00:00:02"), edited("2\n"), exchange(MAC))
    assert [error is None for _, error in watch.updates] == [True, False, False, True]
    assert "24:6f:28:00:00:02" in str(watch.updates[1][1])
    assert board.files["/main.py"] == b"2\n"


def test_another_port_in_the_manifest_is_not_looked_for() -> None:
    watch = Watch(converged())
    elsewhere = replace(edited("2\n"), port=device("shed").port)
    watch.run(device(), elsewhere, edited("3\n"))
    assert watch.updates[1][1] is not None
    assert watch.updates[1][1].startswith("the manifest has another port for it now")
    assert watch.logs[1] == []
    assert watch.board.files["/main.py"] == b"3\n"


def test_a_check_that_had_passed_is_pending_once_files_have_changed() -> None:
    watch = Watch(converged())
    watch.world.checks.end(MAC, "kitchen", "digest", passed=True)
    watch.run(device(), edited("2\n"))
    record = watch.world.checks.last(MAC, "kitchen")
    assert record is not None
    assert record.outcome == "begun"


def test_start_up_files_that_an_update_had_disabled_get_their_names_back() -> None:
    board = running_board({one.dest: one.content.data for one in device().files})
    board.disabled = {"/main.py"}
    watch = Watch(board)
    watch.run(device())
    assert "restore startup" in watch.logs[0]
    assert board.disabled == set()
