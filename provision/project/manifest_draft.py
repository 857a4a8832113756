"""A manifest that devices are added to: a new one, or one that is there. Nothing that somebody
wrote is ever replaced.
"""

from __future__ import annotations

import codecs
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

from provision.atomic_files import ChangedMeanwhile, write_atomic
from provision.core.manifest.authoring.entries import NewDevice, Setting, scalar
from provision.core.manifest.authoring.insertion import (
    CannotInsert,
    insert_devices,
    insert_settings,
)
from provision.core.manifest.table_reader import NAME
from provision.core.manifest.yaml_parser import decode
from provision.errors import UsageError
from provision.model.board import BoardProfile
from provision.model.state import PortSelector
from provision.project.manifest_file import Loaded
from provision.project.parts.main_file import DEFAULT_NAME, manifest_bytes
from provision.project.schemas import schema_text
from provision.project.source_folder import SCHEMA_NAME

_HEAD = f"""\
# yaml-language-server: $schema={SCHEMA_NAME}
# Written by `provision init` from the boards that were plugged in. What was guessed has the reason
# beside it. What all devices have in common goes here, what one has besides goes to the device:
# defaults: {{firmware: 1.24.1, files: [boot.py, main.py, lib/]}}
"""


@dataclass(kw_only=True)
class ManifestDraft:
    """The text of a manifest, with the devices that are to be in it. `names` are those it has
    already, `macs` and `ports` whose those of it are, `board` what its defaults say."""

    path: Path
    text: str
    names: frozenset[str] = frozenset()
    macs: dict[str, str] = field(default_factory=dict)
    ports: Sequence[PortSelector] = ()
    board: BoardProfile | None = None
    _on_disk: bytes | None = None  # as it was read, or written by this very draft

    @classmethod
    def new(cls, manifest: str | None) -> ManifestDraft:
        """A manifest that is not there yet; UsageError where something of this name is."""
        path = manifest_path(manifest)
        walk = "provision init --walk"
        if manifest is not None:
            walk += f" --manifest {path}"
        if os.path.lexists(path):
            raise UsageError(
                f"{path} is there already, and is not overwritten",
                hint=f"`{walk}` adds boards to it, one after the other; "
                "`provision init --manifest OTHER.yaml` writes another",
            )
        if not path.parent.is_dir():
            raise UsageError(f"there is no folder {path.parent}", hint="make it first")
        folder = path.parent.resolve().name
        fleet = f"fleet: {scalar(folder)}\n" if NAME.fullmatch(folder) else ""
        return cls(path=path, text=f"{_HEAD}{fleet}devices:\n")

    @classmethod
    def of(cls, loaded: Loaded, macs: dict[str, str]) -> ManifestDraft:
        """One that is there; `macs` are those of its devices, and whose each is."""
        board = loaded.manifest.defaults.board
        return cls(
            path=Path(loaded.file),
            text=decode(loaded.data, loaded.file),
            names=frozenset(loaded.names()),
            macs=dict(macs),
            ports=loaded.ports(),
            board=loaded.manifest.boards.get(str(board)) if board is not None else None,
            _on_disk=loaded.data,
        )

    @classmethod
    def of_device(cls, loaded: Loaded, device: str) -> ManifestDraft:
        """The file that says this device: the manifest, or one that it includes."""
        path, data = loaded.file_of(device)
        return cls(path=path, text=decode(data, str(path)), _on_disk=data)

    def check(self) -> None:
        """UsageError where devices cannot be added to this text."""
        unused = next(f"x{number}" for number in count() if f"x{number}" not in self.names)
        self._with([NewDevice(name=unused, settings=(Setting(key="board", value="x"),))])

    def write(self, devices: Sequence[NewDevice], notes: Sequence[str] = ()) -> None:
        """Write the manifest with these devices, whatever devices an earlier call had; `notes` are
        lines for its end. UsageError where that cannot be."""
        text = self._with(devices)
        self._save(text, notes)

    def check_settings(self, device: str, keys: Sequence[str]) -> None:
        """UsageError where these settings cannot be added to a device."""
        self._with_settings(device, [Setting(key=key, value="[]") for key in keys])

    def add_settings(self, device: str, settings: Sequence[Setting]) -> bytes:
        """Write the manifest with these settings of one of its devices; what it was before.
        UsageError where that cannot be."""
        before = self._on_disk or b""
        self._save(self._with_settings(device, settings))
        return before

    def undo(self, before: bytes) -> None:
        """Write what it was before, unless somebody else has written it since."""
        self._write(before)

    def _save(self, text: str, notes: Sequence[str] = ()) -> None:
        before = self._on_disk
        data = (text + "".join(f"{note}\n" for note in notes)).encode()
        if before is not None and before.startswith(codecs.BOM_UTF8):
            data = codecs.BOM_UTF8 + data
        self._write(data)
        if before is None:
            self._write_schema()

    def _write(self, data: bytes) -> None:
        try:
            write_atomic(self.path, data, unchanged=self._unchanged)
        except ChangedMeanwhile:
            raise UsageError(
                f"{self.path} was changed meanwhile by somebody else, and is left as it is",
                hint="run the command again",
            ) from None
        except OSError as error:
            raise UsageError(
                f"{self.path} cannot be written: {error.strerror}",
                hint="check the permissions of its folder",
            ) from error
        self._on_disk = data

    def _with(self, devices: Sequence[NewDevice]) -> str:
        try:
            return insert_devices(self.text, devices)
        except CannotInsert:
            raise UsageError(
                f"the devices of {self.path} are written in a way that lines cannot be added to",
                hint="write each device on lines of its own, indented below `devices:`",
            ) from None

    def _with_settings(self, device: str, settings: Sequence[Setting]) -> str:
        try:
            return insert_settings(self.text, device, settings)
        except CannotInsert:
            lines = ", ".join(f"`{each.key}`" for each in settings)
            raise UsageError(
                f"lines with {lines} cannot be added to the device {device} of {self.path}: it has "
                "them, is one of a range or of a table, or is written in braces",
                hint=f"write it on lines of its own, as in `{device}:` and its settings below",
            ) from None

    def _unchanged(self) -> bool:
        if self._on_disk is None:
            return not os.path.lexists(self.path)
        try:
            return manifest_bytes(self.path) == self._on_disk
        except OSError:
            return False

    def _write_schema(self) -> None:
        """Beside a new manifest, so that an editor finds it at once; one that is there stays."""
        with (
            suppress(OSError),
            (self.path.parent / SCHEMA_NAME).open("x", encoding="utf-8") as file,
        ):
            file.write(schema_text("fleet"))


def manifest_path(manifest: str | None) -> Path:
    """The file that a command line means by the name of a manifest, whether it is there or not."""
    path = Path(DEFAULT_NAME if manifest is None else manifest)
    return path / DEFAULT_NAME if path.is_dir() else path
