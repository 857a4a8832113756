"""Execute: carry out a plan on one board, then prove by observation that nothing is left to do.

The flash comes first, in one visit to download mode, with the whole filesystem where it starts
empty; then the files over the REPL; then one reset, and the check that the app runs.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from provision.core.planning.diff import diff
from provision.core.planning.flash_plan import unmountable
from provision.core.planning.free_space import missing_bytes
from provision.core.wording import plural
from provision.engine.app_check import begin_check, prove_app
from provision.engine.context import DeviceContext
from provision.engine.flash.without_app import start_without_app
from provision.engine.flash.write import report, write_flash
from provision.engine.observe import scan_request
from provision.engine.refusal import refuse
from provision.engine.safe_boot import disable_startup, restart_without_app
from provision.engine.session import Session
from provision.engine.unit_data.nvs import nvs_writes, write_nvs
from provision.errors import (
    BoardError,
    FlashFailed,
    NoAnswer,
    OutOfSpace,
    ProvisionError,
    Refused,
)
from provision.interfaces import Repl
from provision.model.board_path import STARTUP_FILES
from provision.model.event import ActionDone
from provision.model.language import assert_never
from provision.model.plan import (
    DeleteFile,
    EraseFlash,
    FileAction,
    MakeDirectory,
    Plan,
    RemoveDirectory,
    Reset,
    RestoreFile,
    RewriteFilesystem,
    RunCheck,
    WriteFile,
    WriteFirmware,
    WriteNvs,
    phase_of,
)
from provision.model.state import ActualState, Content, DesiredState


def execute(device: DeviceContext, plan: Plan, actual: ActualState) -> ActualState:
    """Make the board match, and prove that its app runs; otherwise as `carry_out`."""
    actual = carry_out(device, plan, actual)
    prove_app(device, actual, "the board has changed")
    return actual


def _nothing() -> None:
    """What there is to do before the flash is written, for most."""


def carry_out(
    device: DeviceContext,
    plan: Plan,
    actual: ActualState,
    before_flash: Callable[[], None] = _nothing,
) -> ActualState:
    """Make the board match and restart it; returns what it was proved to be. Its check is still to
    come. `before_flash` is called in download mode when all is ready for the first byte of the
    flash to be written.

    Raises Interrupted between steps once the run is cancelled, and DeviceError or Unreachable
    when a step fails; running again goes on from there.
    """
    desired, session = device.desired, device.session
    device.cancel.check()
    begin_check(device, actual)
    if plan.flashes:
        disabled = (
            not plan.erases
            and actual.firmware is not None
            and not actual.repl_unresponsive
            and disable_startup(session, device.note_state)
        )
        preloaded = write_flash(
            device, plan, actual, disabled=disabled, before_first_write=before_flash
        )
        first_boot = plan.erases and not preloaded
        actual = observe_flashed(device, prompts=first_boot or disabled, restore=not plan.erases)
        report(device, plan, RestoreFile)
        if actual.mac is not None:
            device.claim(actual.mac)  # its boot ROM may not have told it
            device.run.journal.end(actual.mac)
        if first_boot:
            actual = without_defaults(actual, desired)
        plan = diff(desired, actual)
        device.note_state(firmware_runs(plan))
        device.cancel.check()
        if plan.flashes and unmountable(desired, actual):
            raise FlashFailed(
                "the firmware runs, but cannot mount the filesystem that was kept",
                hint="run `provision plan` again: it looks into the flash, and tells what can be "
                "kept",
            )
        if plan.flashes:
            raise FlashFailed(
                f"after flashing, {describe(actual)} answers: {plan.actions[0].reason}",
                hint="the image may be of another board; check it with `provision firmware show`",
            )
        refuse(plan.refusals)
    elif actual.repl_unresponsive and (file_actions(plan) or nvs_writes(plan)):
        actual = start_without_app(device, scan_request(desired))
        plan = diff(desired, actual)
        refuse(plan.refusals)
    actual, plan = write_nvs(device, plan, actual)
    actions = file_actions(plan)
    if actions or (actual.filesystem is not None and actual.filesystem.disabled):
        actual = write_files(device, plan, actions, actual)
    device.note_state("everything is written; the board was not restarted")
    session.stage("reset")
    session.restart()
    device.note_state("everything is written and the board restarted")
    device.run.emit(ActionDone(device=session.device, action=Reset(reason="run what was written")))
    return actual


def firmware_runs(plan: Plan) -> str:
    """The state of a board whose new firmware answers, `plan` being what is left to do."""
    runs = "the firmware is written and runs"
    if plan.flashes or plan.refusals:
        return runs
    left = len(file_actions(plan))
    if not left:
        return f"{runs}; every file is there"
    return f"{runs}; {plural(left, 'change')} to files {'is' if left == 1 else 'are'} still to come"


def describe(actual: ActualState) -> str:
    firmware = actual.firmware
    if firmware is None:
        return "no MicroPython"
    return f"MicroPython {firmware.version} ({firmware.machine})"


UPDATE_INCOMPLETE = "update incomplete: every file is intact, some still the old version"
FIRST_BOOT = 15.0
"""Seconds to the first prompt of all: the slowest board that is known formats and writes its
boot.py in about two, a slow flash takes more."""
BOOT = STARTUP_FILES[0]


def observe_flashed(device: DeviceContext, *, prompts: bool, restore: bool) -> ActualState:
    """Start the new firmware and see what it says of itself. `prompts`: nothing of an app starts,
    so it comes to its prompt by itself, and is not interrupted before: amid its first set-up, or
    before it has mounted its filesystem. Where an app that came with it keeps the REPL away, as one
    that sleeps deeply at once, the firmware is proved without it. `restore`: disabled start-up
    files get their names back before."""
    session = device.session

    def look(repl: Repl) -> ActualState:
        if restore:
            repl.restore_startup()
        return session.observe(request)

    session.stage("boot")
    session.restart()
    if prompts:
        session.await_prompt(FIRST_BOOT)
    session.stage("observe")
    request = scan_request(session.desired)
    try:
        return look(session.repl(reset=False))
    except NoAnswer:
        if not session.can_reset:
            raise
    try:
        return look(session.repl(reset=True))
    except NoAnswer as error:
        if prompts or not session.capabilities.reads_flash:
            raise
        session.note(f"{error.message}; once more without the app")
        try:
            return start_without_app(device, request)
        except (NoAnswer, BoardError) as again:
            session.note(again.message)
            raise error from None


def without_defaults(actual: ActualState, desired: DesiredState) -> ActualState:
    """The state less the boot.py that a firmware makes on its first boot, where the manifest has
    one: it is not the user's, whose `create_only` must not spare it."""
    if actual.filesystem is None or BOOT not in desired.files_by_dest:
        return actual
    files = {path: file for path, file in actual.filesystem.files.items() if path != BOOT}
    return replace(actual, filesystem=replace(actual.filesystem, files=files))


