"""The boot protocol, command by command: what ROM and stub do, and how they refuse."""

from __future__ import annotations

import random
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from provision.core.chips.esp.chips import CHIPS, ESP32, ESP32C3, ESP32C6, ESP32S2, ESP32S3, ESP8266
from provision.core.chips.esp.image import CHIP_IDS
from provision.model.chip import Chip
from provision.sim.chip.flash import BLOCK, SECTOR, Work
from provision.sim.chip.parts import Mode
from provision.sim.esp import slip
from provision.sim.setup import ResetCause
from tests.sim.chip_bench import SYNC, ChipBench, block, md5, words

DATA = random.Random(7).randbytes(3000)
SPI_32 = 0x3FF42000
IDS = {chip: number for chip, number in CHIP_IDS.items() if chip not in (ESP32, ESP32S2)}


@pytest.fixture
def rom(tmp_path: Path) -> Iterator[ChipBench]:
    with ChipBench(tmp_path) as bench:
        yield bench.download()


@pytest.fixture
def stub(tmp_path: Path) -> Iterator[ChipBench]:
    with ChipBench(tmp_path) as bench:
        yield bench.run_stub()


@pytest.fixture
def attached(rom: ChipBench) -> ChipBench:
    rom.ask(0x0D, words(0, 0))
    return rom


# Getting in touch


@pytest.mark.parametrize("chip", CHIPS)
def test_sync_is_answered_eight_times_and_tells_rom_from_stub(tmp_path: Path, chip: Chip) -> None:
    with ChipBench(tmp_path, chip) as bench:
        bench.download()
        assert bench.ask(0x08, SYNC, answers=8)[0] != 0
    with ChipBench(tmp_path, chip) as bench:
        bench.run_stub()
        assert bench.ask(0x08, SYNC, answers=8)[0] == 0


def test_a_rom_takes_the_rate_of_the_first_bytes(tmp_path: Path) -> None:
    with ChipBench(tmp_path, ESP8266) as bench:
        bench.plug_in()
        bench.board.set_host_baud(57600)
        bench.board.circuit.lines(False, True)
        bench.board.circuit.lines(True, False)
        bench.host.arrived.clear()
        bench.ask(0x08, SYNC, answers=8)
        assert bench.board.baud == 57600
        bench.board.set_host_baud(115200)
        bench.say(0x08, SYNC)
        assert not bench.host.arrived, "it has settled on a rate; another one is noise to it"


def test_noise_before_a_packet_costs_nothing(rom: ChipBench) -> None:
    rom.board.from_host(b"\x00\x55\xff garbage")
    rom.ask(0x08, SYNC, answers=8)


def test_a_broken_escape_costs_its_frame_only(rom: ChipBench) -> None:
    rom.board.from_host(b"\xc0\x00\x08\xdb\x00\xc0")
    rom.ask(0x08, SYNC, answers=8)


def test_a_frame_that_lies_about_its_length(rom: ChipBench) -> None:
    rom.board.from_host(slip.encode(b"\0\x0a" + b"\x09\0" + bytes(4) + bytes(4)))
    assert rom.answer()[3][:2] == b"\x01\x05"


def test_the_stub_says_so_in_its_own_way(stub: ChipBench) -> None:
    stub.board.from_host(slip.encode(b"\0\x0a" + b"\x09\0" + bytes(4) + bytes(4)))
    assert stub.answer()[3] == b"\xc0\x00"
    stub.board.from_host(slip.encode(b"\1\x0a" + b"\x04\0" + bytes(4) + bytes(4)))
    assert stub.answer()[3] == b"\xc3\x00"


# What there is not


