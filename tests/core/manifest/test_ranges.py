"""Device ranges, as Ansible writes them."""

from __future__ import annotations

import re

import pytest

from provision.core.manifest.ranges import Member, expand, is_range


@pytest.mark.parametrize(
    ("name", "names"),
    [
        ("kitchen", ["kitchen"]),
        ("desk-[01:03]", ["desk-01", "desk-02", "desk-03"]),
        ("desk-[9:11]", ["desk-9", "desk-10", "desk-11"]),
        ("desk-[098:101]", ["desk-098", "desk-099", "desk-100", "desk-101"]),
        ("n[1:9:4]", ["n1", "n5", "n9"]),
        ("n[0:5:2]x", ["n0x", "n2x", "n4x"]),
        ("row-[a:c]", ["row-a", "row-b", "row-c"]),
        ("[y:B]", ["y", "z", "A", "B"]),
        ("r[1:2]-[a:b]", ["r1-a", "r1-b", "r2-a", "r2-b"]),
        ("n[5:5]", ["n5"]),
    ],
)
def test_expansion(name: str, names: list[str]) -> None:
    assert [member.name for member in expand(name)] == names


def test_members_know_their_index_and_number() -> None:
    assert expand("d[08:10:2]") == [
        Member(name="d08", index="08", number=1),
        Member(name="d10", index="10", number=2),
    ]
    assert expand("r[1:1]-[a:b]")[1] == Member(name="r1-b", index="1-b", number=2)
    assert expand("plain") == [Member(name="plain")]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("d[3:1]", "[3:1] ends before it starts"),
        ("d[c:a]", "[c:a] ends before it starts"),
        ("d[01:100]", "the ends of [01:100] must have the same number of digits"),
        ("d[1:x]", "[1:x] is not a range"),
        ("d[:]", "[:] is not a range"),
        ("d[1:2:0]", "the step of [1:2:0] must be a number from 1"),
        ("d[1:2:3:4]", "too many parts"),
        ("d[1:999999999]", "999,999,999 devices in one range"),
        ("d[1:9999][1:9999]", "99,980,001 devices in one range"),
        ("d[-1:3]", "[-1:3] is not a range"),
        ("d[٣:٤]", "is not a range"),
    ],
)
def test_bad_ranges(name: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        expand(name)


def test_what_is_a_range() -> None:
    assert is_range("a[1:2]")
    assert not is_range("a[12]")
    assert not is_range("a-1:2")
