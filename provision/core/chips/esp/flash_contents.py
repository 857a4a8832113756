"""What the flash of a board holds besides firmware, read from the flash alone: pure but for the
reader that is passed in.

A firmware that does not boot, or whose REPL does not answer, says nothing of its filesystem; the
partition table, the image header and the first blocks of what lies there do. The flash may hold
anything: what makes no sense is not there, and nothing here raises but what reading raises.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from provision.core.chips.esp.chips import ESP8266
from provision.core.chips.esp.filesystem_place import (
    LITTLEFS_SINCE,
    SDK_PARAMETERS,
    SIZED_AT_RUN_TIME_SINCE,
    esp8266_place,
    filesystem_place,
    place_sized_at_run_time,
    within,
)
from provision.core.chips.esp.firmware import FILESYSTEM_LABELS, EspFirmware
from provision.core.chips.esp.image import HEADER, MAGIC, SECTOR, flash_sizes, size_bytes
from provision.core.chips.esp.partition_table import (
    TABLE_OFFSET,
    TABLE_SIZE,
    Partition,
    TableFault,
    read_table,
)
from provision.core.chips.identity import version_numbers
from provision.core.littlefs_blocks import (
    current_block,
    play,
)
from provision.interfaces import FlashRead, IsBlank
from provision.model.chip import Chip
from provision.model.firmware import DataKind, FilesystemPlace, FlashData, FlashPart
from provision.model.state import FirmwareIdentity
from provision.model.unit_data import NVS_NAME

_ESP8266_MACHINES = ("ESP module with ESP8266", "ESP module (1M) with ESP8266")
_NOT_DATA = frozenset({"data ota", "data phy", "data coredump", "data efuse"})
_DATA = 1  # the type of such partitions
_NVS = frozenset({"data nvs", "data nvs_keys"})
_BOOT_SIGNATURE = b"\x55\xaa"  # at the end of a FAT's first sector of 512 bytes
_ALL_OF = 8  # sectors at the beginning of a place that are all looked at, before samples are taken


def filesystem_in_flash(
    chip: Chip, read: FlashRead, flash_size: int, running: FirmwareIdentity | None
) -> FilesystemPlace | None:
    """See `ChipFamily.filesystem_in_flash`."""
    read = _remembered(read)
    if chip == ESP8266:
        found = _esp8266(read, flash_size, running)
    else:
        found = _in_table(_table(read, flash_size), read, flash_size, running)
    if found is None or _kind(read, found) == "fat":
        return None
    return found


def data_in_flash(
    chip: Chip,
    read: FlashRead,
    flash_size: int,
    running: FirmwareIdentity | None,
    image: EspFirmware | None = None,
    *,
    is_blank: IsBlank | None = None,
) -> tuple[FlashData, ...]:
    """See `ChipFamily.data_in_flash`."""
    read = _remembered(read)
    blank = is_blank or partial(_reads_blank, read)
    if chip == ESP8266:
        place = _esp8266(read, flash_size, running)
        files = () if place is None else (_filesystem(read, blank, place, running, None),)
        return (*files, *_sdk_parameters(read, blank, flash_size, place))
    table = _table(read, flash_size)
    if not table and image is not None:  # the table was cut off or damaged, NVS need not be
        parts = tuple(part for part in image.partitions if part.end <= flash_size)
        beside = _partitions_of_data(parts, read, blank, running, filesystem=False)
        return tuple(data for data in beside if data.kind in ("nvs", "other"))
    found = list(_partitions_of_data(table, read, blank, running))
    sized = _sized_at_run_time(table, read, flash_size, running)
    if sized is not None:
        found.append(_filesystem(read, blank, sized, running))
    elif table:
        found += _outside_partitions(table, blank, flash_size)
    return tuple(sorted(found, key=lambda data: data.offset))


def partitions(chip: Chip, read: FlashRead, flash_size: int) -> tuple[FlashPart, ...]:
    """See `ChipFamily.partitions`."""
    if chip == ESP8266:
        return ()
    return tuple(
        FlashPart(name=part.name, kind=part.kind, offset=part.offset, size=part.size)
        for part in _table(read, flash_size)
    )


def has_place(firmware: EspFirmware, data: FlashData) -> bool:
    """See `ChipFamily.has_place`."""
    if firmware.chip == ESP8266:
        return data.kind == "nvs"
    parts = firmware.partitions
    end = data.offset + data.size
    sized_at_run_time = not any(part.name in FILESYSTEM_LABELS for part in parts)
    if not sized_at_run_time and all(
        part.end <= data.offset or end <= part.offset for part in parts
    ):
        return True  # no partition is there, and nothing writes to it
    return any(
        not part.is_app and (part.offset, part.size) == (data.offset, data.size) for part in parts
    )


# ESP32 family


def _table(read: FlashRead, flash_size: int) -> tuple[Partition, ...]:
    """The partitions that lie within the flash; none where the table is damaged."""
    if flash_size < TABLE_OFFSET + TABLE_SIZE:
        return ()
    table = read_table(read(TABLE_OFFSET, TABLE_SIZE))
    if isinstance(table, TableFault):
        return ()
    return tuple(part for part in table if part.end <= flash_size)


def _in_table(
    table: tuple[Partition, ...],
    read: FlashRead,
    flash_size: int,
    running: FirmwareIdentity | None,
) -> FilesystemPlace | None:
    for part in table:
        if part.name == "vfs" and part.type == _DATA:
            return within(part.offset, part.size // SECTOR, flash_size)
    return _sized_at_run_time(table, read, flash_size, running)


def _sized_at_run_time(
    table: tuple[Partition, ...],
    read: FlashRead,
    flash_size: int,
    running: FirmwareIdentity | None,
) -> FilesystemPlace | None:
    """The rest of the flash, where a firmware makes a filesystem of it, or one is found."""
    if not table or any(part.name in FILESYSTEM_LABELS for part in table):
        return None
    place = place_sized_at_run_time(table, flash_size)
    version = version_numbers(running.version) if running is not None else None
    made = version is not None and version >= SIZED_AT_RUN_TIME_SINCE
    return place if place and (made or _kind(read, place) is not None) else None


def _partitions_of_data(
    table: tuple[Partition, ...],
    read: FlashRead,
    blank: IsBlank,
    running: FirmwareIdentity | None,
    *,
    filesystem: bool = True,
) -> Iterator[FlashData]:
    """What the partitions for data hold; without `filesystem` that of the firmware, which is most
    of a flash, is not looked at."""
    labels = [part.name for part in table if part.type == _DATA]
    mounted = next((label for label in ("vfs", "ffat") if label in labels), None)
    for part in table:
        place = within(part.offset, part.size // SECTOR, part.end)
        if part.is_app or part.kind in _NOT_DATA or part.size == 0:
            continue
        if part.name == mounted and part.type == _DATA and place is not None:
            if filesystem:
                yield _filesystem(read, blank, place, running, part.name)
            continue
        kind: DataKind = "nvs" if part.kind in _NVS else "other"
        if kind == "other" and place is not None:
            kind = _kind(read, place) or "other"
        yield FlashData(
            name=NVS_NAME if part.kind == "data nvs" else f"partition {part.name}",
            kind=kind,
            offset=part.offset,
            size=part.size,
            blank=blank(part.offset, part.size),
        )


def _outside_partitions(
    table: tuple[Partition, ...], blank: IsBlank, flash_size: int
) -> Iterator[FlashData]:
    """What lies in flash that no partition has: an app may keep anything there by its address."""
    start = TABLE_OFFSET + SECTOR
    for part in (*sorted(table, key=lambda part: part.offset), None):
        end = flash_size if part is None else part.offset
        if end > start and not blank(start, end - start):
            yield FlashData(
                name=f"data at 0x{start:x}, outside of any partition",
                kind="other",
                offset=start,
                size=end - start,
                blank=False,
            )
        start = max(start, end if part is None else part.end)


def _filesystem(
    read: FlashRead,
    blank: IsBlank,
    place: FilesystemPlace,
    running: FirmwareIdentity | None,
    label: str | None = "vfs",
) -> FlashData:
    """What lies where the firmware mounts its filesystem; where that is not recognised, it is of
    the kind that the firmware, or one with that label in its table, would make there."""
    kind = _kind(read, place)
    if kind is None:
        version = version_numbers(running.version) if running is not None else None
        if label == "ffat" or (version is not None and version < LITTLEFS_SINCE):
            kind = "fat"
        else:
            kind = "other" if label is None and running is None else "littlefs"
    return FlashData(
        name="filesystem" if kind != "other" else f"data at 0x{place.offset:x}",
        kind=kind,
        offset=place.offset,
        size=place.size,
        blank=blank(place.offset, place.size),
    )


# ESP8266


def _esp8266(
    read: FlashRead, flash_size: int, running: FirmwareIdentity | None
) -> FilesystemPlace | None:
    """By the header of the image in flash, as the firmware does; a build for 1 MB, or one before
    1.13, starts it elsewhere than the others: of those places the one that holds a filesystem."""
    header = _header_size(read, flash_size)
    sizes = dict.fromkeys(
        size for size in (header, min(flash_size, 4 << 20), flash_size) if size is not None
    )
    candidates: list[FilesystemPlace] = []
    if running is not None and running.chip == ESP8266 and header is not None:
        ruled = filesystem_place(running, (), flash_size=flash_size, header_size=header)
        candidates += [ruled] if ruled is not None else []
    for size in sizes:
        for machine in _ESP8266_MACHINES:
            place = esp8266_place(machine, size)
            if place is not None and place.end <= flash_size and place not in candidates:
                candidates.append(place)
    for offset in dict.fromkeys(place.offset for place in candidates):
        there = [place for place in candidates if place.offset == offset]
        if _kind(read, there[0]) is not None:
            blocks = _recorded_blocks(read, there[0])
            return next((place for place in there if place.blocks == blocks), there[0])
    return candidates[0] if candidates and header is not None else None


def _sdk_parameters(
    read: FlashRead, blank: IsBlank, flash_size: int, place: FilesystemPlace | None
) -> Iterator[FlashData]:
    """What the SDK keeps at the end of the flash that the header claims, behind the filesystem:
    Wi-Fi settings and calibration. None where it has never written any."""
    claimed = _header_size(read, flash_size)
    if claimed is None and place is not None:
        claimed = place.end + SDK_PARAMETERS
    if claimed is None or not SDK_PARAMETERS < claimed <= flash_size:
        return
    offset = claimed - SDK_PARAMETERS
    if not blank(offset, SDK_PARAMETERS):
        yield FlashData(
            name="Wi-Fi settings and calibration",
            kind="nvs",
            offset=offset,
            size=SDK_PARAMETERS,
            blank=False,
        )


def _header_size(read: FlashRead, flash_size: int) -> int | None:
    """Bytes of flash that the image at offset 0 claims; None where there is no image."""
    header = read(0, HEADER)
    if header[0] != MAGIC:
        return None
    codes = {code: name for name, code in flash_sizes(ESP8266).items()}
    size = size_bytes(codes.get(header[3] & 0xF0, ""))
    return size if size is not None and size <= flash_size else None


# What lies somewhere


def _remembered(read: FlashRead) -> FlashRead:
    known: dict[tuple[int, int], bytes] = {}

    def remembered(offset: int, size: int) -> bytes:
        if (offset, size) not in known:
            known[offset, size] = read(offset, size)
        return known[offset, size]

    return remembered


def _kind(read: FlashRead, place: FilesystemPlace) -> DataKind | None:
    """Which filesystem begins there, by its first two blocks."""
    start = read(place.offset, 2 * SECTOR)
    if _superblock(start) is not None:
        return "littlefs"
    return "fat" if start[510:512] == _BOOT_SIGNATURE and start[0] in (0xEB, 0xE9) else None


def _recorded_blocks(read: FlashRead, place: FilesystemPlace) -> int | None:
    superblock = _superblock(read(place.offset, 2 * SECTOR))
    return int.from_bytes(superblock[8:12], "little") if superblock is not None else None


def _superblock(start: bytes) -> bytes | None:
    """A LittleFS's superblock entry: version, size of a block, number of blocks, …"""
    found = current_block((start[:SECTOR], start[SECTOR:]))
    contents = play(found[1]) if found is not None else None
    return contents.files[0].data if contents is not None and contents.version else None


def _reads_blank(read: FlashRead, offset: int, size: int) -> bool:
    """Whether it seems erased, by its first sectors, ever sparser samples, and the last."""
    last = (size - 1) // SECTOR
    samples = [number for number in range(_ALL_OF) if number <= last]
    step = _ALL_OF
    while step < last:
        samples.append(step)
        step += max(1, step // 2)
    for number in dict.fromkeys((*samples, last)):
        start = number * SECTOR
        if read(offset + start, min(SECTOR, size - start)).strip(b"\xff"):
            return False
    return True