@pytest.mark.parametrize(
    ("chip", "operation"),
    [
        *((ESP8266, operation) for operation in (0x0B, 0x0D, 0x0E, 0x0F, 0x10, 0x13, 0x14)),
        (ESP32, 0x14),
        *((chip, 0xD0) for chip in CHIPS),
    ],
)
def test_a_rom_refuses_what_it_does_not_know_many_times_under_another_number(
    tmp_path: Path, chip: Chip, operation: int
) -> None:
    with ChipBench(tmp_path, chip) as bench:
        bench.download()
        bench.say(operation, bytes(16))
        for _ in range(8):
            answered, _, _, status = bench.answer()
            assert answered != operation
            assert status[:2] == b"\x01\x05"
        bench.ask(0x08, SYNC, answers=8)


def test_the_stub_refuses_what_it_does_not_know(stub: ChipBench) -> None:
    assert stub.refused(0x0E, words(0, 64)) == b"\xc3\x00"
    assert stub.refused(0x55) == b"\xc3\x00"
    assert stub.refused(0x14) == b"\xff\x00", "an ESP32 has no security info"


def test_status_is_two_bytes_on_an_esp8266_and_four_on_other_roms(tmp_path: Path) -> None:
    for chip, length in ((ESP8266, 2), (ESP32, 4), (ESP32C6, 4)):
        directory = tmp_path / str(chip)
        directory.mkdir()
        with ChipBench(directory, chip) as bench:
            bench.download()
            bench.say(0x0A, words(0x40001000))
            assert len(bench.frame()) == 8 + length


# Registers


@pytest.mark.parametrize(("chip", "info"), [(ESP32S2, 12), *((chip, 20) for chip in IDS)])
def test_security_info_has_the_length_of_its_chip(tmp_path: Path, chip: Chip, info: int) -> None:
    with ChipBench(tmp_path, chip) as bench:
        bench.download()
        body = bench.ask(0x14)[1]
        assert len(body) == info
        if info == 20:
            assert int.from_bytes(body[12:16], "little") == IDS[chip]


def test_flash_id_before_attach_reads_an_empty_bus(rom: ChipBench) -> None:
    def flash_id() -> int:
        rom.set_register(SPI_32 + 0x2C, 23)  # 24 bits to come
        rom.set_register(SPI_32 + 0x1C, 1 << 31 | 1 << 28)
        rom.set_register(SPI_32 + 0x24, 7 << 28 | 0x9F)
        rom.set_register(SPI_32 + 0x80, 0)
        rom.set_register(SPI_32, 1 << 18)
        assert rom.register(SPI_32) & 1 << 18 == 0
        return rom.register(SPI_32 + 0x80)

    assert flash_id() == 0xFFFFFF
    rom.ask(0x0D, words(0, 0))
    assert flash_id() == 0x1440EF


def test_a_masked_write_changes_the_masked_bits_only(rom: ChipBench) -> None:
    rom.set_register(0x3FF00100, 0x12345678)
    rom.set_register(0x3FF00100, 0xFFFFFFFF, mask=0x0000FF00)
    assert rom.register(0x3FF00100) == 0x1234FF78


def test_the_watchdog_needs_its_key(tmp_path: Path) -> None:
    with ChipBench(tmp_path, ESP32C3, scale="100") as bench:
        bench.download()
        bench.set_register(0x60008090, 1 << 31)
        assert bench.register(0x60008090) == 0
        bench.set_register(0x600080A8, 0x50D83AA1)
        bench.set_register(0x60008090, 1 << 31)
        bench.wait(lambda: bench.board.mode is Mode.RUN)
        assert bench.application.boots[-1] is ResetCause.WATCHDOG


def test_efuses_tell_of_secure_boot_and_encryption(tmp_path: Path) -> None:
    with ChipBench(tmp_path, ESP32C3, ("secure_boot", "encryption")) as bench:
        bench.download()
        assert bench.register(0x60008838) & 1 << 20
        assert bench.register(0x60008834) >> 18 & 7 == 1
        info = bench.ask(0x14)[1]
        assert info[0] & 1
        assert info[4] == 1


