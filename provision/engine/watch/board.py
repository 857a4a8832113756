"""One board that is kept in step: its newest edit is carried out, then its app is listened to until
there is another.

Its port stays open, and what its files were proved to be stays known: a small edit goes out with
the proof of it in one program. Anything else, and any doubt, is a look at the whole board, as of an
`apply`. What fails is said, and tried again at the next edit, or when the port is back.
"""

from __future__ import annotations

from dataclasses import replace

from provision.core.planning.edits import (
    Meaning,
    changed_paths,
    files_only,
    meaning,
    moved,
    settled,
    small_plan,
)
from provision.core.wording import one_line
from provision.engine.app_check import begin_check
from provision.engine.context import DeviceContext
from provision.engine.execute import contents, file_actions, write_files
from provision.engine.safe_boot import STARTUP_DISABLED, restore_app
from provision.engine.tasks.plan import look_and_compare
from provision.engine.watch.edits import Edit, Edits
from provision.errors import (
    BoardError,
    Interrupted,
    NoAnswer,
    OutOfSpace,
    PortBusy,
    PortDenied,
    PortLost,
    PortNotFound,
    ProvisionError,
    ReadOnly,
    Refused,
    Unreachable,
)
from provision.model.event import DeviceUpdated, Notice
from provision.model.plan import Plan
from provision.model.state import ActualState

PATIENCE = 0.02
"""Seconds until a board that is listened to is known to have an edit: fifty looks a second cost a
thousandth of a core."""
_GONE = (PortLost, PortNotFound, PortBusy, PortDenied)
SOON = 2.0  # seconds: a port that is gone again so soon is not hurried after


