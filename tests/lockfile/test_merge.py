"""The boards of another lock are taken over, but for those that a person has to decide about."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest

from provision.lockfile.entries import Lock, LockedDevice
from provision.lockfile.merge import Conflict, merge_devices

A, B, C = (f"5c:cf:7f:01:02:0{number}" for number in (1, 2, 3))
DEVICES = ("kitchen", "hall", "attic")


def lock(**macs: str) -> Lock:
    entries = {name: LockedDevice(mac=mac) for name, mac in macs.items()}
    return Lock(devices=MappingProxyType(entries))


CASES: list[tuple[str, dict[str, Any], dict[str, str], list[Conflict]]] = [
    ("new", {"theirs": lock(kitchen=A)}, {"kitchen": A}, []),
    ("known", {"ours": lock(kitchen=A), "theirs": lock(kitchen=A)}, {}, []),
    ("beside", {"ours": lock(hall=B), "theirs": lock(kitchen=A)}, {"kitchen": A}, []),
    ("no device", {"theirs": lock(cellar=A)}, {}, []),
    (
        "another board",
        {"ours": lock(kitchen=A), "theirs": lock(kitchen=B, hall=C)},
        {"hall": C},
        [Conflict(device="kitchen", theirs=B, ours=A)],
    ),
    (
        "accepted",
        {"ours": lock(kitchen=A), "theirs": lock(kitchen=B), "accepted": ["kitchen"]},
        {"kitchen": B},
        [],
    ),
    (
        "another's board",
        {"ours": lock(hall=A), "theirs": lock(kitchen=A)},
        {},
        [Conflict(device="kitchen", theirs=A, owner="hall")],
    ),
    (
        "a board that moved",
        {"ours": lock(hall=A), "theirs": lock(kitchen=A), "accepted": ["kitchen"]},
        {"kitchen": A},
        [],
    ),
    (
        "one board for two",
        {"theirs": lock(hall=A, kitchen=A)},
        {"hall": A},
        [Conflict(device="kitchen", theirs=A, owner="hall")],
    ),
    ("as declared", {"theirs": lock(kitchen=A), "declared": {"kitchen": A}}, {"kitchen": A}, []),
    (
        "declared otherwise",
        {"theirs": lock(kitchen=B), "declared": {"kitchen": A}, "accepted": ["kitchen"]},
        {},
        [Conflict(device="kitchen", theirs=B, ours=A, declared=True)],
    ),
    (
        "declared as another's",
        {"theirs": lock(kitchen=A), "declared": {"hall": A}, "accepted": ["kitchen"]},
        {},
        [Conflict(device="kitchen", theirs=A, owner="hall", declared=True)],
    ),
]


@pytest.mark.parametrize(
    ("given", "learned", "conflicts"), [each[1:] for each in CASES], ids=[each[0] for each in CASES]
)
def test_what_is_taken_over(
    given: dict[str, Any], learned: dict[str, str], conflicts: list[Conflict]
) -> None:
    arguments = {"ours": Lock(), "declared": {}, "devices": DEVICES, **given}
    merged = merge_devices(**arguments)
    assert (dict(merged.learned), list(merged.conflicts)) == (learned, conflicts)
    ours = {name: entry.mac for name, entry in arguments["ours"].devices.items()}
    expected = {name: mac for name, mac in ours.items() if mac not in learned.values()} | learned
    assert {name: entry.mac for name, entry in merged.lock.devices.items()} == expected
    again = merge_devices(**{**arguments, "ours": merged.lock})
    assert again.lock == merged.lock
    assert not again.learned
