"""`--html`: what is in the page, that it needs nothing else, and that what a board says is text."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import platform
from pathlib import Path
from xml.etree.ElementTree import Element

from provision.core.chips.esp.chips import ESP32
from provision.model.event import (
    ActionDone,
    ConsoleLine,
    DeviceFinished,
    DevicePlanned,
    DeviceUpdated,
    EditFailed,
    Event,
    FileDiffed,
    Mistake,
    Notice,
    RolloutStopped,
    RunFailed,
    RunFinished,
    RunStarted,
    SeenBoard,
    StepChecked,
)
from provision.model.plan import Action, DeleteFile, Plan, Refusal, Reset, RunCheck, WriteFile
from provision.model.state import Check, FirmwareIdentity, StepResult
from provision.output.fanout import Fanout
from provision.output.reports.html import CONSOLE_LINES, HtmlReport
from tests.html_page import parsed, rows, section, text, texts

MAC = "24:6f:28:00:00:01"
BOARD = SeenBoard(
    mac=MAC,
    chip=ESP32,
    firmware=FirmwareIdentity(version="1.24.1", machine="Generic ESP32", chip=ESP32),
)
STARTED = RunStarted(
    task="apply", changes_boards=True, fleet="greenhouse",
    devices=("desk-01", "desk-02", "desk-03", "shed", "bath", "attic"),
    manifest="/rooms/blue lab/fleet.yaml", commit="0123abc",
)  # fmt: skip


def write(path: str, size: int, *, sensitive: bool = False) -> WriteFile:
    return WriteFile(path=path, size=size, sensitive=sensitive, reason="content differs")


def planned(device: str, *actions: Action, done: int = 0) -> list[Event]:
    return [
        DevicePlanned(device=device, plan=Plan(device=device, actions=actions)),
        *(ActionDone(device=device, action=each) for each in actions[:done]),
    ]


RESET = Reset(reason="the app is to start")
CHECK = RunCheck(check=Check(expression="ok()"), reason="not passed yet")
RUN: tuple[Event, ...] = (
    STARTED,
    *planned("desk-01", write("/config.json", 100, sensitive=True), RESET, done=2),
    *planned("desk-02", write("/config.json", 1200, sensitive=True), RESET, done=2),
    *planned("desk-03"),
    *planned("bath", write("/main.py", 9), RESET, CHECK, done=2),
    FileDiffed(device="bath", path="/main.py", lines=("--- a", "+++ b", "@@ -1 +1 @@", "-x", "+y")),
    StepChecked(
        device="bath",
        result=StepResult(name="supply", asked="a()", passed=False, value="2.9", min=3.2, max=3.4),
    ),
    StepChecked(device="desk-01", result=StepResult(name="ok()", asked="ok()", passed=True)),
    Notice(message="the manifest changed"),
    Notice(message="its port moved", device="bath"),
    Notice(message="wrote again", device="desk-03"),
    ConsoleLine(device="bath", text="temp", ended=False),
    ConsoleLine(device="bath", text="erature 21"),
    DeviceFinished(device="desk-01", outcome="changed", seconds=4, changes=1, board=BOARD),
    DeviceFinished(device="desk-02", outcome="changed", seconds=4, changes=1),
    DeviceFinished(device="desk-03", outcome="ok", seconds=1),
    DeviceFinished(
        device="shed", outcome="unreachable", seconds=1, error="there is no port ttyUSB7",
        hint="plug it in, then `provision apply --limit shed`", code="port-lost",
    ),
    DeviceFinished(
        device="bath", outcome="failed", seconds=75, error="supply gave 2.9", code="check-failed",
        board_state="the new files are there", changes=1, partly=True, hint="look at its power",
    ),
    DeviceFinished(device="attic", outcome="skipped", seconds=0),
    RunFinished(seconds=75.4, exit_code=4),
)  # fmt: skip


def page(tmp_path: Path, run: tuple[Event, ...] = RUN) -> Element:
    path = tmp_path / "run.html"
    now = iter((1_700_000_000.0, 1_700_000_075.0))
    with Fanout([HtmlReport(path, clock=lambda: next(now))]) as outputs:
        for event in run:
            outputs.handle(event)
    return parsed(path.read_text("utf-8"))


def test_it_says_what_when_where_and_how_it_went(tmp_path: Path) -> None:
    root = page(tmp_path)
    assert texts(root, ".//h1") == ["✗ 2 of 6 devices need attention"]
    assert texts(root, ".//title") == ["apply greenhouse: 2 of 6 devices need attention"]
    about = dict(zip(texts(root, ".//dt"), texts(root, ".//dd"), strict=True))
    assert about["What"] == "provision apply, fleet greenhouse"
    assert about["Manifest"] == "/rooms/blue lab/fleet.yaml"
    assert about["Commit"] == "0123abc"
    assert about["Computer"] == platform.node()
    assert about["When"].endswith(", 1 min 15 s")
    assert texts(root, ".//ul[@class='counts']/li") == [
        "1 ✓ ok", "2 ● changed", "1 ✗ failed", "1 ? unreachable", "1 – skipped",
    ]  # fmt: skip


def test_failures_come_first_each_with_its_hint_and_the_command(tmp_path: Path) -> None:
    root = page(tmp_path)
    (main,) = root.iterfind(".//main")
    assert [each.get("aria-labelledby") for each in main.iterfind("section")] == [
        "attention", "changes", "diffs", "checks", "console", "notices", "devices",
    ]  # fmt: skip
    attention = section(root, "attention")
    assert texts(attention, ".//h3") == ["bath: ✗ failed", "shed: ? unreachable"]
    assert texts(attention, "p/code") == [
        "provision apply '/rooms/blue lab/fleet.yaml' --limit shed,bath"
    ]
    bath, shed = attention.iterfind("article")
    assert texts(bath, "p") == [
        "supply gave 2.9",
        "The board: the new files are there",
        "What to do next: look at its power",
        "After 1 min 15 s; 1 change made, another begun; check-failed",
        "its port moved",
    ]
    assert texts(shed, ".//code") == ["provision apply --limit shed"]


def test_what_changed_with_reasons_alike_devices_together(tmp_path: Path) -> None:
    root = page(tmp_path)
    changes = section(root, "changes")
    assert texts(changes, ".//caption") == ["desk-01, desk-02 (2 devices)", "bath"]
    assert rows(changes) == [
        ["write /config.json (100 B to 1.2 kB)", "content differs, secret", "done"],
        ["reset", "the app is to start", "done"],
        ["write /main.py (9 B)", "content differs", "done"],
        ["reset", "the app is to start", "done"],
        ["check that ok()", "not passed yet", "not done"],
    ]
    assert [(each.get("class"), text(each)) for each in section(root, "diffs").iter("span")] == [
        ("name", "--- a"), ("name", "+++ b"), ("place", "@@ -1 +1 @@"), ("removed", "-x"),
        ("added", "+y"),
    ]  # fmt: skip
    assert rows(section(root, "checks")) == [
        ["desk-01", "ok()", "", "✓ passed"],
        ["bath", "supply", "2.9 (3.2 to 3.4)", "✗ failed"],
    ]
    assert texts(section(root, "console"), ".//span") == ["temperature 21"]
    assert texts(section(root, "notices"), ".//li") == [
        "the manifest changed", "desk-03: wrote again",
    ]  # fmt: skip
    assert rows(section(root, "devices"))[:3] == [
        ["desk-01", "● changed", "1", "4.0 s", f"ESP32, {MAC}, MicroPython 1.24.1"],
        ["desk-02", "● changed", "1", "4.0 s", ""],
        ["desk-03", "✓ ok", "0", "1.0 s", ""],
    ]


def test_a_plan_says_what_would_change(tmp_path: Path) -> None:
    begun = dataclasses.replace(STARTED, task="plan", changes_boards=False, devices=("a", "b"))
    refusal = Refusal(kind="wrong-mac", message="another board", hint="look at `provision facts`")
    root = page(
        tmp_path,
        (
            begun,
            *planned("a", DeleteFile(path="/old.py", reason="absent")),
            DevicePlanned(device="b", plan=Plan(device="b", refusals=(refusal,))),
            DeviceFinished(device="a", outcome="pending", seconds=1),
            DeviceFinished(device="b", outcome="refused", seconds=1),
            RunFinished(seconds=1, exit_code=4),
        ),
    )
    assert texts(root, ".//h1") == ["✗ 1 of 2 devices needs attention"]
    assert rows(section(root, "changes")) == [["delete /old.py", "absent", "planned"]]
    assert "wrong-mac: another board; look at provision facts" in text(section(root, "attention"))


def test_a_run_that_was_cut_off_does_not_look_well(tmp_path: Path) -> None:
    root = page(tmp_path, (STARTED, *planned("shed", RESET)))
    assert texts(root, ".//h1") == ["✗ 6 of 6 devices need attention"]
    assert "not finished" in text(root)
    assert (
        texts(section(root, "attention"), ".//p[@class='error']")
        == ["the run ended before this device did"] * 6
    )


def test_what_a_rollout_did_not_start(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    report = HtmlReport(page)
    for event in (
        RunStarted(task="apply", changes_boards=True, fleet="f", devices=("a", "b", "c")),
        DeviceFinished(device="a", outcome="failed", seconds=1, error="no"),
        RolloutStopped(batch=1, of=2, message="1 device failed", not_started=("b", "c")),
    ):
        report.handle(event)
    report.close()
    told = page.read_text("utf-8")
    assert "Rollout stopped in batch 1 of 2: 1 device failed" in told
    assert "not started: b, c (2 devices)" in told


def test_a_run_that_could_not_begin(tmp_path: Path) -> None:
    failed = RunFailed(
        error="the manifest has 1 problem", hint="correct it", code="manifest", exit_code=3,
        problems=(Mistake(file="f.yaml", line=2, column=4, path="devices.a", message="<no>"),),
    )  # fmt: skip
    root = page(tmp_path, (failed,))
    assert texts(root, ".//h1") == ["✗ The run failed before any board was touched"]
    assert rows(root) == [["f.yaml:2:4", "devices.a", "<no>"]]
    assert "What to do next: correct it" in text(section(root, "run-failed"))


def test_a_run_in_which_nothing_failed(tmp_path: Path) -> None:
    begun = dataclasses.replace(STARTED, devices=("a",))
    for outcome, headline in (
        ("ok", "✓ 1 device, nothing failed, nothing to change"),
        ("changed", "✓ 1 of 1 device changed, nothing failed"),
        ("pending", "✓ 1 of 1 device would change"),
        ("skipped", "✓ 1 of 1 device skipped"),
    ):
        finished = DeviceFinished(device="a", outcome=outcome, seconds=1)  # type: ignore[arg-type]
        root = page(tmp_path, (begun, finished, RunFinished(seconds=1, exit_code=0)))
        assert texts(root, ".//h1") == [headline]
        assert root.find(".//section[@aria-labelledby='attention']") is None


EVIL = "</pre></style><script>alert(1)</script><img src=x onerror=alert(2)>&lt;\"'`<b>`\x1b[31m"
ELEMENTS = {
    "html", "head", "meta", "title", "style", "body", "header", "main", "footer", "section",
    "article", "h1", "h2", "h3", "p", "ul", "li", "dl", "dt", "dd", "b", "code", "pre", "span",
    "time", "div", "table", "caption", "thead", "tbody", "tr", "th", "td",
}  # fmt: skip
ATTRIBUTES = {
    "lang", "charset", "http-equiv", "content", "name", "class", "id", "datetime", "scope",
    "aria-label", "aria-labelledby", "aria-hidden",
}  # fmt: skip


def hostile() -> tuple[Event, ...]:
    """A run whose every text is from somebody who means harm."""
    action = WriteFile(path=EVIL, size=1, sensitive=False, reason=EVIL)
    refusal = Refusal(kind=EVIL, message=EVIL, hint=EVIL)
    mistake = Mistake(file=EVIL, line=1, column=1, path=EVIL, message=EVIL)
    return (
        RunStarted(
            task=EVIL, changes_boards=True, fleet=EVIL, devices=(EVIL, "b"), manifest=EVIL,
            commit=EVIL,
        ),
        DevicePlanned(device=EVIL, plan=Plan(device=EVIL, actions=(action,))),
        DevicePlanned(device="b", plan=Plan(device="b", refusals=(refusal,))),
        ActionDone(device=EVIL, action=action),
        FileDiffed(device=EVIL, path=EVIL, lines=(EVIL,) * 3),
        StepChecked(
            device=EVIL, result=StepResult(name=EVIL, asked=EVIL, passed=False, value=EVIL)
        ),
        Notice(message=EVIL),
        Notice(message=EVIL, device=EVIL),
        Notice(message=EVIL, device="c"),
        ConsoleLine(device=EVIL, text=EVIL),
        DeviceUpdated(device=EVIL, paths=(EVIL,), seconds=1),
        EditFailed(error=EVIL, hint=EVIL, code=EVIL, problems=(mistake,)),
        DeviceFinished(
            device=EVIL, outcome="failed", seconds=1, error=EVIL, hint=EVIL, code=EVIL,
            board_state=EVIL, board=dataclasses.replace(BOARD, mac=EVIL, firmware=None),
        ),
        DeviceFinished(device="b", outcome="refused", seconds=1),
        DeviceFinished(device="c", outcome="ok", seconds=1),
        RunFinished(seconds=1, exit_code=4),
        RunFailed(error=EVIL, hint=EVIL, code=EVIL, exit_code=1, problems=(mistake,)),
    )  # fmt: skip


def test_what_others_say_is_text_and_nothing_else(tmp_path: Path) -> None:
    root = page(tmp_path, hostile())
    assert {each.tag for each in root.iter()} <= ELEMENTS
    assert {name for each in root.iter() for name in each.attrib} <= ATTRIBUTES
    assert text(root).count("<script>alert(1)</script>") >= 25
    assert "\x1b" not in "".join(root.itertext())


def test_it_needs_nothing_else_and_forbids_it(tmp_path: Path) -> None:
    root = page(tmp_path)
    (style,) = root.iter("style")
    digest = base64.b64encode(hashlib.sha256((style.text or "").encode()).digest()).decode()
    (policy,) = root.iterfind(".//meta[@http-equiv='Content-Security-Policy']")
    assert policy.get("content") == (
        f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
    )
    assert "url(" not in (style.text or "")
    assert "@import" not in (style.text or "")


def test_a_board_that_never_stops_to_talk_does_not_fill_it(tmp_path: Path) -> None:
    flood = tuple(ConsoleLine(device="shed", text=f"line {n}") for n in range(CONSOLE_LINES + 50))
    root = page(tmp_path, (STARTED, *flood))
    lines = texts(section(root, "console"), ".//span")
    assert (len(lines), lines[0], lines[-1]) == (CONSOLE_LINES, "line 50", "line 249")
