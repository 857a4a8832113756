"""What people read: scrubbed, in plain lines, plans and recap, from many threads in one order."""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from provision.core.chips.esp.chips import ESP32
from provision.core.wording import columns, device_ranges
from provision.model.event import (
    ActionDone,
    DeviceFinished,
    DevicePlanned,
    Event,
    FileDiffed,
    ManualActionNeeded,
    Notice,
    RolloutStopped,
    RunFinished,
    RunStarted,
    StageProgress,
    StageStarted,
    Trace,
)
from provision.model.plan import (
    Action,
    DeleteFile,
    EraseFlash,
    MakeDirectory,
    Plan,
    Refusal,
    RemoveDirectory,
    Reset,
    RestoreFile,
    RunCheck,
    WriteFile,
    WriteFirmware,
)
from provision.model.state import Check, FirmwareIdentity
from provision.output import text
from provision.output.fanout import Fanout
from provision.output.plain import QUIET, Plain
from provision.output.recap import cause, recap_lines, totals_line
from provision.output.results import PlanText, Recap
from provision.output.scrub import scrub
from provision.output.style import Style, is_terminal, wants_colour

IDENTITY = FirmwareIdentity(version="1.24.1", machine="Generic ESP32 module with ESP32", chip=ESP32)
ACTIONS: tuple[Action, ...] = (
    EraseFlash(reason="not MicroPython"),
    WriteFirmware(identity=IDENTITY, reason="runs 1.20.0"),
    DeleteFile(path="/old.py", reason="absent"),
    RemoveDirectory(path="/old", reason="left empty"),
    MakeDirectory(path="/lib", reason="missing"),
    WriteFile(path="/main.py", size=1234, sensitive=False, reason="differs"),
    WriteFile(path="/wifi.json", size=80, sensitive=True, reason="differs"),
    Reset(reason="files changed"),
    RunCheck(check=Check(expression="app.ready"), reason="as the manifest asks"),
)


def plain(events: Sequence[Event], verbosity: int = 0, **kwargs: object) -> list[str]:
    stream = io.StringIO()
    output = Plain(stream, verbosity=verbosity, **kwargs)  # type: ignore[arg-type]
    for event in events:
        output.handle(event)
    output.close()
    return stream.getvalue().splitlines()


def test_scrub_reaches_every_text_of_an_event() -> None:
    def redact(shown: str) -> str:
        return shown.replace("hunter2", "***")

    plan = Plan(
        device="kitchen",
        actions=(WriteFile(path="/hunter2", size=1, sensitive=True, reason="\x1b[1mhunter2"),),
        refusals=(Refusal(kind="k", message="hunter2", hint="hun\x1b[0mter2"),),
    )
    events: list[Event] = [
        DevicePlanned(device="kitchen", plan=plan),
        RunFinished(seconds=1.0, exit_code=0, outcomes={"hunter2": "ok"}),
        DeviceFinished(
            device="d", outcome="failed", seconds=1, error="hunter2", board_state="hunter2"
        ),
    ]
    for event in events:
        clean = scrub(event, redact)
        assert type(clean) is type(event)
        assert "hunter2" not in repr(clean)
        assert "\\x1b" not in repr(clean)


def test_scrub_returns_what_needs_no_change_as_it_is() -> None:
    event = StageProgress(device="kitchen", stage="flash", done=1, total=2)
    assert scrub(event, str) is event


@pytest.mark.parametrize(
    ("seconds", "shown"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (9.96, "10 s"), (59.6, "1 min 00 s"),
                           (125, "2 min 05 s"), (3720, "1 h 02 min")]
)  # fmt: skip
def test_durations(seconds: float, shown: str) -> None:
    assert text.duration(seconds) == shown


