"""A board's flash as bytes: made for the start of a run, and read back after it.

Files are written and read with littlefs-python at the places that MicroPython's sources name, not
with this project's own reading of images and partition tables.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import littlefs
from littlefs import lfs

from provision.core.chips.esp.chips import ESP32, ESP32S2, ESP8266
from provision.core.chips.esp.partition_table import Partition, build_table
from provision.device.flashing.nvs_image import nvs_partition
from provision.model.chip import Chip
from provision.model.unit_data import NvsEntry, number_data
from provision.sim.esp.firmware import build
from tests.campaign import fat

SIZE = 4 << 20
BLOCK = 4096
BOOT = {ESP8266: 0, ESP32: 0x1000, ESP32S2: 0x1000}  # 0 on all newer chips
APP = 0x10000
NVS = (0x9000, 0xF000)
IN_NVS = 815
PARAMETERS = (SIZE - 20480, SIZE)  # of an ESP8266's SDK
ESP8266_FILES = (0x100000, SIZE - 0x100000 - 20480)
ESP32_FILES = (0x200000, 2 << 20)
Place = tuple[int, int]  # where a filesystem lies: offset and size
MOVED: tuple[Place, ...] = ((0x300000, 0x100000), (0x190000, 0x270000), (0x200000, 0x100000))
"""Later and smaller, earlier and larger, shrunk."""
CARD_SIZE = 16 * BLOCK
FIRMWARE = (slice(0, NVS[0]), slice(NVS[0] + BLOCK, None))
"""All before the filesystem but the sector of NVS that the virtual board itself writes to."""


def files_at(chip: Chip) -> Place:
    """Where MicroPython has its filesystem, with its own partition table."""
    return ESP8266_FILES if chip is ESP8266 else ESP32_FILES


def card_at(chip: Chip) -> int:
    """Flash that belongs to no partition: here it is the blocks of what boot.py mounts at /sd."""
    return files_at(chip)[0] - CARD_SIZE


def own_area(chip: Chip) -> tuple[int, int]:
    """What belongs to the board itself."""
    return PARAMETERS if chip is ESP8266 else NVS


def _own(chip: Chip) -> bytes:
    """What a board has there: on an ESP32 a page with the integer `k` of the namespace `a`, as
    Espressif's own tool makes it, and then what no board of ours would write."""
    start, end = own_area(chip)
    pattern = _pattern(end - start)
    if chip is ESP8266:
        return pattern
    wanted = [NvsEntry(namespace="a", key="k", type="i32", data=number_data("i32", IN_NVS))]
    return nvs_partition(wanted, end - start)[:BLOCK] + pattern[BLOCK:]


def has_table(flash: bytes, partitions: tuple[Partition, ...]) -> bool:
    """Whether the partition table in a flash is this one."""
    wanted = build_table(partitions)
    return flash[0x8000 : 0x8000 + len(wanted)] == wanted


@functools.lru_cache(maxsize=64)
def image(
    chip: Chip, version: str, size: int | None = None, moved_to: Place | None = None
) -> bytes:
    return build(chip, version, size=size, partitions=table(*moved_to) if moved_to else None)


def table(offset: int, size: int) -> tuple[Partition, ...]:
    """A partition table like MicroPython's, with its filesystem elsewhere."""
    return (
        Partition(name="nvs", type=1, subtype=2, offset=0x9000, size=0x6000),
        Partition(name="phy_init", type=1, subtype=1, offset=0xF000, size=0x1000),
        Partition(name="factory", type=0, subtype=0, offset=APP, size=0x180000),
        Partition(name="vfs", type=1, subtype=0x81, offset=offset, size=size),
    )


