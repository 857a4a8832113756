"""The check that a board's app runs, and what is remembered of it.

Before anything is written or checked the memory of an earlier pass is given up, so that a run which
is cut anywhere leaves the check pending. What came of the check counts for the state it was run on.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby

from provision.core.planning.check_state import state_digest
from provision.core.wording import shorten
from provision.engine.context import DeviceContext
from provision.errors import BoardError, CheckFailed, NoAnswer
from provision.model.event import ActionDone, StepChecked
from provision.model.plan import RunCheck
from provision.model.state import ActualState, Check, StepResult


def begin_check(device: DeviceContext, actual: ActualState) -> None:
    """Before the board is changed: what was proved of it is proved no longer."""
    checks, desired = device.run.checks, device.desired
    if desired.check is not None:
        checks.begin(actual.mac, desired.device)
    else:
        checks.forget(actual.mac, desired.device)


def prove_app(device: DeviceContext, actual: ActualState, reason: str) -> None:
    """Run the check of a board that has just been restarted and is as it must be, and remember
    what came of it; raises as `run_check`. Nothing without a check."""
    desired = device.desired
    if desired.check is None:
        return
    state = state_digest(desired, actual)
    try:
        run_check(device, desired.check)
    except CheckFailed:
        device.run.checks.end(actual.mac, desired.device, state, passed=False)
        raise
    device.run.checks.end(actual.mac, desired.device, state, passed=True)
    report_passed(device, desired.check, reason)


def report_passed(device: DeviceContext, check: Check, reason: str) -> None:
    """Tell that the check has passed."""
    done = RunCheck(check=check, reason=reason)
    device.run.emit(ActionDone(device=device.desired.device, action=done))


# An app is given this long before it is interrupted to evaluate the check, then twice as long
# after the next reset, and so on within the check's timeout: nothing on a board says "ready".
FIRST_LOOK = 1.0
LONGEST_VALUE = 200  # characters of what a step gave, as it is told


def run_check(device: DeviceContext, check: Check) -> None:
    """Prove that the app runs, step by step; CheckFailed at the first that does not pass within its
    timeout, Interrupted as soon as the run is cancelled: nothing is left to be finished. What the
    steps gave is `device.measured`."""
    device.session.stage("check")
    device.measured.clear()
    for on_console, steps in groupby(check.parts, key=lambda step: step.console is not None):
        if on_console:
            for step in steps:
                _await_line(device, step)
        else:
            _evaluate(device, tuple(steps))


def _await_line(device: DeviceContext, step: Check) -> None:
    assert step.console is not None
    try:
        line = device.session.console(step.console, step.timeout, device.cancel.cancelled)
    except CheckFailed as error:
        _tell(device, step, None, passed=False)
        raise CheckFailed(f"{_named(step)}{error.message}", hint=error.hint) from error
    _tell(device, step, line, passed=True)


def _evaluate(device: DeviceContext, steps: Sequence[Check]) -> None:
    """Those that follow one another are asked in one stop of the app, and after each restart from
    the first on that has not passed; each has the time that is its own."""
    session, left = device.session, list(steps)
    wait, spent = min(FIRST_LOOK, left[0].timeout), 0.0
    while True:
        session.listen(wait, device.cancel.cancelled)
        device.cancel.check()
        spent += wait
        while True:
            step = left[0]
            value, fault = _ask(device, step)
            if fault is not None:
                break
            _tell(device, step, value, passed=True)
            del left[0]
            if not left:
                session.restart()
                return
            spent = 0.0
        if spent >= step.timeout:
            _tell(device, step, value, passed=False)
            raise CheckFailed(f"{_named(step)}{step.expression} {fault} after {spent:g} s")
        session.restart()
        wait = min(wait * 2, max(0.5, step.timeout - spent))


def _ask(device: DeviceContext, step: Check) -> tuple[str | None, str | None]:
    """The value of an expression, None where it has none, and what is wrong with it, if anything
    is."""
    assert step.expression is not None
    try:
        answer = device.session.repl().evaluate(
            step.expression, step.timeout, device.cancel.cancelled
        )
    except BoardError as error:
        return None, f"gave {error.message}"
    except NoAnswer:
        device.cancel.check()
        raise
    return answer, step.fault(answer)


def _named(step: Check) -> str:
    return f"{step.name}: " if step.name is not None else ""


def _tell(device: DeviceContext, step: Check, value: str | None, *, passed: bool) -> None:
    asked = step.expression or step.console or ""
    result = StepResult(
        name=step.name or asked,
        asked=asked,
        passed=passed,
        value=None if value is None else shorten(value, LONGEST_VALUE),
        min=step.min,
        max=step.max,
    )
    device.measured.append(result)
    device.run.emit(StepChecked(device=device.desired.device, result=result))