@pytest.mark.parametrize(
    ("devices", "shown"),
    [
        ([], ""),
        (["kitchen"], "kitchen"),
        (["a1", "a2"], "a1, a2"),
        (["desk-08", "desk-09", "desk-10", "x"], "desk-[08:10], x"),
        (["n9", "n10", "n11"], "n[9:11]"),
        (["n09", "n10", "n011"], "n09, n10, n011"),
        (["r1-b", "r2-b", "r3-b", "r4-c"], "r[1:3]-b, r4-c"),
    ],
)
def test_names_of_a_row_are_written_as_the_manifest_does(devices: list[str], shown: str) -> None:
    assert device_ranges(devices) == shown


@pytest.mark.parametrize("action", [*ACTIONS, RestoreFile(path="/main.py", reason="held")])
def test_every_action_has_words_for_before_and_after(action: Action) -> None:
    for words in (text.action_text(action), text.done_text(action)):
        assert words
        assert "\n" not in words


@pytest.mark.parametrize(
    ("sizes", "shown"),
    [
        ((118, 120, 124), "write /config.json (118 B to 124 B)"),
        ((118, 118, 118), "write /config.json (118 B)"),
        ((4100, 4101, 4102), "write /config.json (4.1 kB)"),
    ],
)
def test_devices_whose_rendered_files_differ_in_size_alone_are_one_group(
    sizes: tuple[int, ...], shown: str
) -> None:
    plans = [
        Plan(
            device=f"desk-{number}",
            actions=(
                WriteFile(path="/config.json", size=size, sensitive=False, reason="it differs"),
                Reset(reason="run it"),
            ),
        )
        for number, size in enumerate(sizes, 1)
    ]
    lines = text.plan_lines(plans, width=100)
    assert lines[0] == "desk-[1:3] (3 devices): 1 change"
    assert lines[1].split("  ")[1] == shown
    assert lines[-1].startswith("Plan: 3 devices: 3 to change (3 files)")
    assert len(lines) == 4
    other = replace(
        plans[0],
        device="x",
        actions=(WriteFile(path="/config.json", size=1, sensitive=True, reason="it differs"),),
    )
    assert "x: 1 change" in text.plan_lines([*plans, other], width=100)


def test_a_plan_shows_each_action_with_its_reason() -> None:
    lines = text.plan_lines([Plan(device="kitchen", actions=ACTIONS)], width=100)
    assert lines[0] == "kitchen: 7 changes"
    assert lines[1].split("  ")[1:2] == ["erase the whole flash"]
    for action, line in zip(ACTIONS, lines[1:], strict=False):
        assert text.action_text(action) in line
        assert action.reason in line
    assert "secret" in lines[7]
    assert lines[-1] == (
        "Plan: 1 device: 1 to change (1 to erase, 1 to flash, 3 files), 0 without changes"
    )


def test_devices_with_the_same_plan_share_its_lines_and_changes_come_last() -> None:
    write = (WriteFile(path="/main.py", size=10, sensitive=False, reason="differs"),)
    refusal = Refusal(kind="wrong-mac", message="another board is here", hint="look at the port")
    plans = [Plan(device=f"desk-{number:02}", actions=write) for number in range(1, 29)]
    plans += [Plan(device="spare"), Plan(device="odd", refusals=(refusal,)), Plan(device="old")]
    lines = text.plan_lines(plans)
    assert lines == [
        "spare, old (2 devices): no changes",
        "desk-[01:28] (28 devices): 1 change",
        "  write /main.py (10 B)  differs",
        "odd: refused",
        "  wrong-mac: another board is here",
        "  hint: look at the port",
        "Plan: 31 devices: 28 to change (28 files), 2 without changes, 1 refused",
    ]


def test_on_a_terminal_no_line_of_a_plan_is_wider_than_it() -> None:
    lines = text.plan_lines([Plan(device="kitchen", actions=ACTIONS)], width=72)
    assert max(map(len, lines[:-1])) <= 72
    said = " ".join(" ".join(lines).split())
    for action in ACTIONS:
        assert text.action_text(action) in said
        assert action.reason in said


