"""A LittleFS as it lies in flash, in the tool's own terms: what a scan would say of it, all that it
holds, and what must be written so that its start-up files do not start."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from posixpath import basename, dirname

from provision.core.wording import printable
from provision.device.flashing.littlefs_edit import DirectoryEdit
from provision.device.flashing.littlefs_reader import Damaged, LittleFsReader, StoredFile
from provision.errors import BoardError
from provision.interfaces import FlashRead, ScanRequest, StoredContents
from provision.model.board_path import STARTUP_FILES, TEMPORARY_NAME, ancestors, disabled_name
from provision.model.firmware import FilesystemPlace, Region
from provision.model.state import FileState, Filesystem


class StoredLittleFs:
    """Implements `interfaces.StoredFilesystem`; `mount` makes one."""

    def __init__(self, reader: LittleFsReader) -> None:
        self.place = reader.place
        self.disk_version = reader.disk_version
        self._reader = reader

    @classmethod
    def mount(cls, read: FlashRead, place: FilesystemPlace) -> StoredLittleFs | None:
        """The filesystem at a place, None where there is none that LittleFS would mount."""
        try:
            return cls(LittleFsReader(read, place))
        except Damaged:
            return None

    def observe(self, request: ScanRequest) -> Filesystem:
        files, directories = self._whole_tree
        visible, disabled = _under_own_names(files)
        names = {*request.expected, *request.paths, *disabled}
        trees = tuple(tree.rstrip("/") + "/" for tree in request.trees)
        above = {parent for path in (*names, *request.trees) for parent in ancestors(path)}

        def inside(path: str) -> bool:
            return f"{path}/".startswith(trees)

        seen: dict[str, FileState] = {}
        for path, file in visible.items():
            if path in names and (basename(path) != TEMPORARY_NAME or inside(path)):
                expected = request.expected.get(path)
                compared = expected.sha256 is not None if expected else inside(path)
                seen[path] = self._state_of(file, compared=compared)
            elif inside(path):
                seen[path] = FileState(size=file.size, sha256=None)
        folders = {each for each in directories if each in names | above or inside(each)}
        folders |= {parent for path in seen for parent in ancestors(path)}
        block = self.place.block
        left = sum(
            -(-file.size // block) * block
            for path, file in files.items()
            if basename(path) == TEMPORARY_NAME and dirname(path) in {"/", *folders}
        )
        free = max(0, self._reader.blocks.limit - self._reader.used) * block
        return Filesystem(
            files=seen,
            directories=frozenset(folders),
            free=min(free + left, self._reader.blocks.limit * block),
            block=block,
            disabled=disabled,
        )

    def _state_of(self, file: StoredFile, *, compared: bool) -> FileState:
        digest = None
        if compared:
            with suppress(Damaged):
                digest = hashlib.sha256(self._reader.content(file)).hexdigest()
        return FileState(size=file.size, sha256=digest)

    def contents(self) -> StoredContents:
        files, directories = self._whole_tree
        found = {}
        left = self._reader.blocks.limit * self.place.block
        for path, file in sorted(files.items()):
            try:
                left -= file.size
                if left < 0:
                    raise Damaged("it shares its blocks with another file")
                found[path] = self._reader.content(file)
            except Damaged as error:
                raise BoardError(
                    f"{printable(path)} cannot be read from the flash: {error}",
                    hint="its filesystem is damaged; what can still be read, a REPL may give",
                ) from error
        return StoredContents(files=found, directories=directories)

    # Editing

    def startup_disabled(self, paths: Sequence[str]) -> tuple[Region, ...]:
        before, directories = self._whole_tree
        present = [path for path in paths if path in before]
        if not present:
            return ()
        try:
            regions = self._renamed(present)
        except Damaged as error:
            raise self._damage(error) from error
        after = dict(before)
        for path in present:
            after[disabled_name(path)] = after.pop(path)
        edited = StoredLittleFs.mount(_overlaid(self._reader.blocks.bytes_at, regions), self.place)
        if edited is None or edited._whole_tree != (after, directories):
            raise BoardError("the start-up files cannot be renamed from outside")
        return regions

    def _renamed(self, paths: Sequence[str]) -> tuple[Region, ...]:
        edit = DirectoryEdit(
            self.place, self._reader.state, list(self._reader.parts(self._reader.root))
        )
        for path in reversed(paths):  # main.py first: without it the rest still boots
            edit.rename(path[1:].encode(), disabled_name(path)[1:].encode())
        return edit.finish()

    @property
    def _whole_tree(self) -> tuple[Mapping[str, StoredFile], frozenset[str]]:
        try:
            return self._reader.tree
        except Damaged as error:
            raise self._damage(error) from error

    @staticmethod
    def _damage(error: Damaged) -> BoardError:
        return BoardError(
            f"the filesystem in flash is damaged: {error}",
            hint="its files cannot be read as they lie in flash",
        )


def _under_own_names(
    files: Mapping[str, StoredFile],
) -> tuple[Mapping[str, StoredFile], frozenset[str]]:
    """The files with those that are disabled under their own path; a new file there wins."""
    visible = dict(files)
    disabled = set()
    for path in STARTUP_FILES:
        file = visible.pop(disabled_name(path), None)
        if file is not None and path not in visible:
            visible[path] = file
            disabled.add(path)
    return visible, frozenset(disabled)


def _overlaid(read: FlashRead, regions: Sequence[Region]) -> FlashRead:
    """The flash as it will read once the regions are written, whole blocks asked for."""
    written = {region.offset: region.data for region in regions}

    def overlaid(offset: int, size: int) -> bytes:
        data = bytearray(read(offset, size))
        for start, block in written.items():
            if offset <= start < offset + size:
                data[start - offset : start - offset + len(block)] = block
        return bytes(data)

    return overlaid
