"""What a twin has to be after apply, told from its files before and after."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import replace

import pytest

from provision.boards import profiles
from provision.core.rehearsal.report import Finding, Rehearsal, RunResult, TwinReport
from provision.core.rehearsal.schedule import PlannedRun, Start
from provision.core.rehearsal.verdict import (
    SAMPLE,
    lost_files,
    pruned_data,
    sample_path,
    unstable,
    wrong_files,
)
from provision.model.plan import DeleteFile, EraseFlash, Plan, WriteFile
from provision.model.state import (
    Content,
    DesiredFile,
    DesiredFirmware,
    DesiredState,
    FirmwareSource,
)


def digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()


def desired(
    *,
    prune: tuple[str, ...] = (),
    absent: tuple[str, ...] = (),
    create_only: bool = False,
    erase: str = "auto",
) -> DesiredState:
    file = DesiredFile(
        dest="/main.py", source="main.py", content=Content(data=b"new"), create_only=create_only
    )
    firmware = DesiredFirmware(
        source=FirmwareSource(name="1.24.1", version="1.24.1"),
        erase=erase,  # type: ignore[arg-type]
    )
    return DesiredState(
        device="kitchen",
        board=profiles()["esp32"],
        port=None,
        files=(file,),
        prune=prune,
        absent=absent,
        firmware=firmware,
    )


ERASES = Plan(device="kitchen", actions=(EraseFlash(reason="another layout"),))
DELETES = Plan(device="kitchen", actions=(DeleteFile(path="/lib/old.py", reason="pruned"),))


@pytest.mark.parametrize(
    ("state", "gone", "named", "plans", "says"),
    [
        (desired(prune=("/data",)), "/data/a.csv", (), (), "`prune: [/data]` deletes"),
        (desired(prune=("/lib",)), "/lib/old.py", ("/lib/old.py",), (DELETES,), None),
        (desired(absent=("/data",)), "/data/a.csv", (), (), None),
        (desired(), "/a.csv", (), (ERASES,), "erases the board (another layout)"),
        (desired(), "/old.py", ("/old.py",), (ERASES,), None),
        (desired(erase="always"), "/a.csv", (), (ERASES,), None),
        (desired(), "/a.csv", (), (), "neither the manifest nor a plan says so"),
        (desired(), "/main.py", (), (), None),  # `wrong_files` tells of that
    ],
)
def test_what_a_board_has_made_is_lost_only_where_the_manifest_says_so(
    state: DesiredState,
    gone: str,
    named: Collection[str],
    plans: Sequence[Plan],
    says: str | None,
) -> None:
    before = {gone: digest("x"), "/kept": digest("y")}
    found = [*lost_files(state, before, {"/kept": digest("z")}, named=named, plans=plans)]
    assert [finding.code for finding in found] == ["data-lost"] * (says is not None)
    if says is not None:
        assert says in found[0].message
        assert gone in found[0].message


def test_what_is_created_once_stays_as_the_board_has_made_it() -> None:
    state = desired(create_only=True)
    before = {"/main.py": digest("the app's")}
    assert not [*lost_files(state, before, before, named=(), plans=())]
    assert not [*wrong_files(state, before)]
    (found,) = lost_files(state, before, {"/main.py": digest("new")}, named=(), plans=())
    assert found.message.startswith("/main.py was changed on the board")


@pytest.mark.parametrize(
    ("after", "says"),
    [
        ({"/main.py": digest("new")}, None),
        ({"/main.py": digest("new"), "/other": digest("x")}, None),
        ({"/main.py": digest("old")}, "/main.py has other bytes"),
        ({}, "/main.py is missing"),
        ({"/main.py": digest("new"), "/gone": digest("x")}, "/gone is still there"),
    ],
)
def test_files_are_as_the_manifest_says(after: dict[str, bytes], says: str | None) -> None:
    found = [finding.message for finding in wrong_files(desired(absent=("/gone",)), after)]
    assert found == ([f"apply has ended well, and yet {says}"] if says else [])


def test_a_second_apply_that_prunes_what_the_app_makes_is_a_loss() -> None:
    state = desired(prune=("/data",))
    deletes = Plan(device="kitchen", actions=(DeleteFile(path="/data/a.csv", reason="pruned"),))
    assert unstable(state, deletes, named=(), texts=()) == pruned_data(state, ["/data/a.csv"])
    write = WriteFile(path="/main.py", size=3, sensitive=False, reason="content differs")
    plan = Plan(device="kitchen", actions=(write,))
    found = unstable(state, plan, named=(), texts=["write /main.py (content differs)"])
    assert found.code == "not-converged"
    assert "would still write /main.py (content differs)" in found.message


@pytest.mark.parametrize(
    ("state", "path"),
    [
        (desired(), SAMPLE),
        (desired(prune=("/lib",)), SAMPLE),
        (desired(prune=("/",)), None),
        (desired(absent=(SAMPLE,)), None),
    ],
)
def test_a_sample_stands_where_nothing_is_pruned(state: DesiredState, path: str | None) -> None:
    assert sample_path(state) == path


def result(seed: int, *findings: Finding, device: str = "well", faults: bool = False) -> RunResult:
    run = PlannedRun(seed=seed, start=Start(kind="locked"), faults=faults)
    other = TwinReport(device="north", seconds=1.0)
    return RunResult(
        run=run,
        twins=(other, TwinReport(device=device, seconds=1.0, findings=findings)),
        seconds=2.0,
    )


def rehearsal(*runs: RunResult, interrupted: bool = False) -> Rehearsal:
    return Rehearsal(
        fleet="greenhouse",
        manifest="fleet.yaml",
        devices=("north", "well"),
        runs=runs,
        seconds=3.0,
        command=("provision", "rehearse", "my fleet.yaml", "--allow", "data-lost"),
        interrupted=interrupted,
        planned=3,
    )


LOST = Finding(code="data-lost", message="apply deletes /a", hint="prune less", detail="once")
BLOCKED = Finding(code="repl-blocked", message="main.py never yields", hint="let Ctrl-C through")
BROKE = Finding(code="internal", message="its process ended", hint="run again")


def test_the_verdict_is_a_code_a_line_and_a_command() -> None:
    passed = rehearsal(result(1), result(2))
    assert (passed.exit_code, passed.verdict) == (0, "passed: 2 devices in 2 runs")
    failed = rehearsal(result(1), result(17, LOST, faults=True))
    assert (failed.exit_code, failed.failed) == (4, ("well",))
    assert failed.verdict == "failed: well (1 of 2), in 1 of 2 runs"
    assert failed.repeat(failed.runs[1].run, ["well"]) == (
        "provision rehearse 'my fleet.yaml' --allow data-lost --seed 17 --runs 1 --start locked "
        "--faults --limit well"
    )
    some = replace(failed, limits=("@sensors",))
    assert some.repeat(some.runs[1].run, some.devices).endswith("--faults --limit @sensors")
    assert some.repeat(some.runs[1].run, ["well"]).endswith("--faults --limit well")
    assert rehearsal(result(1, BROKE)).exit_code == 1
    stopped = rehearsal(result(1), interrupted=True)
    assert stopped.exit_code == 130
    assert stopped.verdict == "interrupted after 1 of 3 runs: nothing is proved"


def test_what_is_allowed_is_told_and_does_not_fail() -> None:
    both = result(1, LOST, BLOCKED)
    assert both.allowing(frozenset({"data-lost", "repl-blocked"})).failed == ()
    assert both.allowing(frozenset({"data-lost"})).failed == ("well",)
    (allowed, _) = rehearsal(both.allowing(frozenset({"data-lost"}))).told
    assert allowed.finding.allowed


def test_one_finding_of_many_runs_is_told_once() -> None:
    again = Finding(code=LOST.code, message=LOST.message, hint=LOST.hint, detail="twice")
    (told,) = rehearsal(result(1, LOST), result(2, again, device="north")).told
    assert told.devices == ("well", "north")
    assert [run.seed for run in told.runs] == [1, 2]
