# The flash chip as the program sees it: the very file that the loader writes.
#
# Programming only clears bits; erasing sets those of a sector. Modelled delays and a power cut that
# the supervisor ordered come from a small control file: erases to go, programs to go, microseconds
# of a sector erase, microseconds of a page program; four numbers of 32 bits, 0 is off.
#
# Where an old firmware's LittleFS is on board, the filesystem's sectors are in a file of their own,
# as the newer driver of this interpreter must see them (provision/sim/esp/old_driver.py): the view.
# The supervisor, told whenever the driver has finished something, puts it into the flash.
#
# LittleFS calls these functions from its own C code. On an ESP32 they are C too: no
# KeyboardInterrupt can come up inside and leave LittleFS half way. The interpreter raises a pending
# one at jumps only, so the functions that LittleFS calls have none: no `if`, no loop, no `and`.

import struct
import time

from _link import CONFIG, leave, tell

SECTOR = 4096
_ERASED = b"\xff" * SECTOR
_ERASE, _PROGRAM = 0, 4
_file = open(CONFIG["flash"], "r+b")
_control = open(CONFIG["control"], "r+b")
_orders = bytearray(16)
SIZE = CONFIG["size"]
_late = [0]  # microseconds that the last operation took longer than a chip's
_LATE_MOST = 1000  # a sleep's usual excess; on a busy computer no erase is shorter for the last
_asked = bytearray(1)
_view = _answers = None
if CONFIG["view"]:
    _view = open(CONFIG["view"], "r+b")
    _answers = open(CONFIG["view"] + ".answers", "r+b")


def _note(first, last):
    _view.seek(first)
    _view.write(b"\x01" * (last - first + 1))


_NOTES = {False: lambda first, last: None, True: _note}


def _sync(_):
    tell(b"F")
    return 0


_SYNCS = {False: lambda _: 0, True: _sync}


def file_of(offset):
    # Where the driver of the filesystem has it.
    place = CONFIG["filesystem"]
    return _view if _view and place[0] <= offset < place[0] + place[1] else _file


def settle():
    # The flash holds what the driver has written when this returns.
    if _view:
        _asked[0] = _asked[0] % 255 + 1
        tell(b"F", bytes(_asked))
        while _answers.read(1) != bytes(_asked):
            pass


def _due(which):
    # Whether the power fails in this very operation.
    _control.seek(0)
    _control.readinto(_orders)
    left = struct.unpack_from("<I", _orders, which)[0]
    struct.pack_into("<I", _orders, which, left - (left > 0))
    _control.seek(which)
    _control.write(_orders[which : which + 4])
    return left == 1


def _last(which, began):
    # Takes the time of the operation that began then, as a chip would: what the files behind it
    # took of that, and what this process slept too long the last time, is not slept once more.
    duration = struct.unpack_from("<I", _orders, 8 + which)[0]
    time.sleep_us(max(duration - time.ticks_diff(time.ticks_us(), began) - _late[0], 0))
    took = time.ticks_diff(time.ticks_us(), began) + _late[0]
    _late[0] = min(max(took - duration, 0), duration, _LATE_MOST)


def _program(file, offset, data, size):
    file.seek(offset)
    kept = int.from_bytes(file.read(size), "little") & int.from_bytes(data, "little")
    file.seek(offset)
    file.write(kept.to_bytes(size, "little"))


def _program_half(file, offset, data, size):
    _program(file, offset, memoryview(data)[: size // 2], size // 2)
    leave(b"P")


def _erase(file, sector):
    file.seek(sector * SECTOR)
    file.write(_ERASED)


def _erase_half(file, sector):
    file.seek(sector * SECTOR)
    file.write(_ERASED[: SECTOR // 2])
    leave(b"P")


_PROGRAMS = {False: _program, True: _program_half}
_ERASES = {False: _erase, True: _erase_half}


def read(offset, buffer, file=_file):
    file.seek(offset)
    file.readinto(buffer)


def write(offset, data, file=_file):
    began = time.ticks_us()
    _NOTES[file is _view](offset // SECTOR, (offset + len(data) - 1) // SECTOR)
    _PROGRAMS[_due(_PROGRAM)](file, offset, data, len(data))
    _last(_PROGRAM, began)


def erase(sector, file=_file):
    began = time.ticks_us()
    _NOTES[file is _view](sector, sector)
    _ERASES[_due(_ERASE)](file, sector)
    _last(_ERASE, began)
    return 0


def check(offset, size):
    # For callers other than LittleFS, whose places are right.
    if offset < 0 or offset + size > SIZE:
        raise OSError(5)


def _write_whole(file, sector, offset, data):
    for i in range((len(data) + SECTOR - 1) // SECTOR):
        erase(sector + i, file)
    write(sector * SECTOR, data, file)


def _write_part(file, sector, offset, data):
    write(sector * SECTOR + offset, data, file)


_WRITES = {True: _write_whole, False: _write_part}


class Region:
    # A block device over part of the flash.

    SEC_SIZE = SECTOR

    def __init__(self, offset, size):
        self._first = offset // SECTOR
        self._file = file_of(offset)
        count = size // SECTOR
        self._ioctl = {
            1: lambda _: 0,
            2: lambda _: 0,
            3: _SYNCS[self._file is _view],
            4: lambda _: count,
            5: lambda _: SECTOR,
            6: lambda block: erase(self._first + block, self._file),
        }

    def readblocks(self, n, buffer, offset=0):
        read((self._first + n) * SECTOR + offset, buffer, self._file)

    def writeblocks(self, n, buffer, offset=None):
        _WRITES[offset is None](self._file, self._first + n, offset, buffer)

    def ioctl(self, op, arg):
        return self._ioctl[op](arg)
