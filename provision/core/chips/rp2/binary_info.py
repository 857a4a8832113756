"""The binary info that pico-sdk puts into every program: what it is called, of which version, for
which board, and which parts of the flash it uses (pico-sdk, pico_binary_info: defs.h, structure.h).

A header in the first bytes points at a list of pointers to entries, with the addresses that all
have at run time; what is copied to RAM at the start is found by the program's own table of that.
Read from an image or straight from a flash, either of which may hold anything: what makes no sense
is not there, every loop ends, and nothing raises but what reading raises.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import field

from provision.core.chips.rp2.memory import SECTOR, XIP_BASE
from provision.interfaces import FlashRead
from provision.model.language import record

_MARKER_START = 0x7188EBF2
_MARKER_END = 0xE71AA390
_HEADER = struct.Struct("<5I")
_MOST_ENTRIES = 1024
_MOST_COPIES = 64
_MOST_TEXT = 256  # bytes of one string, its end not counted

# Kinds of entries, and whose they are: two letters.
_ID_AND_INT, _ID_AND_STRING, _BLOCK_DEVICE = 5, 6, 7
_RASPBERRY_PI = ord("R") | ord("P") << 8

_PROGRAM_NAME = 0x02031C86
_PROGRAM_VERSION = 0x11A9BC3A
_BINARY_END = 0x68F465DE
_PICO_BOARD = 0xB63CFFBB
_SDK_VERSION = 0x5360B3AB

_READABLE, _WRITABLE = 1, 2


@record
class BlockDevice:
    """A part of the flash that the program keeps something in: `offset` counts from the start of
    the flash."""

    name: str
    offset: int
    size: int
    writable: bool

    @property
    def end(self) -> int:
        return self.offset + self.size


@record
class BinaryInfo:
    """What a program says of itself; "" and None for what it does not. `end` is where it ends in
    flash, in bytes from its start."""

    program: str = ""
    version: str = ""
    board: str = ""
    sdk: str = ""
    end: int | None = None
    block_devices: tuple[BlockDevice, ...] = field(default=())


def read_binary_info(read: FlashRead, size: int) -> BinaryInfo | None:
    """The binary info of the program at the start of a flash, or of an image, of `size` bytes;
    None where there is none."""
    return _Reader(read, size).info()


class _Reader:
    def __init__(self, read: FlashRead, size: int) -> None:
        self._read = read
        self._size = size
        self._sectors: dict[int, bytes] = {}
        self._copies: list[tuple[int, int, int]] = []  # source, start and end at run time

    def info(self) -> BinaryInfo | None:
        header = self._header()
        if header is None:
            return None
        start, end, copies = header
        self._copies = list(self._copied(copies))
        texts: dict[int, str] = {}
        numbers: dict[int, int] = {}
        devices: list[BlockDevice] = []
        for at in range(start, min(end, start + 4 * _MOST_ENTRIES), 4):
            entry = self._word(at)
            if entry is None:
                break
            kind = self._bytes(entry, 4)
            if kind is None:
                continue
            number, tag = struct.unpack("<HH", kind)
            if number == _BLOCK_DEVICE:
                device = self._block_device(entry)
                if device is not None:
                    devices.append(device)
            elif tag == _RASPBERRY_PI and number in (_ID_AND_INT, _ID_AND_STRING):
                rest = self._bytes(entry + 4, 8)
                if rest is None:
                    continue
                name, value = struct.unpack("<II", rest)
                if number == _ID_AND_INT:
                    numbers.setdefault(name, value)
                else:
                    texts.setdefault(name, self._text(value))
        binary_end = numbers.get(_BINARY_END, 0) - XIP_BASE
        return BinaryInfo(
            program=texts.get(_PROGRAM_NAME, ""),
            version=texts.get(_PROGRAM_VERSION, ""),
            board=texts.get(_PICO_BOARD, ""),
            sdk=texts.get(_SDK_VERSION, ""),
            end=binary_end if 0 < binary_end <= self._size else None,
            block_devices=tuple(dict.fromkeys(devices)),
        )

    def _header(self) -> tuple[int, int, int] | None:
        """Start and end of the list of pointers, and the table of what is copied to RAM."""
        first = self._sector(0)
        for at in range(0, len(first) - _HEADER.size + 1, 4):
            marker, start, end, copies, last = _HEADER.unpack_from(first, at)
            if (marker, last) == (_MARKER_START, _MARKER_END) and start <= end:
                return start, end, copies
        return None

    def _copied(self, at: int) -> Iterator[tuple[int, int, int]]:
        for row in range(at, at + 12 * _MOST_COPIES, 12):
            data = self._bytes(row, 12)
            if data is None:
                return
            source, start, end = struct.unpack("<III", data)
            if source == 0:
                return
            yield source, start, end

    def _block_device(self, at: int) -> BlockDevice | None:
        data = self._bytes(at + 4, 18)
        if data is None:
            return None
        name, address, size, _extra, flags = struct.unpack("<IIIIH", data)
        if address < XIP_BASE or size == 0 or not flags & _READABLE:
            return None
        return BlockDevice(
            name=self._text(name),
            offset=address - XIP_BASE,
            size=size,
            writable=bool(flags & _WRITABLE),
        )

    # By the addresses of run time

    def _word(self, address: int) -> int | None:
        data = self._bytes(address, 4)
        return int.from_bytes(data, "little") if data is not None else None

    def _bytes(self, address: int, size: int) -> bytes | None:
        """So many bytes at an address; None where not all of them are there."""
        offset = self._offset(address, size)
        data = self._upto(offset, size) if offset is not None else b""
        return data if len(data) == size else None

    def _text(self, address: int) -> str:
        offset = self._offset(address, 1)
        data = self._upto(offset, _MOST_TEXT) if offset is not None else b""
        text = data.partition(b"\0")[0].decode("ascii", "replace")
        return "".join(char if char.isprintable() else "?" for char in text)

    def _offset(self, address: int, size: int) -> int | None:
        for source, start, end in self._copies:
            if start <= address and address + size <= end:
                address += source - start
                break
        offset = address - XIP_BASE
        return offset if 0 <= offset <= self._size - size else None

    def _upto(self, offset: int, size: int) -> bytes:
        first, last = offset // SECTOR, (offset + size - 1) // SECTOR
        found = b"".join(map(self._sector, range(first, last + 1)))
        return found[offset % SECTOR :][:size]

    def _sector(self, number: int) -> bytes:
        if number not in self._sectors:
            start = number * SECTOR
            size = min(SECTOR, self._size - start)
            self._sectors[number] = self._read(start, size) if size > 0 else b""
        return self._sectors[number]
