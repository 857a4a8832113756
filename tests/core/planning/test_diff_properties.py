"""What must hold of a plan for any desired and any actual state."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import event, given, settings
from hypothesis import strategies as st

from provision.core.planning.diff import diff, left_undone, part_alone, whole_diff
from provision.model.board_path import STARTUP_FILES, ancestors, at_or_below, below
from provision.model.plan import (
    Action,
    DeleteFile,
    EraseFlash,
    MakeDirectory,
    Plan,
    RemoveDirectory,
    Reset,
    RestoreFile,
    RewriteFilesystem,
    RunCheck,
    WriteFile,
    WriteFirmware,
    WriteNvs,
    phase_of,
)
from provision.model.state import ActualState, DesiredState, FileState, Filesystem, Part
from tests.predict import predict
from tests.strategies import actual_states, desired_states

UNKNOWN = FileState(size=None, sha256=None)
FILES = (DeleteFile, RemoveDirectory, MakeDirectory, WriteFile)
ONE_BY_ONE = (WriteNvs, RestoreFile, *FILES)
KINDS = (EraseFlash, RewriteFilesystem, WriteFirmware, *ONE_BY_ONE, Reset, RunCheck)
states = given(desired=desired_states(), actual=actual_states())
many = settings(max_examples=400)


def planned(desired: DesiredState, actual: ActualState) -> Plan:
    plan = diff(desired, actual)
    event("refused" if plan.refusals else "changes" if plan.actions else "nothing to do")
    return plan


def covered(path: str, desired: DesiredState) -> bool:
    return any(at_or_below(path, absent) for absent in desired.absent) or any(
        below(path, root) for root in desired.pruned
    )


def place(action: Action) -> tuple[int, int]:
    """Where an action must stand: what starts by itself after the rest, then by kind."""
    if isinstance(action, FILES):
        late = [at_or_below(action.path, startup) for startup in STARTUP_FILES]
        stage = 1 + late.index(True) if True in late else 0
    else:
        stage = 3 if isinstance(action, (Reset, RunCheck)) else -1
    return stage, KINDS.index(type(action))


@many
@states
def test_a_plan_leaves_the_board_as_desired(desired: DesiredState, actual: ActualState) -> None:
    plan = planned(desired, actual)
    after = predict(desired, actual, plan)
    again = diff(desired, after)
    assert again.actions == ()
    if not plan.actions:
        assert after is actual
        return
    assert again.refusals == ()
    if after.filesystem is None:
        assert not desired.files
        return
    for file in desired.files:
        found = after.filesystem.files[file.dest]
        assert file.create_only or found.sha256 == file.content.sha256
    for path in after.filesystem.files:
        assert path in desired.files_by_dest or not covered(path, desired)
    if actual.filesystem is not None and not plan.erases:
        for path, before in actual.filesystem.files.items():
            if path not in desired.files_by_dest and not covered(path, desired):
                assert after.filesystem.files[path] == before


@many
@states
def test_every_step_is_allowed_and_possible(desired: DesiredState, actual: ActualState) -> None:
    plan = planned(desired, actual)
    assert [place(action) for action in plan.actions] == sorted(map(place, plan.actions))
    seen = actual.filesystem if not plan.erases else Filesystem(files={"/boot.py": UNKNOWN})
    files = set(seen.files) if seen else set()
    directories = set(seen.directories) if seen else set()
    directories |= {up for path in files for up in ancestors(path)}
    for action in plan.actions:
        match action:
            case RestoreFile():
                assert seen is not None
                assert action.path in seen.disabled
            case DeleteFile():
                assert covered(action.path, desired)
                assert action.path not in desired.files_by_dest
                assert seen is None or action.path in files
                files.discard(action.path)
            case RemoveDirectory():
                assert covered(action.path, desired)
                assert not any(below(path, action.path) for path in files | directories)
                directories.remove(action.path)
            case MakeDirectory():
                assert action.path not in files | directories
                assert set(ancestors(action.path)) <= directories
                directories.add(action.path)
            case WriteFile():
                assert action.path not in directories
                assert set(ancestors(action.path)) <= directories
                files.add(action.path)
    for path in seen.disabled if seen and plan.actions else ():
        assert any(getattr(action, "path", None) == path for action in plan.actions)
    kinds = [action.kind for action in plan.actions]
    if kinds:
        assert kinds.count("reset") == 1
        assert kinds.count("check") == (desired.check is not None)


@many
@states
def test_a_plan_refuses_or_acts_and_tells_no_secret(
    desired: DesiredState, actual: ActualState
) -> None:
    plan = planned(desired, actual)
    assert not (plan.refusals and plan.actions)
    assert all(refusal.message and refusal.hint for refusal in plan.refusals)
    names = [getattr(each, "path", None) or getattr(each, "place", None) for each in plan.actions]
    kinds = [each.kind for each in plan.actions]
    assert len(set(zip(names, kinds, strict=True))) == len(kinds)
    assert diff(desired, actual) == plan
    shown = repr(plan)
    for file in desired.files:
        assert file.content.sha256 not in shown
        assert not any(f"'{secret}'" in shown for secret in file.content.secrets)


@many
@given(
    desired=desired_states(), actual=actual_states(), only=st.sampled_from(["files", "firmware"])
)
def test_a_part_and_then_the_rest_is_the_whole(
    desired: DesiredState, actual: ActualState, only: Part
) -> None:
    """A run for a part does nothing of the other, proves nothing of both, and keeps nothing from
    being done afterwards."""
    part = replace(desired, only=only)
    whole, plan = whole_diff(desired, actual), planned(part, actual)
    left = left_undone(part, whole)
    if whole.refusals or not left:
        assert plan == whole
        return
    assert not any(isinstance(action, RunCheck) for action in plan.actions)
    done = [action for action in plan.actions if not isinstance(action, RestoreFile)]
    phases = {phase_of(action) for action in done} - {"finish"}
    assert phases <= ({"nvs", "files"} if only == "files" else {"flash"})
    after = predict(part_alone(part), actual, plan)
    rest = whole_diff(desired, after)
    if not plan.refusals and not rest.refusals:
        assert whole_diff(desired, predict(desired, after, rest)).actions == ()
