"""The task `plan`: observe each board and say what `apply` would change; nothing does.

What it does first, `apply` does as well: read the images, complete the desired states, observe,
compare.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from typing import ClassVar

from provision.core.chips.registry import family_of
from provision.core.planning.diff import diff, left_undone, part_alone, whole_diff
from provision.core.planning.free_space import in_the_way, largest_write, missing_bytes
from provision.core.planning.ownership import board_owners
from provision.core.planning.safety import (
    flash_size_unknown,
    no_room,
    too_many_files,
    unflashable,
)
from provision.core.planning.text_diff import MAX_BYTES, file_diff
from provision.engine.context import DeviceContext, RunContext
from provision.engine.flash.saved_files import after_interruption, under_own_names
from provision.engine.observe import (
    look_before_flashing,
    newer_filesystem,
    observe,
    scan_request,
    with_measured_flash,
)
from provision.engine.refusal import refuse
from provision.engine.task import Target
from provision.engine.tasks.last_apply import last_kept, tell_last_apply
from provision.engine.unit_data.certificate import with_certificate
from provision.errors import OutOfSpace
from provision.model.event import DevicePlanned, FileDiffed, Notice, Outcome
from provision.model.firmware import Firmware
from provision.model.language import record
from provision.model.plan import Plan, Refusal, WriteFile
from provision.model.state import ActualState, DesiredState, Filesystem, Part


@record(slots=False)
class PlanTask:
    """`contents`: also tell how the files that would be written change; `accept_new`: the devices
    that may have got another board; `fresh`: whatever no entry manages is to go; `only`: the part
    of each device that the run is for."""

    contents: bool = False
    fresh: bool = False
    only: Part | None = None
    accept_new: frozenset[str] = frozenset()
    name: ClassVar[str] = "plan"
    changes_boards: ClassVar[bool] = False
    writes: ClassVar[bool] = False

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`."""
        states = [replace(state, fresh=self.fresh, only=self.only) for state in states]
        return read_targets(states, context, accept_new=self.accept_new)

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "pending" or "ok"."""
        actual, plan = observe_and_plan(device, contents=self.contents)
        tell_last_apply(device, plan, actual)
        return "pending" if plan.changes or device.left else "ok"


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
    if (image := device.firmware) is not None and not _same_family(image, device.desired):
        # No family can say what another one's image would find on the board: it is not looked at.
        actual = ActualState(chip=device.desired.board.chip)
        plan = diff(device.desired, actual)
    else:
        actual, plan = _compare(device)
    device.plan = plan
    if actual.mac is not None and not plan.refusals:
        device.claim(actual.mac)  # a board that is refused is left to the device that it is
    if announce:
        device.run.emit(DevicePlanned(device=device.desired.device, plan=plan))
    refuse(plan.refusals)
    _go_for_part(device, actual)
    if announce and plan.flashes:
        tell_of_variants(device, actual)
    return actual, plan


def _go_for_part(device: DeviceContext, actual: ActualState) -> None:
    """From here on the device has to be no more than the part of it that the run is for, where that
    leaves something undone, which is told."""
    desired, only = device.desired, device.desired.only
    device.left = left_undone(desired, whole_diff(desired, actual)) if only is not None else ()
    if not device.left:
        return
    check = ", and its check is not run" if desired.check is not None else ""
    message = f"only its {only}: left undone: {device.left[0]}{check}"
    device.run.emit(Notice(device=desired.device, message=message))
    device.desired = device.session.desired = part_alone(desired)
    if only == "files":
        device.firmware = None


def _same_family(image: Firmware, desired: DesiredState) -> bool:
    return family_of(image.chip) is family_of(desired.board.chip)


def _compare(device: DeviceContext) -> tuple[ActualState, Plan]:
    """What the board is, by as many looks as it takes, and what is to be done."""
    request = scan_request(device.desired)
    device.session.stage("observe")
    device.actual = actual = remembered(device, observe(device, request))
    desired = certified(device, actual)
    plan = diff(desired, actual)
    if any(refusal.kind == "flash-too-small" for refusal in plan.refusals):
        device.actual = actual = with_measured_flash(device, actual)
        plan = diff(desired, actual)
    if plan.flashes and device.session.capabilities.flashes:
        device.actual = actual = look_before_flashing(device, actual, request, erases=plan.erases)
        plan = diff(desired, actual)
    if plan.erases and desired.certificate is not None:
        desired = certified(device, actual, erased=True)
        plan = diff(desired, actual)
    if plan.actions:
        plan = replace(plan, refusals=tuple(impossible(device, actual, plan)))
        if plan.refusals:
            plan = replace(plan, actions=())
    return actual, plan


def tell_of_variants(device: DeviceContext, actual: ActualState) -> None:
    """Say where the board calls for another build than the one that is about to be written."""
    if device.firmware is None:
        return
    for note in family_of(device.desired.board.chip).variant_notes(device.firmware, actual):
        device.run.emit(Notice(device=device.desired.device, message=note))


def certified(device: DeviceContext, actual: ActualState, *, erased: bool = False) -> DesiredState:
    """The desired state with its certificate, from now on the device's own."""

    def read(path: str, limit: int) -> bytes:
        return read_file(device, actual, path, limit)

    desired = with_certificate(device, actual, read, erased=erased)
    device.desired = device.session.desired = desired
    return desired


