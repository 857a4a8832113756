"""A FAT filesystem as bytes: made as a board's owner makes one, by MicroPython's own driver, and
read by a reader of its own, with nothing of this project in it.

FAT12, as FatFs formats a flash of a few megabytes, with long names.
"""

from __future__ import annotations

import struct
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.sim.interpreter import run

SECTOR = 4096
_MAKE = b"""
import os, vfs
class Flash:
    data = bytearray(b'\\xff' * SIZE)
    def readblocks(self, n, into):
        into[:] = memoryview(self.data)[n * SECTOR:n * SECTOR + len(into)]
    def writeblocks(self, n, what):
        self.data[n * SECTOR:n * SECTOR + len(what)] = what
    def ioctl(self, op, arg):
        return {4: SIZE // SECTOR, 5: SECTOR}.get(op, 0)
flash = Flash()
out = open(OUT, 'wb')
vfs.VfsFat.mkfs(flash)
vfs.mount(vfs.VfsFat(flash), '/fat')
for path, data in FILES:
    parts = path.split('/')
    for depth in range(2, len(parts)):
        try:
            os.mkdir('/fat' + '/'.join(parts[:depth]))
        except OSError:
            pass
    with open('/fat' + path, 'wb') as file:
        file.write(data)
vfs.umount('/fat')
out.write(flash.data)
out.close()
"""
_LAST = 0xFF8  # and above: the end of a file
_VOLUME, _DIRECTORY, _LONG_NAME = 0x08, 0x10, 0x0F


def make(size: int, files: Mapping[str, bytes]) -> bytes:
    """What is in flash where a board's owner has formatted it as FAT and put these files there."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "fat"
        values = {"SIZE": size, "SECTOR": SECTOR, "OUT": str(out), "FILES": list(files.items())}
        given = "".join(f"{name} = {value!r}\n" for name, value in values.items())
        run(given.encode() + _MAKE, heap="64M")
        return out.read_bytes()


def read(data: bytes) -> dict[str, bytes] | None:
    """The files by absolute path; None where the first sector is none of FAT."""
    if data[510:512] != b"\x55\xaa" or data[54:57] != b"FAT":
        return None
    return dict(_Reader(data).walk())


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        sector, per_cluster, reserved, fats, roots = struct.unpack_from("<HBHBH", data, 11)
        (per_fat,) = struct.unpack_from("<H", data, 22)
        self.fat = reserved * sector
        self.root = self.fat + fats * per_fat * sector
        self.root_end = self.root + roots * 32
        self.first = -(-self.root_end // sector) * sector
        self.cluster = per_cluster * sector

    def walk(self) -> Iterator[tuple[str, bytes]]:
        yield from self._directory("", self.data[self.root : self.root_end])

    def _directory(self, folder: str, entries: bytes) -> Iterator[tuple[str, bytes]]:
        long: dict[int, bytes] = {}
        for at in range(0, len(entries), 32):
            entry = entries[at : at + 32]
            if entry[0] == 0:
                return
            if entry[0] == 0xE5:
                long.clear()
                continue
            if entry[11] == _LONG_NAME:
                long[entry[0] & 0x3F] = entry[1:11] + entry[14:26] + entry[28:32]
                continue
            name = _long(long) if long else _short(entry)
            long.clear()
            if entry[11] & _VOLUME or name in (".", ".."):
                continue
            first, size = struct.unpack_from("<HI", entry, 26)
            if entry[11] & _DIRECTORY:
                yield from self._directory(f"{folder}/{name}", self._content(first))
            else:
                content = self._content(first)
                assert len(content) >= size, f"the chain of {folder}/{name} is too short"
                yield f"{folder}/{name}", content[:size]

    def _content(self, cluster: int) -> bytes:
        found = b""
        for _ in range(len(self.data) // self.cluster):
            if not cluster or cluster >= _LAST:
                return found
            assert cluster >= 2, f"cluster {cluster}"
            start = self.first + (cluster - 2) * self.cluster
            found += self.data[start : start + self.cluster]
            cluster = self._next(cluster)
        raise AssertionError("a chain without end")

    def _next(self, cluster: int) -> int:
        (pair,) = struct.unpack_from("<H", self.data, self.fat + cluster * 3 // 2)
        return int(pair) >> 4 if cluster & 1 else int(pair) & 0xFFF


def _long(parts: Mapping[int, bytes]) -> str:
    units = b"".join(parts[number] for number in sorted(parts))
    return _name(units.decode("utf-16-le").partition("\0")[0].rstrip("\uffff").encode("cp437"))


def _short(entry: bytes) -> str:
    name, ending = entry[:8].rstrip(), entry[8:11].rstrip()
    if entry[12] & 0x08:  # FatFs keeps that they are small letters
        name = name.lower()
    if entry[12] & 0x10:
        ending = ending.lower()
    return _name(name + (b"." + ending if ending else b""))


def _name(stored: bytes) -> str:
    """MicroPython gives UTF-8 to a driver that takes it for code page 437."""
    return stored.decode("utf-8", "surrogateescape")
