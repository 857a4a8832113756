"""Images of MicroPython for these chips: what is read of good ones, and why others are refused."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provision.core.chips.rp2.binary_info import read_binary_info
from provision.core.chips.rp2.chips import CHIPS, RP2040, RP2350
from provision.core.chips.rp2.family import FAMILY
from provision.core.chips.rp2.firmware import read_firmware, regions
from provision.errors import ImageError
from provision.model.chip import Chip
from provision.model.firmware import FilesystemPlace, FlashData
from provision.model.state import ActualState
from tests.images import profile
from tests.rp2_images import FAMILIES, KB, MACHINES, blocks, program, uf2

PLACE = FilesystemPlace(offset=640 * KB, blocks=352)


@pytest.mark.parametrize("chip", CHIPS)
def test_an_image_says_what_it_is(chip: Chip) -> None:
    data = uf2(chip)
    firmware = read_firmware(data, "x.uf2")
    identity = firmware.identity
    assert (identity.version, identity.machine) == ("1.24.1", MACHINES[chip.name])
    assert (identity.date, identity.chip) == ("2024-11-29", chip)
    assert (firmware.size, firmware.file) == (len(data), data)
    assert firmware.sha256 == hashlib.sha256(data).hexdigest()
    info = firmware.info
    assert (info.program, info.version, info.board, info.sdk) == (
        "MicroPython",
        "v1.24.1",
        "pico",
        "2.0.0",
    )
    assert info.end == 24 * KB
    assert FAMILY.filesystem_place(firmware, None, None) == PLACE


def test_what_is_copied_to_ram_at_the_start_is_found_where_it_lies() -> None:
    firmware = read_firmware(uf2(in_ram=True), "x.uf2")
    assert firmware.info == read_firmware(uf2(), "x.uf2").info


def test_an_image_with_a_filesystem_leaves_the_boards_own_alone() -> None:
    data = program(filesystem=(64 * KB, 64 * KB)).ljust(64 * KB, b"\xff") + b"files" * 1000
    firmware = read_firmware(b"".join(blocks(data, FAMILIES["rp2040"])), "x.uf2")
    assert [(one.name, one.offset) for one in regions(firmware)] == [("firmware", 0)]
    assert regions(firmware)[0].data == program(filesystem=(64 * KB, 64 * KB)).rstrip(b"\xff")


def test_what_lies_behind_the_filesystem_is_the_images() -> None:
    data = program(filesystem=(64 * KB, 64 * KB)).ljust(128 * KB, b"\xff") + b"more"
    firmware = read_firmware(b"".join(blocks(data, FAMILIES["rp2040"])), "x.uf2")
    assert [(one.offset, one.data) for one in regions(firmware)][1:] == [(128 * KB, b"more")]


@pytest.mark.parametrize(
    ("filesystem", "place"),
    [
        (None, None),
        ((640 * KB, 4096), None),
        ((640 * KB + 100, 1408 * KB), None),
        ((1 << 20, 1 << 20), FilesystemPlace(offset=1 << 20, blocks=256)),
    ],
)
def test_the_place_is_the_images_own_word(
    filesystem: tuple[int, int] | None, place: FilesystemPlace | None
) -> None:
    firmware = read_firmware(uf2(filesystem=filesystem), "x.uf2")
    assert FAMILY.filesystem_place(firmware, None, None) == place


def test_it_may_be_read_off_a_flash() -> None:
    flash = program().ljust(2 << 20, b"\xff")
    asked = []

    def read(offset: int, size: int) -> bytes:
        asked.append((offset, size))
        return flash[offset : offset + size]

    assert FAMILY.filesystem_in_flash(RP2040, read, len(flash), None) == PLACE
    assert sum(size for _, size in asked) <= 16 * KB  # what a REPL would take seconds for
    assert FAMILY.partitions(RP2040, read, len(flash))[0].name == "MicroPython"
    assert FAMILY.data_in_flash(RP2040, read, len(flash), None) == (
        FlashData(
            name="filesystem", kind="littlefs", offset=PLACE.offset, size=PLACE.size, blank=True
        ),
    )


def test_a_flash_without_program_tells_nothing() -> None:
    flash = b"\xff" * (2 << 20)
    read = lambda offset, size: flash[offset : offset + size]  # noqa: E731
    assert FAMILY.filesystem_in_flash(RP2040, read, len(flash), None) is None
    assert FAMILY.data_in_flash(RP2040, read, len(flash), None) == ()
    image = read_firmware(uf2(), "x.uf2")
    assert [one.blank for one in FAMILY.data_in_flash(RP2040, read, 2 << 20, None, image)] == [True]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (uf2(banner=b""), "a sound RP2040 image, but 'MicroPython', not MicroPython"),
        (
            uf2(
                banner=b"Adafruit CircuitPython 9.2.1 on 2024-11-20; Raspberry Pi Pico with rp2040"
            ),
            "but CircuitPython 9.2.1, which is another Python",
        ),
        (
            b"".join(blocks(b"\0" * 4096, FAMILIES["rp2040"])),
            "there is no MicroPython banner in it",
        ),
        (uf2(machine="Raspberry Pi Pico2 with RP2350"), "MicroPython for the RP2350"),
        (
            b"".join(blocks(b"littlefs" * 512, FAMILIES["rp2040"], base=0x10100000)),
            "begins at 0x100000 of the flash",
        ),
    ],
)
def test_what_is_no_image_of_micropython(data: bytes, message: str) -> None:
    with pytest.raises(ImageError) as caught:
        read_firmware(data, "x.uf2")
    assert message in caught.value.message


def test_an_image_for_another_chip_is_refused() -> None:
    firmware = read_firmware(uf2(RP2350), "x.uf2")
    found = FAMILY.image_refusals(firmware, profile(RP2040, flash_size=4 << 20), ActualState())
    assert [refusal.kind for refusal in found] == ["wrong-chip"]
    assert "x.uf2 is for the RP2350" in found[0].message


def test_an_image_that_keeps_its_files_past_the_flash_is_refused() -> None:
    firmware = read_firmware(uf2(filesystem=(1 << 20, 3 << 20)), "x.uf2")
    small, large = profile(RP2040, flash_size=2 << 20), profile(RP2040, flash_size=4 << 20)
    found = FAMILY.image_refusals(firmware, small, ActualState())
    assert [refusal.kind for refusal in found] == ["image-too-large"]
    assert FAMILY.image_refusals(firmware, large, ActualState()) == ()
    assert FAMILY.image_refusals(firmware, small, ActualState(flash_size=4 << 20)) == ()


def test_an_image_larger_than_the_flash_is_refused() -> None:
    firmware = read_firmware(uf2(filesystem=None), "x.uf2")
    board = profile(RP2040, flash_size=16 * KB)
    (refusal,) = FAMILY.image_refusals(firmware, board, ActualState())
    assert "needs 24576 bytes of flash, the flash has 16" in refusal.message


@pytest.mark.parametrize(
    ("release", "chip"),
    [
        ("RPI_PICO", RP2040),
        ("RPI_PICO_W", RP2040),
        ("RPI_PICO2", RP2350),
        ("RPI_PICO2_W", RP2350),
        ("SEEED_XIAO_RP2350", RP2350),
        ("ARDUINO_NANO_RP2040_CONNECT", RP2040),
        ("PIMORONI_PICOLIPO", None),
        ("ESP32_GENERIC", None),
    ],
)
def test_release_names(release: str, chip: Chip | None) -> None:
    assert FAMILY.chip_of_release(release) == chip


def test_native_code_is_of_the_cores_that_the_build_runs_on() -> None:
    assert FAMILY.bytecode_architecture(RP2040) == "armv6m"
    assert FAMILY.bytecode_architecture(RP2350) == "armv7emsp"
    assert FAMILY.bytecode_architecture(RP2350, "RISCV") == "rv32imc"
    assert FAMILY.chip_of_machine("Raspberry Pi Pico2 with RP2350-RISCV") == RP2350


@given(seed=st.integers(0, 2**32), changes=st.integers(1, 60))
@settings(max_examples=150, deadline=None)
def test_damaged_binary_info_ends_and_stays_within_the_flash(seed: int, changes: int) -> None:
    rng = random.Random(seed)
    flash = bytearray(program())
    for _ in range(changes):
        at = rng.choice([rng.randrange(0x200, 0x214), rng.randrange(0x400, 0x800)])
        if rng.random() < 0.6:
            at = rng.randrange(0x1800, 0x1880)
        flash[at] = rng.randrange(256)

    def read(offset: int, size: int) -> bytes:
        assert offset >= 0
        assert offset + size <= len(flash)
        return bytes(flash[offset : offset + size])

    info = read_binary_info(read, len(flash))
    if info is not None:
        assert all(device.size > 0 for device in info.block_devices)
        assert len(info.program) <= 256


@given(st.binary(max_size=2048))
def test_any_bytes_have_binary_info_or_none(data: bytes) -> None:
    marker = bytes.fromhex("f2eb8871")
    flash = data[:40] + marker + data[40:]
    read_binary_info(lambda offset, size: flash[offset : offset + size], len(flash))


PICO, PICO_W = "Raspberry Pi Pico with RP2040", "Raspberry Pi Pico W with RP2040"
PICO2, PICO2_W = "Raspberry Pi Pico2 with RP2350", "Raspberry Pi Pico 2 W with RP2350"


@pytest.mark.parametrize(
    ("chip", "running", "wanted", "build"),
    [
        (RP2040, PICO_W, PICO, "RPI_PICO_W"),
        (RP2350, PICO2_W, PICO2, "RPI_PICO2_W"),
        (RP2350, PICO2_W, f"{PICO2}-RISCV", "RPI_PICO2_W"),
        (RP2040, PICO_W, PICO_W, None),
        (RP2040, PICO, PICO, None),
        (RP2040, PICO, PICO_W, None),
        (RP2040, PICO_W, "Pimoroni Tiny 2040 8MB with RP2040", None),
    ],
)
def test_a_build_that_leaves_the_radio_out_of_reach(
    chip: Chip, running: str, wanted: str, build: str | None
) -> None:
    firmware = read_firmware(uf2(chip, machine=wanted), "x.uf2")
    board = ActualState(chip=chip, firmware=replace(firmware.identity, machine=running))
    notes = FAMILY.variant_notes(firmware, board)
    assert [note for note in notes if f"; {build} has it" in note] == list(notes)
    assert bool(notes) == (build is not None)
    assert FAMILY.variant_notes(firmware, ActualState(chip=chip)) == ()
