"""NVS as it lies in flash: pages of 4096 bytes, items of 32, values put together from them. Pure.

The format is ESP-IDF's (components/nvs_flash, its version 2). A page has a header of 32 bytes with
its state and its place in the order of writing, two bits of state for each of its 126 items, and
the items. An item has its namespace's number, its type, how many items it spans, and a CRC of
itself; text and blobs are in the items that follow, with a CRC of their own, and a blob is in
pieces that an index item names. The flash may hold anything: what has a wrong CRC is not there.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field

from provision.model.language import record
from provision.model.unit_data import NvsEntry, NvsType

PAGE = 4096
ITEM = 32
ITEMS = 126
_FIRST = 64  # where the items begin
_WRITTEN = 2  # an item's two bits of state: 3 unused, 2 written, 0 erased
_STATES = (0xFFFFFFFE, 0xFFFFFFFC, 0xFFFFFFF8)  # in use, full, being freed

_NUMBERS: dict[int, NvsType] = {
    0x01: "u8",
    0x11: "i8",
    0x02: "u16",
    0x12: "i16",
    0x04: "u32",
    0x14: "i32",
    0x08: "u64",
    0x18: "i64",
}
_TEXT, _BLOB, _PIECE, _INDEX = 0x21, 0x41, 0x42, 0x48  # _BLOB: of IDF before 4.0, in one piece
_NAMES = 0  # the namespace that holds the namespaces


@record
class NvsItem:
    """One item with the data that it spans: `page` is the number of its page in the order of
    writing. `data` is None where only the item itself was read."""

    page: int
    head: bytes
    data: bytes | None = field(default=b"", repr=False)

    @property
    def namespace(self) -> int:
        return self.head[0]

    @property
    def type(self) -> int:
        return self.head[1]

    @property
    def piece(self) -> int:
        return self.head[3]

    @property
    def key(self) -> str:
        return self.head[8:24].partition(b"\0")[0].decode("utf-8", "backslashreplace")

    @property
    def value(self) -> bytes | None:
        """The bytes of text or a piece of a blob; None where they are damaged or were not read."""
        size = int.from_bytes(self.head[24:26], "little")
        if self.data is None or len(self.data) < size:
            return None
        value = self.data[:size]
        return value if crc32(value) == int.from_bytes(self.head[28:32], "little") else None


def crc32(data: bytes) -> int:
    """The CRC that the chip's ROM computes of it."""
    return zlib.crc32(data, 0xFFFFFFFF)


def items_in(partition: bytes) -> Iterator[NvsItem]:
    """What is written in a partition, or in a part of one that is made of whole pages."""
    for start in range(0, len(partition) - PAGE + 1, PAGE):
        page = partition[start : start + PAGE]
        if int.from_bytes(page[:4], "little") not in _STATES:
            continue
        if crc32(page[4:28]) != int.from_bytes(page[28:32], "little"):
            continue
        yield from _items_of(page)


def _items_of(page: bytes) -> Iterator[NvsItem]:
    number = int.from_bytes(page[4:8], "little")
    written = [page[32 + index // 4] >> index % 4 * 2 & 3 == _WRITTEN for index in range(ITEMS)]
    index = 0
    while index < ITEMS:
        at, span = _FIRST + ITEM * index, 1
        head = page[at : at + ITEM]
        if written[index] and is_whole(head):
            end = index + max(head[2], 1)
            if end <= ITEMS and all(written[index:end]):  # else the power failed amid it
                span = end - index
                yield NvsItem(page=number, head=head, data=page[at + ITEM : at + ITEM * span])
        index += span


def is_whole(head: bytes) -> bool:
    """Whether an item is what was written."""
    return len(head) == ITEM and crc32(head[:4] + head[8:]) == int.from_bytes(head[4:8], "little")


def entries_of(items: Iterable[NvsItem]) -> tuple[NvsEntry, ...]:
    """The entries that items make up, by namespace and key. Of two for one key the one that was
    written later counts: a chip whose power failed in between has both."""
    ordered = sorted(items, key=lambda item: item.page)
    names = {item.head[24]: item.key for item in ordered if item.namespace == _NAMES}
    pieces = {
        (item.namespace, item.key, item.piece): item for item in ordered if item.type == _PIECE
    }
    entries: dict[tuple[str, str], NvsEntry] = {}
    for item in ordered:
        namespace = names.get(item.namespace)
        if item.namespace == _NAMES or namespace is None:
            continue
        entry = _entry(namespace, item, pieces)
        if entry is not None:
            entries[entry.place] = entry
    return tuple(entries[place] for place in sorted(entries))


def _entry(
    namespace: str, item: NvsItem, pieces: dict[tuple[int, str, int], NvsItem]
) -> NvsEntry | None:
    """The entry that begins with an item; None of a piece, and of what is damaged."""
    kind = _NUMBERS.get(item.type)
    if kind is not None:
        data = None if item.data is None else item.head[24 : 24 + int(kind[1:]) // 8]
        return NvsEntry(namespace=namespace, key=item.key, type=kind, data=data)
    if item.type not in (_TEXT, _BLOB, _INDEX):
        return None
    kind = "str" if item.type == _TEXT else "blob"
    if item.data is None:
        return NvsEntry(namespace=namespace, key=item.key, type=kind, data=None)
    value = _joined(item, pieces) if item.type == _INDEX else item.value
    if value is None:
        return None
    if kind == "str":
        value = value.partition(b"\0")[0]
    return NvsEntry(namespace=namespace, key=item.key, type=kind, data=value)


def _joined(index: NvsItem, pieces: dict[tuple[int, str, int], NvsItem]) -> bytes | None:
    """A blob from its pieces."""
    size, count, first = int.from_bytes(index.head[24:28], "little"), index.head[28], index.head[29]
    found: list[bytes] = []
    for number in range(first, first + count):
        piece = pieces.get((index.namespace, index.key, number))
        value = piece.value if piece is not None else None
        if value is None:
            return None
        found.append(value)
    data = b"".join(found)
    return data if len(data) == size else None


def read_entries(partition: bytes) -> tuple[NvsEntry, ...]:
    """All entries of a partition."""
    return entries_of(items_in(partition))


def items_needed(entries: Sequence[NvsEntry]) -> int:
    """How many items these take in an empty partition, at the most: their namespaces and, of a
    blob, a second piece and the index counted."""
    count = len({entry.namespace for entry in entries})
    for entry in entries:
        size = len(entry.data or b"") + (entry.type == "str")
        count += 1 if entry.type not in ("str", "blob") else 1 + -(-size // ITEM)
        count += 2 if entry.type == "blob" else 0
    return count