def test_secure_download_mode_shuts_most_of_the_loader(tmp_path: Path) -> None:
    with ChipBench(tmp_path, ESP32S3, ("download",)) as bench:
        bench.download()
        assert bench.ask(0x14)[1][0] & 4
        bench.say(0x0A, words(0x40001000))
        assert bench.answer()[3][:2] == b"\x01\x05"


# Writing with the ROM


def test_the_rom_writes_what_it_was_told(attached: ChipBench) -> None:
    attached.ask(0x02, words(len(DATA), 3, 1024, 0x10000))
    for start in range(0, len(DATA), 1024):
        attached.write(DATA[start : start + 1024], start)
    assert attached.flash.read(0x10000, len(DATA)) == DATA
    answer = attached.ask(0x13, words(0x10000, len(DATA), 0, 0))[1]
    assert answer == md5(DATA).hex().encode()


def test_the_rom_erases_first_all_of_it_and_nothing_else(attached: ChipBench) -> None:
    attached.flash.program(0, bytes(4 * SECTOR))
    attached.ask(0x02, words(SECTOR + 1, 5, 1024, SECTOR))
    assert attached.flash.read(0, 4 * SECTOR) == (
        bytes(SECTOR) + b"\xff" * 2 * SECTOR + bytes(SECTOR)
    )


def test_writing_without_erasing_clears_bits_and_the_rom_notices(attached: ChipBench) -> None:
    attached.flash.program(0x1000, b"\xf0" * 256)
    attached.ask(0x02, words(0, 1, 256, 0x1000))
    data = DATA[:256]
    assert attached.refused(0x03, block(data), slip.checksum(data)) == b"\x01\x08"
    assert attached.flash.read(0x1000, 256) == bytes(byte & 0xF0 for byte in data)


def test_data_without_a_beginning(attached: ChipBench) -> None:
    assert attached.refused(0x03, block(DATA), slip.checksum(DATA)) == b"\x01\x06"


def test_a_bad_checksum_is_told_and_nothing_written(attached: ChipBench) -> None:
    attached.ask(0x02, words(1024, 1, 1024, 0))
    assert attached.refused(0x03, block(DATA[:1024]), 0) == b"\x01\x07"
    assert attached.flash.read(0, 1024) == b"\xff" * 1024
    attached.write(DATA[:1024], 0)


def test_a_block_shorter_than_it_says(attached: ChipBench) -> None:
    attached.ask(0x02, words(1024, 1, 1024, 0))
    assert attached.refused(0x03, words(1024, 0, 0, 0) + b"short") == b"\x01\x05"


def test_the_rom_does_not_touch_a_flash_it_was_not_told_of(rom: ChipBench) -> None:
    assert rom.refused(0x02, words(1024, 1, 1024, 0)) == b"\x01\x06"


def test_the_rom_believes_in_2_mb_until_it_is_told(tmp_path: Path) -> None:
    with ChipBench(tmp_path, flash="4MB") as bench:
        bench.download()
        bench.ask(0x0D, words(0, 0))
        assert bench.refused(0x02, words(1024, 1, 1024, 2 << 20)) == b"\x01\x06"
        bench.ask(0x0B, words(0, 4 << 20, BLOCK, SECTOR, 256, 0xFFFF))
        bench.ask(0x02, words(1024, 1, 1024, 2 << 20))


def test_nothing_is_written_past_the_end(attached: ChipBench) -> None:
    end = attached.flash.size
    assert attached.refused(0x02, words(2048, 2, 1024, end - 1024)) == b"\x01\x06"
    attached.ask(0x02, words(1024, 1, 1024, end - 1024))
    attached.write(DATA[:1024], 0)
    assert attached.refused(0x03, block(DATA[:1024]), slip.checksum(DATA[:1024])) == b"\x01\x06"