def test_a_devices_own_name_in_a_path_makes_no_other_plan() -> None:
    def plan(device: str, size: int) -> Plan:
        write = WriteFile(path=f"/certs/{device}.der", size=size, sensitive=False, reason="missing")
        return Plan(device=device, actions=(write,))

    shown = text.plan_lines([plan("desk-1", 1200), plan("desk-12", 1300)], width=100)
    assert shown[:2] == [
        "desk-1, desk-12 (2 devices): 1 change",
        "  write /certs/{{ name }}.der (1.2 kB to 1.3 kB)  missing",
    ]
    assert text.plan_lines([plan("desk-1", 1200)])[1] == (
        "  write /certs/desk-1.der (1.2 kB)  missing"
    )


def test_devices_whose_files_change_alike_share_the_diff() -> None:
    stream = io.StringIO()
    output = PlanText(stream)
    changed = ("--- board:/main.py", "+++ manifest:/main.py", "@@ -1 +1 @@", "-a", "+b")
    output.handle(RunStarted(task="plan", changes_boards=False, fleet="f", devices=("a", "b", "c")))
    for device, lines in (("c", changed), ("b", (*changed, "+c")), ("a", changed)):
        output.handle(DevicePlanned(device=device, plan=Plan(device=device)))
        output.handle(FileDiffed(device=device, path="/main.py", lines=lines))
    output.handle(RunFinished(seconds=1, exit_code=0))
    shown = stream.getvalue().splitlines()
    assert shown[2:] == ["a, c (2 devices):", *changed, "b:", *changed, "+c"]


def test_a_diff_shown_at_once_says_whose_it_is() -> None:
    stream = io.StringIO()
    output = PlanText(stream)
    output.handle(RunStarted(task="apply", changes_boards=True, fleet="f", devices=("b",)))
    output.handle(DevicePlanned(device="b", plan=Plan(device="b")))
    output.handle(FileDiffed(device="b", path="/main.py", lines=("--- x", "+++ y", "+1")))
    output.handle(StageStarted(device="b", stage="files"))
    assert stream.getvalue() == "b:\n--- x\n+++ y\n+1\n"


def test_plan_text_shows_all_at_the_end_in_manifest_order() -> None:
    stream = io.StringIO()
    output = PlanText(stream)
    output.handle(RunStarted(task="plan", changes_boards=False, fleet="f", devices=("b", "a")))
    output.handle(DevicePlanned(device="a", plan=Plan(device="a")))
    output.handle(DevicePlanned(device="b", plan=Plan(device="b")))
    assert stream.getvalue() == ""
    output.handle(RunFinished(seconds=1, exit_code=0))
    output.close()
    assert stream.getvalue() == (
        "b, a (2 devices): no changes\nPlan: 2 devices: 0 to change, 2 without changes\n"
    )


CHANGE = (ACTIONS[5],)
CHANGED = "  write /main.py (1.2 kB)  differs\n"


def planned(output: PlanText, *devices: str, actions: tuple[Action, ...] = CHANGE) -> None:
    for device in devices:
        output.handle(DevicePlanned(device=device, plan=Plan(device=device, actions=actions)))


def applied(*devices: str) -> tuple[io.StringIO, PlanText]:
    stream = io.StringIO()
    output = PlanText(stream)
    output.handle(RunStarted(task="apply", changes_boards=True, fleet="f", devices=devices))
    return stream, output


def test_an_apply_shows_the_same_plan_once_as_soon_as_all_are_known() -> None:
    stream, output = applied("desk-01", "desk-02", "desk-03", "desk-04")
    planned(output, "desk-02", "desk-01")
    output.handle(StageStarted(device="desk-01", stage="files"))
    planned(output, "desk-04", actions=())
    assert stream.getvalue() == ""
    planned(output, "desk-03")
    output.handle(StageStarted(device="desk-03", stage="files"))
    assert stream.getvalue() == f"desk-[01:03] (3 devices): 1 change\n{CHANGED}"


