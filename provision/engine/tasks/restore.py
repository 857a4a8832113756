"""The task `restore`: make a board hold what a backup has, and nothing else.

It is an `apply` of the backup in place of the manifest's files, so that a plan comes first, what is
lost is listed, and whatever is interrupted is whole and finished by the next run. What the board
keeps beside files and firmware stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import ClassVar

from provision.core.planning.diff import diff
from provision.core.planning.safety import declined
from provision.core.wording import listed, plural
from provision.engine.app_check import prove_app
from provision.engine.context import DeviceContext, RunContext
from provision.engine.execute import execute
from provision.engine.observe import observe, scan_request
from provision.engine.refusal import refused
from provision.engine.task import Target
from provision.engine.tasks.last_apply import forget_kept
from provision.engine.tasks.plan import observe_and_plan, with_known_boards
from provision.errors import NoAnswer, Refused, SourceError, UsageError
from provision.model.backup import Backup
from provision.model.event import Notice, Outcome
from provision.model.firmware import Firmware
from provision.model.language import record
from provision.model.plan import Plan, Refusal
from provision.model.state import (
    ActualState,
    Content,
    DesiredFile,
    DesiredFirmware,
    DesiredState,
    FirmwareSource,
)

NEW_BOARD = "plug the right board into this port, or add --new-board where this one replaces it"


@record(slots=False)
class RestoreTask:
    """`contents` are the backup's files by path, `image` is its firmware's, where it has one.
    `new_board`: onto whichever board the device has now; `yes`: without a question."""

    backup: Backup
    contents: Mapping[str, bytes]
    image: Firmware | None = None
    new_board: bool = False
    yes: bool = False
    name: ClassVar[str] = "restore"
    changes_boards: ClassVar[bool] = True
    writes: ClassVar[bool] = True

    def prepare(self, states: Sequence[DesiredState], context: RunContext) -> Sequence[Target]:
        """As `Task.prepare`, for one device; UsageError where the backup is of another chip."""
        accepts = [state.device for state in states] if self.new_board else ()
        files = tuple(
            DesiredFile(dest=path, source="the backup", content=Content(data=data))
            for path, data in sorted(self.contents.items())
        )
        targets = []
        for state in with_known_boards(states, context, accept_new=accepts):
            chip = str(state.board.chip)
            if self.backup.chip not in (None, chip):
                raise UsageError(
                    f"the backup is of an {self.backup.chip}, {state.device} is an {chip}",
                    hint="restore it to a device with a board of its kind",
                )
            firmware, image = self._firmware(state, context)
            wanted = replace(
                state,
                firmware=firmware,
                files=files,
                directories=self.backup.directories,
                absent=(),
                prune=("/",),
                certificate=None,  # the backup has what the board had
                origin="the backup",
            )
            targets.append(Target(desired=wanted, firmware=image))
        return targets

    def _firmware(
        self, state: DesiredState, context: RunContext
    ) -> tuple[DesiredFirmware | None, Firmware | None]:
        """The image that the backup has, else the manifest's where it is the same, or where the
        backup does not know which ran."""
        was, image = self.backup.firmware, self.image
        if image is not None:
            source = FirmwareSource(name=image.identity.version, file=image.name)
            return DesiredFirmware(source=source, identity=image.identity), image
        if state.firmware is not None:
            try:
                image = context.images.firmware(state.firmware.source)
            except SourceError as error:
                context.emit(Notice(device=state.device, message=error.message))
            else:
                if was is None or was.agrees_with(image.identity):
                    wanted = DesiredFirmware(source=state.firmware.source, identity=image.identity)
                    return wanted, image
        if was is not None:
            context.emit(
                Notice(
                    device=state.device,
                    message=f"there is no image of MicroPython {was.version}, which ran when it "
                    "was backed up: the firmware stays as it is",
                )
            )
        return None, None

    def run(self, device: DeviceContext) -> Outcome:
        """As `Task.run`: "changed" or "ok"."""
        try:
            actual, plan = observe_and_plan(device, contents=False)
        except Refused as error:
            if not self.new_board and device.plan is not None:
                kinds = {refusal.kind for refusal in device.plan.refusals}
                if kinds == {"wrong-mac"}:
                    error.hint = NEW_BOARD
            raise
        self._refuse_another(actual)
        if plan.change_count:
            device.board_state = "nothing was changed"
            if not self.yes:
                _ask(device, plan)
        if plan.changes:
            forget_kept(device, actual.mac)  # another state
            device.actual = actual = _carry_out(device, plan, actual)
        if actual.mac is not None:
            device.run.journal.end(actual.mac)
            device.run.identities.learn(device.desired.device, actual.mac)
        return "changed" if plan.change_count else "ok"

    def _refuse_another(self, actual: ActualState) -> None:
        was = self.backup.mac
        if self.new_board or was is None or actual.mac is None or was == actual.mac:
            return
        raise refused(
            Refusal(
                kind="another-board",
                message=f"the backup is of the board {was}, this is {actual.mac}",
                hint=NEW_BOARD,
            )
        )


def _carry_out(device: DeviceContext, plan: Plan, actual: ActualState) -> ActualState:
    """As `execute`. An app that was backed up because it never gives its REPL does not give it
    when it is back: then the flash itself proves that all of it is there."""
    try:
        return execute(device, plan, actual)
    except NoAnswer as error:
        if not plan.flashes or device.underway or not device.session.can_reset:
            raise
        device.session.note(f"{error.message}; looking into the flash")
        actual = observe(device, scan_request(device.desired))
        if diff(device.desired, actual).change_count:
            raise
    device.run.emit(
        Notice(
            device=device.desired.device,
            message="its app does not give its REPL: what was restored is verified in its flash",
        )
    )
    device.session.restart()
    prove_app(device, actual, "the board has changed")
    return actual


def _ask(device: DeviceContext, plan: Plan) -> None:
    """Ask before anything is written; Refused when the answer is no or nobody can be asked."""
    name, run = device.desired.device, device.run
    if run.confirm is not None:
        with device.time.waiting():
            agreed = run.confirm(name, plan)
        if agreed:
            return
        raise refused(declined())
    lost = f", {listed(plan.losses)} would be lost" if plan.losses else ""
    raise refused(
        Refusal(
            kind="needs-consent",
            message=f"{plural(plan.change_count, 'change')} would be made{lost}",
            hint="look at the plan above, then run `provision restore` again with --yes",
        )
    )
