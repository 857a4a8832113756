"""What was written to a flash is read back: one that does not keep it is an error, no success."""

from __future__ import annotations

import hashlib
import random
import zlib
from contextlib import AbstractContextManager, nullcontext
from typing import Any, cast

import pytest

from provision.boards import profiles
from provision.core.chips.esp.chips import ESP32, ESP8266
from provision.device.flashing.esptool.download_session import DownloadSession
from provision.device.flashing.esptool.flasher import EsptoolFlasher
from provision.device.flashing.esptool.library import esptool
from provision.device.transport.serial_port import Port
from provision.errors import BoardError, FlashFailed, Refused
from provision.model.board import BoardProfile, ResetWiring
from provision.model.chip import Chip
from provision.model.firmware import Region
from provision.model.state import ActualState

FLASH_SIZE = 4 << 20


class NoPort:
    device = "kitchen"
    serial = None

    def wiring(self, board: BoardProfile) -> ResetWiring:
        return board.reset

    def errors(self) -> AbstractContextManager[None]:
        return nullcontext()


class Flash:
    """esptool's object for a chip whose flash keeps no bit of `worn`."""

    IS_STUB = True
    FLASH_WRITE_SIZE = 0x4000

    def __init__(self, worn: frozenset[int] = frozenset()) -> None:
        self.held = bytearray(b"\xff" * FLASH_SIZE)
        self.worn = worn
        self.asked = 0

    def flash_defl_begin(self, size: int, _compressed: int, offset: int) -> None:
        self.at, self.end = offset, offset + size
        self.inflater = zlib.decompressobj()

    def flash_defl_block(self, piece: bytes, _number: int, timeout: float) -> None:
        data = self.inflater.decompress(piece)
        self.held[self.at : self.at + len(data)] = data
        self.at += len(data)
        for place in self.worn:
            self.held[place] = 0

    def flash_defl_finish(self, reboot: bool, timeout: float) -> None:
        assert self.at == self.end

    def erase_flash(self) -> None:
        self.held = bytearray(b"\xff" * len(self.held))
        self.asked = -1  # by a chip erase

    def erase_region(self, offset: int, size: int) -> None:
        self.held[offset : offset + size] = b"\xff" * size

    def flash_md5sum(self, offset: int, size: int) -> str:
        self.asked += 1
        return hashlib.md5(self.held[offset : offset + size], usedforsecurity=False).hexdigest()


def bootloader(flash: Flash, chip: Chip = ESP8266, secured: str | None = None) -> Any:
    made = DownloadSession(cast("Port", NoPort()), profiles()["esp8266-bare"])
    made.esp = flash
    made.actual = ActualState(
        chip=chip, mac="5c:cf:7f:01:02:03", flash_size=FLASH_SIZE, secured=secured
    )
    return EsptoolFlasher(made)


def ignore(_done: int, _total: int) -> None:
    pass


REGION = Region(name="app", offset=0x1000, data=bytes(range(256)) * 200)


def test_what_is_written_is_read_back() -> None:
    flash = Flash()
    bootloader(flash).write([REGION], ignore)
    assert flash.held[0x1000 : 0x1000 + len(REGION.data)] == REGION.data
    asked = flash.asked
    bootloader(flash).write([REGION], ignore)  # it is there already
    assert flash.asked > asked


def test_what_differs_is_told_by_name() -> None:
    flash = Flash()
    same = Region(name="table", offset=0x8000, data=b"\xff" * 3000)
    nothing = Region(name="nothing", offset=0x9000, data=b"")
    assert bootloader(flash).differs([REGION, same, nothing]) == ("app",)
    bootloader(flash).write([REGION], ignore)
    assert bootloader(flash).differs([REGION, nothing]) == ()
    flash.held[0x1000 + len(REGION.data) - 1] ^= 1  # at its very end
    assert bootloader(flash).differs([REGION]) == ("app",)


def test_a_flash_that_does_not_keep_it_is_an_error() -> None:
    with pytest.raises(FlashFailed, match="does not read back as it was written") as caught:
        bootloader(Flash(worn=frozenset([0x1234]))).write([REGION], ignore)
    assert "worn out" in caught.value.hint
    assert caught.value.device == "kitchen"


def test_a_digest_that_is_no_text_is_an_error_of_the_line() -> None:
    class Noisy(Flash):
        def flash_md5sum(self, offset: int, size: int) -> str:
            return b"\xff\xfe".decode("utf-8")  # as esptool reads a ROM's answer

    with pytest.raises(FlashFailed, match="reading back the flash failed"):
        bootloader(Noisy()).write([REGION], ignore)


@pytest.mark.parametrize(("chip", "secured"), [(ESP32, None), (ESP8266, "secure boot")], ids=str)
def test_the_last_door_before_the_flash(chip: Chip, secured: str | None) -> None:
    flash = Flash()
    with pytest.raises(Refused):
        bootloader(flash, chip, secured).write([REGION], ignore)
    assert flash.held.count(0xFF) == len(flash.held)


class Overlapping(Flash):
    """One that digests while a block comes; `told` are the places it was asked about so."""

    def __init__(self, worn: frozenset[int] = frozenset()) -> None:
        super().__init__(worn)
        self.told: list[tuple[int, int]] = []

    def flash_md5sum_during(
        self, offset: int, size: int, piece: bytes, number: int, timeout: float
    ) -> str:
        digest = self.flash_md5sum(offset, size)
        self.told.append((offset, size))
        self.flash_defl_block(piece, number, timeout)
        return digest


