"""The task `import`: fetch files of a board that are to be the project's own from now on.

Nothing on the board changes. Which of its files are taken, and where they go, is asked of whoever
runs it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from provision.engine.context import DeviceContext, RunContext
from provision.engine.files.source import board_files, fetch
from provision.engine.task import Target
from provision.engine.tasks.files import tell_left_out
from provision.engine.tasks.plan import with_known_boards
from provision.interfaces import FileSink
from provision.model.event import Outcome
from provision.model.language import record
from provision.model.state import BoardEntry, DesiredState


@record(slots=False)
class ImportTask:
    """For one device: `choose` takes from all files of its board, with their sha256, those that are
    fetched, and `begin` makes what they go to."""

    choose: Callable[[Sequence[BoardEntry]], Sequence[BoardEntry]]
    begin: Callable[[Sequence[BoardEntry]], FileSink]
    name: ClassVar[str] = "import"
    changes_boards: ClassVar[bool] = False
    writes: ClassVar[bool] = False

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`."""
        return [Target(desired=state) for state in with_known_boards(states, context)]

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "ok"."""
        source = board_files(device)
        entries = source.tree("/", deep=True, hashed=True)
        files = self.choose([entry for entry in entries if entry.kind == "file"])
        gone = fetch(device, source, files, self.begin(files), {}) if files else ()
        tell_left_out(device, entries, gone)
        return "ok"
