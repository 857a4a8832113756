"""Plain lines, one for each event worth reading: for pipes, CI jobs and log files.

They go to the stream that is given, standard error on a command line. Nothing is redrawn;
progress of a long stage is reported at most every ten seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TextIO

from provision.core.wording import device_group, one_line, plural
from provision.model.event import (
    ActionDone,
    BatchStarted,
    ConsoleLine,
    DeviceFinished,
    DevicePlanned,
    DeviceUpdated,
    EditFailed,
    Event,
    FileDiffed,
    ManualActionNeeded,
    Notice,
    Outcome,
    Printed,
    RolloutStopped,
    RunFailed,
    RunFinished,
    RunQueued,
    RunStarted,
    Stage,
    StageProgress,
    StageStarted,
    StepChecked,
    Trace,
)
from provision.model.language import assert_never
from provision.output import text
from provision.output.recap import cause
from provision.output.style import PLAIN, Style

PROGRESS_EVERY = 10.0  # seconds
MANY = 20  # devices of which those that are as they should be are told of together
QUIET = -1
"""The verbosity that shows only what a person must do or know: manual actions, notices and
failures."""

_SHORT_STAGES: frozenset[Stage] = frozenset({"connect", "observe", "verify-files", "manual-action"})


class Plain:
    """Writes what happens, line by line: at verbosity 0 what is done, at 1 and 2 the conversation
    with the board as well."""

    name = "the progress output"
    asked_for = False

    def __init__(
        self,
        stream: TextIO,
        *,
        verbosity: int = 0,
        style: Style = PLAIN,
        console: bool = False,
        fold: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """With `console`, what boards print is written too. With `fold`, only the first of devices
        that fail alike is told of, as in a large fleet: the recap has all of them."""
        self._stream = stream
        self._console = console
        self._verbosity = verbosity
        self._style = style
        self._clock = clock
        self._fold = fold
        self._causes: set[tuple[str, ...]] = set()  # of the failures that were told
        self._many = False
        self._unchanged: dict[Outcome, list[str]] = {}  # told together at the end
        self._reported_at: dict[str, float] = {}  # device: when progress was last reported
        self._seconds_left: dict[str, float] = {}  # device: seconds left when last reported

    def handle(self, event: Event) -> None:
        """Write the lines of one event, if it has any, whole and at once."""
        lines = self.lines(event)
        if lines:
            self._stream.write("".join(f"{line}\n" for line in lines))
            self._stream.flush()

    def handle_printed(self, said: Printed) -> None:
        """As `handle` of each line."""
        if self._console:
            for line in said.each():
                self.handle(line)

    def close(self) -> None:
        """The stream is its owner's to close."""

    def lines(self, event: Event) -> list[str]:
        """The lines for an event at this verbosity."""
        match event:
            case ManualActionNeeded():
                return self._manual_action_lines(event)
            case Notice():
                where = f"{self._name(event.device)}: " if event.device else ""
                return [f"{where}{line}" for line in event.message.splitlines()]
            case ConsoleLine():
                return [f"{event.device} | {event.text}"] if self._console else []
            case DeviceUpdated():
                return [f"{self._name(event.device)}: {line}" for line in text.update_lines(event)]
            case EditFailed():
                return text.edit_lines(event, self._style)
            case DeviceFinished():
                return self._finished_lines(event)
            case Trace():
                if event.level > self._verbosity:
                    return []
                name = self._name(event.device)
                return [f"{name}| {line}" for line in event.text.splitlines()]
            case _ if self._verbosity < 0:
                return []
            case RunStarted():
                self._many = len(event.devices) > MANY
                devices = plural(len(event.devices), "device")
                return [f"{event.task} {one_line(event.fleet)}: {devices}"]
            case BatchStarted():
                who = device_group(event.devices)
                return [f"batch {event.number} of {event.of}: {who}"]
            case StageStarted():
                self._reported_at[event.device] = self._clock()
                if event.stage in _SHORT_STAGES and self._verbosity < 1:
                    return []
                detail = f" ({one_line(event.detail)})" if event.detail else ""
                return [f"{self._name(event.device)}: {text.STAGE_TEXTS[event.stage]}{detail}"]
            case StageProgress():
                return self._progress_lines(event)
            case ActionDone():
                return [f"{self._name(event.device)}: {text.done_text(event.action)}"]
            case StepChecked():
                step = text.step_text(event.result)
                return [f"{self._name(event.device)}: {step}"] if step else []
            case RunFinished():
                unchanged, self._unchanged = self._unchanged, {}
                return [
                    f"{device_group(devices)}: {self._style.outcome(outcome)}"
                    for outcome, devices in unchanged.items()
                ]
            case DevicePlanned() | FileDiffed() | RolloutStopped():
                return []  # results: PlanText and Recap have them
            case RunFailed() | RunQueued():
                return []  # the command says the one last of all; the other is in records alone
            case _:
                return assert_never(event)

    def _name(self, device: str) -> str:
        return self._style(device, "bold")

    def _manual_action_lines(self, event: ManualActionNeeded) -> list[str]:
        before = self._seconds_left.get(event.device)
        self._seconds_left[event.device] = event.seconds
        if before is not None and event.seconds < before:
            return []  # the countdown of an instruction that was shown already
        left = text.duration(event.seconds)
        return [f"{self._name(event.device)}: {one_line(event.instructions)} (waiting {left})"]

    def _finished_lines(self, event: DeviceFinished) -> list[str]:
        self._seconds_left.pop(event.device, None)
        if event.error is None and self._verbosity < 0:
            return []
        name = self._name(event.device)
        if event.error is None:
            # The one are many where one is; the others are no news of a large fleet.
            if event.outcome == "skipped" or (event.outcome == "ok" and self._many):
                self._unchanged.setdefault(event.outcome, []).append(event.device)
                return []
            return [f"{name}: {text.outcome_line(event, self._style)}"]
        lines = [f"{name}: {text.outcome_line(event, self._style)}"]
        why = cause(event)
        if why not in self._causes:
            self._causes.add(why)
            return lines + [f"{name}:   {line}" for line in text.error_lines(event)]
        return [] if self._fold or self._many else lines

    def _progress_lines(self, event: StageProgress) -> list[str]:
        now = self._clock()
        reported = self._reported_at.setdefault(event.device, now)
        if now - reported < PROGRESS_EVERY or not event.total:
            return []
        self._reported_at[event.device] = now
        percent = 100 * event.done // event.total
        return [f"{self._name(event.device)}: {text.STAGE_TEXTS[event.stage]}: {percent} %"]
