"""A run as one HTML page that can be mailed, printed and kept: `--html FILE`.

It needs nothing else: no script, no font, no server. Failures come first, each with its hint and
the command to type; then what changed and why, what checks gave, and every device. Devices that
were announced and never finished count as failed: a page must not look well because a run was cut
off. What a board has said is text in it and nothing else; a policy in the page forbids the rest.
"""

from __future__ import annotations

import base64
import hashlib
import platform
import re
import shlex
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Literal

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from provision._version import __version__
from provision.atomic_files import write_atomic
from provision.core.wording import device_group, device_ranges, harmless_line, plural
from provision.model.event import (
    ActionDone,
    ConsoleLine,
    DeviceFinished,
    DevicePlanned,
    DeviceUpdated,
    EditFailed,
    Event,
    FileDiffed,
    Notice,
    Outcome,
    RolloutStopped,
    RunFailed,
    RunFinished,
    RunStarted,
    StepChecked,
)
from provision.model.language import record
from provision.model.plan import Action, Plan, Refusal
from provision.model.state import StepResult
from provision.output.results import stopped_lines
from provision.output.text import (
    duration,
    edit_lines,
    joint_text,
    limits_text,
    nameless,
    update_lines,
)

CONSOLE_LINES = 200  # of a device: the last ones
NOTICES = 500  # of a run: the last ones

# Each state has a word, a sign and a colour, for whoever cannot see one of them.
SIGNS: dict[Outcome, str] = {
    "ok": "✓",
    "changed": "●",
    "pending": "○",
    "failed": "✗",
    "rolled-back": "↺",
    "refused": "⊘",
    "unreachable": "?",
    "interrupted": "!",
    "skipped": "–",
}
_BAD: tuple[Outcome, ...] = ("failed", "rolled-back", "refused", "unreachable", "interrupted")
_AGAIN = ("apply", "plan", "check", "rollback")  # tasks that take a manifest and no more


ActionState = Literal["done", "planned", "not done"]


@record
class ActionRow:
    """An action of a plan, and what became of it."""

    text: str
    reason: str
    state: ActionState


@record
class ChangeGroup:
    """Devices with the same plan, and the same of it done."""

    who: str
    rows: tuple[ActionRow, ...]


@dataclass(slots=True)
class DeviceStory:
    """All that a run has told of one device."""

    name: str
    plan: Plan | None = None
    done: list[Action] = field(default_factory=list)
    steps: list[StepResult] = field(default_factory=list)
    diffs: list[tuple[str, ...]] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)
    console: deque[str] = field(default_factory=lambda: deque(maxlen=CONSOLE_LINES))
    open_line: bool = False
    finished: DeviceFinished | None = None

    @property
    def outcome(self) -> Outcome:
        return self.finished.outcome if self.finished else "interrupted"

    @property
    def error(self) -> str | None:
        """What went wrong; None where nothing did."""
        if self.finished is None:
            return "the run ended before this device did"
        return self.finished.error or (self.outcome if self.outcome in _BAD else None)

    @property
    def refusals(self) -> tuple[Refusal, ...]:
        return self.plan.refusals if self.plan else ()

    def printed(self, line: ConsoleLine) -> None:
        """Pieces of a line are joined."""
        if self.open_line and self.console:
            self.console[-1] += line.text
        else:
            self.console.append(line.text)
        self.open_line = not line.ended

    def actions(self, *, changes_boards: bool) -> list[tuple[Action, ActionState]]:
        """What was done, then what was planned and was not."""
        missed: ActionState = "not done" if changes_boards else "planned"
        planned = self.plan.actions if self.plan else ()
        done = set(self.done)
        found: list[tuple[Action, ActionState]] = [(each, "done") for each in self.done]
        return found + [(each, missed) for each in planned if each not in done]


