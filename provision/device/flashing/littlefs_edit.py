"""Renames in a LittleFS as it lies in flash, such that power may be cut at any moment of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from provision.core.littlefs_blocks import REGULAR, SUPERBLOCK
from provision.device.flashing.littlefs_metadata import Entry, GlobalState, write_log
from provision.device.flashing.littlefs_reader import Metadata
from provision.errors import OutOfSpace
from provision.model.firmware import FilesystemPlace, Region


class DirectoryEdit:
    """Renames in one directory, as blocks that are to be written.

    A pair is changed by writing all of it into its other block with a higher revision, so that
    its newer one stays until that is whole. Where a name has to go into another pair of the
    directory, for they are sorted, that is written first: until the old name is gone too the file
    has both, as nothing of LittleFS minds, for it never changes the blocks of a file in place.
    (Its own way, to note that a move has begun, hides one file too many from drivers since 2.9.)
    """

    def __init__(self, place: FilesystemPlace, state: GlobalState, parts: list[Metadata]) -> None:
        self._place = place
        self._state = state
        self._parts = [replace(part) for part in parts]
        self._regions: list[Region] = []
        self._changed: list[Metadata] = []
        # A move that power cut goes by the number of an entry: it ends before numbers change.
        self._source_of_move: Metadata | None = None
        if state.moved is not None:
            pair, number = state.moved
            for part in self._parts:
                if set(part.pair) & set(pair):
                    self._source_of_move = part
                    self._set(part, _without(part.log.entries, number))

    def rename(self, old: bytes, new: bytes) -> None:
        source, number = next(
            (part, number)
            for part in self._parts
            for number, entry in enumerate(part.log.entries)
            if entry.kind == REGULAR and entry.name == old
        )
        renamed = replace(source.log.entries[number], name=new)
        target = self._part_for(new)
        if target is not source:
            self._set(target, _inserted(target.log.entries, renamed))
            self._flush()
            self._set(source, _without(source.log.entries, number))
        else:
            self._set(source, _inserted(_without(source.log.entries, number), renamed))

    def finish(self) -> tuple[Region, ...]:
        self._flush()
        return tuple(self._regions)

    def _part_for(self, name: bytes) -> Metadata:
        """Where LittleFS looks for a name: up to the first pair that has a greater one."""
        for part in self._parts:
            entries = part.log.entries
            if any(each.name == name for each in entries):
                return part
            if _place_among(entries, name) < len(entries):
                return part
        return self._parts[-1]

    def _set(self, part: Metadata, entries: Sequence[Entry]) -> None:
        part.log = replace(part.log, entries=tuple(entries))
        if not any(each is part for each in self._changed):
            self._changed.append(part)

    def _flush(self) -> None:
        for part in self._changed:
            self._write(part)
        self._changed.clear()

    def _write(self, part: Metadata) -> None:
        """A part into the other block of its pair."""
        state = self._state
        if part is self._source_of_move:
            self._state, self._source_of_move = state.without_move(), None
        part.log = replace(
            part.log,
            revision=(part.log.revision + 1) % (1 << 32),
            state=part.log.state ^ state ^ self._state,
        )
        block = write_log(part.log, self._place.block)
        if block is None:
            raise OutOfSpace(
                "the root directory has no room for the names under which start-up files rest",
                hint="remove files from the root directory, or let the board's REPL answer",
            )
        current, other = part.pair
        part.pair = (other, current)
        offset = self._place.offset + other * self._place.block
        self._regions.append(Region(name="filesystem", offset=offset, data=block))


def _without(entries: Sequence[Entry], number: int) -> tuple[Entry, ...]:
    return (*entries[:number], *entries[number + 1 :])


def _inserted(entries: Sequence[Entry], entry: Entry) -> tuple[Entry, ...]:
    """Where it belongs, in the place of one of the same name."""
    kept = [each for each in entries if each.name != entry.name]
    kept.insert(_place_among(kept, entry.name), entry)
    return tuple(kept)


def _place_among(entries: Sequence[Entry], name: bytes) -> int:
    """Before which entry a name belongs."""
    order = _order(name)
    for number, entry in enumerate(entries):
        if entry.kind != SUPERBLOCK and _order(entry.name) > order:
            return number
    return len(entries)


def _order(name: bytes) -> tuple[int, ...]:
    """LittleFS sorts by bytes, but puts a name after those that it is the beginning of."""
    return (*name, 256)