@pytest.mark.parametrize(
    "event",
    [
        StageStarted(device="a", stage="erase"),
        StageStarted(device="a", stage="flash"),
        ActionDone(device="a", action=ACTIONS[5]),
        DeviceFinished(device="a", outcome="changed", seconds=1, changes=1),
        ManualActionNeeded(device="b", instructions="Hold BOOT.", seconds=9),
        RunFinished(seconds=1, exit_code=0),
    ],
    ids=lambda event: event.kind,
)
def test_an_apply_does_not_wait_for_the_slowest_where_a_plan_is_due(event: Event) -> None:
    stream, output = applied("a", "b")
    planned(output, "a")
    assert stream.getvalue() == ""
    output.handle(event)
    assert stream.getvalue() == f"a: 1 change\n{CHANGED}"
    planned(output, "b")
    output.handle(StageStarted(device="b", stage="files"))
    assert stream.getvalue() == f"a: 1 change\n{CHANGED}b: 1 change, as a\n"


def test_devices_that_begin_one_by_one_have_their_plan_told_once() -> None:
    """As thirty boards that are found one after the other."""
    stream, output = applied(*(f"desk-{number}" for number in range(1, 7)))
    for number in range(1, 6):
        planned(output, f"desk-{number}")
        output.handle(StageStarted(device=f"desk-{number}", stage="flash"))
        assert stream.getvalue() == f"desk-1: 1 change\n{CHANGED}"
    planned(output, "desk-6")
    output.handle(StageStarted(device="desk-6", stage="files"))
    assert stream.getvalue() == (
        f"desk-1: 1 change\n{CHANGED}desk-[2:6] (5 devices): 1 change, as desk-1\n"
    )


def test_who_is_asked_has_seen_the_plan() -> None:
    stream, output = applied("a", "b")
    planned(output, "a")
    with Fanout([output]).paused():
        assert stream.getvalue() == f"a: 1 change\n{CHANGED}"


FINISHED = [
    DeviceFinished(device="kitchen", outcome="changed", seconds=4.2, changes=3),
    DeviceFinished(device="bath", outcome="ok", seconds=0.3),
    DeviceFinished(
        device="shed",
        outcome="unreachable",
        seconds=1.0,
        error="/dev/ttyUSB0 is in use by process 7 (screen /dev/ttyUSB0 115200)",
        hint="close it",
        code="port-busy",
        board_state="it was not touched",
    ),
]


def test_the_recap_has_a_line_a_device_and_totals() -> None:
    lines = recap_lines(FINISHED, 4.4)
    assert lines == [
        "Recap",
        "shed     unreachable  changed=0       1.0 s  "
        "port-busy: /dev/ttyUSB0 is in use by process 7 (screen /dev/ttyUSB0 115200)",
        "kitchen  changed      changed=3       4.2 s",
        "bath     ok           changed=0       0.3 s",
        "3 devices in 4.4 s: changed=1 ok=1 failed=0 unreachable=1",
    ]
    assert max(map(len, recap_lines(FINISHED, 4.4, width=80))) == 80


def failed(device: str, error: str, hint: str = "plug it in", **more: Any) -> DeviceFinished:
    return DeviceFinished(
        **{"device": device, "outcome": "unreachable", "seconds": 1, "error": error, "hint": hint,
           "code": "port-not-found", **more}
    )  # fmt: skip


def test_thirty_boards_are_one_thing_to_read() -> None:
    finished = [
        *(failed(f"desk-{n:02}", f"there is no /dev/ttyUSB{n}", seconds=n) for n in range(1, 13)),
        failed("desk-13", "no board answers at /dev/ttyUSB13", "press RESET", code="no-answer"),
        *(DeviceFinished(device=f"desk-{n}", outcome="ok", seconds=1) for n in range(14, 29)),
        DeviceFinished(device="desk-29", outcome="changed", changes=2, seconds=3),
        failed("desk-30", "the disk is full", "make room", outcome="failed", code="board"),
    ]
    assert recap_lines(finished, 12.0) == [
        "Recap",
        "desk-30                    failed       changed=0       1.0 s  board: the disk is full",
        "desk-[01:12] (12 devices)  unreachable  changed=0        12 s  "
        "port-not-found: as desk-01: there is no /dev/ttyUSB1",
        "  hint: plug it in",
        "desk-13                    unreachable  changed=0       1.0 s  "
        "no-answer: no board answers at /dev/ttyUSB13",
        "desk-29                    changed      changed=2       3.0 s",
        "desk-[14:28] (15 devices)  ok           changed=0       1.0 s",
        "30 devices in 12 s: changed=1 ok=15 failed=1 unreachable=13",
    ]


