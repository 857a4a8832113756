"""The task `apply`: make each board match, and learn which board each device is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import ClassVar

from provision.core.planning.safety import declined, needs_consent, plan_outdated
from provision.engine.app_check import prove_app
from provision.engine.context import DeviceContext, RunContext
from provision.engine.execute import carry_out
from provision.engine.refusal import refused
from provision.engine.task import Target
from provision.engine.tasks.last_apply import (
    keep_flash,
    keep_replaced,
    proved,
    tell_last_apply,
)
from provision.engine.tasks.plan import observe_and_plan, read_targets
from provision.engine.tasks.reset import restart_proved
from provision.engine.tasks.rollback import roll_back
from provision.errors import CheckFailed, FlashFailed, NoAnswer
from provision.model.event import Outcome
from provision.model.language import record
from provision.model.plan import Plan
from provision.model.state import ActualState, DesiredState, Part


@record(slots=False)
class ApplyTask:
    """`yes`: erase without asking; `accept_new`: the devices that may have got another board;
    `contents`: also tell how the files that are written change; `fresh`: whatever no entry manages
    goes, and every board starts its app anew; `only`: the part of each device that the run is for,
    where what it leaves undone does not count as converged; `differs`: why what there is to do now
    is not what was agreed to, where that was said before."""

    yes: bool = False
    accept_new: frozenset[str] = frozenset()
    contents: bool = False
    fresh: bool = False
    only: Part | None = None
    differs: Callable[[Plan, ActualState], str | None] | None = None
    name: ClassVar[str] = "apply"
    changes_boards: ClassVar[bool] = True
    writes: ClassVar[bool] = True

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`."""
        states = [replace(state, fresh=self.fresh, only=self.only) for state in states]
        return read_targets(states, context, accept_new=self.accept_new)

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "changed" or "ok", "pending" where nothing but the rest was to be done."""
        actual, plan = observe_and_plan(device, contents=self.contents)
        tell_last_apply(device, plan, actual)
        if plan.changes:
            device.board_state = "nothing was changed"
            why = self.differs(plan, actual) if self.differs is not None else None
            if why is not None:
                raise refused(plan_outdated(why))
            if not self.yes:
                ask_consent(device, actual, plan)
            device.actual = actual = apply_plan(device, plan, actual)
        else:
            if not device.left:
                proved(device, actual, None)
            if self.fresh:
                restart_proved(device, "a fresh start")
        if actual.mac is not None:
            device.run.journal.end(actual.mac)  # also of a run that was cut at its very end
            device.run.identities.learn(device.desired.device, actual.mac)
        if plan.change_count:  # a check that passed changes nothing
            return "changed"
        return "pending" if device.left else "ok"


def apply_plan(device: DeviceContext, plan: Plan, actual: ActualState) -> ActualState:
    """Carry the plan out and prove that the app runs. Where the manifest asks for it, what was
    there before is put back for an app that does not, or a firmware that does not start:
    RolledBack."""
    keep_replaced(device, plan, actual)
    written = False
    try:
        before_flash = partial(keep_flash, device, actual)
        device.actual = actual = carry_out(device, plan, actual, before_flash)
        written = True
        prove_app(device, actual, "the board has changed")
    except (CheckFailed, NoAnswer, FlashFailed) as error:  # NoAnswer: the REPL is kept away
        no_start = device.flashed and device.session.can_reset  # nobody has to press buttons
        if device.kept is None or not (written or no_start):
            raise
        raise roll_back(device, device.kept, error) from error
    proved(device, actual, device.kept)
    return actual


def ask_consent(device: DeviceContext, actual: ActualState, plan: Plan) -> None:
    """Ask before a board is erased, or emptied by a fresh start, that no run has met before, or
    that nobody could look at; Refused when the answer is no, or when there is nobody to ask."""
    name, run = device.desired.device, device.run
    refusal = needs_consent(
        plan,
        actual,
        known=run.identities.known(name) is not None,
        unproved=device.desired.fresh and device.desired.mac is None,
        interrupted=actual.firmware is None
        and actual.mac is not None
        and run.journal.may_erase(actual.mac, name),
    )
    if refusal is None:
        return
    if run.confirm is not None:
        with device.time.waiting():
            agreed = run.confirm(name, plan)
        if agreed:
            return
        refusal = declined("erasing its board" if plan.flashes else "deleting its files")
    raise refused(refusal)