class HtmlReport:
    """Collects a run and writes the page once, whole, at `close`."""

    asked_for = True

    def __init__(self, path: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.name = f"the HTML report {path}"
        self._path = path
        self._clock = clock
        self._begun = clock()
        self._started: RunStarted | None = None
        self._finished: RunFinished | None = None
        self._failed: RunFailed | None = None
        self._devices: dict[str, DeviceStory] = {}
        self._notices: deque[str] = deque(maxlen=NOTICES)

    def handle(self, event: Event) -> None:
        """Collect what belongs in the report."""
        match event:
            case RunStarted():
                self._started = event
                for name in event.devices:
                    self._device(name)
            case DevicePlanned():
                self._device(event.device).plan = event.plan
            case ActionDone():
                self._device(event.device).done.append(event.action)
            case StepChecked():
                self._device(event.device).steps.append(event.result)
            case FileDiffed():
                self._device(event.device).diffs.append(event.lines)
            case Notice(device=None):
                self._notices.append(event.message)
            case Notice(device=str(device)):
                self._device(device).notices.append(event.message)
            case ConsoleLine():
                self._device(event.device).printed(event)
            case DeviceUpdated():
                self._notices.append(f"{event.device}: {'; '.join(update_lines(event))}")
            case EditFailed():
                self._notices += edit_lines(event)
            case DeviceFinished():
                self._device(event.device).finished = event
            case RolloutStopped():
                self._notices += map(str.strip, stopped_lines(event))
            case RunFinished():
                self._finished = event
            case RunFailed():
                self._failed = event
            case _:
                pass

    def close(self) -> None:
        """Write the page; OSError when it cannot be."""
        write_atomic(self._path, self._page().encode())

    def _device(self, name: str) -> DeviceStory:
        return self._devices.setdefault(name, DeviceStory(name))

    def _page(self) -> str:
        started, devices = self._started, list(self._devices.values())
        bad = [each for each in devices if each.error is not None]
        ended = self._clock()
        seconds = self._finished.seconds if self._finished else ended - self._begun
        folder = Path(__file__).parent
        environment = Environment(
            loader=FileSystemLoader(folder),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(
            commands=_commands, duration=duration, limits=limits_text, kind=_diff_kind
        )
        style = (folder / "report.css").read_text("utf-8")
        return environment.get_template("report.html").render(
            style=Markup(style),
            policy=_policy(style),
            version=__version__,
            host=harmless_line(platform.node()),
            started=started,
            task=started.task if started else "run",
            failed=self._failed,
            whole=self._finished is not None or self._failed is not None,
            headline=self._headline(bad),
            good=not bad and self._failed is None and self._finished is not None,
            begun=datetime.fromtimestamp(self._begun).astimezone(),
            ended=datetime.fromtimestamp(ended).astimezone(),
            seconds=seconds,
            counts=_counts(devices),
            devices=devices,
            bad=sorted(bad, key=lambda each: _BAD.index(each.outcome)),
            again=self._again(bad),
            changes=self._changes(devices),
            diffs=_diffs(devices),
            checked=[each for each in devices if each.steps],
            printed=[each for each in devices if each.console],
            told=[each for each in devices if each.notices and each.error is None],
            notices=list(self._notices),
            signs=SIGNS,
        )

    def _headline(self, bad: Sequence[DeviceStory]) -> str:
        if self._failed is not None:
            return "The run failed before any board was touched"
        total = plural(len(self._devices), "device")
        if bad:
            need = "needs" if len(bad) == 1 else "need"
            return f"{len(bad)} of {total} {need} attention"
        if self._finished is None:
            return "The run was cut off"
        counts = Counter(each.outcome for each in self._devices.values())
        if counts["skipped"]:
            return f"{counts['skipped']} of {total} skipped"
        if counts["pending"]:
            return f"{counts['pending']} of {total} would change"
        if counts["changed"]:
            return f"{counts['changed']} of {total} changed, nothing failed"
        return f"{total}, nothing failed, nothing to change"

    def _again(self, bad: Sequence[DeviceStory]) -> str | None:
        """The command that runs the failed devices again; None where it takes more than these."""
        started = self._started
        if started is None or started.task not in _AGAIN or started.manifest is None or not bad:
            return None
        names = device_ranges([each.name for each in bad]).replace(", ", ",")
        words = ("provision", started.task, started.manifest, "--limit", names)
        return shlex.join(words)

    def _changes(self, devices: Sequence[DeviceStory]) -> list[ChangeGroup]:
        changing = self._started is not None and self._started.changes_boards
        alike: dict[object, list[tuple[str, list[tuple[Action, ActionState]]]]] = {}
        for each in devices:
            actions = each.actions(changes_boards=changing)
            if actions:
                key = tuple((nameless(action, each.name), state) for action, state in actions)
                alike.setdefault(key, []).append((each.name, actions))
        return [
            ChangeGroup(
                who=device_group([name for name, _ in same]),
                rows=tuple(
                    _row([(name, rows[place]) for name, rows in same])
                    for place in range(len(same[0][1]))
                ),
            )
            for same in alike.values()
        ]


def _row(column: Sequence[tuple[str, tuple[Action, ActionState]]]) -> ActionRow:
    text, reason = joint_text([(name, action) for name, (action, _) in column])
    return ActionRow(text=text, reason=reason, state=column[0][1][1])


def _counts(devices: Sequence[DeviceStory]) -> list[tuple[Outcome, int]]:
    numbers = Counter(each.outcome for each in devices)
    always = ("ok", "changed", "failed", "unreachable")
    return [(each, numbers[each]) for each in SIGNS if numbers[each] or each in always]


def _diffs(devices: Sequence[DeviceStory]) -> list[tuple[str, list[tuple[str, ...]]]]:
    same: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for each in devices:
        if each.diffs:
            same.setdefault(tuple(each.diffs), []).append(each.name)
    return [(device_group(names), list(diffs)) for diffs, names in same.items()]


def _diff_kind(line: str, number: int) -> str:
    """The class of a line of a unified diff, whose first two name the file."""
    if number < 2:
        return "name"
    return {"+": "added", "-": "removed", "@": "place"}.get(line[:1], "same")


_COMMAND = re.compile(r"`([^`]+)`")


def _commands(text: str) -> Markup:
    """The text, safe, with what stands in backquotes as code."""
    parts = _COMMAND.split(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if place % 2 else escape(part)
        for place, part in enumerate(parts)
    )


def _policy(style: str) -> str:
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"
