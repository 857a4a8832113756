"""Session: one device's board during a run. It owns the port and knows what the board is ready
for, so that a step asks for what it needs and nothing is opened, reset or entered twice.

What the board says of itself first is what it has to be until the end: it is asked again whenever
it was taken to another mode, for another board may be on the line since.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from provision.core.planning.safety import board_exchanged
from provision.engine.refusal import refused
from provision.errors import BoardRestarted, NoAnswer, ProvisionError
from provision.interfaces import Connection, Flasher, Operator, Repl, Say, ScanRequest, Terminal
from provision.model.endpoint import Capabilities
from provision.model.event import Event, Stage, StageProgress, StageStarted, Trace
from provision.model.plan import FileAction, Refusal
from provision.model.state import ActualState, Content, DesiredState


class Session:
    """The board of one device; `address` is the port it is on."""

    def __init__(
        self,
        *,
        desired: DesiredState,
        address: str,
        connection: Connection,
        operator: Operator | None,
        operator_timeout: float,
        emit: Callable[[Event], None],
    ) -> None:
        self.desired = desired
        self.address = address
        self._connection = connection
        self._operator = operator
        self._operator_timeout = operator_timeout
        self._emit = emit
        self._repl: Repl | None = None
        self._flasher: Flasher | None = None
        self._first: ActualState | None = None  # who the board is, as it was first seen
        self._proved = False  # that it is still this one, in the mode that it is in now
        self._exchanged: Refusal | None = None

    @property
    def device(self) -> str:
        return self.desired.device

    @property
    def mac(self) -> str | None:
        """That of the board, if it was told in any mode yet."""
        return self._first.mac if self._first is not None else None

    @property
    def capabilities(self) -> Capabilities:
        """What can be done over the link to the board."""
        return self._connection.capabilities

    @property
    def can_reset(self) -> bool:
        """Whether the board can be reset without a person."""
        return self.capabilities.resets

    @property
    def in_download_mode(self) -> bool:
        return self._flasher is not None

    def note(self, text: str) -> None:
        self.trace(1, text)

    def trace(self, level: int, text: str) -> None:
        self._emit(Trace(device=self.device, level=level, text=text))

    def stage(self, stage: Stage, detail: str = "") -> None:
        self._emit(StageStarted(device=self.device, stage=stage, detail=detail))

    def progress(self, stage: Stage) -> Callable[[int, int], None]:
        """A progress callback that reports on a stage, at whole percents only."""
        last = -1

        def report(done: int, total: int) -> None:
            nonlocal last
            percent = done * 100 // total if total else 100
            if percent != last:
                last = percent
                self._emit(StageProgress(device=self.device, stage=stage, done=done, total=total))

        return report

    def repl(self, *, reset: bool = False) -> Repl:
        """The board's REPL, taken if it is not taken already. Refused when the board there is
        another one than before."""
        self._refuse_exchanged()
        if reset or self._repl is None:
            self._forget()
            self._repl = self._connection.repl(reset=reset)
        if not self._proved and self._first is not None:
            self._prove(self._repl.identify())
        return self._repl

    def observe(self, request: ScanRequest, *, reset: bool = False) -> ActualState:
        """What the board at the REPL is and holds; Refused as `repl`."""
        return self._prove(self.repl(reset=reset).observe(request))

    def flasher(self) -> Flasher:
        """What writes the board's flash; the board goes to download mode if it is not there.
        Refused when the board there is another one than before."""
        self._refuse_exchanged()
        if self._flasher is None:
            self._forget()
            self._flasher = self._connection.flasher(self._operator, self._operator_timeout)
        if not self._proved:
            self._prove(self._flasher.identify())
        return self._flasher

    def _prove(self, seen: ActualState) -> ActualState:
        """The same, if it is the board that was first seen; Refused from now on if not."""
        first = self._first or seen
        self._exchanged = board_exchanged(first, seen)
        self._refuse_exchanged()
        self._first = replace(first, chip=first.chip or seen.chip, mac=first.mac or seen.mac)
        self._proved = True
        return seen

    def _refuse_exchanged(self) -> None:
        if self._exchanged is not None:
            raise refused(self._exchanged)

    def restart(self) -> None:
        """Reset the board into run mode."""
        self._forget()
        self._connection.restart(self._operator, self._operator_timeout)

    def await_prompt(self, timeout: float) -> bool:
        return self._connection.await_prompt(timeout)

    def console(self, pattern: str, timeout: float, stopping: Callable[[], bool]) -> str:
        return self._connection.console(pattern, timeout, stopping)

    def listen(self, seconds: float, stopping: Callable[[], bool]) -> str:
        return self._connection.listen(seconds, stopping)

    def run_code(self, code: bytes, say: Say, stopping: Callable[[], bool]) -> str:
        """Run code at the REPL; see `interfaces.Connection.run_code`. Refused as `repl`."""
        self.repl()
        try:
            return self._connection.run_code(code, say, stopping)
        except BoardRestarted:
            self._forget()  # its app runs again, and is nobody's to leave
            raise

    def interact(self, terminal: Terminal, stopping: Callable[[], bool]) -> bool:
        """Have the board's prompt on an open terminal; see `interfaces.Connection.interact`. An app
        that was interrupted is started again in the end, if the board does nothing else then:
        whether it is."""
        self.repl()
        repl, self._repl = self._repl, None  # whatever ends it, the board is the user's
        if self._connection.interact(terminal, stopping) and self._connection.interrupted:
            self._repl = repl
        return self._repl is not None

    def follow(
        self,
        say: Say,
        note: Callable[[str], None],
        seconds: float | None,
        stopping: Callable[[], bool],
    ) -> None:
        """Read what the board prints; see `interfaces.Connection.follow`."""
        self._connection.follow(say, note, seconds, stopping)

    def hear(self, say: Say, stopping: Callable[[], bool], *, patience: float) -> None:
        """Read what the board prints; see `interfaces.Connection.hear`."""
        self._connection.hear(say, stopping, patience=patience)

    def reconnect(self, stopping: Callable[[], bool]) -> bool:
        """Wait for a port that went away; see `interfaces.Connection.reconnect`. Whichever board is
        there then is proved anew, and has to be the first one."""
        self._forget()
        self._exchanged = None
        return self._connection.reconnect(stopping)

    def update(
        self,
        actions: Sequence[FileAction],
        contents: Mapping[str, Content],
        progress: Callable[[int, int], None],
    ) -> bool:
        """Carry out a few small actions on the board that was first seen, in one program; see
        `interfaces.Connection.update`. The board itself sees to it that it is this one."""
        self._refuse_exchanged()
        if self._first is None or self._first.mac is None:
            return False
        self._forget()
        repl = self._connection.repl(reset=False)
        if not self._connection.update(self._first.mac, actions, contents, progress):
            return False
        self._repl, self._proved = repl, True
        return True

    def start_app(self) -> None:
        """Start the app of the board at its REPL anew; see `interfaces.Connection.start_app`. A
        board that does not do so is reset."""
        self.repl()
        self._forget()
        try:
            self._connection.start_app()
        except NoAnswer as error:
            self.note(error.message)
            self.restart()

    def to_prompt(self) -> None:
        """Leave the board at its prompt, with an app that was stopped as it is."""
        repl = self.repl()
        self._forget()
        repl.leave()

    @property
    def app_stopped(self) -> bool:
        """Whether looking at the board has stopped its app, which was not started again."""
        return self._repl is not None and self._connection.interrupted

    def leave(self) -> None:
        """Leave the board as it was met; the port stays ours."""
        try:
            self._leave()
        finally:
            self._forget()

    def close(self) -> None:
        """Leave the board as it was met, and give the port back.

        An app that looking at the board interrupted runs again; a board that was taken to
        download mode and not flashed is started again where the lines or the chip allow it.
        """
        try:
            self._leave()
        except ProvisionError as error:  # whatever stopped the run has been told already
            self.note(f"could not leave the board as it was: {error.message}")
        finally:
            self._forget()
            self._connection.close()

    def _leave(self) -> None:
        if self._repl is not None:
            if self._connection.interrupted:
                self._connection.resume()
            else:
                self._repl.leave()
        elif self.in_download_mode:
            self._connection.restart(None, 0.0)

    def _forget(self) -> None:
        self._repl = None
        self._flasher = None
        self._proved = False