def test_few_boards_have_a_line_each_and_what_differs_stays_apart() -> None:
    alike = [failed(f"desk-{n}", "there is no port") for n in range(8)]
    assert len(recap_lines(alike, 1.0)) == 10
    assert len(recap_lines([*alike, failed("desk-8", "there is no port")], 1.0)) == 4
    other = [failed(f"shed-{n}", f"it wants {'abc'[n % 3]} and more") for n in range(9)]
    assert len(recap_lines(other, 1.0)) == 2 + 3 * 2  # three causes, each with its hint
    parts = [replace(one, changes=n) for n, one in enumerate(alike)]
    assert len(recap_lines([*parts, failed("x", "there is no port")], 1.0)) == 11


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ("there is no /dev/ttyUSB0", "there is no /dev/serial/by-id/usb-a_b", True),
        ("COM3 failed while in use", "COM14 failed while in use", True),
        ("rfc2217://pi-a:4000 broke", "rfc2217://pi-b:4001 broke", True),
        ("its MAC is 5c:cf:7f:01:02:03", "its MAC is 5c:cf:7f:01:02:04", True),
        ("its id is e6614103e7234b2c", "its id is e6614103e7234b2f", True),
        ("123,456 bytes, and 1,234 are free", "123,456 bytes, and 99 are free", True),
        ("no answer in 2.5 s at 0x1000", "no answer in 13 s at 0xfe", True),
        ("desk-1 is /s/20261130T050400Z/x", "desk-2 is /s/20261130T050401Z/x", True),
        ("OSError: [Errno 28] ENOSPC", "OSError: [Errno 19] ENODEV", False),
        ("OSError: [Errno 28]", "OSError: [Errno 19]", False),
        ("OSError: 28", "OSError: 19", False),
        ("this is an ESP32-C3", "this is an ESP32-S3", False),
        ("it runs 1.24.1", "it runs 1.24.0", False),
        ("/lib/a1.py cannot be written", "/lib/a2.py cannot be written", False),
    ],
)
def test_what_is_no_device_s_own_is_another_cause(one: str, other: str, alike: bool) -> None:
    assert (cause(failed("desk-1", one)) == cause(failed("desk-2", other))) is alike


@pytest.mark.parametrize("piece", ["a", "a1-", "1,", "1", "\\", "ab:", "a://", "aA", "1.1"])
def test_a_cause_of_any_length_is_found_at_once(piece: str) -> None:
    """In steps that grow with the text alone: what took a square of them would not end."""
    cause(failed("desk-1", piece * 200_000))


def test_devices_that_were_not_begun_are_one_line_of_a_log() -> None:
    events: list[Event] = [
        DeviceFinished(device=f"desk-{number}", outcome="skipped", seconds=0)
        for number in range(1, 5)
    ]
    events.append(RunFinished(seconds=1, exit_code=130))
    assert plain(events) == ["desk-[1:4] (4 devices): skipped"]
    assert plain(events, verbosity=QUIET) == []


