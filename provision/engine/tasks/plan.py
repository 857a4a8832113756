"""The task `plan`: observe each board and say what `apply` would change; nothing does.

What it does first, `apply` does as well: read the images, complete the desired states, observe,
compare.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

from provision.core.planning.diff import diff
from provision.core.planning.ownership import board_owners
from provision.core.planning.text_diff import MAX_BYTES, file_diff
from provision.engine.context import DeviceContext, RunContext
from provision.engine.observe import observe, scan_request
from provision.engine.refusal import refuse
from provision.engine.task import Target
from provision.model.event import DevicePlanned, FileDiffed, Outcome
from provision.model.plan import Plan, WriteFile
from provision.model.state import ActualState, DesiredState


@dataclass(frozen=True, kw_only=True)
class PlanTask:
    """`contents`: also tell how the files that would be written change."""

    contents: bool = False
    name: ClassVar[str] = "plan"
    changes_boards: ClassVar[bool] = False

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`."""
        return read_targets(states, context)

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "pending" or "ok"."""
        _, plan = observe_and_plan(device, contents=self.contents)
        return "pending" if plan.changes else "ok"


def with_known_boards(
    states: Sequence[DesiredState], context: RunContext, *, accept_new: Collection[str] = ()
) -> Sequence[DesiredState]:
    """The states with what manifest and lock know of whose board each is. Of a device that may
    have got another board, and of the boards that it may have got, what the lock knows is left
    out."""
    declared = {**context.declared_macs, **{s.device: s.mac for s in states if s.mac is not None}}
    learned = context.identities.macs
    owners = board_owners(declared, learned)
    by_manifest = {mac: owner for mac, owner in owners.items() if owner.declared}
    completed = []
    for state in states:
        accepts = state.device in accept_new
        mac = declared.get(state.device)
        if mac is None and not accepts:
            mac = learned.get(state.device)
        completed.append(replace(state, mac=mac, owners=by_manifest if accepts else owners))
    return completed


def read_targets(
    states: Sequence[DesiredState], context: RunContext, *, accept_new: Collection[str] = ()
) -> Sequence[Target]:
    """The devices with their images, each read once, and with what images, manifest and lock know
    of them."""
    sources = dict.fromkeys(state.firmware.source for state in states if state.firmware)
    images = {source: context.images.firmware(source) for source in sources}
    targets = []
    for state in with_known_boards(states, context, accept_new=accept_new):
        image = images[state.firmware.source] if state.firmware is not None else None
        firmware = state.firmware
        if firmware is not None and image is not None:
            firmware = replace(firmware, identity=image.identity)
        targets.append(Target(desired=replace(state, firmware=firmware), firmware=image))
    return targets


def observe_and_plan(device: DeviceContext, *, contents: bool) -> tuple[ActualState, Plan]:
    """What the board is and what is to be done, told as events; Refused when it must not be
    touched."""
    actual, plan = look_and_compare(device, announce=True)
    if contents:
        show_contents(device, actual, plan)
    return actual, plan


def look_and_compare(device: DeviceContext, *, announce: bool = False) -> tuple[ActualState, Plan]:
    """The same, told as an event if `announce` says so."""
    desired, session, journal = device.desired, device.session, device.run.journal
    session.stage("observe")
    actual = observe(session, scan_request(desired), device.firmware)
    device.actual = actual
    if actual.mac is not None:
        if actual.firmware is not None and journal.interrupted_mode(actual.mac) == "erase":
            journal.end(actual.mac)  # it is no more as the interrupted run left it
        if actual.firmware is None and journal.interrupted_mode(actual.mac) == "keep":
            device.actual = actual = replace(actual, interrupted_update=True)
    if desired.check is not None:
        last = device.run.checks.last(actual.mac, desired.device)
        device.actual = actual = replace(actual, last_check=last)
    device.plan = plan = diff(desired, actual)
    if actual.mac is not None and not plan.refusals:
        device.claim(actual.mac)  # a board that is refused is left to the device that it is
    if announce:
        device.run.emit(DevicePlanned(device=desired.device, plan=plan))
    refuse(plan.refusals)
    return actual, plan


def show_contents(device: DeviceContext, actual: ActualState, plan: Plan) -> None:
    """Tell how each file that the plan writes would change, before anything does."""
    known = actual.filesystem.files if actual.filesystem and not plan.erases else {}
    for action in plan.actions:
        if not isinstance(action, WriteFile):
            continue
        new = device.desired.files_by_dest[action.path].content
        there = known.get(action.path)
        old: bytes | None = None
        if there is not None and not new.sensitive:
            old = device.session.repl().read(action.path, MAX_BYTES + 1)
        lines = file_diff(action.path, old, new, unread_size=there.size if there else None)
        device.run.emit(FileDiffed(device=device.desired.device, path=action.path, lines=lines))
