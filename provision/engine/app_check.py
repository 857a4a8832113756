"""The check that a board's app runs, and what is remembered of it.

Before anything is written or checked the memory of an earlier pass is given up, so that a run which
is cut anywhere leaves the check pending. What came of the check counts for the state it was run on.
"""

from __future__ import annotations

from provision.core.planning.check_state import state_digest
from provision.engine.context import DeviceContext
from provision.errors import BoardError, CheckFailed, NoAnswer
from provision.model.event import ActionDone
from provision.model.plan import RunCheck
from provision.model.state import ActualState, Check


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


def run_check(device: DeviceContext, check: Check) -> None:
    """Prove that the app runs; CheckFailed when it does not within the timeout, Interrupted as
    soon as the run is cancelled: nothing is left to be finished."""
    session, stopping = device.session, device.cancel.cancelled
    session.stage("check")
    if check.console is not None:
        session.console(check.console, check.timeout, stopping)
        return
    if check.expression is None:
        return
    wait, spent, answer = min(FIRST_LOOK, check.timeout), 0.0, ""
    while True:
        session.listen(wait, stopping)
        device.cancel.check()
        spent += wait
        try:
            answer = session.repl().evaluate(check.expression, check.timeout, stopping)
        except BoardError as error:
            answer = error.message
        except NoAnswer:
            device.cancel.check()
            raise
        else:
            if answer not in {"False", "None", "0", "''", "[]", "()", "{}"}:
                session.restart()
                return
        if spent >= check.timeout:
            raise CheckFailed(f"{check.expression} gave {answer} after {spent:g} s")
        session.restart()
        wait = min(wait * 2, max(0.5, check.timeout - spent))
