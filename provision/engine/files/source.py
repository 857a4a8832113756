"""The files of one board, by its REPL or, where that does not answer, out of its flash.

Start-up files that an interrupted update has disabled are seen under their own names, and what such
an update had only begun to write is not seen.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from posixpath import basename, dirname
from typing import Protocol

from provision.core.wording import printable
from provision.engine.context import DeviceContext
from provision.engine.flash.saved_files import under_own_names
from provision.engine.observe import identify_own, look_into_flash
from provision.errors import BoardError, NoAnswer
from provision.interfaces import FileSink, Progress, Repl, ScanRequest, StoredContents
from provision.model.board_path import (
    STARTUP_FILES,
    TEMPORARY_NAME,
    at_or_below,
    disabled_name,
)
from provision.model.state import BoardEntry, DesiredState, UnreadContent


class BoardFiles(Protocol):
    """As `interfaces.Repl` has them."""

    def tree(self, path: str, *, deep: bool, hashed: bool) -> Sequence[BoardEntry]: ...

    def fetch(
        self,
        files: Sequence[BoardEntry],
        sink: FileSink,
        progress: Progress,
        stopping: Callable[[], bool],
    ) -> Sequence[str]: ...


def board_files(device: DeviceContext) -> BoardFiles:
    """The files of a device's board, once that is proved to be its; `actual` is known then.
    NoAnswer where neither a REPL answers nor a filesystem can be read."""
    session = device.session
    if not identify_own(device):
        return ReplFiles(session.repl())
    session.note("no REPL answers: reading the filesystem out of the flash")
    assert device.actual is not None, "it was identified"
    device.actual = look_into_flash(device, device.actual, ScanRequest())
    if device.stored is None:
        raise NoAnswer(
            "its REPL does not answer, and no filesystem can be read in its flash",
            hint="`provision plan -v` tells what is there",
        )
    return StoredFiles(under_own_names(device.stored.contents()))


def asking_nothing(desired: DesiredState) -> DesiredState:
    """The same device, of which nothing is wanted but to be itself."""
    return replace(desired, firmware=None, files=(), absent=(), prune=(), check=None)


class ReplFiles:
    """Those of a board at its REPL."""

    def __init__(self, repl: Repl) -> None:
        self._repl = repl
        self._disabled: dict[str, str] = {}

    def tree(self, path: str, *, deep: bool, hashed: bool) -> Sequence[BoardEntry]:
        if path in STARTUP_FILES:
            whole = self.tree("/", deep=False, hashed=hashed)
            found = [entry for entry in whole if entry.path == path]
            return found or self._repl.tree(path, deep=deep, hashed=hashed)
        entries = self._repl.tree(path, deep=deep, hashed=hashed)
        paths = {entry.path for entry in entries}
        disabled = {
            disabled_name(own): own
            for own in STARTUP_FILES
            if disabled_name(own) in paths and own not in paths
        }
        self._disabled |= {own: name for name, own in disabled.items()}
        return [
            replace(entry, path=disabled.get(entry.path, entry.path))
            for entry in entries
            if entry.path in disabled or not basename(entry.path).startswith(TEMPORARY_NAME)
        ]

    def fetch(
        self,
        files: Sequence[BoardEntry],
        sink: FileSink,
        progress: Progress,
        stopping: Callable[[], bool],
    ) -> Sequence[str]:
        names = {self._disabled.get(entry.path, entry.path): entry.path for entry in files}
        asked = [replace(entry, path=self._disabled.get(entry.path, entry.path)) for entry in files]
        gone = self._repl.fetch(asked, _Renamed(sink, names), progress, stopping)
        return [names[path] for path in gone]


class _Renamed:
    """Implements `FileSink`: passes everything on under another name."""

    def __init__(self, sink: FileSink, names: Mapping[str, str]) -> None:
        self._sink = sink
        self._names = names

    def write(self, path: str, offset: int, data: bytes) -> None:
        self._sink.write(self._names[path], offset, data)

    def finish(self, path: str, size: int, sha256: str) -> bool:
        return self._sink.finish(self._names[path], size, sha256)


class StoredFiles:
    """Those of a filesystem that was read out of the flash."""

    def __init__(self, contents: StoredContents) -> None:
        self._contents = contents

    def tree(self, path: str, *, deep: bool, hashed: bool) -> Sequence[BoardEntry]:
        entries = [
            BoardEntry(path="/", kind="directory"),
            *(BoardEntry(path=each, kind="directory") for each in self._contents.directories),
            *(
                BoardEntry(
                    path=name,
                    kind="file",
                    size=len(data),
                    sha256=hashlib.sha256(data).hexdigest() if hashed else None,
                )
                for name, data in self._contents.files.items()
                if not basename(name).startswith(TEMPORARY_NAME)
            ),
        ]
        found = [
            entry
            for entry in sorted(entries, key=lambda entry: entry.path)
            if entry.path == path
            or (at_or_below(entry.path, path) and (deep or dirname(entry.path) == path))
        ]
        if not any(entry.path == path for entry in found):
            raise BoardError(
                f"there is no {printable(path)} on the board",
                hint="`provision ls DEVICE:/` lists what there is",
            )
        return found

    def fetch(
        self,
        files: Sequence[BoardEntry],
        sink: FileSink,
        progress: Progress,
        stopping: Callable[[], bool],
    ) -> Sequence[str]:
        deliver({entry.path: self._contents.files[entry.path] for entry in files}, sink)
        return []


def fetch(
    device: DeviceContext,
    source: BoardFiles,
    files: Iterable[BoardEntry],
    sink: FileSink,
    known: Mapping[str, bytes],
) -> Sequence[str]:
    """Read files whole into `sink`; those whose sha256 is one of the `known` contents' are not sent
    once more. Returns the paths of those that are gone meanwhile."""
    files = list(files)
    here = {each.path: known[each.sha256] for each in files if each.sha256 and each.sha256 in known}
    deliver(here, sink)
    wanted = [each for each in files if each.path not in here]
    if not wanted:
        return ()
    device.session.stage("read-files", f"{len(wanted)} to read")
    return source.fetch(
        wanted, sink, device.session.progress("read-files"), device.cancel.cancelled
    )


def deliver(contents: Mapping[str, bytes], sink: FileSink) -> None:
    """Give a sink files that are here already."""
    for path, data in contents.items():
        sink.write(path, 0, data)
        if not sink.finish(path, len(data), hashlib.sha256(data).hexdigest()):
            raise BoardError(f"{printable(path)} does not read back from this computer's disk")


def known_contents(desired: DesiredState) -> dict[str, bytes]:
    """What is on this computer already, by sha256: the manifest's files."""
    return {
        file.content.sha256: file.content.data
        for file in desired.files
        if not isinstance(file.content, UnreadContent)
    }
