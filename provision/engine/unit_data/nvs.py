"""Set what the manifest names in a board's NVS, entry by entry over its REPL, so that whatever else
is in it stays: Wi-Fi's settings and calibration among it."""

from __future__ import annotations

from provision.core.planning.diff import diff
from provision.engine.context import DeviceContext
from provision.engine.observe import scan_request
from provision.engine.refusal import refuse
from provision.errors import BoardError
from provision.model.plan import Plan, WriteNvs
from provision.model.state import ActualState


def nvs_writes(plan: Plan) -> list[WriteNvs]:
    """The plan's entries of NVS, in order."""
    return [action for action in plan.actions if isinstance(action, WriteNvs)]


def write_nvs(device: DeviceContext, plan: Plan, actual: ActualState) -> tuple[ActualState, Plan]:
    """Set the plan's entries, and look again; what the board is then, and what is left to do."""
    writes = nvs_writes(plan)
    if not writes:
        return actual, plan
    desired, session = device.desired, device.session
    wanted = {entry.place: entry for entry in desired.nvs}
    session.stage("nvs")
    repl = session.repl()
    for write in writes:
        device.cancel.check()
        device.underway = True
        repl.set_nvs(wanted[write.place], replaces=write.replaces)
        device.underway = False
        device.done(write)
        device.note_state("update incomplete: some of its NVS is set, the rest is as it was")
    actual = session.observe(scan_request(desired))
    left = diff(desired, actual)
    refuse(left.refusals)
    for write in nvs_writes(left):
        raise BoardError(
            f"{write.namespace}.{write.key} was set in NVS, and is not there: {write.reason}",
            hint="`provision facts --nvs` tells what is there; the app may change it at its start",
        )
    return actual, left