class WatchedBoard:
    """The board of one device, from the beginning of a run to its end."""

    def __init__(self, device: DeviceContext, edits: Edits, *, reset: bool) -> None:
        self._device = device
        self._edits = edits
        self._reset = reset
        self._name = device.desired.device
        self._begun = device.desired
        self._done = 0  # the number of the edit that was carried out, or told why not
        self._known: ActualState | None = None  # what its files were proved to be
        self._looked = device.desired  # what it was looked at for then
        self._stopped = False  # its app, by us
        self._back = float("-inf")  # when its port came back last
        self._told = ""  # what only `apply` does, as it was said last

    def keep_up(self) -> None:
        """Until the run is cancelled; then the app of the board runs."""
        try:
            while not self._device.cancel.cancelled():
                try:
                    if self._edits.of(self._name).number != self._done:
                        self._take(self._edits.of(self._name))
                    self._hear()
                except Interrupted:
                    raise
                except Unreachable as lost:
                    self._await_port(lost)
        finally:
            self._let_go()

    # -- what it says meanwhile ------------------------------------------------------------------

    def _hear(self) -> None:
        def over() -> bool:
            cancelled = self._device.cancel.cancelled()
            return cancelled or self._edits.of(self._name).number != self._done

        self._device.session.hear(self._device.printed, over, patience=PATIENCE)

    def _await_port(self, lost: Unreachable) -> None:
        self._known, self._stopped = None, False
        self._notice(f"{lost.message}; waiting for it to come back")
        clock = self._device.run.clock
        if clock() - self._back < SOON:
            self._device.cancel.wait(SOON)
        if self._device.session.reconnect(self._device.cancel.cancelled):
            self._notice("its port is back")
            self._back = clock()
            self._done = 0  # whatever became of the board meanwhile

    # -- one edit --------------------------------------------------------------------------------

    def _take(self, edit: Edit) -> None:
        """Carry it out, and leave the board to its app; PortLost and its like go through."""
        try:
            try:
                updated = self._carry_out(edit)
            except (NoAnswer, BoardError) as error:
                if isinstance(error, (OutOfSpace, ReadOnly)):
                    raise
                self._device.session.note(f"once more from the beginning: {error.message}")
                self._known = None
                updated = self._carry_out(edit)
        except (Interrupted, *_GONE):
            raise
        except ProvisionError as error:
            self._known = None
            updated = DeviceUpdated(
                device=self._name,
                paths=(),
                seconds=self._seconds(edit),
                restarted=False,
                error=error.message,
                hint=error.hint,
                code=error.code,
            )
            self._leave()
        self._done = edit.number
        if updated is not None:
            self._device.run.emit(updated)

    def _carry_out(self, edit: Edit) -> DeviceUpdated | None:
        """What was done; None where that is not worth a word."""
        device, wanted = self._device, edit.target.desired
        another = moved(self._begun, wanted)
        if another is not None:
            raise Refused(another, hint="start `provision watch` again")
        if self._known is not None:
            known = meaning(wanted, self._known, self._begun)
            plan = None
            if known.waits is None:
                plan = small_plan(known.files, self._known, self._looked)
            if plan is not None and not plan.change_count:
                self._looked = known.files
                self._tell(known)
                return None
            if plan is not None and self._at_once(known, plan):
                return self._updated(edit, known, plan, self._known)
        device.desired = device.session.desired = files_only(wanted)
        device.firmware = None
        try:
            actual, plan = look_and_compare(device)
        except Refused:
            seen = device.actual
            if seen is None or seen.firmware is not None or wanted.firmware is None:
                raise
            raise self._for_apply("no MicroPython answers on its board") from None
        found = meaning(wanted, actual, self._begun)
        if actual.mac is not None:
            device.run.identities.learn(self._name, actual.mac)
        if actual.repl_unresponsive:
            raise self._for_apply("its app keeps the REPL away")
        if found.waits is not None:
            self._known = None
            self._go_on()
            self._tell(found)
            return None
        restores = actual.filesystem is not None and bool(actual.filesystem.disabled)
        if plan.change_count or restores:
            begin_check(device, actual)
            actual = write_files(device, plan, file_actions(plan), actual)
        return self._updated(edit, found, plan, actual)

    def _at_once(self, found: Meaning, plan: Plan) -> bool:
        """A small plan on a board that is as it is known, with its proof; False where that could
        not be, and the board has to be looked at."""
        device, known = self._device, self._known
        assert known is not None
        device.desired = device.session.desired = found.files
        begin_check(device, known)
        device.session.stage("files")
        device.underway = True
        self._stopped = True
        done = device.session.update(
            file_actions(plan), contents(found.files), device.session.progress("files")
        )
        device.underway = False
        if not done:
            return False
        for action in file_actions(plan):
            device.done(action)
        self._known = device.actual = settled(found.files, known, plan)
        return True

    def _updated(
        self, edit: Edit, found: Meaning, plan: Plan, actual: ActualState
    ) -> DeviceUpdated:
        """The files are there: on with the app."""
        seen = actual.filesystem
        disabled = replace(seen, disabled=frozenset()) if seen is not None else None
        self._known = replace(actual, filesystem=disabled)
        self._looked = found.files
        changed = bool(plan.change_count)
        restarted = self._go_on(changed=changed)
        self._tell(found)
        return DeviceUpdated(
            device=self._name,
            paths=changed_paths(plan),
            seconds=self._seconds(edit),
            restarted=restarted,
        )

    def _go_on(self, *, changed: bool = False) -> bool:
        """Leave the board to its app, or to its prompt where nothing ran; with `changed` the app is
        started anew, unless boards are not to be reset. Whether it was."""
        session = self._device.session
        self._stopped = self._stopped or session.app_stopped
        if changed and not self._reset:
            session.to_prompt()
            return False
        if not changed and not self._stopped:
            session.leave()
            return False
        session.stage("reset")
        session.start_app()
        self._stopped = False
        return True

    def _leave(self) -> None:
        """Leave a board, which may be another one than it should, as it was met."""
        session = self._device.session
        try:
            if self._stopped and not session.app_stopped:
                session.start_app()
            else:
                session.leave()
            self._stopped = False
        except ProvisionError as error:
            session.note(f"could not leave the board as it was: {error.message}")

    def _let_go(self) -> None:
        """At the end: an app that was stopped runs again, start-up files have their names."""
        device = self._device
        try:
            if device.board_state == STARTUP_DISABLED:
                restore_app(device.session, device.note_state)
            elif self._stopped or device.session.app_stopped:
                device.session.start_app()
        except ProvisionError as error:
            device.session.note(f"could not start the app again: {error.message}")

    # -- words -----------------------------------------------------------------------------------

    def _tell(self, found: Meaning) -> None:
        """What only an `apply` does, once."""
        if found.flash is None:
            self._told = ""
            return
        rest = (
            f"its files wait for that: {found.waits}"
            if found.waits is not None
            else "its files are kept up meanwhile"
        )
        text = f"{found.flash}; {self._command} writes it; {rest}"
        if text != self._told:
            self._told = text
            self._notice(text)

    def _for_apply(self, why: str) -> Refused:
        return Refused(why, hint=f"run {self._command}, then save again")

    @property
    def _command(self) -> str:
        return f"`provision apply --limit {self._name}`"

    def _notice(self, text: str) -> None:
        self._device.run.emit(Notice(device=self._name, message=one_line(text)))

    def _seconds(self, edit: Edit) -> float:
        return self._edits.now() - edit.noticed