def remembered(device: DeviceContext, actual: ActualState) -> ActualState:
    """The state with what this computer knows of the board: an update of its flash that never
    ended, with the files that were saved before, its last check, and what ran on it when its app
    did not keep the REPL away yet."""
    journal, desired = device.run.journal, device.desired
    mac = actual.mac
    mode = journal.interrupted_mode(mac) if mac is not None else None
    answers = actual.firmware is not None and not actual.repl_unresponsive
    if mac is not None and mode is not None and not answers:
        actual = after_interruption(actual, mode, journal.saved(mac))
    elif mac is not None and mode in ("erase", "rewrite"):
        kept = journal.set_aside(mac)  # it is no more as the interrupted run left it
        if kept is not None:
            device.session.note(f"what an interrupted update had saved of it is in {kept}")
    if desired.check is not None:
        last = device.run.checks.last(actual.mac, desired.device)
        actual = replace(actual, last_check=last)
    if actual.repl_unresponsive and not answers and mode is None and desired.firmware is None:
        before = last_kept(device, actual.mac)
        if before is not None and device.stored is not None:  # no firmware was written since
            actual = replace(actual, firmware=before.firmware)
    return actual


def impossible(device: DeviceContext, actual: ActualState, plan: Plan) -> Iterator[Refusal]:
    """Why the plan cannot be carried out, as far as anything but the board's state tells: what
    apply would refuse in its midst is refused before it begins."""
    desired, image, session = device.desired, device.firmware, device.session
    if not plan.flashes:
        newer = newer_filesystem(device, actual) if plan.change_count else None
        if newer is not None:
            yield newer
        elif actual.filesystem is not None:
            yield from _without_room(plan, actual.filesystem)
        return
    if not session.capabilities.flashes:
        yield unflashable(session.address)
        return
    if image is None:
        return
    flash_size = actual.flash_size or desired.board.flash_size
    if flash_size is None:
        yield flash_size_unknown()
        return
    known = replace(actual, flash_size=flash_size)
    yield from family_of(desired.board.chip).image_refusals(image, desired.board, known)
    if plan.erases:
        files = {file.dest: file.content.data for file in desired.files}
        try:
            device.run.filesystems.build(image, desired.board, flash_size, files)
        except OutOfSpace as error:
            yield too_many_files(error.message)
    elif actual.filesystem is not None and not plan.rewrites:
        yield from _without_room(plan, actual.filesystem)


def _without_room(plan: Plan, filesystem: Filesystem) -> Iterator[Refusal]:
    missing = missing_bytes(plan.actions, filesystem)
    if missing:
        yield no_room(
            missing,
            filesystem.free,
            largest_write(plan.actions, filesystem),
            in_the_way(plan.actions, filesystem),
        )


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
            old = read_file(device, actual, action.path, MAX_BYTES + 1)
        lines = file_diff(action.path, old, new, unread_size=there.size if there else None)
        device.run.emit(FileDiffed(device=device.desired.device, path=action.path, lines=lines))


def read_file(device: DeviceContext, actual: ActualState, path: str, limit: int) -> bytes:
    """At most `limit` bytes of a file that is on the board, by whichever way it was looked at."""
    if actual.repl_unresponsive and device.stored is not None:
        return under_own_names(device.stored.contents()).files[path][:limit]
    return device.session.repl().read(path, limit)