def test_extra_parameters_are_for_the_later_chips_only(tmp_path: Path) -> None:
    for chip, good, bad in (
        (ESP8266, 4, 5),
        (ESP32, 4, 5),
        (ESP32S2, 5, 4),
        (ESP32C6, 5, 4),
    ):
        directory = tmp_path / str(chip)
        directory.mkdir()
        with ChipBench(directory, chip) as bench:
            bench.download()
            if chip is not ESP8266:
                bench.ask(0x0D, words(0, 0))
            assert bench.refused(0x02, words(*[0] * bad)) == b"\x01\x05"
            bench.ask(0x02, words(*[0] * good))


def test_the_rom_inflates(attached: ChipBench) -> None:
    packed = zlib.compress(DATA, 9)
    attached.ask(0x10, words(4096, 1, 4096, 0x1000))
    attached.ask(0x11, block(packed), slip.checksum(packed))
    assert attached.flash.read(0x1000, len(DATA)) == DATA


def test_the_rom_refuses_what_does_not_inflate(attached: ChipBench) -> None:
    attached.ask(0x10, words(4096, 1, 4096, 0x1000))
    assert attached.refused(0x11, block(DATA), slip.checksum(DATA)) == b"\x01\x0b"


def test_the_rom_reads_64_bytes_at_most(attached: ChipBench) -> None:
    attached.flash.program(0x123, b"hello")
    assert attached.ask(0x0E, words(0x123, 5))[1] == b"hello".ljust(64, b"\0")
    assert attached.refused(0x0E, words(0, 65)) == b"\x01\x0a"
    assert attached.refused(0x0E, words(attached.flash.size - 4, 8)) == b"\x01\x09"


@pytest.mark.parametrize(
    ("first", "asked", "erased"), [(0, 4, 8), (0, 20, 36), (14, 4, 6), (14, 1, 2), (15, 16, 17)]
)
def test_an_esp8266_erases_more_than_asked(
    tmp_path: Path, first: int, asked: int, erased: int
) -> None:
    with ChipBench(tmp_path, ESP8266) as bench:
        bench.download()
        bench.flash.program(0, bytes(64 * SECTOR))
        bench.ask(0x02, words(asked * SECTOR, 1, 1024, first * SECTOR))
        contents = bench.flash.read(0, 64 * SECTOR)
        assert contents.count(b"\xff") == erased * SECTOR
        assert contents[first * SECTOR :].startswith(b"\xff" * erased * SECTOR)


# RAM and the stub


def test_a_program_that_came_with_errors_is_not_started(rom: ChipBench) -> None:
    rom.ask(0x05, words(100, 1, 100, 0x40080000))
    assert rom.refused(0x07, block(bytes(100)), 1) == b"\x01\x07"
    rom.ask(0x06, words(0, 0x40080000))
    assert not rom.board.stub
    rom.say(0x08, SYNC)
    assert not rom.host.arrived, "it jumped into what was in RAM before"


def test_ram_data_without_a_beginning(rom: ChipBench) -> None:
    assert rom.refused(0x07, block(DATA), slip.checksum(DATA)) == b"\x01\x06"


def test_an_esp32s3_with_secure_boot_starts_a_stub_through_its_read_pointer(
    tmp_path: Path,
) -> None:
    with ChipBench(tmp_path, ESP32S3, ("secure_boot",)) as bench:
        bench.download()
        program = bytes(64)
        bench.ask(0x05, words(64, 1, 0x1800, 0x40378000))
        bench.ask(0x07, block(program), slip.checksum(program))
        bench.ask(0x06, words(0, 0x40378000))
        assert not bench.board.stub
        bench.set_register(0x3FCEF688, 0x40378000)
        bench.say(0x0E, words(0, 0))
        assert bench.frame() == b"OHAI"


# Writing with the stub


