"""--limit: names, globs, ranges, @groups, exclusions, and what to say when nothing matches."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.core.manifest.device_filter import select_devices, select_new_boards
from provision.core.manifest.model import Manifest
from provision.errors import UsageError
from tests.fleets import fleet

MANIFEST = """
defaults: {board: esp32}
groups: {sensors: , pumps: , kitchen: }
devices:
  kitchen: {groups: [sensors]}
  hall: {groups: [sensors, pumps]}
  garden: {groups: [pumps]}
  desk-[01:03]: {}
"""
ALL = ("kitchen", "hall", "garden", "desk-01", "desk-02", "desk-03")


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return fleet(tmp_path, MANIFEST).manifest


@pytest.mark.parametrize(
    ("limits", "names"),
    [
        ((), ALL),
        (("kitchen",), ("kitchen",)),
        (("garden, hall",), ("hall", "garden")),
        (("garden", "hall"), ("hall", "garden")),
        (("desk-*",), ("desk-01", "desk-02", "desk-03")),
        (("desk-0?,!desk-02",), ("desk-01", "desk-03")),
        (("desk-0[13]",), ("desk-01", "desk-03")),
        (("desk-[02:03]",), ("desk-02", "desk-03")),
        (("*,!desk-[02:09]",), ("kitchen", "hall", "garden", "desk-01")),
        (("@sensors",), ("kitchen", "hall")),
        (("@sensors,!@pumps",), ("kitchen",)),
        (("!@pumps,@sensors",), ("kitchen",)),
        (("@*s",), ("kitchen", "hall", "garden")),
        (("!desk-*",), ("kitchen", "hall", "garden")),
        (("*",), ALL),
        (("kitchen,",), ("kitchen",)),
        (("", "kitchen"), ("kitchen",)),
    ],
)
def test_selection(manifest: Manifest, limits: tuple[str, ...], names: tuple[str, ...]) -> None:
    assert select_devices(manifest, limits) == names


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("kitchn", "no device matches 'kitchn'; did you mean 'kitchen'?"),
        ("@sensor", "no group matches '@sensor'; did you mean 'sensors'?"),
        ("sensors", "no device matches 'sensors'"),
        ("zzz*", "no device matches 'zzz*'; known are kitchen, hall, garden"),
        ("kitchen,!nobody", "no device matches 'nobody'"),
        ("kitchen,!kitchen", "--limit kitchen,!kitchen leaves no device"),
        ("@kitchen", "leaves no device"),
        (
            "desk-[02:09]",
            "'desk-[02:09]': there is no desk-04, desk-05, desk-06, desk-07, desk-08 or",
        ),
        ("desk-[01:03],kit[1:2]chen", "no device matches 'kit[1:2]chen'"),
        ("desk-[03:01]", "--limit desk-[03:01]: [03:01] ends before it starts"),
        (",", "--limit is empty and selects no device"),
        ("", "--limit is empty and selects no device"),
        (",!hall", "--limit ,!hall leaves no device"),
        ("!hall,", "--limit !hall, leaves no device"),
    ],
)
def test_nothing_selected_is_a_usage_error(manifest: Manifest, limit: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        select_devices(manifest, (limit,))
    assert message in caught.value.message


def test_a_range_that_is_not_all_there_says_what_is(manifest: Manifest) -> None:
    with pytest.raises(UsageError) as caught:
        select_devices(manifest, ("desk-[02:04]",))
    assert caught.value.message == "'desk-[02:04]': there is no desk-04 in the manifest"
    assert caught.value.hint == "`--limit 'desk-*'` selects those that are there"


def test_a_group_named_without_its_sign_is_explained(manifest: Manifest) -> None:
    with pytest.raises(UsageError) as caught:
        select_devices(manifest, ("pumps",))
    assert caught.value.hint == "it is a group: write `--limit @pumps`"


def test_new_boards_are_of_this_run(manifest: Manifest) -> None:
    run = ("kitchen", "desk-01", "desk-02")
    assert select_new_boards(manifest, (), run) == frozenset()
    assert select_new_boards(manifest, ("desk-*",), run) == {"desk-01", "desk-02"}
    assert select_new_boards(manifest, ("@sensors",), run) == {"kitchen"}
    for patterns in (("hall",), ("kitchen,hall",), ("@pumps",)):
        with pytest.raises(UsageError, match="hall is not among the devices of this run"):
            select_new_boards(manifest, patterns, run)
    assert select_new_boards(manifest, ("*",), run, declared={"kitchen"}) >= {"desk-01"}
    with pytest.raises(UsageError, match="declares which board kitchen has"):
        select_new_boards(manifest, ("kitchen,desk-*",), run, declared={"kitchen"})
    with pytest.raises(UsageError, match="--accept-new-board is empty"):
        select_new_boards(manifest, ("",), run)