def test_devices_that_a_rollout_did_not_begin_are_told_once() -> None:
    stream = io.StringIO()
    recap = Recap(stream)
    names = ("a", "b", "c", "d")
    recap.handle(RunStarted(task="apply", changes_boards=True, fleet="f", devices=names))
    recap.handle(failed("a", "it is gone"))
    for name in names[1:]:
        recap.handle(DeviceFinished(device=name, outcome="skipped", seconds=0))
    recap.handle(RolloutStopped(batch=1, of=2, message="1 device failed", not_started=names[1:]))
    recap.handle(RunFinished(seconds=1, exit_code=4))
    assert stream.getvalue().splitlines()[:5] == [
        "Recap",
        "a  unreachable  changed=0       1.0 s  port-not-found: it is gone",
        "4 devices in 1.0 s: changed=0 ok=0 failed=0 unreachable=1 skipped=3",
        "Rollout stopped in batch 1 of 2: 1 device failed",
        "  not started: b, c, d (3 devices)",
    ]


def test_what_follows_a_failure_is_told_once_for_those_that_failed_alike() -> None:
    events = [failed(f"desk-{n}", f"there is no /dev/ttyUSB{n}") for n in range(4)]
    assert plain(events) == [
        "desk-0: unreachable after 1.0 s: there is no /dev/ttyUSB0",
        "desk-0:   hint: plug it in",
        *(f"desk-{n}: unreachable after 1.0 s: there is no /dev/ttyUSB{n}" for n in (1, 2, 3)),
    ]
    assert plain(events, fold=True) == plain(events)[:2]


def test_of_a_large_fleet_what_is_alike_is_told_once() -> None:
    names = [f"desk-{number:02}" for number in range(1, 31)]
    events: list[Event] = [
        RunStarted(task="apply", changes_boards=True, fleet="class", devices=tuple(names)),
        *(failed(name, f"there is no /dev/tty{name[-2:]}") for name in names[:12]),
        *(DeviceFinished(device=name, outcome="ok", seconds=0.1) for name in names[12:29]),
        DeviceFinished(device="desk-30", outcome="changed", seconds=2, changes=1),
        RunFinished(seconds=2, exit_code=5),
    ]
    assert plain(events) == [
        "apply class: 30 devices",
        "desk-01: unreachable after 1.0 s: there is no /dev/tty01",
        "desk-01:   hint: plug it in",
        "desk-30: changed: 1 change in 2.0 s",
        "desk-[13:29] (17 devices): ok",
    ]


def test_names_in_wide_letters_keep_the_columns() -> None:
    """教 takes two columns of a terminal; the umlaut of the second ü, typed as its own, none."""
    names = ("教室-一", "küche", "ku\u0308che-2", "hall")
    finished = [DeviceFinished(device=name, outcome="ok", seconds=1) for name in names]
    assert recap_lines(finished, 1.0)[1:-1] == [
        "教室-一  ok           changed=0       1.0 s",
        "küche    ok           changed=0       1.0 s",
        "ku\u0308che-2  ok           changed=0       1.0 s",
        "hall     ok           changed=0       1.0 s",
    ]
    error = "電源が入っていません、確認してください"
    bad = [DeviceFinished(device="教室-一", outcome="failed", seconds=1, error=error, code="x")]
    lines = recap_lines(bad, 1.0, width=60)
    assert columns(lines[1]) in (59, 60)
    assert lines[1].endswith("…")
    actions = (Reset(reason="why"), RestoreFile(path="/データ/設定.py", reason="why"))
    plan = Plan(device="a", actions=actions)
    lines = [line for line in text.plan_lines([plan]) if line.endswith("why")]
    assert [columns(line) for line in lines] == [30, 30]


def test_on_a_narrow_terminal_nothing_stands_side_by_side() -> None:
    finished = [
        failed("desk-01", "there is no /dev/serial/by-path/pci-0000:00:14.0-usb-0:1:1.0-port0"),
        DeviceFinished(device="the-sensor-behind-the-house", outcome="ok", seconds=0.3),
    ]
    assert recap_lines(finished, 1.0, width=40) == [
        "Recap",
        "desk-01",
        "  unreachable  changed=0  1.0 s",
        "  port-not-found: there is no /dev/seri…",
        "the-sensor-behind-the-house",
        "  ok           changed=0  0.3 s",
        "2 devices in 1.0 s: changed=0 ok=1 failed=0 unreachable=1",
    ]
    plan = Plan(device="desk-01", actions=(ACTIONS[0], ACTIONS[5]))
    assert text.plan_lines([plan], width=40)[:-1] == [
        "desk-01: 2 changes",
        "  erase the whole flash",
        "    not MicroPython",
        "  write /main.py (1.2 kB)",
        "    differs",
    ]


