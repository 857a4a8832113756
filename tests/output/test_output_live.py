"""The live display: readable for thirty boards on 24 lines, and gone without a trace at the end."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from provision.core.wording import harmless
from provision.model.event import (
    DeviceFinished,
    DevicePlanned,
    Event,
    ManualActionNeeded,
    Notice,
    RunFinished,
    RunStarted,
    StageProgress,
    StageStarted,
)
from provision.model.plan import EraseFlash, Plan
from provision.output.fleet_view import FleetView, RateMeter, Row
from provision.output.live import Live
from provision.output.setup import open_outputs


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def started(count: int) -> RunStarted:
    devices = tuple(f"desk-{number:02}" for number in range(1, count + 1))
    return RunStarted(task="apply", changes_boards=True, fleet="class", devices=devices)


def view(clock: Clock, *events: Event) -> FleetView:
    made = FleetView(clock)
    for event in events:
        made.handle(event)
    return made


def test_a_rate_is_that_of_the_last_seconds() -> None:
    meter = RateMeter()
    assert meter.rate() is None
    assert meter.seconds_left(1000) is None
    for second in range(20):  # 100 B/s, then 10 B/s
        meter.add(float(second), second * 100 if second < 10 else 1000 + (second - 10) * 10)
    assert meter.rate() == 10.0
    assert meter.seconds_left(1190) == 10.0
    meter.add(20.0, 0)  # another file, another count
    assert meter.rate() is None


def test_a_device_goes_through_its_stages() -> None:
    clock = Clock()
    shown = view(clock, started(1))
    assert shown.rows(9) == [Row(device="desk-01", what="waiting")]
    shown.handle(StageStarted(device="desk-01", stage="flash", detail="MicroPython\n1.24.1"))
    shown.handle(StageProgress(device="desk-01", stage="flash", done=0, total=4000))
    clock.now += 2
    shown.handle(StageProgress(device="desk-01", stage="flash", done=1000, total=4000))
    assert shown.rows(9) == [
        Row(
            device="desk-01",
            what="writing flash (MicroPython 1.24.1)",
            percent=25,
            rate=500.0,
            seconds=6.0,
        )
    ]
    shown.handle(ManualActionNeeded(device="desk-01", instructions="Hold GPIO0.", seconds=60))
    clock.now += 1
    assert shown.rows(9) == [Row(device="desk-01", what="by hand: Hold GPIO0.", seconds=59.0)]
    shown.handle(StageStarted(device="desk-01", stage="files"))
    assert shown.rows(9) == [Row(device="desk-01", what="sending files")]
    shown.handle(DeviceFinished(device="desk-01", outcome="changed", seconds=4, changes=2))
    assert shown.rows(9) == [
        Row(device="desk-01", what="changed: 2 changes", seconds=4, outcome="changed")
    ]


def test_without_room_for_all_the_active_are_shown_and_the_rest_counted() -> None:
    clock = Clock()
    shown = view(clock, started(30))
    assert len(shown.rows(30)) == 30
    assert shown.rows(22) == []
    for number in range(1, 4):
        name = f"desk-{number:02}"
        shown.handle(DeviceFinished(device=name, outcome="ok", seconds=1))
    shown.handle(DeviceFinished(device="desk-04", outcome="failed", seconds=1, error="no"))
    for number in range(5, 30):
        shown.handle(StageStarted(device=f"desk-{number:02}", stage="flash"))
    shown.handle(ManualActionNeeded(device="desk-29", instructions="Hold it.", seconds=9))
    rows = shown.rows(22)
    assert [row.device for row in rows] == [
        "desk-29",
        *(f"desk-{number:02}" for number in range(5, 26)),
    ]
    clock.now += 42
    assert shown.summary(rows) == (
        "3 of 30 devices done, 1 failed, 25 active (3 not shown), 1 waiting, 42 s"
    )


def test_thirty_boards_fit_a_terminal_of_24_lines() -> None:
    for width in (80, 40):
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=True, no_color=True, width=width, height=24)
        live = Live(stream, colour=False, console=console)
        live._view.handle(started(30))  # not begun: nothing draws but what is asked for below
        for number in range(1, 31):
            name = f"desk-{number:02}"
            live._view.handle(StageStarted(device=name, stage="flash", detail="MicroPython 1.24.1"))
            live._view.handle(StageProgress(device=name, stage="flash", done=number, total=100))
        with console.capture() as captured:
            console.print(live.render())
        lines = harmless(captured.get()).splitlines()
        assert len(lines) <= 24
        assert len([line for line in lines if "desk-" in line]) == 22
        assert "30 active (8 not" in lines[-1]
        assert all(len(line) <= width for line in lines)
        assert "1%" in lines[0]


def test_a_narrow_terminal_has_the_stage_or_how_far_it_is() -> None:
    stream, clock = io.StringIO(), Clock()
    console = Console(file=stream, force_terminal=True, no_color=True, width=40, height=24)
    live = Live(stream, colour=False, console=console, clock=clock)
    names = ("desk-01", "教室-一", "the-sensor-behind-the-house")
    live._view.handle(RunStarted(task="apply", changes_boards=True, fleet="class", devices=names))
    live._view.handle(StageStarted(device=names[0], stage="flash", detail="MicroPython 1.24.1"))
    live._view.handle(StageProgress(device=names[0], stage="flash", done=0, total=90000))
    clock.now += 2
    live._view.handle(StageProgress(device=names[0], stage="flash", done=30000, total=90000))
    live._view.handle(StageStarted(device=names[1], stage="observe"))
    with console.capture() as captured:
        console.print(live.render())
    assert [line.rstrip() for line in harmless(captured.get()).splitlines()] == [
        "desk-01       33% 15.0 kB/s 4.0 s",
        "教室-一       reading the board's state",
        "the-sensor-b… waiting",
        "0 of 3 devices done, 2 active, 1 waitin…",
    ]


def live_run(*events: Event, verbosity: int = 0) -> str:
    stream = Terminal()
    console = Console(file=stream, force_terminal=True, no_color=True, width=80, height=24)
    live = Live(stream, colour=False, console=console, verbosity=verbosity)
    for event in (started(2), *events, RunFinished(seconds=1, exit_code=0)):
        live.handle(event)
    live.close()
    return stream.getvalue()


def test_the_display_is_gone_and_the_cursor_back_at_the_end() -> None:
    text = live_run(StageStarted(device="desk-01", stage="flash"))
    assert "writing flash" in text
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    after = text[text.rindex("done, ") :]
    assert "\x1b[1A\x1b[2K" in after  # its lines were cleared


def test_what_matters_is_printed_above_and_the_rest_only_drawn() -> None:
    failed = DeviceFinished(
        device="desk-01", outcome="unreachable", seconds=1, error="gone", hint="plug it in"
    )
    events: list[Event] = [
        StageStarted(device="desk-01", stage="boot"),
        Notice(message="460800 baud failed", device="desk-01"),
        *(
            ManualActionNeeded(device="desk-02", instructions="Hold it.", seconds=n)
            for n in (9, 8, 7)
        ),
        failed,
    ]
    text = live_run(*events)
    assert "desk-01: 460800 baud failed\n" in text
    assert text.count("desk-02: Hold it. (waiting 9.0 s)\n") == 1
    assert "desk-01:   hint: plug it in\n" in text
    assert "desk-01: waiting for the board to boot\n" not in text
    assert "desk-01: waiting for the board to boot\n" in live_run(*events, verbosity=1)


def test_hints_are_broken_between_words() -> None:
    hint = "hold BOOT while the run connects, or choose the profile of this very board: " * 3
    text = live_run(
        DeviceFinished(device="desk-01", outcome="failed", seconds=1, error="no", hint=hint)
    )
    lines = harmless(text[text.index("desk-01:   hint") :]).splitlines()
    said = " ".join(" ".join(lines).split())
    assert hint.strip() in said
    assert all(len(line) <= 80 for line in lines[:4])


def test_a_prompt_has_the_terminal_for_itself() -> None:
    stream = Terminal()
    environment = {"NO_COLOR": "1", "PROVISION_STATE_DIR": "/dev/null/no"}
    with open_outputs(stdout=stream, stderr=stream, environment=environment) as fanout:
        fanout.handle(started(2))
        with fanout.paused():
            begun = len(stream.getvalue())
            fanout.handle(StageStarted(device="desk-01", stage="erase"))
            assert stream.getvalue()[begun:] == ""
            assert stream.getvalue().rindex("\x1b[?25h") > stream.getvalue().rindex("\x1b[?25l")
        assert "desk-01" in stream.getvalue()[begun:]


def test_manual_actions_needed_during_a_prompt_are_asked_for_right_after_it(
    tmp_path: Path,
) -> None:
    stream = Terminal()
    environment = {"NO_COLOR": "1", "PROVISION_STATE_DIR": str(tmp_path)}
    with open_outputs(stdout=stream, stderr=stream, environment=environment) as fanout:
        fanout.handle(started(2))
        with fanout.paused():
            for left in (20, 19, 18):
                fanout.handle(
                    ManualActionNeeded(device="desk-02", instructions="Hold it.", seconds=left)
                )
            begun = len(stream.getvalue())
        shown = harmless(stream.getvalue()[begun:])
        assert shown.count("desk-02: Hold it. (waiting") == 1
        assert "desk-02: Hold it. (waiting 18 s)" in shown


def test_on_a_terminal_plans_stay_above_and_the_recap_comes_last(tmp_path: Path) -> None:
    stream = Terminal()
    environment = {"NO_COLOR": "1", "PROVISION_STATE_DIR": str(tmp_path)}
    plan = Plan(device="desk-01", actions=(EraseFlash(reason="files changed"),))
    with open_outputs(stdout=stream, stderr=stream, environment=environment) as fanout:
        for event in (
            started(2),
            DevicePlanned(device="desk-01", plan=plan),
            DeviceFinished(device="desk-01", outcome="changed", seconds=1, changes=1),
            RunFinished(seconds=1, exit_code=0),
        ):
            fanout.handle(event)
    text = stream.getvalue()
    assert "desk-01: 1 change\n  erase the whole flash  files changed\n" in text
    assert text.splitlines()[-1] == "1 device in 1.0 s: changed=1 ok=0 failed=0 unreachable=0"
