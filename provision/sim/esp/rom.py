"""The commands of a mask ROM's loader, and how it refuses.

After esptool's serial-protocol documentation. A ROM erases all of a region before it takes the
first byte, writes each block before it answers, and reads it back.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import Any

from provision.core.chips.esp.chips import ESP32, ESP32S3, ESP8266
from provision.sim.chip.flash import BLOCK, SECTOR
from provision.sim.esp import slip
from provision.sim.esp.commands import Command, DownloadMode, LoaderCommands
from provision.sim.esp.packets import HEADER, Answer, CommandFailed, require_length, words
from provision.sim.setup import ResetKind, ResetRequest

BAD_FORMAT = 0x0105
FAILED = 0x0106
BAD_CHECKSUM = 0x0107
WRITE_ERROR = 0x0108
READ_ERROR = 0x0109
READ_TOO_LONG = 0x010A
DEFLATE_ERROR = 0x010B

SYNC = b"\x07\x07\x12\x20" + b"\x55" * 32
_SYNC_VALUE = 0x20120707
_READ_BLOCK = 64
_SECTORS_A_BLOCK = BLOCK // SECTOR

# What secure download mode leaves of the ROM loader.
_SECURE_DOWNLOAD = frozenset({0x02, 0x03, 0x04, 0x08, 0x0B, 0x0D, 0x0F, 0x10, 0x11, 0x12, 0x14})

# A pointer in an ESP32-S3's RAM through which esptool starts its stub where secure boot keeps
# MEM_END from doing so (esptool's run_stub).
_S3_READ_HOOK = 0x3FCEF688


@dataclass(kw_only=True, slots=True)
class _Write:
    offset: int
    inflate: Any = None  # zlib's decompressor has no public type


@dataclass(kw_only=True, slots=True)
class _Load:
    start: int
    size: int
    taken: int = 0

    @property
    def complete(self) -> bool:
        return self.taken >= self.size


class Rom(LoaderCommands):
    """Status bytes are 01 and the error; on all but the ESP8266 two more follow."""

    wrong_size = short_data = BAD_FORMAT
    frames_kept = 4

    def __init__(self, chip: DownloadMode) -> None:
        super().__init__(chip, limit=chip.facts.rom_flash)
        self._write: _Write | None = None
        self._load: _Load | None = None
        self._loaded: list[_Load] = []
        self.status_length = chip.facts.status_length
        self._table: dict[int, Command] = {
            **self._shared(),
            0x02: self._flash_begin,
            0x03: self._flash_data,
            0x04: self._flash_end,
            0x05: self._mem_begin,
            0x06: self._mem_end,
            0x07: self._mem_data,
            0x08: self._sync,
            0x0D: self._attach,
            0x0E: self._read_slow,
            0x10: self._deflate_begin,
            0x11: self._flash_data,
            0x12: self._flash_end,
            0x13: self._md5,
            0x14: self._security_info,
        }

    def answer(self, operation: int, data: bytes, checksum: int) -> Answer | None:
        known = self._facts.commands
        if self._chip.security.download:
            known = known & _SECURE_DOWNLOAD
        if operation not in known:
            self._refuse()
            return None
        return self._table[operation](data, checksum)

    def malformed_frame(self, frame: bytes) -> None:
        if len(frame) >= HEADER.size and frame[0] == 0:
            self._chip.respond(frame[1], BAD_FORMAT, Answer())

    def _refuse(self) -> None:
        """A ROM answers a command it does not know several times, under another number."""
        other = 0x00 if self._facts.chip == ESP8266 else 0xFF
        for _ in range(8):
            self._chip.respond(other, BAD_FORMAT, Answer())

    def _sync(self, data: bytes, checksum: int) -> Answer:
        if data != SYNC:
            raise CommandFailed(BAD_FORMAT)
        self._chip.synced = True
        return Answer(value=_SYNC_VALUE, repeat=8)

    def _attach(self, data: bytes, checksum: int) -> Answer:
        require_length(data, 8, BAD_FORMAT)
        self._chip.registers.attached = True
        return Answer()

    def _read_slow(self, data: bytes, checksum: int) -> Answer | None:
        require_length(data, 8, BAD_FORMAT)
        offset, size = words(data, 2)
        hook = self._chip.registers.read(_S3_READ_HOOK)
        if self._facts.chip == ESP32S3 and hook:
            self._start(hook)
            return None
        if size > _READ_BLOCK:
            raise CommandFailed(READ_TOO_LONG)
        self._in_flash(offset, size, READ_ERROR)
        return Answer(data=self._flash.read(offset, size).ljust(_READ_BLOCK, b"\0"))

    def _change_baud(self, data: bytes, checksum: int) -> Answer:
        require_length(data, 8, BAD_FORMAT)
        baud = words(data, 1)[0]
        if not baud:
            raise CommandFailed(BAD_FORMAT)
        if self._facts.rom_crystal is not None:  # it divides a clock that it has not
            real = baud * self._facts.crystal // self._facts.rom_crystal
            return Answer(after=lambda: self._chip.set_baud(real))
        return super()._change_baud(data, checksum)

    def _security_info(self, data: bytes, checksum: int) -> Answer:
        require_length(data, 0, BAD_FORMAT)
        return Answer(data=self._facts.security_info_reply(self._chip.security))

    def _md5(self, data: bytes, checksum: int) -> Answer:
        require_length(data, 16, BAD_FORMAT)
        offset, size = words(data, 2)
        self._in_flash(offset, size, READ_ERROR)
        digest, seconds = self._chip.digest(offset, size)
        return Answer(data=digest.hex().encode(), seconds=seconds)

    # Writing flash

    def _flash_begin(self, data: bytes, checksum: int) -> Answer:
        return self._begin(data, inflate=None)

    def _deflate_begin(self, data: bytes, checksum: int) -> Answer:
        return self._begin(data, inflate=zlib.decompressobj())

    def _begin(self, data: bytes, inflate: Any) -> Answer:
        require_length(data, 20 if self._facts.chip not in {ESP8266, ESP32} else 16, BAD_FORMAT)
        size, _, _, offset = words(data, 4)
        if self._facts.chip == ESP8266:
            self._chip.registers.attached = True  # its only way to be told
        first = offset // SECTOR
        count = -(-(offset + size) // SECTOR) - first if size else 0
        if self._facts.chip == ESP8266:
            count = _esp8266_erases(first, -(-size // SECTOR))
        if size:
            self._in_flash(first * SECTOR, count * SECTOR, FAILED)
        self._write = _Write(offset=offset, inflate=inflate)
        return Answer(seconds=self._flash.erase(first * SECTOR, count * SECTOR))

    def _flash_data(self, data: bytes, checksum: int) -> Answer:
        block = _block(data, checksum)
        write = self._write
        if write is None:
            raise CommandFailed(FAILED)
        if write.inflate:
            try:
                block = write.inflate.decompress(block)
            except zlib.error:
                raise CommandFailed(DEFLATE_ERROR) from None
        self._in_flash(write.offset, len(block), FAILED)
        seconds = self._flash.program(write.offset, block)
        kept = self._flash.read(write.offset, len(block))
        if slip.checksum(kept) != slip.checksum(block):
            raise CommandFailed(WRITE_ERROR)
        write.offset += len(block)
        return Answer(seconds=seconds)

    def _flash_end(self, data: bytes, checksum: int) -> Answer:
        require_length(data, 4, BAD_FORMAT)
        self._write = None
        stay = words(data, 1)[0] == 0
        kind = ResetKind.BOOTLOADER if stay else ResetKind.RESET
        return Answer(after=lambda: self._chip.request_reset(ResetRequest(kind=kind)))

    def _in_flash(self, offset: int, size: int, status: int) -> None:
        end = min(self._limit, self._flash.size)
        if not self._chip.registers.attached or offset + size > end:
            raise CommandFailed(status)

    # Loading RAM

    def _mem_begin(self, data: bytes, checksum: int) -> Answer:
        require_length(data, 16, BAD_FORMAT)
        size, _, _, start = words(data, 4)
        self._load = _Load(start=start, size=size)
        self._loaded = [*self._loaded, self._load]
        return Answer()

    def _mem_data(self, data: bytes, checksum: int) -> Answer:
        block = _block(data, checksum)
        if self._load is None or self._load.taken + len(block) > self._load.size:
            raise CommandFailed(FAILED)
        self._load.taken += len(block)
        return Answer()

    def _mem_end(self, data: bytes, checksum: int) -> Answer:
        require_length(data, 8, BAD_FORMAT)
        stay, entry = words(data, 2)
        self._load = None
        if stay or self._stub_is_barred():
            return Answer()
        return Answer(after=lambda: self._start(entry))

    def _stub_is_barred(self) -> bool:
        return self._facts.chip == ESP32S3 and self._chip.security.secure_boot

    def _start(self, entry: int) -> None:
        """Jump to a program in RAM. Whatever was loaded there whole is taken for a stub."""
        if any(one.complete and 0 <= entry - one.start < one.size for one in self._loaded):
            self._chip.start_stub()
        else:
            self._chip.crash()


def _esp8266_erases(first: int, asked: int) -> int:
    """Sectors that an ESP8266's ROM erases when asked for `asked`: it counts those up to the
    next 64 KB border twice (esptool's ESP8266ROM.get_erase_size works around it)."""
    return asked + min(_SECTORS_A_BLOCK - first % _SECTORS_A_BLOCK, asked)


def _block(data: bytes, checksum: int) -> bytes:
    if len(data) < 16 or words(data, 1)[0] != len(data) - 16:
        raise CommandFailed(BAD_FORMAT)
    block = data[16:]
    if slip.checksum(block) != checksum & 0xFF:
        raise CommandFailed(BAD_CHECKSUM)
    return block
