"""The task `rollback`, and what an apply does whose check failed: put back what was there before
the last apply, as a desired state like any other, and run the check that it had passed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import ClassVar

from provision.core.planning.diff import diff
from provision.core.planning.rollback import sparing, state_before
from provision.core.wording import listed, printable
from provision.engine.app_check import prove_app
from provision.engine.context import DeviceContext, RunContext
from provision.engine.execute import carry_out
from provision.engine.flash.replaced import firmware_before
from provision.engine.observe import identify, prove
from provision.engine.refusal import refuse, refused
from provision.engine.task import Target
from provision.engine.tasks.last_apply import (
    find_kept,
    keep,
    last_kept,
    tell_keys,
    wants_rollback,
)
from provision.engine.tasks.plan import look_and_compare, with_known_boards
from provision.errors import CheckFailed, Interrupted, ProvisionError, RolledBack
from provision.interfaces import ScanRequest
from provision.model.event import DevicePlanned, Notice, Outcome
from provision.model.kept import KeptState
from provision.model.language import record
from provision.model.plan import Plan, Refusal
from provision.model.state import DesiredState

ROLLING_BACK = "a rollback has begun: every file is intact, some still those of the last apply"
NO_CHECK = "no check is known that they had passed, so none was run"


@record(slots=False)
class RollbackTask:
    """`yes`: also lose what was changed on the board since."""

    yes: bool = False
    name: ClassVar[str] = "rollback"
    changes_boards: ClassVar[bool] = True
    writes: ClassVar[bool] = True

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`."""
        return [Target(desired=state) for state in with_known_boards(states, context)]

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "changed", or "ok" of a board that has all that it had before."""
        name = device.desired.device
        device.session.stage("observe")
        actual, _ = identify(device.session, ScanRequest())
        prove(device, actual)
        kept = last_kept(device, actual.mac)
        if kept is None or kept.empty:
            raise refused(nothing_kept(name, keeps=wants_rollback(device)))
        plan = put_back(device, kept, by_hand=True, yes=self.yes)
        return "changed" if plan.change_count else "ok"


def roll_back(device: DeviceContext, kept: KeptState, error: ProvisionError) -> ProvisionError:
    """Put back what an apply replaced whose check failed by `error`; what to say of it. Raises what
    keeps it from being put back."""
    name, plan, what = device.desired.device, device.plan, what_was_before(kept)
    failed_by = "the check failed" if isinstance(error, CheckFailed) else "it does not run"
    device.run.emit(
        Notice(device=name, message=f"{failed_by}: {error.message}; putting back the {what}")
    )
    try:
        put_back(device, kept, by_hand=False, yes=True)
    except Interrupted:
        raise
    except CheckFailed as failed:
        return RolledBack(
            f"{error.message}; the {what} are back, and their check failed as well: "
            f"{failed.message}",
            hint=failed.hint,
        )
    except ProvisionError as failed:
        failed.message = f"{error.message}; putting back the {what} failed: {failed.message}"
        failed.hint = f"{failed.hint}; then `provision rollback -l {name}` puts them back"
        raise
    finally:
        device.plan = plan
    device.changes = 0
    passed = "their check passed" if kept.check_before is not None else NO_CHECK
    return RolledBack(f"{error.message}; the {what} are back, and {passed}")


def what_was_before(kept: KeptState) -> str:
    return "firmware and files from before" if kept.flash is not None else "files from before"


def put_back(device: DeviceContext, kept: KeptState, *, by_hand: bool, yes: bool) -> Plan:
    """Make the board what it was before its last apply, and prove it; what had to be done for it.
    Raises CheckFailed where all is back and the check of then fails, and whatever else ends it in
    the middle."""
    name, flash = device.desired.device, kept.flash
    back = f"the {what_was_before(kept)} are back"
    if flash is not None:
        device.firmware, device.beside = firmware_before(flash, kept.firmware), flash.data
    tell_keys(device, kept)
    before = state_before(device.desired, kept, others=not by_hand)
    aim_at(device, before)
    actual, plan = look_and_compare(device)
    found = find_kept(device, kept, actual)
    if found is not None and actual.filesystem is not None:
        if found.lost and not yes:
            raise refused(edited_since(name, found.lost))
        aim_at(device, sparing(before, kept, actual.filesystem, found.own))
        device.plan = plan = diff(device.desired, actual)
    if by_hand:
        device.run.emit(DevicePlanned(device=name, plan=plan))
    refuse(plan.refusals)
    if plan.losses and not yes:
        raise refused(would_be_lost(name, plan.losses))
    if plan.changes:
        device.cancel.check()
        keep(device, actual.mac, replace(kept, phase="rolling-back"))
        device.note_state(ROLLING_BACK)
        device.actual = actual = carry_out(device, plan, actual)
        device.note_state(back)
    after = replace(kept, phase="rolled-back")
    try:
        if plan.changes:
            prove_app(device, actual, back)
    except CheckFailed:
        keep(device, actual.mac, after)
        raise
    if by_hand and plan.changes and kept.check_before is None:
        device.run.emit(Notice(device=name, message=f"{back}; {NO_CHECK}"))
    if after != kept:
        keep(device, actual.mac, after)
    return plan


def aim_at(device: DeviceContext, desired: DesiredState) -> None:
    """From now on this is what the board has to become."""
    device.desired = device.session.desired = desired


def nothing_kept(device: str, *, keeps: bool) -> Refusal:
    if keeps:
        message = (
            "nothing is kept to go back to: no apply has changed the board since its check says "
            "`on_failure: rollback`, or there was no MicroPython on it before"
        )
        hint = "the next apply that changes it keeps what it replaces, and can be rolled back"
    else:
        message = (
            "nothing is kept of what was on the board before its last apply: its check does not "
            "say `on_failure: rollback`"
        )
        hint = (
            f"give {device} a `check:` with `on_failure: rollback`: every apply from then on keeps "
            "what it replaces; to go back now, apply the manifest as it was before"
        )
    return Refusal(kind="nothing-kept", message=message, hint=hint)


def edited_since(device: str, paths: Sequence[str]) -> Refusal:
    return Refusal(
        kind="changed-since",
        message=f"{listed([printable(path) for path in paths])} changed on the board since its "
        "last apply: rolling back would lose that",
        hint=f"`provision cp {device}:{printable(paths[0])} .` saves it; `provision rollback -l "
        f"{device} --yes` rolls back all the same",
    )


def would_be_lost(device: str, losses: Sequence[str]) -> Refusal:
    return Refusal(
        kind="needs-consent",
        message=f"{listed(losses)} would be lost by going back",
        hint=f"`provision backup -l {device}` saves what can be read; `provision rollback -l "
        f"{device} --yes` rolls back all the same",
    )
