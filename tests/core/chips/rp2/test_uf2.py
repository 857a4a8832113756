"""UF2 files: what is read of good ones, the one error that each bad one gets, what is written."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.core.chips.rp2.uf2 import (
    RP2040_FAMILY,
    RP2350_ARM_FAMILY,
    RP2350_RISCV_FAMILY,
    build_uf2,
    read_uf2,
)
from provision.errors import ImageError
from provision.model.firmware import Region
from tests.rp2_images import XIP, block, blocks, e10_block

DATA = bytes(range(256)) * 40
FAMILY = RP2040_FAMILY


def test_a_file_is_what_it_writes() -> None:
    found = read_uf2(b"".join(blocks(DATA, FAMILY)), "x.uf2")
    assert (found.chip, found.offset, found.data) == (RP2040, 0, DATA)


@pytest.mark.parametrize("family", [RP2350_ARM_FAMILY, RP2350_RISCV_FAMILY])
def test_an_rp2350_has_two_families_and_a_block_for_its_erratum(family: int) -> None:
    found = read_uf2(e10_block() + b"".join(blocks(DATA, family)), "x.uf2")
    assert (found.chip, found.family, found.data) == (RP2350, family, DATA)


def test_blocks_come_in_any_order_and_twice() -> None:
    rows = blocks(DATA, FAMILY)
    assert read_uf2(b"".join([*reversed(rows), rows[3]]), "x.uf2").data == DATA


def test_what_no_block_fills_is_erased_flash() -> None:
    rows = [
        block(b"a" * 256, address=XIP + 512, number=0, count=2),
        block(b"b" * 256, address=XIP + 2048, number=1, count=2),
    ]
    found = read_uf2(b"".join(rows), "x.uf2")
    assert (found.offset, found.data) == (512, b"a" * 256 + b"\xff" * 1280 + b"b" * 256)


def test_blocks_that_are_not_for_the_flash_are_passed_over() -> None:
    rows = blocks(DATA, FAMILY)
    assert read_uf2(block(b"note", flags=0x2001) + b"".join(rows), "x.uf2").data == DATA


BROKEN: list[tuple[str, Callable[[list[bytes]], list[bytes]], str]] = [
    ("empty of blocks", lambda rows: [block(b"", flags=0x2001)], "no block for a flash"),
    ("cut in a block", lambda rows: [*rows[:3], rows[3][:100]], "cut short: it ends 100 bytes"),
    ("cut between blocks", lambda rows: rows[:-1], "cut short: 1 block of 40 is missing"),
    ("with a gap", lambda rows: rows[:7] + rows[9:], "cut short: 2 blocks of 40 are missing"),
    ("another magic", lambda rows: [rows[0], b"X" + rows[1][1:]], "its block 1 is no UF2 block"),
    ("another end", lambda rows: [rows[0], rows[1][:-1] + b"X"], "its block 1 is no UF2 block"),
    ("of files", lambda rows: [block(b"", flags=0x3000)], "a UF2 file of files"),
    ("without family", lambda rows: [block(b"", flags=0)], "does not say which chip"),
    ("small pages", lambda rows: [block(b"", size=128)], "holds 128 bytes, and the chips take 256"),
    ("counts differ", lambda rows: [*rows, block(b"", count=3)], "do not agree on how many"),
    ("number past the count", lambda rows: [block(b"", number=1, count=1)], "a block 1 of 1"),
    ("two of a number", lambda rows: [*rows, block(b"x", count=40)], "two different blocks 0"),
    (
        "two of an address",
        lambda rows: [block(b"x", count=2), block(b"y", number=1, count=2)],
        "two of its blocks write 0x10000000",
    ),
    ("for RAM", lambda rows: [block(b"", address=0x20000000)], "0x20000000, which is not in flash"),
    ("past 16 MB", lambda rows: [block(b"", address=XIP + (16 << 20))], "which is not in flash"),
    ("unaligned", lambda rows: [block(b"", address=XIP + 100)], "starts inside a page"),
    (
        "for two chips",
        lambda rows: [*rows, *blocks(DATA, RP2350_ARM_FAMILY)],
        "for more than one chip: RP2040 and RP2350",
    ),
    ("SAMD51", lambda rows: [block(b"", family=0x55114460)], "a UF2 file for the SAMD51"),
    ("ESP32-S3", lambda rows: blocks(DATA, 0xC47E5767), "a UF2 file for the ESP32-S3"),
    ("unknown", lambda rows: [block(b"", family=7)], "chip with the family id 0x00000007"),
    ("absolute", lambda rows: blocks(DATA, 0xE48BFF57), "names none"),
    ("absolute in between", lambda rows: [e10_block(), *rows], "an RP2040 does not take"),
]


@pytest.mark.parametrize(
    ("change", "message"), [row[1:] for row in BROKEN], ids=[r[0] for r in BROKEN]
)
def test_a_broken_file_says_what_it_is(
    change: Callable[[list[bytes]], list[bytes]], message: str
) -> None:
    with pytest.raises(ImageError) as caught:
        read_uf2(b"".join(change(blocks(DATA, FAMILY))), "x.uf2")
    assert caught.value.message.startswith("x.uf2 ")
    assert message in caught.value.message


def written(file: bytes) -> list[tuple[int, int, int, bytes]]:
    """Address, number, count and payload of each block."""
    found = []
    for at in range(0, len(file), 512):
        header = struct.unpack_from("<8I", file, at)
        found.append((header[3], header[5], header[6], file[at + 32 : at + 288]))
    return found


def rom_of_an_rp2040(file: bytes, flash: bytearray) -> None:
    """What the boot ROM does with a file: of sixteen block numbers the first to come has the sector
    at its address erased, whichever it is."""
    erased = set()
    for address, number, _count, payload in written(file):
        offset = address - XIP
        if number // 16 not in erased:
            erased.add(number // 16)
            start = offset - offset % 4096
            flash[start : start + 4096] = b"\xff" * 4096
        flash[offset : offset + 256] = bytes(
            old & new for old, new in zip(flash[offset : offset + 256], payload, strict=True)
        )


def rom_of_an_rp2350(file: bytes, flash: bytearray) -> None:
    """The same: it erases each sector once, by its address."""
    erased = set()
    for address, _number, _count, payload in written(file):
        offset = address - XIP
        if offset // 4096 not in erased:
            erased.add(offset // 4096)
            start = offset - offset % 4096
            flash[start : start + 4096] = b"\xff" * 4096
        flash[offset : offset + 256] = bytes(
            old & new for old, new in zip(flash[offset : offset + 256], payload, strict=True)
        )


REGIONS = st.lists(
    st.tuples(st.integers(0, 40), st.binary(min_size=1, max_size=9000)), min_size=1, max_size=4
)


@pytest.mark.parametrize("rom", [rom_of_an_rp2040, rom_of_an_rp2350])
@given(starts=REGIONS)
@settings(max_examples=40, deadline=None)
def test_the_roms_write_what_was_meant(
    rom: Callable[[bytes, bytearray], None], starts: list[tuple[int, bytes]]
) -> None:
    at, regions = 0, []
    for gap, data in starts:  # one behind the other, each from the start of a sector
        at += 4096 * gap
        regions.append(Region(name="x", offset=at, data=data))
        at += len(data) + -len(data) % 4096
    flash = bytearray(b"\x5a" * (at + 4096))
    expected = bytearray(flash)
    for region in regions:
        end = region.offset + len(region.data) + -len(region.data) % 4096
        expected[region.offset : end] = region.data.ljust(end - region.offset, b"\xff")
    rom(build_uf2(regions, FAMILY), flash)
    assert flash == expected


@pytest.mark.parametrize("rom", [rom_of_an_rp2040, rom_of_an_rp2350])
def test_wherever_a_copy_is_cut_nothing_starts(rom: Callable[[bytes, bytearray], None]) -> None:
    regions = [Region(name="firmware", offset=0, data=DATA)]
    file = build_uf2(regions, FAMILY)
    for blocks_written in range(1, len(file) // 512 - 16):
        flash = bytearray(b"\x5a" * 16384)
        rom(file[: 512 * blocks_written], flash)
        assert flash[:256] == b"\xff" * 256


def test_what_is_built_is_read_again() -> None:
    file = build_uf2([Region(name="firmware", offset=0, data=DATA)], FAMILY)
    assert read_uf2(file, "x.uf2").data.rstrip(b"\xff") == DATA.rstrip(b"\xff")


def test_what_is_built_is_whole_and_in_blocks_of_sectors() -> None:
    file = build_uf2([Region(name="filesystem", offset=0x10000, data=b"abc")], FAMILY)
    rows = written(file)
    assert [number for _, number, _, _ in rows] == list(range(16))
    assert {count for _, _, count, _ in rows} == {16}
    assert read_uf2(file, "x.uf2").data == b"abc".ljust(4096, b"\xff")


@given(st.binary(max_size=4096))
def test_garbage_is_an_image_error(data: bytes) -> None:
    with pytest.raises(ImageError):
        read_uf2(data, "x.uf2")


@given(
    rows=st.lists(
        st.builds(
            block,
            st.binary(max_size=256),
            address=st.sampled_from([XIP, XIP + 256, XIP + 4096, XIP + 0xFFFF00, 0, 2**32 - 1]),
            number=st.integers(0, 4),
            count=st.integers(0, 4),
            family=st.sampled_from([FAMILY, RP2350_ARM_FAMILY, 0xE48BFF57]),
            flags=st.sampled_from([0x2000, 0x2001, 0, 0xA000]),
            size=st.sampled_from([256, 476, 0]),
        ),
        max_size=6,
    )
)
def test_sound_blocks_in_any_mixture_are_read_or_refused(rows: list[bytes]) -> None:
    try:
        found = read_uf2(b"".join(rows), "x.uf2")
    except ImageError:
        return
    assert 0 <= found.offset < 32 << 20
    assert len(found.data) % 256 == 0
