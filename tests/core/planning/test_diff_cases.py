"""Every rule of the planner as data: `tests/cases/diff/*.json`, states in, plan out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from provision.core.planning.diff import diff
from provision.model.state import Content
from tests.cases.reading import CASES, diff_case, plan_data
from tests.predict import predict

FILES = sorted((CASES / "diff").glob("*.json"))
REFUSALS = {
    "wrong-chip",
    "chip-unknown",
    "wrong-mac",
    "board-of-another",
    "identity-unproved",
    "secured",
    "flash-too-small",
    "no-filesystem",
    "no-firmware",
    "filesystem-lost",
    "directory-in-the-way",
    "file-in-the-way",
    "nvs-type",
    "needs-firmware",
}


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_the_plan_is_the_one_written_down(path: Path) -> None:
    case = diff_case(path)
    plan = diff(case.desired, case.actual)
    assert plan_data(plan) == case.plan, case.about
    if not plan.refusals:
        after = predict(case.desired, case.actual, plan)
        assert diff(case.desired, after).actions == ()


def test_there_is_a_case_for_every_action_and_refusal() -> None:
    plans = [diff_case(path).plan for path in FILES]
    kinds = {action["kind"] for plan in plans for action in plan["actions"]}
    refused = {refusal["kind"] for plan in plans for refusal in plan["refusals"]}
    assert refused == REFUSALS
    assert kinds == {
        "erase-flash",
        "rewrite-filesystem",
        "write-firmware",
        "restore-file",
        "write-nvs",
        "delete-file",
        "remove-directory",
        "make-directory",
        "write-file",
        "reset",
        "check",
    }
    assert len(FILES) >= 40


BYTECODE = [
    (b"M\x06\x00\x1f", 0x2B06, True),  # of no chip
    (b"M\x06\x2b\x1f", 0x2B06, True),  # machine code of its own chip, 6.3
    (b"M\x06\x2a\x1f", 0x2B06, False),  # of 6.2
    (b"M\x06\x27\x1f", 0x2B06, False),  # of another chip
    (b"M\x05\x00\x1f", 0x2B06, False),
    (b"M\x06", 0x2B06, False),
    (b"print(1)", 0x2B06, False),
    (b"M\x06\x00\x1f", None, False),  # nobody knows
]


@pytest.mark.parametrize(("data", "imports", "goes"), BYTECODE)
def test_bytecode_goes_onto_another_firmware_that_imports_it(
    data: bytes, imports: int | None, goes: bool
) -> None:
    case = diff_case(CASES / "diff" / "only-files-bytecode.json")
    (file,) = case.desired.files
    desired = replace(case.desired, files=(replace(file, content=Content(data=data)),))
    plan = diff(desired, replace(case.actual, bytecode=imports))
    assert [refusal.kind for refusal in plan.refusals] == ([] if goes else ["needs-firmware"])
    assert bool(plan.actions) == goes
