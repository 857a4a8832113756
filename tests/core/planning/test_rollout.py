"""Batches of devices as data, `tests/cases/rollout/*.json`, and what holds of all of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.boards import profiles
from provision.core.planning.rollout import (
    draw,
    draw_batches,
    in_batches,
    remaining,
    stopped_because,
)
from provision.model.plan import Batches, Rollout, Share
from provision.model.state import DesiredState
from tests.cases.reading import CASES

FILES = sorted((CASES / "rollout").glob("*.json"))
BOARDS = profiles()


def state(name: str, of: Sequence[str]) -> DesiredState:
    """Of a board where one is named among its groups, else of a D1 mini."""
    board = next((word for word in of if word in BOARDS), "wemos-d1-mini")
    groups = tuple(word for word in of if word and word not in BOARDS)
    return DesiredState(device=name, board=BOARDS[board], port=None, groups=groups)


def carried_out(batches: Batches, fail: Sequence[str]) -> tuple[list[str], str | None]:
    """What a run begins that does one device at a time, and why it stopped."""
    begun: list[str] = []
    last = 0
    for number, batch in enumerate(batches.devices):
        for device in batch:
            failed = len({*begun} & {*fail})
            why = stopped_because(batches, last, failed)
            if why is not None:
                return begun, why
            last = number
            begun.append(device)
    return begun, None


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_a_rollout_goes_as_it_is_written_down(path: Path) -> None:
    case: dict[str, Any] = json.loads(path.read_text("utf-8"))
    about = case.pop("about")
    devices = [state(name, of) for name, of in case.pop("devices").items()]
    rollout = Rollout(
        batches=tuple(Share.from_text(text, least=1) for text in case.pop("batches").split(",")),
        max_failures=Share.from_text(case.pop("max_failures", "0")),
    )
    batches = remaining(draw_batches(devices, rollout), case.pop("done", []))
    assert [list(batch) for batch in batches.devices] == case.pop("drawn"), about
    begun, why = carried_out(batches, case.pop("fail", []))
    every = [device for batch in batches.devices for device in batch]
    assert [device for device in every if device not in begun] == case.pop("not_started", [])
    assert why == case.pop("because", None), about
    assert not case, "nobody reads what is left"


names = st.lists(st.sampled_from("abcdefgh"), max_size=4).map(frozenset)
kinds = st.lists(names, max_size=40).map(
    lambda of: {f"d{number}": one for number, one in enumerate(of)}
)
sizes = st.lists(
    st.builds(Share, number=st.integers(1, 60), percent=st.booleans()), min_size=1, max_size=4
)


@given(kinds=kinds, sizes=sizes)
def test_each_device_is_in_one_batch_and_no_batch_is_empty(
    kinds: Mapping[str, frozenset[str]], sizes: Sequence[Share]
) -> None:
    batches = in_batches(list(kinds), draw(kinds), sizes)
    assert sorted(device for batch in batches for device in batch) == sorted(kinds)
    assert all(batches)
    for number, batch in enumerate(batches):
        assert len(batch) <= max(1, sizes[min(number, len(sizes) - 1)].of(len(kinds)))
        assert list(batch) == [device for device in kinds if device in batch]


@given(kinds=kinds)
def test_every_group_is_met_before_any_device_that_adds_none(
    kinds: Mapping[str, frozenset[str]],
) -> None:
    met: set[str] = set()
    every = frozenset().union(*kinds.values())
    for device in draw(kinds):
        assert kinds[device] - met or every <= met
        met |= kinds[device]


@given(kinds=kinds, sizes=sizes, most=st.integers(0, 6), bad=st.sets(st.integers(0, 39)))
def test_no_more_devices_fail_than_the_rule_allows_and_those_at_work(
    kinds: Mapping[str, frozenset[str]], sizes: Sequence[Share], most: int, bad: set[int]
) -> None:
    """One at a time, one more than may fail; whole batches at once, those of the batch besides."""
    batches = Batches(devices=in_batches(list(kinds), draw(kinds), sizes), max_failures=most)
    fail = [f"d{number}" for number in bad]
    begun, why = carried_out(batches, fail)
    failed = len({*begun} & {*fail})
    assert failed <= most + 1
    first = {*batches.devices[0]} if batches.devices else set()
    if len(batches.devices) > 1 and first & {*fail}:
        assert {*begun} <= first
        assert failed == 1
    assert (why is None) == (len(begun) == len(kinds))


@given(kinds=kinds, sizes=sizes, done=st.sets(st.integers(0, 39)))
def test_a_run_that_goes_on_has_what_is_left_in_its_own_batches(
    kinds: Mapping[str, frozenset[str]], sizes: Sequence[Share], done: set[int]
) -> None:
    whole = Batches(devices=in_batches(list(kinds), draw(kinds), sizes))
    well = {f"d{number}" for number in done}
    left = remaining(whole, well)
    assert {*sum(left.devices, ())} == {*kinds} - well
    assert all(left.devices)
    assert left.proving == bool(whole.devices and {*whole.devices[0]} - well)
    assert remaining(left, ()) == replace(left, proving=left.proving and bool(left.devices))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "expected a number of devices, as 5, or a part of them, as 10%"),
        ("-1", "expected a number of devices"),
        ("1.5", "expected a number of devices"),
        ("٣", "expected a number of devices"),
        ("101%", "more than 100%"),
        ("0", "the least is 1"),
        ("0%", "the least is 1"),
    ],
)
def test_what_is_no_size_of_a_batch(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Share.from_text(text, least=1)


def test_a_large_fleet_is_drawn_in_a_moment() -> None:
    """20,000 devices, half of them of a sort of their own, the others all alike."""
    many = {
        f"d{number}": frozenset([f"g{max(number, 10_000)}", f"h{number % 97}"])
        for number in range(20_000)
    }
    assert len(draw(many)) == len(many)
