"""NOR semantics of the virtual flash chip."""

from __future__ import annotations

from pathlib import Path

import pytest

from provision.sim.chip.flash import BLOCK, SECTOR, Flash, PowerLost, Work


@pytest.fixture
def flash(tmp_path: Path):
    chip = Flash(tmp_path / "flash.bin", 1 << 20)
    yield chip
    chip.close()


def test_a_new_chip_is_erased(flash: Flash) -> None:
    assert flash.read(0, flash.size) == b"\xff" * flash.size


def test_programming_clears_bits_and_never_sets_them(flash: Flash) -> None:
    flash.program(100, b"\xf0\x0f")
    flash.program(100, b"\x3c\xff")
    assert flash.read(99, 4) == b"\xff\x30\x0f\xff"


def test_erasing_sets_one_sector_and_spares_its_neighbours(flash: Flash) -> None:
    flash.program(0, bytes(3 * SECTOR))
    flash.erase_sector(SECTOR)
    assert flash.read(0, 3 * SECTOR) == bytes(SECTOR) + b"\xff" * SECTOR + bytes(SECTOR)


def test_erasing_goes_by_blocks_where_they_fit(flash: Flash) -> None:
    flash.program(0, bytes(3 * BLOCK))
    slow = flash.erase(BLOCK - SECTOR, SECTOR) * (BLOCK // SECTOR)
    assert flash.erase(BLOCK, BLOCK) < slow
    assert flash.read(0, 3 * BLOCK) == (
        bytes(BLOCK - SECTOR) + b"\xff" * (SECTOR + BLOCK) + bytes(BLOCK)
    )


def test_the_contents_outlive_the_chip(tmp_path: Path) -> None:
    first = Flash(tmp_path / "f", BLOCK)
    first.program(7, b"kept")
    first.close()
    second = Flash(tmp_path / "f", BLOCK)
    assert second.read(7, 4) == b"kept"
    second.close()


@pytest.mark.parametrize("place", [(-1, 1), (1 << 20, 1), ((1 << 20) - 1, 2), (0, (1 << 20) + 1)])
def test_nothing_lies_outside_the_chip(flash: Flash, place: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match="outside"):
        flash.read(*place)


def test_a_power_cut_leaves_an_erase_half_done(flash: Flash) -> None:
    flash.program(0, bytes(SECTOR * 2))
    cuts = []
    flash.cut_power(Work.ERASE, 2, lambda: cuts.append("cut"))
    flash.erase_sector(0)
    with pytest.raises(PowerLost):
        flash.erase_sector(SECTOR)
    assert cuts == ["cut"]
    assert flash.read(SECTOR, SECTOR) == b"\xff" * (SECTOR // 2) + bytes(SECTOR // 2)


def test_a_power_cut_leaves_a_write_half_done(flash: Flash) -> None:
    flash.cut_power(Work.PROGRAM, 1, lambda: None)
    with pytest.raises(PowerLost):
        flash.program(0, bytes(200))
    assert flash.read(0, 200) == bytes(100) + b"\xff" * 100


def test_the_jedec_id_tells_the_size(tmp_path: Path) -> None:
    for size, power in ((1 << 19, 0x13), (4 << 20, 0x16), (16 << 20, 0x18)):
        chip = Flash(tmp_path / str(size), size)
        assert chip.jedec_id >> 16 == power
        chip.close()
