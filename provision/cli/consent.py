"""What somebody at a terminal is asked before boards lose something: once for all that wait for it.

Devices ask on threads of their own, as their plans come. The question is put when no device is left
that may still come to it, so that thirty blank boards are one question and not thirty.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Sequence

import click

from provision.api import Cancellation
from provision.cli.streams import forget_typed, typed_within
from provision.core.wording import device_group, plural
from provision.model.event import (
    ActionDone,
    BatchStarted,
    DeviceFinished,
    DevicePlanned,
    Event,
    ManualActionNeeded,
    RunStarted,
    StageStarted,
)
from provision.model.plan import Plan
from provision.output.fanout import Fanout

Question = Callable[[Plan, int], str]
"""What is asked of so many boards that have the same to lose, to be put behind their names."""

Losses = tuple[str, tuple[str, ...]]
"""What a plan has a board lose: the question, and the files that it deletes."""

_YES, _NO = ("y", "yes"), ("n", "no", "")
_POLL = 0.1  # seconds between looks whether the run was cancelled


class Consent:
    """Implements `engine.context.Confirm`, and `Output`, to know which devices may still ask.

    It is to be the last of the outputs: what they show of a plan stands above the question.
    """

    name = "the question"
    asked_for = False

    def __init__(
        self, outputs: Fanout, cancel: Cancellation, question: Question, *, forks: int = 0
    ) -> None:
        """`forks` is how many devices the run works on at once, 0 for all."""
        self._outputs = outputs
        self._cancel = cancel
        self._question = question
        self._forks = forks
        self._changed = threading.Condition()
        self._order: dict[str, int] = {}
        self._rest: set[str] = set()  # of the whole run, which may ask yet
        self._coming: set[str] = set()  # and of what has begun
        self._planned: set[str] = set()  # of those, which have a plan
        self._by_hand: set[str] = set()  # which wait for somebody to press a button
        self._at_work: set[str] = set()  # which will not ask, and have not ended
        self._asking: dict[str, Plan] = {}
        self._answers: dict[str, bool] = {}
        self._being_asked = False
        self._agreed: set[Losses] = set()  # whoever may come, too

    def handle(self, event: Event) -> None:
        """Note who may still ask."""
        with self._changed:
            match event:
                case RunStarted():
                    self._order = {device: place for place, device in enumerate(event.devices)}
                    self._rest = set(event.devices)
                    if event.rollout is None:
                        self._coming = set(event.devices)
                case BatchStarted():
                    self._coming |= set(event.devices)
                case DevicePlanned():
                    self._planned.add(event.device)
                case ManualActionNeeded() if event.device in self._coming - self._planned:
                    self._coming.discard(event.device)
                    self._by_hand.add(event.device)
                case StageStarted() | ActionDone():
                    self._goes_on(event.device)
                case DeviceFinished():
                    for devices in (self._rest, self._coming, self._by_hand, self._at_work):
                        devices.discard(event.device)
                case _:
                    return
            self._changed.notify_all()

    def close(self) -> None:
        """Nothing is left to do."""

    def _goes_on(self, device: str) -> None:
        if device in self._by_hand:
            self._by_hand.discard(device)
            self._coming.add(device)
        elif device in self._coming & self._planned:  # it had nothing to ask
            self._coming.discard(device)
            self._rest.discard(device)
            self._at_work.add(device)

    def __call__(self, device: str, plan: Plan) -> bool:
        """Whether this device's plan may be carried out; Interrupted when the run is cancelled."""
        with self._changed:
            self._coming.discard(device)
            self._rest.discard(device)
            self._asking[device] = plan
            self._changed.notify_all()
        while (answer := self._answer(device)) is None:
            self._cancel.check()
        return answer

    def _answer(self, device: str) -> bool | None:
        """The answer for this device, asked for if that is due; None where it is not there yet."""
        with self._changed:
            if device in self._answers:
                del self._asking[device]
                self._at_work.add(device)
                return self._answers.pop(device)
            if self._being_asked or not self._complete():
                self._changed.wait(_POLL)
                return None
            self._being_asked = True
            waiting = {
                name: self._asking[name]
                for name in sorted(self._asking, key=self._place)
                if name not in self._answers
            }
        answers: dict[str, bool] = {}
        try:
            answers = self._ask(waiting)
        finally:
            with self._changed:
                self._being_asked = False
                self._answers |= answers
                self._changed.notify_all()
        return None

    def _complete(self) -> bool:
        """Whether nobody else can come before an answer: no device, or no thread for one."""
        taken = len(self._asking) + len(self._by_hand) + len(self._at_work)
        return not self._coming or (self._forks > 0 and taken >= self._forks)

    def _place(self, device: str) -> tuple[int, str]:
        return (self._order.get(device, len(self._order)), device)

    def _ask(self, plans: dict[str, Plan]) -> dict[str, bool]:
        answers = dict.fromkeys(plans, True)
        left = {name: plan for name, plan in plans.items() if not self._has_agreed(plan)}
        if left:
            with self._outputs.paused():
                forget_typed()
                answers |= self._ask_groups(self._alike(left))
        return answers

    def _losses(self, plan: Plan) -> Losses:
        return self._question(plan, 1), tuple(plan.deleted)

    def _alike(self, plans: dict[str, Plan]) -> list[dict[str, Plan]]:
        """By what they lose, each with its devices in their order."""
        groups: dict[Losses, dict[str, Plan]] = {}
        for device, plan in plans.items():
            groups.setdefault(self._losses(plan), {})[device] = plan
        return list(groups.values())

    def _has_agreed(self, plan: Plan) -> bool:
        return self._losses(plan) in self._agreed

    def _ask_groups(self, groups: Sequence[dict[str, Plan]]) -> dict[str, bool]:
        """One question about groups of devices, each of which has the same to lose."""
        devices = [device for group in groups for device in group]
        plans = [plan for group in groups for plan in group.values()]
        if all(map(self._has_agreed, plans)):
            return dict.fromkeys(devices, True)
        lines = [
            f"{device_group([*group])}: {self._question(next(iter(group.values())), len(group))}"
            for group in groups
        ]
        if len(groups) > 1:
            lines.append(f"{plural(len(devices), 'device')}: go on with all of them")
        for line in lines[:-1]:
            click.echo(line, err=True)
        choices = ["y", "N"]
        choices += ["each"] if len(devices) > 1 else []
        choices += ["all"] if self._may_come() else []
        while True:
            click.echo(f"{lines[-1]}? [{'/'.join(choices)}]: ", nl=False, err=True)
            answer = self._typed_line().strip().lower()
            if answer in (*_YES, *_NO):
                return dict.fromkeys(devices, answer in _YES)
            if answer == "all" and "all" in choices:
                self._agreed |= set(map(self._losses, plans))
                return dict.fromkeys(devices, True)
            if answer == "each" and "each" in choices:
                parts = groups
                if len(groups) == 1:
                    parts = [{device: plan} for device, plan in groups[0].items()]
                return {k: v for part in parts for k, v in self._ask_groups([part]).items()}

    def _may_come(self) -> bool:
        """Whether there are others that may ask later."""
        with self._changed:
            return bool(self._rest)

    def _typed_line(self) -> str:
        """A line from the terminal; Interrupted as soon as the run is cancelled. This is no main
        thread, so that Ctrl-C does not end the reading by itself."""
        while not typed_within(_POLL):
            if self._cancel.cancelled():
                click.echo(err=True)
                self._cancel.check()
        return sys.stdin.readline()
