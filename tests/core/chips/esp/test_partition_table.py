"""Partitions in words."""

from __future__ import annotations

import pytest

from provision.core.chips.esp.partition_table import Partition


@pytest.mark.parametrize(
    ("type_", "subtype", "words"),
    [
        (0, 0x00, "app factory"),
        (0, 0x10, "app ota_0"),
        (0, 0x1F, "app ota_15"),
        (0, 0x20, "app test"),
        (0, 0x30, "app 0x30"),
        (1, 0x02, "data nvs"),
        (1, 0x99, "data 0x99"),
        (0x40, 0x07, "0x40 0x07"),
    ],
)
def test_a_kind_is_told_in_words(type_: int, subtype: int, words: str) -> None:
    part = Partition(name="x", type=type_, subtype=subtype, offset=0x9000, size=0x1000)
    assert part.kind == words