LARGE = Region(name="app", offset=0x10000, data=random.Random(1).randbytes(600_000))
BOOT = Region(name="bootloader", offset=0, data=b"boot".ljust(4096, b"\xff"))


def overlapping(worn: frozenset[int] = frozenset()) -> tuple[EsptoolFlasher, Overlapping]:
    class Lines(NoPort):
        class serial:  # noqa: N801
            baudrate = 921600

    flash = Overlapping(worn)
    made = DownloadSession(cast("Port", Lines()), profiles()["esp8266-bare"])
    made.esp, made.actual = flash, proved("5c:cf:7f:01:02:03")
    return EsptoolFlasher(made), flash


def test_what_nobody_looked_at_is_looked_at_while_blocks_come_and_blank_before_the_last() -> None:
    made, flash = overlapping()
    secret = 0x2ABCDE
    flash.held[secret] = 0
    made.erase([LARGE, BOOT], ignore)
    assert flash.held[secret] == 0  # it looks as new
    made.write([LARGE, BOOT], ignore)
    wanted = bytearray(b"\xff" * FLASH_SIZE)
    for region in (LARGE, BOOT):
        wanted[region.offset : region.offset + len(region.data)] = region.data
    assert flash.held == wanted
    assert sum(size for offset, size in flash.told if offset >= 0x200000) > 1 << 20


@pytest.mark.parametrize("worn", [0x10000, 0x10000 + 300_000, 0x10000 + 599_999])
def test_a_worn_flash_is_told_wherever_it_is_while_blocks_come(worn: int) -> None:
    made, flash = overlapping(frozenset([worn]))
    made.erase([LARGE], ignore)
    with pytest.raises(FlashFailed, match="does not read back as it was written"):
        made.write([LARGE], ignore)
    assert flash.told


class Swapped(DownloadSession):
    """Meets `next_flash`, on the board with this MAC, when it connects once more."""

    next_flash: Flash
    next_mac: str

    def connect(self) -> None:
        self.esp = self.next_flash
        self.actual = proved(self.next_mac)


def proved(mac: str) -> ActualState:
    return ActualState(chip=ESP8266, mac=mac, flash_size=FLASH_SIZE)


class Dying(Flash):
    """Its line fails in the first block, and when the flash is read back."""

    def flash_defl_block(self, piece: bytes, _number: int, timeout: float) -> None:
        raise esptool().FatalError("No serial data received.")

    def flash_md5sum(self, offset: int, size: int) -> str:
        raise esptool().FatalError("No serial data received.")


def after_a_failure(mac: str) -> tuple[Any, Flash]:
    class Lines(NoPort):
        class serial:  # noqa: N801
            baudrate = 115200

    made = Swapped(cast("Port", Lines()), profiles()["wemos-d1-mini"])
    made.esp, made.actual = Dying(), proved("5c:cf:7f:01:02:03")
    made.next_flash, made.next_mac = Flash(), mac
    return EsptoolFlasher(made), made.next_flash


def test_a_line_that_fails_while_erasing_is_taken_up_again() -> None:
    made, flash = after_a_failure("5c:cf:7f:01:02:03")
    flash.held[0x200000] = 0
    made.erase([REGION], ignore)
    assert flash.held == b"\xff" * FLASH_SIZE


def test_nothing_is_left_by_a_chip_erase() -> None:
    made, flash = after_a_failure("5c:cf:7f:01:02:03")
    made._session.esp = flash
    flash.held[:] = bytes(len(flash.held))
    made.erase(None, ignore)
    assert flash.held == b"\xff" * FLASH_SIZE
    assert flash.asked == -1


def test_a_line_that_fails_is_taken_up_again() -> None:
    made, flash = after_a_failure("5c:cf:7f:01:02:03")
    made.write([REGION], ignore)
    assert flash.held[0x1000 : 0x1000 + len(REGION.data)] == REGION.data


def test_another_board_that_answers_after_a_failure_is_not_written() -> None:
    """A cable that was pulled and put back elsewhere, while its run went on."""
    made, flash = after_a_failure("5c:cf:7f:99:99:99")
    with pytest.raises(Refused, match="another board answers: 5c:cf:7f:99:99:99"):
        made.write([REGION], ignore)
    assert flash.held.count(0xFF) == len(flash.held)


def test_a_chip_of_no_known_kind_is_told() -> None:
    class Unknown(Flash):
        CHIP_NAME = "ESP32-H4"

    made = bootloader(Unknown())
    made._session.actual = None
    with pytest.raises(BoardError, match="an ESP32-H4, which this tool does not know") as caught:
        made.identify()
    assert "ESP32-C3" in caught.value.hint


@pytest.mark.parametrize(("chip", "restarted"), [("ESP8266", True), ("ESP32", False)])
def test_without_reset_lines_only_an_esp8266_restarts_itself(chip: str, restarted: bool) -> None:
    class Stub(Flash):
        CHIP_NAME = chip
        resets = 0

        def soft_reset(self, stay_in_bootloader: bool) -> None:
            assert not stay_in_bootloader
            self.resets += 1

    stub = Stub()
    assert bootloader(stub).restart() is restarted
    assert stub.resets == restarted
