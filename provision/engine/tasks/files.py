"""The tasks `ls`, `cat` and `cp`: look at the files of each board, and fetch them.

What was found is on the task when the run is over, by device. Nothing on a board changes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import field
from typing import ClassVar, Protocol

from provision.core.wording import byte_size, printable
from provision.engine.context import DeviceContext, RunContext
from provision.engine.files.memory import Memory
from provision.engine.files.source import board_files, fetch, known_contents
from provision.engine.task import Target
from provision.engine.tasks.plan import with_known_boards
from provision.errors import BoardError
from provision.interfaces import FileSink
from provision.model.event import Notice, Outcome
from provision.model.language import record
from provision.model.state import BoardEntry, DesiredState

MOST_SHOWN = 16 << 20  # bytes of a file that is shown: it is kept in memory


@record(slots=False)
class ListTask:
    """`paths` by device; `deep` lists what lies below as well, `hashed` has the sha256 of files."""

    paths: Callable[[str], Sequence[str]]
    deep: bool = False
    hashed: bool = False
    found: dict[str, tuple[BoardEntry, ...]] = field(default_factory=dict)
    name: ClassVar[str] = "ls"
    changes_boards: ClassVar[bool] = False
    writes: ClassVar[bool] = False

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`."""
        return [Target(desired=state) for state in with_known_boards(states, context)]

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "ok"."""
        source = board_files(device)
        found: dict[str, BoardEntry] = {}
        for path in self.paths(device.desired.device):
            entries = source.tree(path, deep=self.deep, hashed=self.hashed)
            for entry in entries:
                if entry.path != path or (len(entries) == 1 and entry.kind == "file"):
                    found[entry.path] = entry
        self.found[device.desired.device] = tuple(found[path] for path in sorted(found))
        return "ok"


@record(slots=False)
class CatTask:
    """`paths` by device; `found` are their contents."""

    paths: Callable[[str], Sequence[str]]
    found: dict[str, dict[str, bytes]] = field(default_factory=dict)
    name: ClassVar[str] = "cat"
    changes_boards: ClassVar[bool] = False
    writes: ClassVar[bool] = False

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`."""
        return [Target(desired=state) for state in with_known_boards(states, context)]

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "ok"."""
        source = board_files(device)
        files = []
        for path in self.paths(device.desired.device):
            entry = source.tree(path, deep=False, hashed=False)[0]
            if entry.kind != "file":
                raise BoardError(
                    f"{printable(path)} is a directory",
                    hint=f"`provision ls {device.desired.device}:{printable(path)}` lists it",
                )
            if entry.size > MOST_SHOWN:
                raise BoardError(
                    f"{printable(path)} has {byte_size(entry.size)}: too much to be shown",
                    hint="`provision cp` copies it",
                )
            files.append(entry)
        memory = Memory()
        gone = fetch(device, source, files, memory, {})
        if gone:
            raise BoardError(f"{printable(gone[0])} is gone from the board meanwhile")
        self.found[device.desired.device] = {path: bytes(memory.files[path])
                                             for path in (each.path for each in files)}  # fmt: skip
        return "ok"


class Destination(Protocol):
    """Where the files of one device go."""

    def sink(self, device: str, path: str, entries: Sequence[BoardEntry]) -> FileSink:
        """Takes the files among these, which lie at and below a path of the board."""
        ...

    def close(self, device: str) -> Sequence[str]:
        """No more is to come; what is to be known of it, in words."""
        ...


@record(slots=False)
class FetchTask:
    """Copies what lies at `paths` of each device, folders whole."""

    paths: Callable[[str], Sequence[str]]
    destination: Destination
    name: ClassVar[str] = "cp"
    changes_boards: ClassVar[bool] = False
    writes: ClassVar[bool] = False

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`."""
        return [Target(desired=state) for state in with_known_boards(states, context)]

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "ok"."""
        name = device.desired.device
        known = known_contents(device.desired)
        try:
            source = board_files(device)
            for path in self.paths(name):
                entries = source.tree(path, deep=True, hashed=bool(known))
                sink = self.destination.sink(name, path, entries)
                files = [entry for entry in entries if entry.kind == "file"]
                gone = fetch(device, source, files, sink, known)
                tell_left_out(device, entries, gone)
                if gone and len(files) == 1:
                    raise BoardError(f"{printable(gone[0])} is gone from the board meanwhile")
        finally:
            notes = self.destination.close(name)
        for note in notes:
            device.run.emit(Notice(device=name, message=note))
        return "ok"


def tell_left_out(
    device: DeviceContext, entries: Sequence[BoardEntry], gone: Sequence[str]
) -> None:
    """Name what lies below a path and was not read."""
    name = device.desired.device
    for entry in entries:
        if entry.kind == "mount":
            device.run.emit(
                Notice(
                    device=name,
                    message=f"{printable(entry.path)} is another filesystem and is left out; "
                    f"ask for {name}:{printable(entry.path)} to have it",
                )
            )
    for each in gone:
        device.run.emit(
            Notice(device=name, message=f"{printable(each)} is gone from the board meanwhile")
        )
