# The flash chip as the program sees it: the very file that the loader writes.
#
# Programming only clears bits; erasing sets those of a sector. Modelled delays and a power cut that
# the supervisor ordered come from a small control file: erases to go, programs to go, microseconds
# of a sector erase, microseconds of a page program; four numbers of 32 bits, 0 is off.
#
# LittleFS calls these functions from its own C code. On an ESP32 they are C too: no
# KeyboardInterrupt can come up inside and leave LittleFS half way. The interpreter raises a pending
# one at jumps only, so the functions that LittleFS calls have none: no `if`, no loop, no `and`.

import struct
import time

from _link import CONFIG, leave

SECTOR = 4096
_ERASED = b"\xff" * SECTOR
_ERASE, _PROGRAM = 0, 4
_file = open(CONFIG["flash"], "r+b")
_control = open(CONFIG["control"], "r+b")
_orders = bytearray(16)
SIZE = CONFIG["size"]


def _due(which):
    # Whether the power fails in this very operation. Takes the operation's time.
    _control.seek(0)
    _control.readinto(_orders)
    left = struct.unpack_from("<I", _orders, which)[0]
    struct.pack_into("<I", _orders, which, left - (left > 0))
    _control.seek(which)
    _control.write(_orders[which : which + 4])
    time.sleep_us(struct.unpack_from("<I", _orders, 8 + which)[0])
    return left == 1


def _program(offset, data, size):
    _file.seek(offset)
    kept = int.from_bytes(_file.read(size), "little") & int.from_bytes(data, "little")
    _file.seek(offset)
    _file.write(kept.to_bytes(size, "little"))


def _program_half(offset, data, size):
    _program(offset, memoryview(data)[: size // 2], size // 2)
    leave(b"P")


def _erase(sector):
    _file.seek(sector * SECTOR)
    _file.write(_ERASED)


def _erase_half(sector):
    _file.seek(sector * SECTOR)
    _file.write(_ERASED[: SECTOR // 2])
    leave(b"P")


_PROGRAMS = {False: _program, True: _program_half}
_ERASES = {False: _erase, True: _erase_half}


def read(offset, buffer):
    _file.seek(offset)
    _file.readinto(buffer)


def write(offset, data):
    _PROGRAMS[_due(_PROGRAM)](offset, data, len(data))


def erase(sector):
    _ERASES[_due(_ERASE)](sector)
    return 0


def check(offset, size):
    # For callers other than LittleFS, whose places are right.
    if offset < 0 or offset + size > SIZE:
        raise OSError(5)


def _write_whole(sector, offset, data):
    for i in range((len(data) + SECTOR - 1) // SECTOR):
        erase(sector + i)
    write(sector * SECTOR, data)


def _write_part(sector, offset, data):
    write(sector * SECTOR + offset, data)


_WRITES = {True: _write_whole, False: _write_part}


class Region:
    # A block device over part of the flash.

    SEC_SIZE = SECTOR

    def __init__(self, offset, size):
        self._first = offset // SECTOR
        count = size // SECTOR
        self._ioctl = {
            1: lambda _: 0,
            2: lambda _: 0,
            3: lambda _: 0,
            4: lambda _: count,
            5: lambda _: SECTOR,
            6: lambda block: erase(self._first + block),
        }

    def readblocks(self, n, buffer, offset=0):
        read((self._first + n) * SECTOR + offset, buffer)

    def writeblocks(self, n, buffer, offset=None):
        _WRITES[offset is None](self._first + n, offset, buffer)

    def ioctl(self, op, arg):
        return self._ioctl[op](arg)
