"""NVS as it lies in flash: Espressif's generator and our reader agree, damage is no entry."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.core.nvs_format import PAGE, NvsItem, entries_of, items_in, read_entries
from provision.device.flashing.nvs_image import nvs_partition
from provision.errors import OutOfSpace
from provision.model.unit_data import NvsEntry
from tests.nvs_sets import WIFI, entry, random_set

SIZE = 6 * PAGE


@pytest.mark.parametrize("start", range(0, 200, 20))
def test_what_espressif_writes_is_what_we_read(start: int) -> None:
    for seed in range(start, start + 20):
        wanted = random_set(seed)
        partition = nvs_partition(wanted, SIZE)
        assert len(partition) == SIZE
        assert list(read_entries(partition)) == wanted, seed


def test_values_mean_what_they_say() -> None:
    wanted = [
        entry("app", "at", "i32", -7),
        entry("app", "big", "u64", (1 << 64) - 1),
        entry("app", "name", "str", "Küche"),
        entry("app", "raw", "blob", b"\0\xff"),
    ]
    read = read_entries(nvs_partition(wanted, SIZE))
    assert [one.value for one in read] == [-7, (1 << 64) - 1, "Küche", b"\0\xff"]


def test_names_of_wifis_keys_are_as_any_others() -> None:
    """The generator's own command adds entries of its own beside such a key."""
    wanted = [entry("app", "ap.ssid", "str", "x"), entry("app", "sta.ssid", "str", "y")]
    assert list(read_entries(nvs_partition(wanted, SIZE))) == wanted


def test_what_does_not_fit_is_told() -> None:
    wanted = [entry("app", f"k{number}", "blob", bytes(4000)) for number in range(6)]
    with pytest.raises(OutOfSpace, match="24 kB"):
        nvs_partition(wanted, SIZE)


def test_a_page_stays_free() -> None:
    """Without one ESP-IDF refuses to start."""
    for size in (3 * PAGE, SIZE):
        partition = nvs_partition([entry("app", "k", "i32", 1)], size)
        assert partition[-PAGE:] == b"\xff" * PAGE


def test_the_later_of_two_counts() -> None:
    old = nvs_partition([entry("app", "k", "i32", 1)], 3 * PAGE)[:PAGE]
    new = [
        NvsItem(page=item.page + 1, head=item.head, data=item.data)
        for item in items_in(nvs_partition([entry("app", "k", "i32", 2)], 3 * PAGE))
    ]
    assert [one.value for one in entries_of([*new, *items_in(old)])] == [2]


def test_a_value_that_was_not_read_is_none() -> None:
    wanted = [entry(WIFI, "a", "u8", 1), entry(WIFI, "b", "blob", b"x" * 100)]
    heads = [
        NvsItem(page=item.page, head=item.head, data=item.data if item.namespace == 0 else None)
        for item in items_in(nvs_partition(wanted, SIZE))
    ]
    assert [(one.name, one.type, one.value) for one in entries_of(heads)] == [
        (f"{WIFI}.a", "u8", None),
        (f"{WIFI}.b", "blob", None),
    ]


@settings(max_examples=60)
@given(seed=st.integers(0, 1 << 30))
def test_damage_is_never_another_value(seed: int) -> None:
    """Whatever bits are flipped, what is read was written."""
    rng = random.Random(seed)
    wanted = random_set(seed, most=8)
    data = bytearray(nvs_partition(wanted, SIZE))
    used = len(bytes(data).rstrip(b"\xff"))
    for _ in range(rng.randint(1, 20)):
        data[rng.randrange(used)] ^= 1 << rng.randrange(8)
    for one in read_entries(bytes(data)):
        assert _bare(one) in map(_bare, wanted), one


def _bare(one: NvsEntry) -> tuple[str, bytes | None]:
    return one.type, one.data


@given(st.binary(max_size=3 * PAGE))
def test_anything_may_lie_there(data: bytes) -> None:
    assert read_entries(data) == ()


@given(st.lists(st.binary(min_size=32, max_size=32), max_size=9), st.binary(max_size=64))
def test_any_items_may_come(heads: list[bytes], data: bytes) -> None:
    items = [NvsItem(page=page, head=head, data=data) for page, head in enumerate(heads)]
    assert all(isinstance(one.name, str) for one in entries_of(items))
