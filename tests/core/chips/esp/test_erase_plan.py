"""Erasing what is not blank and will not be written: the same flash as after a chip erase."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provision.core.chips.esp.chips import CHIPS, ESP32
from provision.core.chips.esp.erase_plan import (
    BLOCK,
    LOOK,
    Stretches,
    boot_sector_last,
    regions_to_erase,
    spaces,
    used,
)
from provision.core.chips.esp.image import BOOT_OFFSETS, SECTOR
from provision.model.chip import Chip
from provision.model.firmware import Region

SIZE = 4 << 20


def region(offset: int, data: bytes, name: str = "app") -> Region:
    return Region(name=name, offset=offset, data=data)


@pytest.mark.parametrize("chip", CHIPS)
def test_what_boots_comes_last_and_every_region_is_whole_sectors(chip: Chip) -> None:
    boot = BOOT_OFFSETS[chip]
    first = bytes(range(256)) * 40  # two sectors and a half
    regions = [region(0x200000, b"f" * SECTOR), region(boot, first, "boot"), region(0x10000, b"a")]
    out = boot_sector_last(regions, chip)
    assert [(one.name, one.offset, len(one.data)) for one in out] == [
        ("app", 0x200000, SECTOR),
        ("boot", boot + SECTOR, 2 * SECTOR),
        ("app", 0x10000, SECTOR),
        ("boot", boot, SECTOR),
    ]
    assert (out[3].data + out[1].data).rstrip(b"\xff") == first.rstrip(b"\xff")
    assert out[2].data == b"a" + b"\xff" * (SECTOR - 1)


def test_a_bootloader_of_one_sector_stays_in_one_piece() -> None:
    out = boot_sector_last([region(0x1000, b"b"), region(0x8000, b"t")], ESP32)
    assert [one.offset for one in out] == [0x8000, 0x1000]


def test_the_spaces_are_what_no_region_fills() -> None:
    regions = [region(0x10000, bytes(0x5000)), region(0x1000, bytes(SECTOR))]
    assert list(spaces(regions, 0x20000)) == [(0, 0x1000), (0x2000, 0xE000), (0x15000, 0xB000)]
    assert list(spaces([region(0, bytes(0x20000))], 0x20000)) == []
    assert list(spaces([], 0x20000)) == [(0, 0x20000)]


def test_a_blank_flash_is_told_in_few_looks() -> None:
    looks: list[tuple[int, int]] = []

    def is_blank(offset: int, size: int) -> bool:
        looks.append((offset, size))
        return True

    assert list(used(0x9000, (16 << 20) - 0x9000, is_blank)) == []
    assert looks[0] == (0x9000, BLOCK - 0x9000)
    assert max(size for _, size in looks) == LOOK
    assert len(looks) < 25
    assert sum(size for _, size in looks) == (16 << 20) - 0x9000


# Sectors of a flash of 4 MB that hold something, and regions to be written, by sector.
SECTORS = st.integers(0, SIZE // SECTOR - 1)
STRETCHES = st.lists(st.tuples(SECTORS, st.integers(1, 200)), max_size=8)


@given(dirty=STRETCHES, written=STRETCHES)
def test_after_it_and_the_writing_the_flash_is_as_after_a_chip_erase(
    dirty: list[tuple[int, int]], written: list[tuple[int, int]]
) -> None:
    before = bytearray(b"\xff" * SIZE)
    for start, length in dirty:
        stretch = min(length, SIZE // SECTOR - start) * SECTOR
        before[start * SECTOR : start * SECTOR + stretch] = b"d" * stretch
    taken: set[int] = set()
    regions: list[Region] = []
    for start, length in written:
        sectors = range(start, min(start + length, SIZE // SECTOR))
        if not taken & set(sectors):
            taken |= set(sectors)
            regions.append(region(start * SECTOR, b"w" * (len(sectors) * SECTOR - 7)))
    regions = list(boot_sector_last(regions, ESP32))
    flash = bytearray(before)
    blank = {offset for offset in range(0, SIZE, SECTOR) if before[offset] == 0xFF}

    def is_blank(offset: int, size: int) -> bool:
        return all(sector in blank for sector in range(offset, offset + size, SECTOR))

    seen: list[tuple[int, int]] = []
    for offset, size in regions_to_erase(regions, SIZE, is_blank, lambda *told: seen.append(told)):
        assert not offset % SECTOR and not size % SECTOR and 0 < size <= BLOCK
        assert offset // BLOCK == (offset + size - 1) // BLOCK  # within one block
        assert not is_blank(offset, size)
        flash[offset : offset + size] = b"\xff" * size
    assert seen == sorted(seen)
    assert all(done <= total == seen[-1][0] for done, total in seen)
    for one in regions:
        assert not one.offset % SECTOR and not len(one.data) % SECTOR
        flash[one.offset : one.offset + len(one.data)] = one.data
    wanted = bytearray(b"\xff" * SIZE)
    for one in regions:
        wanted[one.offset : one.offset + len(one.data)] = one.data
    assert flash == wanted


@pytest.mark.parametrize(
    ("added", "held", "not_held"),
    [
        ([], [], [(0, 1)]),
        ([(0, 10)], [(0, 10), (3, 4), (9, 1)], [(9, 2), (10, 1)]),
        ([(0, 10), (10, 5)], [(0, 15), (8, 4)], [(0, 16)]),
        ([(0, 10), (20, 5)], [(20, 5)], [(9, 12), (10, 10)]),
        ([(0, 10), (20, 5), (5, 16)], [(0, 25)], [(24, 2)]),
    ],
)
def test_stretches_are_one_where_they_touch(
    added: list[tuple[int, int]], held: list[tuple[int, int]], not_held: list[tuple[int, int]]
) -> None:
    stretches = Stretches()
    for one in added:
        stretches.add(*one)
    assert all(stretches.hold(*one) for one in held)
    assert not any(stretches.hold(*one) for one in not_held)
