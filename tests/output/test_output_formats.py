"""JSON by its schema, records, logs and JUnit: what programs and later readers get."""

from __future__ import annotations

import dataclasses
import io
import json
import stat
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, get_args
from xml.etree import ElementTree

import pytest
from jsonschema import Draft202012Validator

from provision._version import __version__
from provision.core.chips.esp.chips import ESP32
from provision.errors import UsageError
from provision.model import event as events
from provision.model.event import (
    EVENT_VERSION,
    ActionDone,
    BatchStarted,
    ConsoleLine,
    DeviceFinished,
    DevicePlanned,
    DeviceUpdated,
    EditFailed,
    Event,
    FileDiffed,
    ManualActionNeeded,
    Mistake,
    Notice,
    RolloutStopped,
    RunFailed,
    RunFinished,
    RunQueued,
    RunStarted,
    StageProgress,
    StageStarted,
    StepChecked,
    Trace,
)
from provision.model.plan import (
    Action,
    Batches,
    DeleteFile,
    EraseFlash,
    MakeDirectory,
    Plan,
    Refusal,
    RemoveDirectory,
    Reset,
    RestoreFile,
    RewriteFilesystem,
    RunCheck,
    WriteFile,
    WriteFirmware,
    WriteNvs,
)
from provision.model.state import Check, FirmwareIdentity, StepResult
from provision.output.jsonlines import JsonLines, to_json
from provision.output.plain import QUIET, Plain
from provision.output.reports.junit import JUnit
from provision.output.run_log import LogFile, RunRecord, state_directory
from provision.output.saved.event_reader import read_events
from provision.output.setup import open_outputs

SCHEMA = json.loads((Path(__file__).parents[2] / "schemas" / "event.schema.json").read_text())
IDENTITY = FirmwareIdentity(version="1.24.1", machine="Generic ESP32", chip=ESP32)
ACTIONS: tuple[Action, ...] = (
    EraseFlash(reason="r", losses=("/data.csv (1 B)",), spares=("NVS",)),
    RewriteFilesystem(reason="r", files=2),
    WriteFirmware(identity=IDENTITY, reason="r"),
    RestoreFile(path="/main.py", reason="r"),
    DeleteFile(path="/old.py", reason="r"),
    RemoveDirectory(path="/old", reason="r"),
    MakeDirectory(path="/lib", reason="r"),
    WriteFile(path="/main.py", size=12, sensitive=True, reason="r"),
    WriteNvs(namespace="app", key="k", type="blob", size=3, sensitive=True, reason="r"),
    Reset(reason="r"),
    RunCheck(check=Check(console="ready"), reason="r"),
)
REFUSAL = Refusal(kind="wrong-mac", message="another board", hint="look")
PLANS = (Plan(device="kitchen", actions=ACTIONS), Plan(device="kitchen", refusals=(REFUSAL,)))
RUN: tuple[Event, ...] = (
    RunStarted(
        task="apply", changes_boards=True, fleet="greenhouse",
        devices=("kitchen", "shed", "bath", "attic"),
    ),
    StageStarted(device="kitchen", stage="flash", detail="MicroPython"),
    StageProgress(device="kitchen", stage="flash", done=1, total=2),
    ManualActionNeeded(device="kitchen", instructions="Hold GPIO0.", seconds=59.5),
    *(DevicePlanned(device="kitchen", plan=plan) for plan in PLANS[::-1]),
    FileDiffed(device="kitchen", path="/main.py", lines=("--- board:/main.py", "-a", "+b")),
    *(ActionDone(device="kitchen", action=action) for action in ACTIONS),
    StepChecked(
        device="kitchen",
        result=StepResult(name="supply", asked="a()", passed=True, value="3.31", min=3.2, max=3.4),
    ),
    StepChecked(device="kitchen", result=StepResult(name="x()", asked="x()", passed=False)),
    Notice(message="for all"),
    Notice(message="for one", device="kitchen"),
    Trace(device="kitchen", level=1, text=">>> 1+1"),
    Trace(device="kitchen", level=2, text="raw"),
    ConsoleLine(device="kitchen", text="temperature 21"),
    ConsoleLine(device="kitchen", text="ValueError: 1", traceback=True),
    DeviceFinished(device="kitchen", outcome="changed", seconds=4.25, changes=3),
    DeviceFinished(
        device="shed", outcome="unreachable", seconds=1, error="it is <gone> & away",
        hint="plug it in", code="port-lost", board_state="half flashed",
    ),
    DeviceFinished(device="bath", outcome="failed", seconds=1, error="no", code="flash-failed"),
    RunFinished(seconds=4.5, exit_code=4, outcomes={"kitchen": "changed", "shed": "unreachable"}),
)  # fmt: skip

