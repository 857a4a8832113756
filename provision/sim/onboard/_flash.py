# The flash chip as the program sees it: the very file that the loader writes.
#
# Programming only clears bits; erasing sets those of a sector. Modelled delays and a power cut that
# the supervisor ordered come from a small control file: erases to go, programs to go, microseconds
# of a sector erase, microseconds of a page program; four numbers of 32 bits, 0 is off.

import struct
import time

from _link import CONFIG, leave

SECTOR = 4096
_ERASED = b"\xff" * SECTOR
_file = open(CONFIG["flash"], "r+b")
_control = open(CONFIG["control"], "r+b")
_orders = bytearray(16)
SIZE = CONFIG["size"]


def _check(offset, size):
    if offset < 0 or offset + size > SIZE:
        raise OSError(5)


def _due(which):
    # Whether the power fails in this very operation.
    _control.seek(0)
    _control.readinto(_orders)
    left = struct.unpack_from("<I", _orders, which * 4)[0]
    if left:
        struct.pack_into("<I", _orders, which * 4, left - 1)
        _control.seek(which * 4)
        _control.write(_orders[which * 4 : which * 4 + 4])
    wait = struct.unpack_from("<I", _orders, 8 + which * 4)[0]
    if wait:
        time.sleep_us(wait)
    return left == 1


def read(offset, buffer):
    _check(offset, len(buffer))
    _file.seek(offset)
    _file.readinto(buffer)


def write(offset, data):
    size = len(data)
    _check(offset, size)
    cut = _due(1)
    if cut:
        size //= 2
        data = memoryview(data)[:size]
    _file.seek(offset)
    old = _file.read(size)
    if old.count(b"\xff") != size:
        kept = int.from_bytes(old, "little") & int.from_bytes(data, "little")
        data = kept.to_bytes(size, "little")
    _file.seek(offset)
    _file.write(data)
    if cut:
        leave(b"P")


def erase(sector):
    _check(sector * SECTOR, SECTOR)
    cut = _due(0)
    _file.seek(sector * SECTOR)
    _file.write(_ERASED[: SECTOR // 2] if cut else _ERASED)
    if cut:
        leave(b"P")


class Region:
    # A block device over part of the flash.

    SEC_SIZE = SECTOR

    def __init__(self, offset, size):
        self._offset = offset
        self._count = size // SECTOR

    def readblocks(self, n, buffer, offset=0):
        read(self._offset + n * SECTOR + offset, buffer)

    def writeblocks(self, n, buffer, offset=None):
        if offset is None:
            for i in range((len(buffer) + SECTOR - 1) // SECTOR):
                erase(self._offset // SECTOR + n + i)
            offset = 0
        write(self._offset + n * SECTOR + offset, buffer)

    def ioctl(self, op, arg):
        if op == 4:
            return self._count
        if op == 5:
            return SECTOR
        if op == 6:
            erase(self._offset // SECTOR + arg)
            return 0
        if op in (1, 2, 3):
            return 0