def _pattern(size: int) -> bytes:
    return b"".join(
        hashlib.sha256(number.to_bytes(4, "big")).digest() for number in range(size // 32)
    )


def _open(data: bytearray, *, fresh: bool, version: int = 0x00020000) -> littlefs.LittleFS:
    filesystem = littlefs.LittleFS(
        block_size=BLOCK,
        block_count=len(data) // BLOCK,
        read_size=32,
        prog_size=32,
        cache_size=128,
        lookahead_size=32,
        disk_version=version if fresh else 0,
        mount=False,
    )
    filesystem.context.buffer = data
    if fresh:
        filesystem.format()
    filesystem.mount()
    return filesystem


def filesystem(
    size: int, files: Mapping[str, bytes], *, ballast: str | None = None, version: int = 0x00020000
) -> bytes:
    """A filesystem with these files; `ballast` takes what room is left but for a few blocks."""
    data = bytearray(b"\xff" * size)
    with _names_of_bytes():
        made = _open(data, fresh=True, version=version)
        for path, content in files.items():
            folder = path.rpartition("/")[0]
            if folder:
                made.makedirs(_as_bytes(folder), exist_ok=True)
            with made.open(_as_bytes(path), "wb") as file:
                file.write(content)
        if ballast is not None:
            free = made.block_count - made.used_block_count
            with made.open(ballast, "wb") as file:
                file.write(b"\xa5" * (max(0, free - 3) * (BLOCK - 8)))
        made.unmount()
    return bytes(data)


@contextmanager
def _names_of_bytes() -> Iterator[None]:
    """While littlefs-python is used here its names are Latin-1, so any bytes; the tool, which is
    forked from this process, has its own way."""
    before = lfs.FILENAME_ENCODING
    lfs.FILENAME_ENCODING = "latin-1"
    try:
        yield
    finally:
        lfs.FILENAME_ENCODING = before


def _as_bytes(path: str) -> str:
    return path.encode("utf-8", "surrogateescape").decode("latin-1")


def _as_text(path: str) -> str:
    return path.encode("latin-1").decode("utf-8", "surrogateescape")


def read_files(flash: bytes, place: Place) -> dict[str, bytes] | None:
    """The files in a flash by absolute path; None where there is no filesystem."""
    start, size = place
    fat_files = fat.read(flash[start : start + size])
    if fat_files is not None:
        return fat_files
    with _names_of_bytes():
        try:
            mounted = _open(bytearray(flash[start : start + size]), fresh=False)
        except littlefs.LittleFSError:
            return None
        found = {}
        for folder, _, names in mounted.walk("/"):
            for name in names:
                path = f"{folder.rstrip('/')}/{name}"
                with mounted.open(path, "rb") as file:
                    found[_as_text(path)] = file.read()
    return found


def put(flash: bytearray, offset: int, data: bytes) -> None:
    flash[offset : offset + len(data)] = data


def start_flash(
    chip: Chip,
    start: str,
    *,
    base: bytes,
    wanted: bytes | None,
    files: Mapping[str, bytes],
    cut: float,
) -> bytes:
    """The flash of a board in one of the states that `scenario.STARTS` names; `base` is
    what it runs, `cut` (0 to 1) how much of `wanted` a board that was half flashed has."""
    flash = bytearray(b"\xff" * SIZE)
    if start == "blank":
        return bytes(flash)
    boot = BOOT.get(chip, 0)
    if start == "foreign-firmware":
        put(flash, boot, build(chip, "1.0", micropython=False))
        return bytes(flash)
    put(flash, boot, base)
    put(flash, own_area(chip)[0], _own(chip))
    offset, size = files_at(chip)
    full = "/ballast.bin" if start == "full-filesystem" else None
    version = 0x00020001 if start == "newer-littlefs" else 0x00020000
    if start == "fat":
        put(flash, offset, fat.make(size, files))
    else:
        put(flash, offset, filesystem(size, files, ballast=full, version=version))
    if start == "card":
        put(flash, card_at(chip), filesystem(CARD_SIZE, CARD_FILES))
    if start == "corrupt-filesystem":
        put(flash, offset, b"\x5a" * (2 * BLOCK))
    if start == "broken-firmware":
        place = (0 if chip is ESP8266 else APP) + 0x300
        while not flash[place]:
            place += 1
        flash[place] &= flash[place] - 1
    if start == "half-flashed" and wanted is not None:
        length = int(len(wanted) * cut) // BLOCK * BLOCK
        ends = boot + len(wanted)
        put(flash, boot, wanted[:length] + b"\xff" * (len(wanted) - length))
        put(flash, own_area(chip)[0], _own(chip))
        assert ends <= offset
    return bytes(flash)


def holds_image(flash: bytes, chip: Chip, wanted: bytes) -> bool:
    """Whether the flash has the image where the boot ROM looks, but for the four header bytes
    that say how the flash is connected, and what lies in NVS."""
    boot = BOOT.get(chip, 0)
    if chip is ESP8266:
        return flash[4 : len(wanted)] == wanted[4:]
    table = slice(0x8000, NVS[0])
    app = slice(APP, boot + len(wanted))
    inside = [slice(part.start - boot, part.stop - boot) for part in (table, app)]
    return all(flash[part] == wanted[own] for part, own in zip((table, app), inside, strict=True))


CARD_FILES = {"/photo.jpg": b"\xff\xd8" + bytes(range(256)) * 9, "/lib/on_card.py": b"x = 1\n"}
UNREADABLE = ("blank", "foreign-firmware", "corrupt-filesystem")
"""Starts without a filesystem that can be read."""