FAILED_RUN = RunFailed(
    error="the manifest has 1 problem", hint="correct it", code="manifest", exit_code=3,
    problems=(Mistake(file="f.yaml", line=2, column=4, path="devices.a", message="no"),),
)  # fmt: skip
WATCHED: tuple[Event, ...] = (
    DeviceUpdated(device="kitchen", paths=("/main.py", "/lib/app.py"), seconds=0.28),
    DeviceUpdated(device="kitchen", paths=(), seconds=0.5, restarted=False),
    DeviceUpdated(device="kitchen", paths=("/a\n.py",), seconds=1, restarted=False),
    DeviceUpdated(
        device="shed", paths=(), seconds=1, restarted=False, error="it is full", hint="less",
        code="out-of-space",
    ),
    EditFailed(error="the manifest has 1 problem", hint="correct it", code="manifest",
               problems=FAILED_RUN.problems),
    EditFailed(error="app/ is gone", hint="save again", code="manifest"),
)  # fmt: skip
ROLLOUT: tuple[Event, ...] = (
    RunStarted(
        task="apply", changes_boards=True, fleet="school", devices=("desk-1", "desk-2", "desk-3"),
        rollout=Batches(devices=(("desk-2",), ("desk-1", "desk-3"))),
        resumes="20250712T184100.000000Z-7",
    ),
    BatchStarted(number=1, of=2, devices=("desk-2",)),
    DeviceFinished(device="desk-2", outcome="failed", seconds=1, error="no", state="0f" * 16),
    DeviceFinished(device="desk-1", outcome="skipped", seconds=0),
    DeviceFinished(device="desk-3", outcome="skipped", seconds=0),
    RolloutStopped(
        batch=1, of=2, message="1 device failed in the first batch, which has to converge whole",
        not_started=("desk-1", "desk-3"), hint="go on",
    ),
    RunFinished(seconds=1, exit_code=4, outcomes={"desk-2": "failed"}),
)  # fmt: skip
QUEUED = RunQueued(task="apply", devices=("kitchen", "shed"), manifest="/fleet.yaml")
EVERY_EVENT = (*RUN, FAILED_RUN, *WATCHED, *ROLLOUT, QUEUED)


def valid(content: object) -> None:
    Draft202012Validator(SCHEMA).validate(content)


def play(output: Any, run: tuple[Event, ...] = RUN) -> None:
    for event in run:
        output.handle(event)
    output.close()


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_these_tests_have_every_kind_of_event_and_action() -> None:
    assert {type(event) for event in EVERY_EVENT} == set(get_args(Event))
    assert {type(action) for action in ACTIONS} == set(get_args(Action))


@pytest.mark.parametrize("event", EVERY_EVENT, ids=lambda event: event.kind)
def test_every_event_is_valid_by_the_schema(event: Event) -> None:
    content = to_json(event, 1752345678.9)
    valid(json.loads(json.dumps(content)))
    assert content["version"] == EVENT_VERSION
    assert content["time"] == "2025-07-12T18:41:18.900+00:00"


@pytest.mark.parametrize("event", EVERY_EVENT, ids=lambda event: event.kind)
def test_every_event_is_read_back_as_it_was(event: Event) -> None:
    line = json.dumps(to_json(event, 1752345678.9))
    assert list(read_events([line])) == [(1752345678.9, event)]


@pytest.mark.parametrize(
    "damage",
    [
        lambda line: line[:-5],
        lambda line: line.replace('"version": 2', '"version": 1'),
        lambda line: line.replace("device-finished", "nothing"),
        lambda line: line.replace('"outcome": "unreachable"', '"outcome": "splendid"'),
        lambda line: line.replace('"seconds": 1', '"seconds": "1"'),
        lambda line: line.replace('"shed"', '["shed"]'),
        lambda line: line.replace('"board": null', '"board": {"chip": "z80"}'),
        lambda line: line.replace("2025-07-12", "2025-27-12"),
        lambda line: "[" * 100_000,
        lambda line: "[]",
    ],
)
def test_a_line_of_a_record_that_cannot_be_read_is_left_out(damage: Callable[[str], str]) -> None:
    whole = json.dumps(to_json(RUN[-3], 1752345678.9))
    damaged = damage(whole)
    assert damaged != whole
    assert [event for _, event in read_events([damaged, whole])] == [RUN[-3]]


