"""The results that people read, on standard output: plans, and the recap at the end of a run."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol, TextIO

from provision.core.wording import device_group, listed, plural, quoted
from provision.model.event import (
    ActionDone,
    BatchStarted,
    DeviceFinished,
    DevicePlanned,
    Event,
    FileDiffed,
    ManualActionNeeded,
    RolloutStopped,
    RunFinished,
    RunStarted,
    StageStarted,
)
from provision.model.plan import Plan, phase_of
from provision.output.recap import recap_lines
from provision.output.style import PLAIN, Colour, Style
from provision.output.text import Told, plan_lines, plan_shape

_DIFF_COLOURS: dict[str, Colour] = {"+": "green", "-": "red", "@": "cyan"}


Width = Callable[[], int | None]
"""The columns of the terminal as it is now; None where there is none."""


def no_width() -> int | None:
    return None


class Writer(Protocol):
    """As much of a text stream as lines need."""

    def write(self, text: str, /) -> object: ...

    def flush(self) -> None: ...


def erase_question(plan: Plan, boards: int = 1) -> str:
    """What somebody has to agree to before a plan is carried out, to be put behind the name of the
    device, or of the `boards` that share it: `erase this board and every file on it (…)`."""
    this, whole = "this board", "this board and every file on it"
    if boards > 1:
        this, whole = "each of these boards", "these boards and every file on them"
    if not plan.flashes:
        names = listed([quoted(path) for path in plan.deleted])
        which = f"of {this}, which no run has met yet ({names})"
        return f"delete {plural(len(plan.deleted), 'file')} {which}"
    why = next(one.reason for one in plan.actions if phase_of(one) == "flash")
    lost = listed(plan.losses)
    return f"{f'lose {lost} of {this}' if lost else f'erase {whole}'} ({why})"


class PlanText:
    """Prints plans in the manifest's order, devices with the same plan as one: all together when
    the run ends or, where it changes boards, those that change something as soon as every device
    has one.

    The slowest device delays nobody: before a flash is erased or written, before an action is
    reported as done, and before a person is asked for something, the plans known so far are
    shown; but nobody has to read one twice, so that what is as another device's, which was shown,
    comes when all are known. A live display can stand for the stream, to keep what is written above
    its own lines.
    """

    name = "the plan"
    asked_for = True

    def __init__(
        self,
        stream: Writer,
        *,
        style: Style = PLAIN,
        width: Width = no_width,
        quiet: bool = False,
    ) -> None:
        """With `quiet` the totals alone, and the diffs, which are asked for."""
        self._stream = stream
        self._quiet = quiet
        self._early = False
        self._style = style
        self._width = width
        self._order: dict[str, int] = {}
        self._unplanned: set[str] = set()  # devices of which no plan is known yet
        self._plans: dict[str, Plan] = {}
        self._diffs: dict[str, list[str]] = {}  # device: lines
        self._told: Told = {}

    def handle(self, event: Event) -> None:
        """Collect plans; the end of the run shows what was not shown yet."""
        match event:
            case RunStarted():
                self._early = event.changes_boards
                self._order = {device: place for place, device in enumerate(event.devices)}
                self._unplanned = set(event.devices)
            case BatchStarted():
                self._unplanned = set(event.devices)
            case DevicePlanned():
                self._unplanned.discard(event.device)
                if event.plan.changes or event.plan.refusals or not self._early:
                    self._plans[event.device] = event.plan
            case FileDiffed():
                self._diffs.setdefault(event.device, []).extend(self._coloured(event))
            case RunFinished():
                self.close()
            case DeviceFinished():
                self._unplanned.discard(event.device)
                self._show_when_due(due=self._is_news(event.device))
            case ActionDone():
                self._show_when_due(due=self._is_news(event.device))
            case StageStarted():
                touched = event.stage in ("erase", "flash")
                self._show_when_due(due=touched and self._is_news(event.device))
            case ManualActionNeeded():
                self.pause()
            case _:
                self._show_when_due(due=False)

    def _is_news(self, device: str) -> bool:
        """Whether a plan is to be shown that is like none which was."""
        plan = self._plans.get(device)
        return plan is not None and (device in self._diffs or plan_shape(plan) not in self._told)

    def _show_when_due(self, *, due: bool) -> None:
        """Show the plans once all are known, or when one of them is due."""
        if self._early and (due or not self._unplanned):
            self.close()

    def pause(self) -> None:
        """A person is about to be asked, and needs the plans to decide."""
        if self._early:
            self.close()

    def resume(self) -> None:
        """Nothing was taken away."""

    def _coloured(self, event: FileDiffed) -> list[str]:
        shown = []
        for number, line in enumerate(event.lines):
            colour = "bold" if number < 2 else _DIFF_COLOURS.get(line[:1])
            shown.append(self._style(line, colour) if colour else line)
        return shown

    def close(self) -> None:
        """Show what has not been shown, also when the run broke off."""
        if self._plans:
            plans = sorted(self._plans.values(), key=lambda plan: self._place(plan.device))
            self._plans = {}
            lines = plan_lines(plans, self._style, self._width(), self._told)
            if self._quiet:
                del lines[:-1]
            self._write(lines[:-1] if self._early else lines)  # the recap has the totals
        same: dict[tuple[str, ...], list[str]] = {}
        for device in sorted(self._diffs, key=self._place):
            same.setdefault(tuple(self._diffs.pop(device)), []).append(device)
        for shown, devices in same.items():
            self._write([f"{self._style(device_group(devices), 'bold')}:", *shown])

    def _write(self, lines: Sequence[str]) -> None:
        self._stream.write("".join(f"{line}\n" for line in lines))
        self._stream.flush()

    def _place(self, device: str) -> tuple[int, str]:
        return (self._order.get(device, len(self._order)), device)


class Recap:
    """Prints what became of each device and the totals when the run has finished.

    Where the run changes no board, only when some device failed: the plan says the rest.
    """

    name = "the recap"
    asked_for = True

    def __init__(
        self,
        stream: TextIO,
        *,
        style: Style = PLAIN,
        width: Width = no_width,
        quiet: bool = False,
    ) -> None:
        """With `quiet` only those that failed, and the totals."""
        self._stream = stream
        self._quiet = quiet
        self._style = style
        self._width = width
        self._always = False
        self._finished: dict[str, DeviceFinished] = {}
        self._order: tuple[str, ...] = ()
        self._stopped: RolloutStopped | None = None

    def handle(self, event: Event) -> None:
        """Collect outcomes, and print them when the run ends."""
        match event:
            case RunStarted():
                self._order, self._always = event.devices, event.changes_boards
            case DeviceFinished():
                self._finished[event.device] = event
            case RolloutStopped():
                self._stopped = event
            case RunFinished() if self._always or any(
                one.error is not None for one in self._finished.values()
            ):
                known = [self._finished.pop(name) for name in self._order if name in self._finished]
                finished = [*known, *self._finished.values()]
                stopped = self._stopped
                left_out = set(stopped.not_started) if stopped is not None else set()
                if self._quiet:
                    left_out |= {one.device for one in finished if one.error is None}
                lines = recap_lines(finished, event.seconds, self._style, self._width(), left_out)
                if self._quiet and len(left_out) == len(finished):
                    del lines[:-1]  # nothing went wrong
                if stopped is not None:
                    lines += stopped_lines(stopped, self._style)
                self._stream.write("".join(f"{line}\n" for line in lines))
                self._stream.flush()
            case _:
                pass

    def close(self) -> None:
        """A run that broke off has no recap."""


def stopped_lines(stopped: RolloutStopped, style: Style = PLAIN) -> list[str]:
    """Where a rollout has stopped and why, which devices it did not begin, and what to do next."""
    return [
        f"{style('Rollout stopped', 'red', 'bold')} in batch {stopped.batch} of {stopped.of}: "
        f"{stopped.message}",
        f"  not started: {device_group(stopped.not_started)}",
        f"  hint: {stopped.hint}",
    ]
