"""Which runs a rehearsal has, and what goes wrong in them: the same for the same seed."""

from __future__ import annotations

import pytest

from provision.core.rehearsal.faults import FAMILIES, draw_board_faults
from provision.core.rehearsal.schedule import (
    DEVICES_AT_ONCE,
    Start,
    commits_wanted,
    draw_runs,
    in_groups,
)

NEW, OLD = "a" * 40, "b" * 40


def drawn(seed: int, runs: int | None, **more: object) -> list[tuple[int, str]]:
    planned = draw_runs(seed, runs, **{"faults": False, "commits": [NEW, OLD], **more})  # type: ignore[arg-type]
    return [(run.seed, str(run.start)) for run in planned]


NEWEST, ELDER = f"older:{NEW[:10]}", f"older:{OLD[:10]}"


@pytest.mark.parametrize(
    ("seed", "runs", "more", "expected"),
    [
        (1, None, {}, [(1, "blank"), (2, "locked"), (3, NEWEST)]),
        (1, None, {"commits": []}, [(1, "blank"), (2, "locked")]),
        (2, 1, {}, [(2, "locked")]),
        (3, 4, {}, [(3, NEWEST), (4, "blank"), (5, "locked"), (6, ELDER)]),
        (9, 1, {}, [(9, NEWEST)]),
        (7, 2, {"start": Start(kind="blank")}, [(7, "blank"), (8, "blank")]),
        (17, 1, {"start": Start(kind="older", commit=OLD)}, [(17, ELDER)]),
        (1, 2, {"start": Start(kind="older")}, [(1, NEWEST), (2, ELDER)]),
    ],
)
def test_a_seed_says_what_its_run_begins_with(
    seed: int, runs: int | None, more: dict[str, object], expected: list[tuple[int, str]]
) -> None:
    assert drawn(seed, runs, **more) == expected


def test_with_faults_each_start_comes_twice() -> None:
    assert len(drawn(1, None, faults=True)) == 6
    assert commits_wanted(None, faults=True) == 2
    assert commits_wanted(None, faults=False) == commits_wanted(1, faults=True) == 1


@pytest.mark.parametrize("text", ["blank", "locked", "older", "older:1a2b3c4"])
def test_a_start_is_written_as_it_is_read(text: str) -> None:
    assert str(Start.from_text(text)) == text


@pytest.mark.parametrize("text", ["", "new", "blank:1a2b3c4", "older:", "older:HEAD", "older:1a2"])
def test_what_is_no_start_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"blank, locked, older|is no commit"):
        Start.from_text(text)


def test_faults_are_those_of_seed_and_device_whoever_else_is_there() -> None:
    first = draw_board_faults(17, "kitchen")
    assert first == draw_board_faults(17, "kitchen")
    others = {draw_board_faults(17, name) for name in "abcdefgh"} | {
        draw_board_faults(seed, "kitchen") for seed in range(30)
    }
    assert len(others) > 30


def test_faults_are_of_every_kind_and_no_two_of_one_family() -> None:
    kinds = {kind: family for family, all_of in FAMILIES.items() for kind in all_of}
    seen: set[str] = set()
    none = 0
    for seed in range(1, 400):
        drawn = draw_board_faults(seed, "kitchen")
        families = [kinds[fault.kind] for fault in drawn]
        assert len(set(families)) == len(families)
        seen |= {fault.kind for fault in drawn}
        none += not drawn
        for fault in drawn:
            assert fault.after >= 1
            assert fault.bytes >= 1
            assert str(fault) != fault.kind, "every kind is told in words"
            name, arguments = fault.order
            assert set(arguments) <= {"bytes", "replug", "after", "again"}
            assert name in {"unplug", "cut-erase", "cut-write"}
    assert seen == set(kinds)
    assert 5 < none < 50


def test_no_process_has_more_twins_than_it_can_bear() -> None:
    names = tuple(f"desk-{number}" for number in range(31))
    groups = in_groups(names)
    assert sorted(name for group in groups for name in group) == sorted(names)
    assert {len(group) for group in groups} == {15, 16}
    assert max(map(len, in_groups(names[:DEVICES_AT_ONCE]))) == DEVICES_AT_ONCE
    assert in_groups(["one"]) == (("one",),)
