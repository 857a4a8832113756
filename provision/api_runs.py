"""The part of the Python API that displays stand on: runs that are kept while they go on, those
that this computer remembers, whoever started them, and the words that events are told in.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from datetime import datetime, timezone

from provision.core.wording import Redact
from provision.model.event import Event
from provision.model.language import record
from provision.output.fanout import Fanout, Output
from provision.output.results import erase_question
from provision.output.run_log import RunRecord
from provision.output.saved.past_runs import (
    RecordedRun,
    RunState,
    read_run,
    recorded_run,
    recorded_runs,
    runs_directory,
)
from provision.output.text import (
    STAGE_TEXTS,
    action_text,
    done_text,
    duration,
    step_text,
)

__all__ = [
    "STAGE_TEXTS",
    "KeptRun",
    "RecordedRun",
    "RunState",
    "action_text",
    "done_text",
    "duration",
    "erase_question",
    "keep_run",
    "read_run",
    "recorded_run",
    "recorded_runs",
    "step_text",
]


class KeptRun:
    """A run whose events go to a record of its own and to a listener, from many threads, in one
    order; `id` finds the record again. Where none can be kept, `unkept` says why."""

    def __init__(self, listener: Callable[[Event], None], suggest: Redact) -> None:
        self.unkept: str | None = None
        self.id = f"{datetime.now(timezone.utc):%Y%m%dT%H%M%S.%fZ}-{os.getpid()}"
        outputs: list[Output] = [_Listener(listener)]
        try:
            record = RunRecord(runs_directory())
        except OSError as error:
            self.unkept = error.strerror or str(error)
        else:
            self.id = record.path.stem
            outputs.append(record)
        self._fanout = Fanout(outputs, suggest=suggest)

    def handle(self, event: Event) -> None:
        """Keep one event and tell it."""
        self._fanout.handle(event)

    def close(self) -> None:
        """The run is over."""
        self._fanout.close()


def keep_run(listener: Callable[[Event], None], *, suggest: Redact = str) -> KeptRun:
    """Begin the record of a run. `listener` gets every event with the commands that messages name
    completed by `suggest`. Events of a run arrive here masked already."""
    return KeptRun(listener, suggest)


@record(kw_only=False)
class _Listener:
    """Implements `Output`."""

    listener: Callable[[Event], None]
    name = "the page"
    asked_for = False

    def handle(self, event: Event) -> None:
        self.listener(event)

    def close(self) -> None:
        """Nothing to finish."""
