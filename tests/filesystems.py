"""Files out of a board's LittleFS, read by littlefs-python alone: what our own code wrote is looked
at without our own code."""

from __future__ import annotations

from typing import cast

import littlefs

BLOCK = 4096


def read_filesystem(image: bytes, encoding: str = "utf-8") -> dict[str, bytes]:
    """The files of a LittleFS of MicroPython's shape, of any disk version, by absolute path; of
    names that may be no text in latin-1."""
    filesystem = littlefs.LittleFS(
        block_size=BLOCK,
        block_count=len(image) // BLOCK,
        read_size=32,
        prog_size=32,
        lookahead_size=32,
        mount=False,
        filename_encoding=encoding,
    )
    filesystem.context.buffer = bytearray(image)
    filesystem.mount()
    found = {}
    for folder, _, names in filesystem.walk("/"):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            with filesystem.open(path, "rb") as file:
                found[path] = file.read()
    return found


class PowerCut:
    """Flash that LittleFS works on, as `littlefs.UserContext`. `image` is what it holds, or held
    when its power was cut after `writes` programmed pieces; the driver does not notice."""

    def __init__(self, image: bytes, writes: int | None = None) -> None:
        self.live = bytearray(image)
        self.writes = writes
        self._frozen: bytes | None = None

    @property
    def image(self) -> bytes:
        return bytes(self.live) if self._frozen is None else self._frozen

    @property
    def cut(self) -> bool:
        return self._frozen is not None

    def read(self, _config: object, block: int, offset: int, size: int) -> bytearray:
        start = block * BLOCK + offset
        return self.live[start : start + size]

    def prog(self, _config: object, block: int, offset: int, data: bytes) -> int:
        if self.writes == 0 and self._frozen is None:
            self._frozen = bytes(self.live)
        elif self.writes is not None:
            self.writes -= 1
        start = block * BLOCK + offset
        self.live[start : start + len(data)] = data
        return 0

    def erase(self, _config: object, block: int) -> int:
        if self.writes == 0 and self._frozen is None:
            self._frozen = bytes(self.live)
        self.live[block * BLOCK : (block + 1) * BLOCK] = b"\xff" * BLOCK
        return 0

    def sync(self, _config: object) -> int:
        return 0


def work_on(flash: PowerCut, *, version: int, fresh: bool = False) -> littlefs.LittleFS:
    """What is in this flash, mounted as MicroPython's driver of a disk version mounts it."""
    filesystem = littlefs.LittleFS(
        context=cast(littlefs.UserContext, flash),
        block_size=BLOCK,
        block_count=len(flash.live) // BLOCK,
        read_size=32,
        prog_size=32,
        cache_size=128,
        lookahead_size=32,
        block_cycles=100,
        disk_version=version,
        mount=False,
    )
    if fresh:
        filesystem.format()
    filesystem.mount()
    return filesystem