def file_actions(plan: Plan) -> list[FileAction]:
    """The plan's actions on files, in order."""
    actions: list[FileAction] = []
    for action in plan.actions:
        match action:
            case WriteFile() | DeleteFile() | MakeDirectory() | RemoveDirectory():
                actions.append(action)
            case EraseFlash() | RewriteFilesystem() | WriteFirmware() | WriteNvs():
                pass
            case RestoreFile() | Reset() | RunCheck():
                pass
            case _:
                assert_never(action)
    return actions


def contents(desired: DesiredState) -> dict[str, Content]:
    """What each file is to hold, by its path on the board."""
    return {file.dest: file.content for file in desired.files}


def write_files(
    device: DeviceContext,
    plan: Plan,
    actions: Sequence[FileAction],
    actual: ActualState,
) -> ActualState:
    """Make the files match in one stream, then look again: nothing may be left to do.

    A board that stops answering meanwhile, as when the watchdog of its app bites, is restarted
    without its app, once, and gets what is still missing.
    """
    if actual.filesystem is None:
        raise BoardError("the board's files could not be read")
    missing = missing_bytes(plan.actions, actual.filesystem)
    if missing:
        raise OutOfSpace(
            f"the files need {missing:,} bytes more than the {actual.filesystem.free:,} "
            "that are free on the board; nothing was written"
        )
    session = device.session
    writes = sum(isinstance(action, WriteFile) for action in actions)
    session.stage("files", f"{writes} to write" if writes else "")
    repl = session.repl()
    if actual.filesystem.disabled:
        repl.restore_startup()
    device.note_state(UPDATE_INCOMPLETE)
    device.underway = bool(actions)
    try:
        settled = send(session, repl, actions)
    except (NoAnswer, BoardError) as error:
        if isinstance(error, OutOfSpace):
            raise
        session.note(f"retrying without the app: {error.message}")
        settled = send_without_app(device, error)
    device.underway = False
    for action in plan.actions:
        if phase_of(action) != "finish":
            device.done(action)
    left = diff(session.desired, settled)
    refuse(left.refusals)
    if left.change_count:
        raise BoardError(
            f"after writing, {left.actions[0].kind} is still to be done: {left.actions[0].reason}",
            hint="the flash may be worn out; erase the board and run `provision apply` again",
        )
    return settled


def send(session: Session, repl: Repl, actions: Sequence[FileAction]) -> ActualState:
    """Carry out the actions; what is on the board then."""
    repl.transfer(actions, contents(session.desired), session.progress("files"))
    session.stage("verify-files")
    return session.observe(scan_request(session.desired))


def send_without_app(device: DeviceContext, first: ProvisionError) -> ActualState:
    """What is still to be done after `first` stopped it, with no app on the board running; when
    that does not even begin, `first` is what went wrong."""
    session = device.session
    try:
        repl = restart_without_app(session, device.note_state)
        seen = session.observe(scan_request(session.desired))
    except Refused:
        raise
    except ProvisionError as error:
        session.note(f"retry failed: {error.message}")
        raise first from None
    device.note_state(UPDATE_INCOMPLETE)
    left = diff(session.desired, seen)
    refuse(left.refusals)
    session.stage("files")
    return send(session, repl, file_actions(left))