def definitions() -> Iterator[tuple[type, dict[str, Any]]]:
    by_kind = {
        entry["properties"]["kind"]["const"]: entry
        for entry in SCHEMA["$defs"].values()
        if "const" in entry.get("properties", {}).get("kind", {})
    }
    for kind in (*get_args(Event), *get_args(Action)):
        yield kind, by_kind[kind.kind]
    for name, plain in (("plan", Plan), ("refusal", Refusal), ("identity", FirmwareIdentity),
                        ("check", Check)):  # fmt: skip
        yield plain, SCHEMA["$defs"][name]


@pytest.mark.parametrize(
    ("kind", "entry"), list(definitions()), ids=lambda each: getattr(each, "__name__", "")
)
def test_the_schema_has_the_fields_that_the_model_has(kind: type, entry: dict[str, Any]) -> None:
    fields = {each.name for each in dataclasses.fields(kind)}
    assert set(entry["properties"]) - {"kind", "tool"} == fields - {"kind"}
    assert all(
        field["description"]
        for field in entry["properties"].values()
        if "$ref" not in field and "const" not in field
    )


def test_the_schema_has_the_words_that_the_model_has() -> None:
    assert SCHEMA["$defs"]["stage"]["enum"] == list(get_args(events.Stage))
    assert SCHEMA["$defs"]["outcome"]["enum"] == list(get_args(events.Outcome))
    assert SCHEMA["properties"]["version"]["const"] == EVENT_VERSION


@pytest.mark.parametrize(
    "broken",
    [
        {"version": EVENT_VERSION - 1},
        {"kind": "unknown"},
        {"stage": "unknown"},
        {"time": "yesterday"},
        {"done": -1},
        {"done": None},
    ],
)
def test_the_schema_refuses_what_is_no_event(broken: dict[str, object]) -> None:
    content = to_json(StageProgress(device="d", stage="flash", done=1, total=2), 0.0)
    valid(content)
    assert not Draft202012Validator(SCHEMA).is_valid(content | broken)


def test_json_lines_are_one_object_a_line_without_deeper_traces() -> None:
    stream = io.StringIO()
    play(JsonLines(stream, verbosity=1))
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert len(lines) == len(RUN) - 1
    assert lines[0]["tool"] == __version__
    assert [line["level"] for line in lines if line["kind"] == "trace"] == [1]


def test_a_record_is_private_and_has_all_but_progress(tmp_path: Path) -> None:
    record = RunRecord(tmp_path / "runs")
    play(record)
    kinds = [json.loads(line)["kind"] for line in record.path.read_text().splitlines()]
    assert kinds[0] == "run-started"
    assert kinds[-1] == "run-finished"
    assert "stage-progress" not in kinds
    if sys.platform != "win32":
        assert stat.S_IMODE(record.path.stat().st_mode) == 0o600
        assert stat.S_IMODE(record.path.parent.stat().st_mode) == 0o700


def test_the_oldest_records_are_removed(tmp_path: Path) -> None:
    for second in range(8):
        RunRecord(tmp_path, kept=5, clock=lambda second=second: 1752345678.0 + second).close()
    names = sorted(path.name[:15] for path in tmp_path.iterdir())
    assert names == [f"20250712T1841{second}" for second in range(21, 26)]


def test_a_clock_that_was_set_back_does_not_remove_the_newest_record(tmp_path: Path) -> None:
    for second in range(5):
        RunRecord(tmp_path, kept=5, clock=lambda second=second: 1752345678.0 + second).close()
    back = RunRecord(tmp_path, kept=5, clock=lambda: 86400.0)
    back.close()
    assert back.path.exists()
    assert len(list(tmp_path.iterdir())) == 5


def test_where_records_are_kept(tmp_path: Path) -> None:
    assert state_directory({"PROVISION_STATE_DIR": str(tmp_path)}) == tmp_path
    assert state_directory({}).name == "provision"


def test_a_log_file_is_appended_to_and_tells_everything(tmp_path: Path) -> None:
    path = tmp_path / "run.log"
    path.write_text("before\n")
    play(LogFile(path))
    lines = path.read_text().splitlines()
    assert lines[0] == "before"
    assert all("T" in line.split()[0] for line in lines[1:])
    text = "\n".join(line.split(" ", 1)[1] for line in lines[1:])
    for words in (
        "apply greenhouse: 4 devices",
        "kitchen: wrote /main.py (12 B)",
        "kitchen| raw",
        "shed: unreachable after 1.0 s: it is <gone> & away",
        "shed:   hint: plug it in",
    ):
        assert words in text  # fmt: skip


