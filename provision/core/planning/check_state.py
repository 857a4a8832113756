"""Whether the check of a device has still to be passed: by what is remembered of it, on this state.

"Passed" counts for the state that it was seen on alone: the files, the firmware and the check
itself. Whatever else is remembered, or nothing, leaves the check pending, with the reason.
"""

from __future__ import annotations

import hashlib
import json

from provision.model.state import ActualState, Check, DesiredState


def state_digest(desired: DesiredState, actual: ActualState) -> str:
    """What a check proves to work, as 64 hex digits: every file that is wanted, what must not be
    there, the firmware that answers, and the check. It tells nothing of the board's own identity.
    """
    firmware = actual.firmware
    state: list[object] = [
        [[file.dest, file.content.sha256, file.create_only] for file in desired.files],
        [list(desired.absent), list(desired.prune)],
        [firmware.version, firmware.machine, firmware.chip.name] if firmware is not None else None,
        _check_data(desired.check) if desired.check is not None else None,
    ]
    if desired.nvs:  # what was remembered before there was any still counts
        state.append([[*one.place, one.type, (one.data or b"").hex()] for one in desired.nvs])
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()


def _check_data(check: Check) -> list[object]:
    """What a check asks; what was remembered of one without limits before there were any counts."""
    asked: list[object] = [check.expression, check.console, check.timeout]
    if (check.min, check.max) != (None, None):
        asked += [check.min, check.max]
    return asked + [_check_data(step) for step in check.steps]


def why_check(desired: DesiredState, actual: ActualState) -> str | None:
    """Why the check of a board where all else is as it must be has to run; None when it has
    passed on this very state, or when there is none."""
    if desired.check is None:
        return None
    last = actual.last_check
    if last is None:
        return "it has not passed on this board yet"
    if last.outcome == "begun":
        return "the last run ended before it had passed"
    if last.state != state_digest(desired, actual):
        return "it has not passed since files, firmware or the check changed"
    return "it failed in the last run" if last.outcome == "failed" else None
