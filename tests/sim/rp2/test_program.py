"""What the boot ROMs start, and what of it can run: whole images, and those that were cut short."""

from __future__ import annotations

import pytest

from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.core.chips.rp2.firmware import read_firmware
from provision.errors import UsageError
from provision.model.chip import Chip
from provision.sim.rp2.firmware import RELEASES, build, read_uf2
from provision.sim.rp2.program import Program, program_in, starts
from tests import rp2_images

BOTH = pytest.mark.parametrize("chip", [RP2040, RP2350])
SIZE = 4 << 20


def flash_of(uf2: bytes, *, without: range = range(0), over: bytes = b"") -> memoryview:
    """A flash that held `over`, with the blocks of a UF2 but those `without`."""
    flash = bytearray(over.ljust(SIZE, b"\xff"))
    for number, (offset, page) in enumerate(read_uf2(uf2)):
        if number not in without:
            flash[offset : offset + len(page)] = page
    return memoryview(bytes(flash))


def found(flash: memoryview, chip: Chip) -> Program:
    assert starts(flash, chip)
    return program_in(flash, chip)


@pytest.mark.parametrize(("board", "variant"), RELEASES)
def test_every_release_is_read_as_the_family_reads_it(board: str, variant: str | None) -> None:
    release = RELEASES[board, variant]
    chip = RP2350 if "RP2350" in release.machine else RP2040
    image = build(chip, "1.24.1", machine=release.machine)
    firmware = read_firmware(image, "image.uf2")
    assert firmware.identity.machine == release.machine
    assert firmware.info.board == release.board
    assert firmware.info.program == "MicroPython"
    assert firmware.architecture == ("RISC-V" if variant else "ARM")
    program = found(flash_of(image), chip)
    assert program.identity == firmware.identity
    place = program.filesystem
    assert place is not None
    assert (place.end, place.size) == (release.flash, release.filesystem)


@BOTH
def test_nothing_starts_from_a_blank_flash_or_noise(chip: Chip) -> None:
    assert not starts(memoryview(b"\xff" * SIZE), chip)
    assert not starts(memoryview(bytes(range(256)) * (SIZE // 256)), chip)


def test_an_rp2040_starts_what_was_cut_short_and_it_crashes() -> None:
    image = build(RP2040, "1.24.1")
    for without in (range(63, 64), range(1, 64), range(20, 21)):
        assert not found(flash_of(image, without=without), RP2040).whole
    assert not starts(flash_of(image, without=range(1)), RP2040)


def test_an_rp2350_does_not_start_what_was_cut_short() -> None:
    image = build(RP2350, "1.24.1")
    assert not starts(flash_of(image, without=range(63, 64)), RP2350)
    assert not starts(flash_of(image, without=range(1, 2)), RP2350)
    assert not found(flash_of(image, without=range(20, 21)), RP2350).whole


@BOTH
def test_one_image_half_over_another_crashes(chip: Chip) -> None:
    elder, newer = build(chip, "1.23.0"), build(chip, "1.24.1")
    before = bytes(flash_of(elder))
    for cut in (10, 40):
        mixed = flash_of(newer, without=range(cut, 64), over=before)
        assert not starts(mixed, chip) or not program_in(mixed, chip).whole, cut


def test_an_image_without_our_checksum_is_whole_where_no_page_of_it_is_blank() -> None:
    data = rp2_images.program().replace(bytes(256), b"\x01" * 256)
    flash = bytearray(data.ljust(SIZE, b"\xff"))
    assert program_in(memoryview(flash), RP2040).whole
    flash[0x4000:0x4100] = b"\xff" * 256
    assert not program_in(memoryview(flash), RP2040).whole


@BOTH
def test_a_foreign_program_has_a_port_and_no_python(chip: Chip) -> None:
    program = found(flash_of(build(chip, "1.0", micropython=False)), chip)
    assert program.whole
    assert program.usb_stdio
    assert program.identity is None


@BOTH
def test_the_same_words_make_the_same_bytes_of_the_size_that_is_asked_for(chip: Chip) -> None:
    assert build(chip, "1.24.1") == build(chip, "1.24.1")
    assert len(build(chip, "1.24.1", size=300_000)) == -(-300_000 // 256) * 512
    with pytest.raises(UsageError):
        build(chip, "1.24.1", size=100)
    with pytest.raises(UsageError):
        build(chip, "1.24.1", size=2 << 20)
    with pytest.raises(UsageError):
        build(chip, "1.24 1")


def test_the_block_of_erratum_e10_does_not_change_what_the_file_is() -> None:
    plain, first = (build(RP2350, "1.24.1", e10_block=e10) for e10 in (False, True))
    assert first == rp2_images.e10_block() + plain
