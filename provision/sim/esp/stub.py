"""The commands of esptool's flasher stub, which runs in RAM in the ROM loader's place.

It answers a block before it writes it, so that the next one is under way meanwhile; an error in
that write is the answer to the next command, whatever that is. It erases as it goes: from the first
sector on that is not blank (esp-flasher-stub since 1.1.0, esptool since 5.4).
"""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from provision.core.chips.esp.chips import ESP8266
from provision.sim.chip.flash import ERASED, SECTOR
from provision.sim.esp import slip
from provision.sim.esp.commands import Command, DownloadMode, LoaderCommands
from provision.sim.esp.packets import Answer, CommandFailed, require_length, words
from provision.sim.setup import ResetKind, ResetRequest

BAD_LENGTH = 0xC000
BAD_CHECKSUM = 0xC100
INVALID_COMMAND = 0xC300
FAILED_SPI = 0xC400
NOT_IN_FLASH_MODE = 0xC600
INFLATE_ERROR = 0xC700
NOT_ENOUGH_DATA = 0xC800
TOO_MUCH_DATA = 0xC900
NOT_IMPLEMENTED = 0xFF00

_WINDOW = 32768  # what it inflates before it writes
_LARGEST_READ = 4096
_ACKNOWLEDGEMENT = 4
_ADLER = 4


@dataclass(kw_only=True, slots=True)
class _Write:
    offset: int
    remaining: int
    next_erase: int
    erase_end: int
    looking: bool = True  # whether every sector so far was blank
    inflate: Any = None  # zlib's decompressor has no public type
    inflated: bytearray = field(default_factory=bytearray)


@dataclass(kw_only=True, slots=True)
class _Read:
    offset: int
    remaining: int
    packet: int
    size: int
    acknowledged: int = 0
    digest: Any = field(default_factory=lambda: hashlib.md5(usedforsecurity=False))


@dataclass(kw_only=True, slots=True)
class _Load:
    remaining: int


