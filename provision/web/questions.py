"""Questions that a run asks on its page: whether a board may be erased, and what would be lost.

The device's own thread waits for the answer, the other devices go on. Each question has an id of
its own, so that an answer from a page that shows an older one is none.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable, Iterable
from dataclasses import field

from provision.api import Cancellation
from provision.api_runs import erase_question
from provision.model.language import record
from provision.model.plan import Plan


@record(slots=False)
class Question:
    """One device's plan, which loses something. `losses` is what, in words."""

    device: str
    plan: Plan
    id: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def text(self) -> str:
        return erase_question(self.plan)

    @property
    def losses(self) -> tuple[str, ...]:
        return (*self.plan.losses, *self.plan.deleted)


class Questions:
    """Those of one run that nobody has answered yet. Implements `Confirm`."""

    def __init__(self, cancel: Cancellation, tell: Callable[[str, bool], None]) -> None:
        """`tell` is told of each device that it waits for an answer, and that it does not."""
        self._cancel = cancel
        self._tell = tell
        self._changed = threading.Condition()
        self._open: dict[str, Question] = {}
        self._answers: dict[str, bool] = {}

    @property
    def open(self) -> tuple[Question, ...]:
        """In the order they were asked in."""
        with self._changed:
            return tuple(self._open.values())

    def __call__(self, device: str, plan: Plan) -> bool:
        question = Question(device=device, plan=plan)
        with self._changed:
            self._open[question.id] = question
        self._tell(device, True)
        with self._changed:
            self._changed.wait_for(lambda: question.id in self._answers or self._cancel.cancelled())
            self._open.pop(question.id, None)
            agreed = self._answers.pop(question.id, None)
        self._tell(device, False)
        if agreed is None:
            self._cancel.check()
        return bool(agreed)

    def answer(self, ids: Iterable[str], agreed: bool) -> tuple[Question, ...]:
        """Answer those of these questions that are still open."""
        with self._changed:
            found = tuple(
                self._open[each]
                for each in dict.fromkeys(ids)
                if each in self._open and each not in self._answers
            )
            self._answers.update((question.id, agreed) for question in found)
            self._changed.notify_all()
        return found

    def give_up(self) -> None:
        """The run was cancelled: nobody waits for an answer any more."""
        with self._changed:
            self._changed.notify_all()
