"""Who is on a device's port, asked before anything is done there that is more than a look: tasks
that compare no files begin with it."""

from __future__ import annotations

from provision.core.planning.safety import another_board
from provision.engine.context import DeviceContext
from provision.engine.refusal import refuse
from provision.errors import NoAnswer
from provision.interfaces import ScanRequest
from provision.model.state import ActualState

_NO_FILES = ScanRequest(paths=(), expected={})


def prove_board(device: DeviceContext, *, at_prompt: bool = True) -> ActualState:
    """What the board says of itself at its REPL, whose app is interrupted for it. Refused where it
    is another one than manifest and lock know the device by, or where another device of the run has
    it. A board that need not be `at_prompt` is asked by its flasher where no REPL answers."""
    session = device.session
    session.stage("observe")
    try:
        actual = session.observe(_NO_FILES)
    except NoAnswer as error:
        if at_prompt or not session.can_reset:
            raise
        session.note(f"no REPL: {error.message}")
        actual = session.flasher().identify()
    device.actual = actual
    refuse(tuple(another_board(device.desired, actual)))
    if actual.mac is not None:
        device.claim(actual.mac)
    return actual