class Stub(LoaderCommands):
    """Two status bytes on every chip: the error and 00."""

    status_length = 2
    frames_kept = 1  # it has two buffers, and works on what is in one of them
    wrong_size = BAD_LENGTH
    short_data = NOT_ENOUGH_DATA

    def __init__(self, chip: DownloadMode) -> None:
        super().__init__(chip, limit=chip.flash.size)
        self._write: _Write | None = None
        self._read: _Read | None = None
        self._load: _Load | None = None
        self._deferred_error = 0  # the error of work done after the answer was sent
        chip.registers.attached = True
        self._table: dict[int, Command] = {
            **self._shared(),
            0x02: lambda data, _: self._begin(data, inflate=None),
            0x03: self._flash_data,
            0x04: self._flash_end,
            0x05: self._mem_begin,
            0x06: self._mem_end,
            0x07: self._mem_data,
            0x08: self._sync,
            0x0D: self._attach,
            0x10: lambda data, _: self._begin(data, inflate=zlib.decompressobj()),
            0x11: self._deflate_data,
            0x12: self._flash_end,
            0x13: self._md5,
            0x14: self._security_info,
            0xD0: self._erase_flash,
            0xD1: self._erase_region,
            0xD2: self._read_flash,
            0xD3: self._run_user_code,
        }

    def answer(self, operation: int, data: bytes, checksum: int) -> Answer | None:
        if self._deferred_error:
            status, self._deferred_error = self._deferred_error, 0
            raise CommandFailed(status)
        if operation not in self._table:
            raise CommandFailed(INVALID_COMMAND)
        return self._table[operation](data, checksum)

    def malformed_frame(self, frame: bytes) -> None:
        if len(frame) >= 2:
            status = INVALID_COMMAND if frame[0] else BAD_LENGTH
            self._chip.respond(frame[1], status, Answer())

    def _sync(self, data: bytes, checksum: int) -> Answer:
        require_length(data, 36, BAD_LENGTH)
        return Answer(repeat=8)

    def _attach(self, data: bytes, checksum: int) -> Answer:
        require_length(data, 4, BAD_LENGTH)
        return Answer()

    def _security_info(self, data: bytes, checksum: int) -> Answer:
        require_length(data, 0, BAD_LENGTH)
        if not self._facts.security_info:
            raise CommandFailed(NOT_IMPLEMENTED)
        return Answer(data=self._facts.security_info_reply(self._chip.security))

    def _md5(self, data: bytes, checksum: int) -> Answer:
        require_length(data, 16, BAD_LENGTH)
        offset, size = words(data, 2)
        self._in_flash(offset, size)
        digest, seconds = self._chip.digest(offset, size)
        return Answer(data=digest, seconds=seconds)

    def _run_user_code(self, data: bytes, checksum: int) -> None:
        # No answer; only on the ESP8266 does the stub find its way back to the boot code.
        if self._facts.chip == ESP8266:
            self._chip.request_reset(ResetRequest(kind=ResetKind.RESET))

    # Erasing

    def _erase_flash(self, data: bytes, checksum: int) -> Answer:
        return Answer(seconds=self._flash.erase_chip())

    def _erase_region(self, data: bytes, checksum: int) -> Answer:
        require_length(data, 8, BAD_LENGTH)
        offset, size = words(data, 2)
        if offset % SECTOR or size % SECTOR:
            raise CommandFailed(BAD_LENGTH)
        self._in_flash(offset, size)
        return Answer(seconds=self._flash.erase(offset, size))

    def _erase_next(self, write: _Write) -> float:
        if write.next_erase >= write.erase_end:
            return 0.0
        if write.looking:
            sector = self._flash.read(write.next_erase, SECTOR)
            _, seconds = self._chip.digest(write.next_erase, SECTOR)  # reading it takes no longer
            if sector == ERASED * SECTOR:
                write.next_erase += SECTOR
                return seconds
            write.looking = False
        step = self._flash.next_erase(write.next_erase, write.erase_end - write.next_erase)
        seconds = self._flash.erase(write.next_erase, step)
        write.next_erase += step
        return seconds

    # Writing

    def _begin(self, data: bytes, inflate: Any) -> Answer:
        if len(data) not in {16, 20}:
            raise CommandFailed(BAD_LENGTH)
        size, _, _, offset = words(data, 4)
        self._in_flash(offset, size)
        self._write = _Write(
            offset=offset,
            remaining=size,
            next_erase=offset // SECTOR * SECTOR,
            erase_end=-(-(offset + size) // SECTOR) * SECTOR,
            inflate=inflate,
        )
        if not size:
            return Answer()
        write = self._write
        return Answer(after=lambda: self._chip.work(self._erase_next(write), lambda: None))

    def _flash_data(self, data: bytes, checksum: int) -> Answer:
        write = self._writing()
        if len(data) < 16:
            raise CommandFailed(NOT_ENOUGH_DATA)
        block = data[16:]
        if words(data, 1)[0] != len(block):
            raise CommandFailed(TOO_MUCH_DATA)
        _check(block, checksum)
        return Answer(
            after=lambda: self._do_deferred(lambda: self._program(write, block[: write.remaining]))
        )

    def _deflate_data(self, data: bytes, checksum: int) -> Answer:
        write = self._writing()
        if len(data) < 16:
            raise CommandFailed(BAD_LENGTH)
        block = data[16:][: words(data, 1)[0]]
        if write.remaining == 0 and len(block) > _ADLER:
            raise CommandFailed(TOO_MUCH_DATA)
        _check(block, checksum)
        return Answer(after=lambda: self._do_deferred(lambda: self._inflate(write, block)))

    def _flash_end(self, data: bytes, checksum: int) -> Answer:
        require_length(data, 4, BAD_LENGTH)
        if self._writing().remaining:
            raise CommandFailed(BAD_LENGTH)
        self._write = None
        if words(data, 1)[0]:
            return Answer()
        return Answer(
            after=lambda: self._chip.request_reset(ResetRequest(kind=ResetKind.BOOTLOADER))
        )

    def _do_deferred(self, work: Callable[[], float]) -> None:
        """Do the work behind an answer already given; its failure answers the next command."""
        try:
            seconds = work()
        except CommandFailed as failure:
            self._deferred_error = failure.status
        else:
            self._chip.work(seconds, lambda: None)

    def _inflate(self, write: _Write, block: bytes) -> float:
        seconds = self._erase_next(write)
        if write.inflate is None:
            raise CommandFailed(INFLATE_ERROR)
        try:
            write.inflated += write.inflate.decompress(block)
        except zlib.error:
            raise CommandFailed(INFLATE_ERROR) from None
        while len(write.inflated) >= _WINDOW or (write.inflate.eof and write.inflated):
            part = bytes(write.inflated[:_WINDOW])
            del write.inflated[:_WINDOW]
            if len(part) > write.remaining:
                raise CommandFailed(TOO_MUCH_DATA)
            seconds += self._program(write, part)
        return seconds

    def _program(self, write: _Write, data: bytes) -> float:
        seconds = 0.0
        while write.next_erase < write.offset + len(data):
            seconds += self._erase_next(write)
        seconds += self._flash.program(write.offset, data)
        write.offset += len(data)
        write.remaining -= len(data)
        return seconds

    def _writing(self) -> _Write:
        if self._write is None:
            raise CommandFailed(NOT_IN_FLASH_MODE)
        return self._write

    def _in_flash(self, offset: int, size: int) -> None:
        if offset + size > min(self._limit, self._flash.size):
            raise CommandFailed(FAILED_SPI)

    # Reading

    def _read_flash(self, data: bytes, checksum: int) -> Answer:
        require_length(data, 16, BAD_LENGTH)
        offset, size, packet, _ = words(data, 4)
        if not 0 < packet <= _LARGEST_READ:
            raise CommandFailed(BAD_LENGTH)
        self._in_flash(offset, size)
        self._read = _Read(offset=offset, remaining=size, packet=packet, size=size)
        return Answer(after=self._send_next)

    def take_acknowledgement(self, frame: bytes) -> bool:
        """In a read every frame counts the bytes that came through; any other ends it."""
        read = self._read
        if read is None:
            return False
        if len(frame) != _ACKNOWLEDGEMENT:
            self._end_read(read)
            return True
        read.acknowledged = words(frame, 1)[0]
        self._send_next()
        return True

    def _send_next(self) -> None:
        # Whatever window the host offers, the stub keeps one packet under way.
        read = self._read
        if read is None:
            return
        if read.remaining:
            part = self._flash.read(read.offset, min(read.packet, read.remaining))
            read.digest.update(part)
            read.offset += len(part)
            read.remaining -= len(part)
            self._chip.send_frame(part)
        elif read.acknowledged >= read.size:
            self._end_read(read)

    def _end_read(self, read: _Read) -> None:
        self._read = None
        self._chip.send_frame(read.digest.digest())

    # Loading RAM

    def _mem_begin(self, data: bytes, checksum: int) -> Answer:
        require_length(data, 16, BAD_LENGTH)
        self._load = _Load(remaining=words(data, 1)[0])
        return Answer()

    def _mem_data(self, data: bytes, checksum: int) -> Answer:
        if len(data) < 16:
            raise CommandFailed(NOT_ENOUGH_DATA)
        if self._load is None:
            raise CommandFailed(NOT_IN_FLASH_MODE)
        size = words(data, 1)[0]
        if size > self._load.remaining or size != len(data) - 16:
            raise CommandFailed(TOO_MUCH_DATA)
        self._load.remaining -= size
        return Answer()

    def _mem_end(self, data: bytes, checksum: int) -> Answer:
        require_length(data, 8, BAD_LENGTH)
        if self._load is None:
            raise CommandFailed(NOT_IN_FLASH_MODE)
        self._load = None
        stay = words(data, 1)[0]
        # A program that the stub starts is not esptool's and not known here.
        return Answer(after=None if stay else self._chip.crash)


def _check(block: bytes, checksum: int) -> None:
    if slip.checksum(block) != checksum:
        raise CommandFailed(BAD_CHECKSUM)
