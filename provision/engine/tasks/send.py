"""The task `cp` towards boards: write files that somebody names, whatever the manifest has.

It is an `apply` of these files and nothing else, so that what is interrupted is whole, and that
what stands in the way is told before anything is written.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from provision.core.wording import printable
from provision.engine.context import DeviceContext, RunContext
from provision.engine.execute import execute
from provision.engine.files.source import asking_nothing
from provision.engine.task import Target
from provision.engine.tasks.plan import observe_and_plan, with_known_boards
from provision.model.board_path import at_or_below, below
from provision.model.event import Notice, Outcome
from provision.model.language import record
from provision.model.state import Content, DesiredFile, DesiredState

SOURCE = "cp"  # what the plan calls where the files come from


@record(slots=False)
class SendTask:
    """`contents` by device and path on its board."""

    contents: Mapping[str, Mapping[str, bytes]]
    name: ClassVar[str] = "cp"
    changes_boards: ClassVar[bool] = True
    writes: ClassVar[bool] = True

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`."""
        targets = []
        for state in with_known_boards(states, context):
            files = tuple(
                DesiredFile(dest=path, source=SOURCE, content=Content(data=data))
                for path, data in sorted(self.contents[state.device].items())
            )
            for note in undone(state, files):
                context.emit(Notice(device=state.device, message=note))
            targets.append(Target(desired=replace(asking_nothing(state), files=files)))
        return targets

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "changed" or "ok"."""
        actual, plan = observe_and_plan(device, contents=False)
        if not plan.changes:
            return "ok"
        device.board_state = "nothing was changed"
        device.actual = execute(device, plan, actual)
        return "changed"


def undone(desired: DesiredState, files: Sequence[DesiredFile]) -> Iterator[str]:
    """What the next `apply` does about each file that it does not leave alone, in words."""
    for file in files:
        managed = desired.files_by_dest.get(file.dest)
        path = printable(file.dest)
        if managed is not None:
            if not managed.create_only and managed.content.sha256 != file.content.sha256:
                yield f"the manifest manages {path}: the next `provision apply` writes it anew"
        elif any(at_or_below(file.dest, one) for one in desired.absent) or any(
            below(file.dest, root) for root in desired.prune
        ):
            yield f"the manifest has no {path}: the next `provision apply` deletes it"
