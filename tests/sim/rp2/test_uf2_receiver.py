"""What the boot ROMs make of UF2 blocks, rule by rule (pico-bootrom-rp2040's virtual_disk.c,
pico-bootrom-rp2350's usb_virtual_disk.c)."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.model.chip import Chip
from provision.sim.rp2.chips import FACTS
from provision.sim.rp2.uf2_receiver import Page, Uf2Receiver
from tests.rp2_images import FAMILIES, XIP, block

BOTH = pytest.mark.parametrize("chip", [RP2040, RP2350])
ABSOLUTE, DATA, ARM, RISCV = 0xE48BFF57, 0xE48BFF58, 0xE48BFF59, 0xE48BFF5A
RAM = 0x20000000
SECTOR = 4096


class Rom(Uf2Receiver):
    def __init__(self, chip: Chip) -> None:
        super().__init__(FACTS[chip])
        self.family = FAMILIES[chip.name]

    def block(self, number: int, count: int, offset: int | None = None, **fields: int) -> bytes:
        """Page `number`, at its place unless there is another `offset`."""
        place = {"address": XIP + (number * 256 if offset is None else offset)}
        given = {"family": self.family, **place, **fields}
        return block(bytes([number % 251]) * 256, number=number, count=count, **given)

    def all(self, blocks: Iterable[bytes]) -> list[Page]:
        return [page for page in map(self.take, blocks) if page is not None]


@BOTH
def test_blocks_in_any_order_are_complete_when_all_have_come(chip: Chip) -> None:
    rom = Rom(chip)
    order = [3, 0, 2, 1]
    pages = [rom.take(rom.block(number, 4)) for number in order]
    assert [page.offset for page in pages if page] == [number * 256 for number in order]
    assert rom.complete


@BOTH
def test_a_sector_is_erased_before_its_first_page_and_only_then(chip: Chip) -> None:
    rom = Rom(chip)
    pages = rom.all(rom.block(number, 40) for number in range(40))
    erased = {page.offset: page.erase for page in pages if page.erase is not None}
    assert erased == {0: 0, SECTOR: SECTOR, 2 * SECTOR: 2 * SECTOR}


@BOTH
def test_a_block_that_comes_again_counts_once(chip: Chip) -> None:
    rom = Rom(chip)
    pages = rom.all([rom.block(0, 2)] * 3)
    assert len(pages) == 1
    assert not rom.complete


@BOTH
@pytest.mark.parametrize(
    "fields",
    [
        {"family": 0xBFDD4EEE},  # an ESP32-S2's
        {"flags": 0},  # no family at all
        {"flags": 0x2001},  # not for the main flash
        {"size": 128},
    ],
)
def test_what_is_not_for_it_is_nothing_to_it(chip: Chip, fields: dict[str, int]) -> None:
    rom = Rom(chip)
    assert rom.take(rom.block(0, 2, **fields)) is None
    assert rom.take(b"\0" * 512) is None
    assert rom.take(rom.block(0, 2)[:-4] + b"\0\0\0\0") is None
    rom.take(rom.block(0, 2))
    rom.take(rom.block(1, 2, **fields))
    rom.take(rom.block(1, 2))
    assert rom.complete


def test_families_that_an_rp2350_takes_and_an_rp2040_does_not() -> None:
    for family in (ABSOLUTE, DATA, ARM, RISCV):
        assert Rom(RP2350).take(Rom(RP2350).block(0, 1, family=family)) is not None
        assert Rom(RP2040).take(Rom(RP2040).block(0, 1, family=family)) is None
    assert Rom(RP2350).take(Rom(RP2350).block(0, 1, family=FAMILIES["rp2040"])) is None


@BOTH
@pytest.mark.parametrize(
    "fields",
    [
        {"number": 9},  # beyond its own count
        {"offset": 100},  # not a page
        {"offset": 0x50000000},  # neither flash nor RAM
        {"offset": RAM - XIP},  # RAM, in the middle of a transfer to flash
    ],
)
def test_a_block_that_cannot_be_ends_the_transfer(chip: Chip, fields: dict[str, int]) -> None:
    rom = Rom(chip)
    rom.take(rom.block(0, 2))
    assert rom.take(rom.block(**{"number": 1, "count": 2, **fields})) is None
    rom.take(rom.block(1, 2))
    assert not rom.complete, "what came before it still counts"
    rom.take(rom.block(0, 2))
    assert rom.complete


@BOTH
def test_another_count_begins_another_transfer(chip: Chip) -> None:
    rom = Rom(chip)
    rom.take(rom.block(0, 2))
    rom.take(rom.block(0, 3))
    rom.take(rom.block(1, 2))
    assert not rom.complete
    page = rom.take(rom.block(0, 2))
    assert page is not None
    assert page.erase is None, "in this transfer the first of the sector was block 1"
    assert rom.complete


def test_an_rp2040_erases_by_block_number() -> None:
    """raspberrypi/pico-bootrom-rp2040, issue 19: a group of 16 blocks that lies in two sectors has
    the second one programmed without being erased."""
    rom = Rom(RP2040)
    image, files = 3, 0x100000
    blocks = [rom.block(number, image + 2) for number in range(image)]
    blocks += [rom.block(image + n, image + 2, files + 256 * n) for n in range(2)]
    pages = rom.all(blocks)
    assert [page.erase for page in pages] == [0, None, None, None, None]
    assert pages[3].offset == files


@BOTH
def test_a_sector_that_comes_twice_by_other_numbers_is_the_last_that_came(chip: Chip) -> None:
    """So that a copy that is cut short starts nothing: the first sector blank, and at last as it is
    to be. Either ROM leaves the same there."""
    rom = Rom(chip)
    blank, end = b"\xff" * 256, b"\x5a" * 256
    family = rom.family
    flash = bytearray(b"\x11" * SECTOR)
    for number in range(32):
        offset, page = (number % 16) * 256, end if number >= 16 else blank
        taken = rom.take(block(page, address=XIP + offset, number=number, count=32, family=family))
        assert taken is not None
        if taken.erase is not None:
            flash[:] = b"\xff" * SECTOR
        flash[offset : offset + 256] = bytes(
            a & b for a, b in zip(flash[offset : offset + 256], taken.data, strict=True)
        )
    assert flash == b"\x5a" * SECTOR


def test_an_rp2350_erases_by_address() -> None:
    rom = Rom(RP2350)
    pages = rom.all([rom.block(0, 2), rom.block(1, 2, 0x100000)])
    assert [page.erase for page in pages] == [0, 0x100000]


def test_an_rp2350_goes_on_whatever_of_other_families_comes() -> None:
    rom = Rom(RP2350)
    rom.take(rom.block(0, 2))
    assert rom.take(rom.block(0, 7, family=FAMILIES["rp2040"])) is None
    rom.take(rom.block(1, 2))
    assert rom.complete


def test_the_block_of_erratum_e10_is_a_transfer_that_never_ends() -> None:
    rom = Rom(RP2350)
    page = rom.take(rom.block(0, 2, 0xFFFF00, family=ABSOLUTE))
    assert page is not None
    assert (page.erase, page.offset) == (0xFFF000, 0xFFFF00)
    assert not rom.complete
    rom.all([rom.block(0, 2), rom.block(1, 2)])
    assert rom.complete


@BOTH
def test_a_program_for_the_ram_touches_no_flash(chip: Chip) -> None:
    rom = Rom(chip)
    blocks = [rom.block(number, 2, address=RAM + 256 * number) for number in range(2)]
    assert [(page.erase, page.offset) for page in rom.all(blocks)] == [(None, None)] * 2
    assert rom.complete
    assert rom.ram


@BOTH
def test_a_transfer_that_is_too_large_is_none(chip: Chip) -> None:
    rom = Rom(chip)
    assert rom.take(rom.block(0, FACTS[chip].most_blocks + 1)) is None
    assert rom.take(rom.block(0, 1281 if chip is RP2040 else 2145, address=RAM)) is None
    assert rom.take(rom.block(0, FACTS[chip].most_blocks)) is not None
