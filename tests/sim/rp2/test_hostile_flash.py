"""Whatever a host copies onto the volume, and whatever lies in flash then: the board goes on."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.core.chips.rp2.chips import RP2040, RP2350
from provision.model.chip import Chip
from provision.sim.chip.flash import Flash
from provision.sim.families import MODELS
from provision.sim.rp2.chips import FACTS
from provision.sim.rp2.firmware import build, read_uf2
from provision.sim.rp2.program import CHECKSUM, program_in, starts
from provision.sim.rp2.uf2_receiver import Uf2Receiver
from provision.sim.setup import BoardSetup, ResetCause
from tests.rp2_images import block

BOTH = pytest.mark.parametrize("chip", [RP2040, RP2350])
WORD = st.integers(0, 0xFFFFFFFF)
PLACES = st.sampled_from(
    [0, 0x0FFFFFFF, 0x10000000, 0x10FFFF00, 0x12000000, 0x1FFFFF00, 0x20000000, 0x20082000]
)
NUMBERS = st.integers(0, 40) | WORD
BLOCKS = st.builds(
    block,
    st.binary(min_size=256, max_size=256),
    address=PLACES | WORD | st.integers(0, 64).map(lambda page: 0x10000000 + 256 * page),
    number=NUMBERS,
    count=NUMBERS,
    family=st.sampled_from([0xE48BFF56, 0xE48BFF57, 0xE48BFF58, 0xE48BFF59, 0xE48BFF5A]),
    flags=st.sampled_from([0x2000, 0xA000, 0x2001, 0]),
    size=st.sampled_from([256, 0, 476]),
)


@BOTH
@given(sectors=st.lists(BLOCKS | st.binary(min_size=512, max_size=512), max_size=60))
@settings(max_examples=60)
def test_every_page_that_blocks_make_is_one_of_the_flash(chip: Chip, sectors: list[bytes]) -> None:
    rom = Uf2Receiver(FACTS[chip])
    for sector in sectors:
        page = rom.take(sector)
        if page is None or page.offset is None:
            continue
        assert page.offset % 256 == 0
        assert len(page.data) == 256
        assert page.erase in (None, page.offset // 4096 * 4096)


@BOTH
@given(
    changes=st.lists(st.tuples(st.integers(0, 0x3FFC), PLACES | WORD), min_size=1, max_size=12),
    keep=st.booleans(),
)
@settings(max_examples=60)
def test_a_program_with_any_words_in_it_is_started_or_not(
    chip: Chip, changes: list[tuple[int, int]], keep: bool
) -> None:
    sound = b"".join(page for _, page in read_uf2(build(chip, "1.24.1")))
    image = bytearray(sound)
    for at, word in changes:
        # Behind its second-stage loader an RP2040 starts anything.
        struct.pack_into("<I", image, at + 256 if keep and at < 256 else at, word)
    flash = memoryview(bytes(image.ljust(1 << 20, b"\xff")))
    if starts(flash, chip) and program_in(flash, chip).whole:
        assert image == sound or CHECKSUM not in image


@BOTH
def test_a_flash_of_anything_is_booted_without_end_of_the_board(tmp_path: Path, chip: Chip) -> None:
    model = MODELS[chip]
    setup = BoardSetup.from_query("any", {"chip": chip.name}, tmp_path)
    flash = Flash(setup.flash_path, setup.flash_size)
    header = struct.pack("<5I", 0x7188EBF2, 0x10000000, 0x20000000, 0x10000000, 0xE71AA390)
    loop = struct.pack("<IBBHBHBiI", 0xFFFFDED3, 0x42, 1, 0x1021, 0xFF, 1, 0, 0, 0xAB123579)
    for fill in (b"\0", b"\xff", b"\x55\xaa", header, loop, loop.ljust(256, b"\1") + header):
        data = (fill * (8192 // len(fill) + 1))[:8192]
        flash.erase_sector(0)
        flash.erase_sector(4096)
        flash.program(0, data)
        model.waits_in_download(flash)
        model.start(setup, flash, ResetCause.POWER_ON, first=True)
    flash.close()