def test_rare_outcomes_show_in_the_totals_when_there_are_any() -> None:
    finished = [DeviceFinished(device="a", outcome="refused", seconds=1, error="x")]
    assert totals_line(finished, 1.0).endswith("failed=0 unreachable=0 refused=1")


def test_recap_follows_the_manifest_and_keeps_strangers() -> None:
    stream = io.StringIO()
    output = Recap(stream)
    output.handle(
        RunStarted(task="apply", changes_boards=True, fleet="f", devices=("shed", "kitchen"))
    )
    for event in FINISHED:
        output.handle(event)
    output.handle(RunFinished(seconds=4.4, exit_code=5))
    assert [line.split()[0] for line in stream.getvalue().splitlines()] == [
        "Recap", "shed", "kitchen", "bath", "3",
    ]  # fmt: skip


def test_plain_lines_tell_a_run() -> None:
    events: list[Event] = [
        RunStarted(
            task="apply", changes_boards=True, fleet="greenhouse", devices=("kitchen", "shed")
        ),
        StageStarted(device="kitchen", stage="observe"),
        DevicePlanned(device="kitchen", plan=Plan(device="kitchen")),
        StageStarted(device="kitchen", stage="flash", detail="MicroPython 1.24.1"),
        ActionDone(device="kitchen", action=ACTIONS[5]),
        Notice(message="460800 baud failed, going on with 115200", device="kitchen"),
        Trace(device="kitchen", level=1, text=">>> 1+1"),
        FINISHED[0],
        FINISHED[2],
        RunFinished(seconds=4.4, exit_code=5),
    ]
    assert plain(events) == [
        "apply greenhouse: 2 devices",
        "kitchen: writing flash (MicroPython 1.24.1)",
        "kitchen: wrote /main.py (1.2 kB)",
        "kitchen: 460800 baud failed, going on with 115200",
        "kitchen: changed: 3 changes in 4.2 s",
        "shed: unreachable after 1.0 s: "
        "/dev/ttyUSB0 is in use by process 7 (screen /dev/ttyUSB0 115200)",
        "shed:   the board: it was not touched",
        "shed:   hint: close it",
    ]
    assert "kitchen| >>> 1+1" in plain(events, 1)
    assert "kitchen: reading the board's state" in plain(events, 1)
    assert plain(events, QUIET) == plain(events)[3:4] + plain(events)[5:]


def test_a_device_cannot_forge_a_line_of_another() -> None:
    events: list[Event] = [
        Trace(device="kitchen", level=1, text="x\nshed: ok in 1.0 s"),
        DeviceFinished(device="kitchen", outcome="failed", seconds=1, error="x\nshed: ok in 1 s"),
    ]
    assert not [line for line in plain(events, 1) if line.startswith("shed")]


def test_a_manual_action_is_asked_for_once_a_wait() -> None:
    events = [
        ManualActionNeeded(device="kitchen", instructions="Hold GPIO0.", seconds=seconds)
        for seconds in (60, 59, 58, 60, 59)
    ]
    assert plain(events) == ["kitchen: Hold GPIO0. (waiting 1 min 00 s)"] * 2


def test_progress_of_a_long_stage_is_told_now_and_then() -> None:
    now = 0.0

    def clock() -> float:
        return now

    stream = io.StringIO()
    output = Plain(stream, clock=clock)
    output.handle(StageStarted(device="kitchen", stage="flash"))
    for second in range(25):
        now = float(second)
        output.handle(StageProgress(device="kitchen", stage="flash", done=second, total=25))
    assert stream.getvalue().splitlines()[1:] == [
        "kitchen: writing flash: 40 %",
        "kitchen: writing flash: 80 %",
    ]


