"""Session: one device's board during a run. It owns the port and knows what the board is ready
for, so that a step asks for what it needs and nothing is opened, reset or entered twice.
"""

from __future__ import annotations

from collections.abc import Callable

from provision.errors import ProvisionError
from provision.interfaces import Connection, Flasher, Operator, Repl
from provision.model.endpoint import Capabilities
from provision.model.event import Event, Stage, StageProgress, StageStarted, Trace
from provision.model.state import DesiredState


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

    @property
    def device(self) -> str:
        return self.desired.device

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
        """The board's REPL, taken if it is not taken already."""
        if reset or self._repl is None:
            self._forget()
            self._repl = self._connection.repl(reset=reset)
        return self._repl

    def flasher(self) -> Flasher:
        """What writes the board's flash; the board goes to download mode if it is not there."""
        if self._flasher is None:
            self._forget()
            self._flasher = self._connection.flasher(self._operator, self._operator_timeout)
        return self._flasher

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