def test_the_stub_erases_as_it_goes(stub: ChipBench) -> None:
    stub.flash.program(0, bytes(4 * SECTOR))
    stub.ask(0x02, words(3 * SECTOR, 3, SECTOR, 0))
    assert stub.flash.read(SECTOR, SECTOR) == bytes(SECTOR)
    for start in range(3):
        stub.write(b"\xa5" * SECTOR, start * SECTOR)
    stub.ask(0x04, words(1))
    assert stub.flash.read(0, 4 * SECTOR) == b"\xa5" * 3 * SECTOR + bytes(SECTOR)


def test_the_stub_erases_whole_sectors_around_what_it_writes(stub: ChipBench) -> None:
    stub.flash.program(0, bytes(2 * SECTOR))
    stub.ask(0x02, words(16, 1, 16, 100))
    stub.write(bytes(16), 100)
    assert stub.flash.read(0, 2 * SECTOR) == (
        b"\xff" * 100 + bytes(16) + b"\xff" * (SECTOR - 116) + bytes(SECTOR)
    )


def test_padding_of_the_last_block_is_not_written(stub: ChipBench) -> None:
    stub.flash.program(SECTOR, b"\0")
    stub.ask(0x02, words(10, 1, 16384, SECTOR - 10))
    padded = b"0123456789".ljust(16384, b"\0")
    stub.write(padded, 0)
    assert stub.flash.read(SECTOR - 10, 11) == b"0123456789\0"


def test_the_stub_answers_before_it_writes_and_owes_the_error(stub: ChipBench) -> None:
    stub.ask(0x10, words(len(DATA), 1, 16384, 0))
    stub.ask(0x11, block(DATA), slip.checksum(DATA))
    assert stub.refused(0x0A, words(0x40001000)) == b"\xc7\x00"
    assert stub.ask(0x0A, words(0x40001000))[0] == 0x00F01D83