def test_junit_has_a_case_a_device(tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    play(JUnit(path))
    suite = ElementTree.parse(path).getroot().find("testsuite")
    assert suite is not None
    assert suite.attrib == {
        "name": "apply greenhouse", "tests": "4", "failures": "1", "errors": "2", "skipped": "0",
        "time": "4.500",
    }  # fmt: skip
    cases = {case.attrib["name"]: case for case in suite.iter("testcase")}
    assert list(cases) == ["kitchen", "shed", "bath", "attic"]
    assert cases["kitchen"].attrib["time"] == "4.250"
    assert cases["kitchen"].find("error") is None
    assert "changed: 3 changes" in (cases["kitchen"].findtext("system-out") or "")
    error = cases["shed"].find("error")
    assert error is not None
    assert error.attrib == {"type": "port-lost", "message": "it is <gone> & away"}
    assert error.text == "it is <gone> & away\nthe board: half flashed\nhint: plug it in"
    assert cases["bath"].find("failure") is not None
    unfinished = cases["attic"].find("error")
    assert unfinished is not None
    assert unfinished.attrib["type"] == "unfinished"


def test_junit_of_a_run_cut_off_and_of_characters_that_xml_cannot_hold(tmp_path: Path) -> None:
    path = tmp_path / "report.xml"
    failed = DeviceFinished(device="d\x00", outcome="failed", seconds=2, error="\x1b\ud800\ufffe")
    play(
        JUnit(path),
        (RunStarted(task="apply", changes_boards=True, fleet="f", devices=("d\x00", "e")), failed),
    )
    suite = ElementTree.parse(path).getroot().find("testsuite")
    assert suite is not None
    assert (suite.attrib["tests"], suite.attrib["errors"], suite.attrib["failures"]) == (
        "2",
        "1",
        "1",
    )
    assert suite.attrib["time"] == "2.000"


class Streams:
    def __init__(self, tmp_path: Path) -> None:
        self.out, self.err = io.StringIO(), io.StringIO()
        self.environment = {"PROVISION_STATE_DIR": str(tmp_path / "state")}

    def play(self, run: tuple[Event, ...] = RUN, **options: Any) -> tuple[list[str], list[str]]:
        options = {"environment": self.environment, **options}
        with open_outputs(stdout=self.out, stderr=self.err, **options) as fanout:
            for event in run:
                fanout.handle(event)
        return self.out.getvalue().splitlines(), self.err.getvalue().splitlines()


@pytest.fixture
def streams(tmp_path: Path) -> Streams:
    return Streams(tmp_path)


def test_results_go_to_stdout_and_narration_to_stderr(streams: Streams, tmp_path: Path) -> None:
    out, err = streams.play(log_file=tmp_path / "log", junit=tmp_path / "junit.xml")
    assert out[0] == "kitchen: 9 changes"
    assert out[-1].startswith("3 devices in 4.5 s: changed=1 ok=0 failed=1 unreachable=1")
    assert err[0] == "apply greenhouse: 4 devices"
    assert not set(out) & set(err)
    assert (tmp_path / "log").exists()
    assert (tmp_path / "junit.xml").exists()
    assert len(list((tmp_path / "state" / "runs").iterdir())) == 1


def test_what_a_rollout_did_not_start_is_told_everywhere(tmp_path: Path, streams: Streams) -> None:
    path = tmp_path / "report.xml"
    why = "1 device failed in the first batch, which has to converge whole"
    out, err = streams.play(ROLLOUT, junit=path)
    assert "batch 1 of 2: desk-2" in err
    assert out[-4].endswith("failed=1 unreachable=0 skipped=2")
    assert out[-3:] == [
        f"Rollout stopped in batch 1 of 2: {why}",
        "  not started: desk-1, desk-3 (2 devices)",
        "  hint: go on",
    ]
    suite = ElementTree.parse(path).getroot().find("testsuite")
    assert suite is not None
    assert (suite.attrib["skipped"], suite.attrib["failures"]) == ("2", "1")
    whys = [each.attrib["message"] for each in suite.iter("skipped")]
    assert whys == [f"not started: {why}"] * 2


def test_json_has_stdout_for_itself(streams: Streams) -> None:
    out, err = streams.play(json_lines=True)
    for line in out:
        valid(json.loads(line))
    assert len(out) == len(RUN) - 2
    assert "kitchen: Hold GPIO0. (waiting 1 min 00 s)" in err
    assert not any("wrote" in line for line in err)


def test_a_plan_has_no_recap_unless_something_went_wrong(streams: Streams) -> None:
    begun = RunStarted(task="plan", changes_boards=False, fleet="f", devices=("kitchen",))
    fine = (begun, RUN[4], DeviceFinished(device="kitchen", outcome="pending", seconds=1), RUN[-1])
    out, _ = streams.play(fine)
    assert out[-1].startswith("Plan: 1 device")
    out, _ = streams.play((begun, *RUN[1:]))
    assert out[-1].startswith("3 devices in")


def test_quiet_tells_what_failed_and_the_totals(streams: Streams) -> None:
    without_diffs = tuple(event for event in RUN if not isinstance(event, FileDiffed))
    out, err = streams.play(without_diffs, verbosity=QUIET)
    bad = [event for event in RUN if isinstance(event, DeviceFinished) and event.error]
    assert out[0] == "Recap"
    assert sorted(line.split()[0] for line in out[1:-1]) == sorted(one.device for one in bad)
    assert out[-1].startswith("3 devices in 4.5 s: ")
    assert not any("wrote" in line or "apply greenhouse" in line for line in err)
    assert "kitchen: Hold GPIO0. (waiting 1 min 00 s)" in err

    begun = RunStarted(task="apply", changes_boards=True, fleet="f", devices=("kitchen",))
    fine = (begun, RUN[4], DeviceFinished(device="kitchen", outcome="changed", seconds=1), RUN[-1])
    more, err_then = streams.play(fine, verbosity=QUIET)
    assert more[len(out) :] == ["1 device in 4.5 s: changed=1 ok=0 failed=0 unreachable=0"]
    assert err_then == err
    begun = RunStarted(task="plan", changes_boards=False, fleet="f", devices=("kitchen",))
    last, err_then = streams.play((begun, *fine[1:]), verbosity=QUIET)
    assert [line.split(":")[0] for line in last[len(more) :]] == ["Plan"]
    assert err_then == err


def test_nothing_that_is_shown_or_kept_has_a_secret(streams: Streams, tmp_path: Path) -> None:
    run = (
        RunStarted(task="apply", changes_boards=True, fleet="hunter2", devices=("kitchen",)),
        Trace(device="kitchen", level=2, text="hunter2"),
        DevicePlanned(
            device="kitchen",
            plan=Plan(device="kitchen", actions=(DeleteFile(path="/hunter2", reason="hunter2"),)),
        ),
        DeviceFinished(
            device="kitchen", outcome="failed", seconds=1, error="hunter2", hint="hunter2"
        ),
        RunFinished(seconds=1, exit_code=4),
    )
    for number, as_json in enumerate((True, False)):
        streams.play(
            run,
            json_lines=as_json,
            verbosity=2,
            log_file=tmp_path / "log",
            junit=tmp_path / f"{number}.xml",
            redact=lambda text: text.replace("hunter2", "***"),
        )
    kept = [path.read_text() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(kept) == 5
    for text in (*kept, streams.out.getvalue(), streams.err.getvalue()):
        assert "hunter2" not in text
        assert "***" in text


def test_files_that_cannot_be_written_are_told_before_the_run(
    streams: Streams, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="log file"):
        streams.play(log_file=tmp_path / "no" / "log")
    with pytest.raises(UsageError, match=r"JUnit report .* there is no directory"):
        streams.play(junit=tmp_path / "no" / "junit.xml")
    with pytest.raises(UsageError, match=r"JUnit report .* is a directory"):
        streams.play(junit=tmp_path)
    with pytest.raises(UsageError, match=r"HTML report .* is a directory") as told:
        streams.play(html=tmp_path)
    assert told.value.hint == "give another path with --html FILE"


def test_a_record_that_cannot_be_kept_is_no_reason_not_to_run(
    streams: Streams, tmp_path: Path
) -> None:
    (tmp_path / "state").write_text("a file in the way")
    out, err = streams.play()
    assert err[0].startswith("no record of this run is kept: ")
    assert out[-1].startswith("3 devices")


def test_a_closed_pipe_does_not_stop_a_run(streams: Streams) -> None:
    class Closed(io.StringIO):
        def write(self, text: str, /) -> int:
            raise BrokenPipeError(32, "Broken pipe")

    streams.out = Closed()
    _, err = streams.play()
    assert any("Broken pipe" in line for line in err)
    assert any(line.startswith("bath: failed") for line in err)


def test_what_becomes_of_an_edit_is_told_to_people_however_little_they_asked_for() -> None:
    plain = Plain(io.StringIO(), verbosity=QUIET)
    assert [plain.lines(event) for event in WATCHED] == [
        ["kitchen: /main.py and /lib/app.py in 0.28 s"],
        ["kitchen: its files are as the manifest says"],
        ["kitchen: /a .py in 1.00 s, its app is stopped"],
        ["shed: not updated: it is full", "shed:   hint: less"],
        ["f.yaml:2:4: devices.a: no", "not valid: boards keep what they have"],
        ["app/ is gone; save again", "not valid: boards keep what they have"],
    ]