class Keeping:
    """An output that keeps what it was given, and may be told to fail."""

    name = "the log file run.log"

    def __init__(self, fails: bool = False, asked_for: bool = True, error: int = 28) -> None:
        self.events: list[Event] = []
        self.fails = fails
        self.asked_for = asked_for
        self.error = error
        self.busy = False
        self.closed = 0

    def handle(self, event: Event) -> None:
        assert not self.busy
        self.busy = True
        self.events.append(event)
        self.busy = False
        if self.fails:
            raise OSError(self.error, os.strerror(self.error), "/var/log/provision.log")

    def close(self) -> None:
        self.closed += 1


def test_events_of_many_threads_reach_all_outputs_in_one_order() -> None:
    first, second = Keeping(), Keeping()
    fanout = Fanout([first, second])

    def device(name: str) -> None:
        for done in range(200):
            fanout.handle(StageProgress(device=name, stage="files", done=done, total=200))

    threads = [threading.Thread(target=device, args=(f"desk-{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert first.events == second.events
    assert len(first.events) == 1600
    for number in range(8):
        mine = [
            e for e in first.events if isinstance(e, StageProgress) and e.device == f"desk-{number}"
        ]
        assert [event.done for event in mine] == list(range(200))


def test_fanout_redacts_before_any_output_sees_it() -> None:
    kept = Keeping()
    Fanout([kept], redact=lambda shown: shown.replace("hunter2", "***")).handle(
        Trace(device="kitchen", level=2, text="password = 'hunter2'\x1b[2J")
    )
    assert kept.events == [Trace(device="kitchen", level=2, text="password = '***'")]


def test_an_output_that_cannot_write_is_dropped_and_the_others_are_told() -> None:
    broken, kept = Keeping(fails=True), Keeping()
    fanout = Fanout([broken, kept])
    fanout.handle(FINISHED[0])
    fanout.handle(FINISHED[1])
    assert broken.events == [FINISHED[0]]
    assert broken.closed == 1
    notice = Notice(
        message="cannot write the log file run.log: No space left on device; "
        "the run goes on without it"
    )
    assert kept.events == [notice, FINISHED[0], FINISHED[1]]
    fanout.close()
    fanout.close()
    assert kept.closed == 1


@pytest.mark.parametrize(
    ("asked_for", "error", "lost"),
    [
        (True, errno.ENOSPC, True),
        (True, errno.EIO, True),
        (False, errno.ENOSPC, False),  # the record that every run leaves
        (True, errno.EPIPE, False),  # its reader has seen enough
    ],
)
def test_what_was_asked_for_and_not_written_is_lost(
    asked_for: bool, error: int, lost: bool
) -> None:
    fanout = Fanout([Keeping(fails=True, asked_for=asked_for, error=error), Keeping()])
    assert not fanout.lost
    fanout.handle(FINISHED[0])
    assert fanout.lost == lost


def test_while_paused_events_are_kept_back_and_nobody_waits() -> None:
    kept = Keeping()
    fanout = Fanout([kept])
    with fanout.paused():
        thread = threading.Thread(target=fanout.handle, args=(FINISHED[0],))
        thread.start()
        thread.join()
        assert kept.events == []
    assert kept.events == [FINISHED[0]]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("terminal", "environment", "colour"),
    [
        (True, {}, True),
        (False, {}, False),
        (True, {"NO_COLOR": "1"}, False),
        (True, {"NO_COLOR": ""}, True),
        (False, {"FORCE_COLOR": "1"}, True),
        (False, {"FORCE_COLOR": "0"}, False),
        (True, {"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        (True, {"TERM": "dumb"}, False),
    ],
)
def test_colour(terminal: bool, environment: dict[str, str], colour: bool) -> None:
    stream = Terminal() if terminal else io.StringIO()
    assert wants_colour(stream, environment) is colour
    assert is_terminal(stream, environment) is (terminal and "TERM" not in environment)
    assert ("\x1b[" in Style(colour).outcome("failed")) is colour