@pytest.mark.parametrize("size", [0, 1, 3000, 32768, 65536, 100_000])
def test_the_stub_inflates(tmp_path: Path, size: int) -> None:
    data = random.Random(size).randbytes(size // 2) + bytes(size - size // 2)
    packed = zlib.compress(data, 9)
    with ChipBench(tmp_path) as stub:
        stub.run_stub()
        stub.ask(0x10, words(size, -(-len(packed) // 16384), 16384, 0x2000))
        for start in range(0, len(packed) if size else 0, 16384):
            part = packed[start : start + 16384]
            stub.ask(0x11, block(part, start // 16384), slip.checksum(part))
        stub.ask(0x12, words(1))
        assert stub.flash.read(0x2000, size) == data


def test_more_than_announced_is_too_much(stub: ChipBench) -> None:
    packed = zlib.compress(DATA)
    stub.ask(0x10, words(1000, 1, 16384, 0))
    stub.ask(0x11, block(packed), slip.checksum(packed))
    assert stub.refused(0x12, words(1)) == b"\xc9\x00"


def test_an_end_before_everything_came(stub: ChipBench) -> None:
    stub.ask(0x02, words(2048, 2, 1024, 0))
    stub.write(DATA[:1024], 0)
    assert stub.refused(0x04, words(1)) == b"\xc0\x00"


def test_the_stub_wants_a_beginning(stub: ChipBench) -> None:
    for operation in (0x03, 0x11):
        assert stub.refused(operation, block(DATA), slip.checksum(DATA)) == b"\xc6\x00"
    assert stub.refused(0x04, words(1)) == b"\xc6\x00"


def test_the_stub_checks_sums_and_lengths(stub: ChipBench) -> None:
    stub.ask(0x02, words(1024, 1, 1024, 0))
    assert stub.refused(0x03, block(DATA[:1024]), 0) == b"\xc1\x00"
    assert stub.refused(0x03, words(9, 0, 0, 0) + b"ten bytes!", 0) == b"\xc9\x00"
    assert stub.refused(0x03, b"short") == b"\xc8\x00"
    assert stub.refused(0x0A, b"xyz") == b"\xc0\x00"
    assert stub.refused(0xD1, words(1, SECTOR)) == b"\xc0\x00"


def test_the_stub_refuses_the_end_of_the_flash(stub: ChipBench) -> None:
    end = stub.flash.size
    assert stub.refused(0x02, words(2048, 2, 1024, end - 1024)) == b"\xc4\x00"
    assert stub.refused(0xD1, words(end, SECTOR)) == b"\xc4\x00"
    assert stub.refused(0x13, words(end - 1, 2, 0, 0)) == b"\xc4\x00"
    assert stub.refused(0xD2, words(end - 1, 2, 4096, 64)) == b"\xc4\x00"


def test_erasing(stub: ChipBench) -> None:
    stub.flash.program(0, bytes(stub.flash.size))
    stub.ask(0xD1, words(SECTOR, 2 * SECTOR))
    assert stub.flash.read(0, 4 * SECTOR) == (bytes(SECTOR) + b"\xff" * 2 * SECTOR + bytes(SECTOR))
    stub.ask(0xD0)
    assert stub.flash.read(0, stub.flash.size) == b"\xff" * stub.flash.size


def test_md5_of_the_stub_is_16_bytes(stub: ChipBench) -> None:
    stub.flash.program(5, DATA)
    assert stub.ask(0x13, words(5, len(DATA), 0, 0))[1] == md5(DATA)


# Reading with the stub


def test_reading_waits_for_acknowledgements_and_ends_with_a_digest(stub: ChipBench) -> None:
    stub.flash.program(0x100, DATA)
    stub.ask(0xD2, words(0x100, 2500, 1024, 64))
    got = b""
    for size in (1024, 1024, 452):
        packet = stub.frame()
        assert len(packet) == size
        assert not stub.host.arrived, "one packet at a time"
        got += packet
        stub.board.from_host(slip.encode(words(len(got))))
    assert got == DATA[:2500]
    assert stub.frame() == md5(got)
    stub.ask(0x08, SYNC, answers=8)


def test_anything_else_ends_a_read(stub: ChipBench) -> None:
    stub.ask(0xD2, words(0, 8192, 4096, 64))
    stub.frame()
    stub.say(0x08, SYNC)
    assert len(stub.frame()) == 16
    stub.ask(0x08, SYNC, answers=8)


def test_a_read_packet_has_its_limit(stub: ChipBench) -> None:
    assert stub.refused(0xD2, words(0, 8192, 8192, 64)) == b"\xc0\x00"


# Leaving


@pytest.mark.parametrize(
    ("argument", "mode"), [(1, Mode.RUN), (0, Mode.DOWNLOAD)], ids=["run", "stay"]
)
def test_leaving_the_rom(attached: ChipBench, argument: int, mode: Mode) -> None:
    attached.ask(0x02, words(0, 0, 1024, 0))
    attached.ask(0x04, words(argument))
    assert attached.board.mode is mode


def test_leaving_the_stub(stub: ChipBench) -> None:
    stub.ask(0x02, words(0, 0, 1024, 0))
    stub.ask(0x04, words(1))
    assert stub.board.stub
    stub.ask(0x02, words(0, 0, 1024, 0))
    stub.ask(0x04, words(0))
    assert stub.board.mode is Mode.DOWNLOAD
    assert not stub.board.stub


@pytest.mark.parametrize(("chip", "mode"), [(ESP8266, Mode.RUN), (ESP32, Mode.DOWNLOAD)])
def test_running_user_code_from_the_stub(tmp_path: Path, chip: Chip, mode: Mode) -> None:
    with ChipBench(tmp_path, chip) as bench:
        bench.run_stub()
        bench.say(0xD3)
        assert bench.board.mode is mode


# Baud


@pytest.mark.parametrize("stage", ["rom", "stub"])
def test_a_change_of_baud_is_a_change_of_baud(tmp_path: Path, stage: str) -> None:
    with ChipBench(tmp_path) as bench:
        bench.download() if stage == "rom" else bench.run_stub()
        bench.ask(0x0F, words(921600, 0 if stage == "rom" else 115200))
        bench.host.arrived.clear()
        bench.say(0x08, SYNC)
        assert not bench.host.arrived, "the host still talks at 115200"
        bench.board.set_host_baud(921600)
        bench.ask(0x08, SYNC, answers=8)


# Time and power


def test_flash_takes_its_time_where_it_is_asked_to(tmp_path: Path) -> None:
    with ChipBench(tmp_path, timing="on", scale="20") as bench:
        bench.run_stub()
        bench.say(0xD0)
        assert not bench.host.arrived, "2.5 s a megabyte, twenty times as fast"
        assert bench.answer()[3] == b"\0\0"


def test_one_frame_waits_while_the_stub_writes_and_others_are_lost(tmp_path: Path) -> None:
    with ChipBench(tmp_path, timing="on", scale="10") as bench:
        bench.run_stub()
        bench.flash.program(0, bytes(2 * SECTOR))
        bench.ask(0x02, words(2 * SECTOR, 1, 2 * SECTOR, 0))
        content = DATA[:1000] * 5  # it has to erase the second sector
        bench.ask(0x03, block(content), slip.checksum(content))
        for address in (0x40001000, 0x60000014):
            bench.say(0x0A, words(address))
        assert not bench.host.arrived
        assert bench.answer()[0] == 0x0A
        bench.ask(0x08, SYNC, answers=8)
        assert not bench.host.arrived


def test_what_is_blank_is_not_erased_until_the_first_sector_that_is_not(tmp_path: Path) -> None:
    """As esp-flasher-stub does since 1.1.0: what comes behind that is erased unseen."""
    with ChipBench(tmp_path) as bench:
        bench.run_stub()
        bench.flash.program(2 * SECTOR, b"\0")
        erased: list[int] = []
        bench.flash.cut_power(Work.ERASE, 3, lambda: erased.append(1))
        content = bytes(range(250)) * 64  # four sectors
        bench.ask(0x02, words(4 * SECTOR, 1, 4 * SECTOR, 0))
        bench.ask(0x03, block(content), slip.checksum(content))
        bench.flash.cancel_power_cut()
        assert not erased  # two of four, not all
        assert bench.flash.read(0, len(content)) == content


def test_a_power_cut_in_an_erase_leaves_half_a_sector_and_a_dark_chip(stub: ChipBench) -> None:
    stub.flash.program(0, bytes(3 * SECTOR))
    stub.flash.cut_power(Work.ERASE, 2, stub.board.power_off)
    stub.say(0xD1, words(0, 3 * SECTOR))
    assert stub.board.mode is Mode.OFF
    assert not stub.host.arrived
    assert stub.flash.read(0, 3 * SECTOR) == (
        b"\xff" * (SECTOR + SECTOR // 2) + bytes(SECTOR // 2 + SECTOR)
    )


def test_a_power_cut_in_a_write_leaves_half_a_block(attached: ChipBench) -> None:
    attached.ask(0x02, words(1024, 1, 1024, 0))
    attached.flash.cut_power(Work.PROGRAM, 1, attached.board.power_off)
    attached.say(0x03, block(DATA[:1024]), slip.checksum(DATA[:1024]))
    assert attached.board.mode is Mode.OFF
    assert attached.flash.read(0, 1024) == DATA[:512] + b"\xff" * 512


def test_a_reset_in_the_middle_of_work_ends_it(tmp_path: Path) -> None:
    with ChipBench(tmp_path, timing="on") as bench:
        bench.run_stub()
        bench.say(0xD0)
        bench.board.circuit.lines(False, True)
        bench.board.circuit.lines(False, False)
        assert bench.board.mode is Mode.RUN
        assert bench.application.boots == [ResetCause.POWER_ON, ResetCause.EXTERNAL]
