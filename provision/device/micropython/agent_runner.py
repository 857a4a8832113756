"""Runs the agent's programs on a board, in the form that its firmware takes, and past its app.

What the agent uses it takes from the firmware itself, by names that no file on the board is in the
way of (`agent_source`). An app can still spoil the interpreter that it was interrupted in: put a
function of its own in place of a builtin, take all memory, leave a timer that prints into every
answer. Then the board gets a fresh one, by a soft reset after which boot.py runs and main.py does
not, and if need be not even boot.py; the app is started again in the end.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import TypeVar

from provision.device.micropython import agent_source
from provision.device.micropython.raw_repl import EXEC_TIMEOUT, BoardException, RawRepl
from provision.device.micropython.replies import DamagedProgram, MalformedReply
from provision.device.transport.buffered_serial import Tracer
from provision.errors import BoardError, NoAnswer, ReadOnly

T = TypeVar("T")

_NO_MODULE = ("ImportError", "ModuleNotFoundError")


class AgentRunner:
    """What is known of the firmware that runs the agent: whether it `deflates`, and what its
    modules are called."""

    def __init__(self, raw: RawRepl, trace: Tracer) -> None:
        self.deflates = True  # until the board says that it cannot
        self._raw = raw
        self._trace = trace
        self._plain_names = False  # whether a module is missing by its name with a u

    def run(
        self,
        *names: str,
        call: str = "",
        arguments: bytes = b"",
        timeout: float = EXEC_TIMEOUT,
        follow: bool = False,
        listen: Callable[[], str] | None = None,
    ) -> str:
        """Execute agent files and call one of their functions; what it printed, or what `listen`
        makes of that, which raises BoardException as `RawRepl.result` does."""

        def code() -> bytes:
            code = agent_source.program(
                *names, call=call, arguments=arguments, deflate=self.deflates, follow=follow
            )
            return agent_source.by_plain_names(code) if self._by_plain_names else code

        return self._as_it_takes_it(lambda: self._execute(code(), timeout, listen))

    def change(self, *names: str, call: str, arguments: bytes) -> str:
        """As `run`, for what changes the board: proved before it runs. DamagedProgram where it
        arrived as something else, and nothing was changed."""

        def code() -> bytes:
            return agent_source.changing_program(
                *names,
                call=call,
                arguments=arguments,
                deflate=self.deflates,
                plain_names=self._by_plain_names,
            )

        return self._as_it_takes_it(lambda: self._execute(code(), EXEC_TIMEOUT, None))

    def _as_it_takes_it(self, execute: Callable[[], str]) -> str:
        """Execute in the form that this firmware takes, which is found on the way."""
        while True:
            try:
                return execute()
            except BoardException as error:
                if agent_source.DAMAGED in error.last:
                    self._trace(1, "a program arrived damaged, and was not run")
                    raise DamagedProgram(error.last) from error
                lacks = error.name in _NO_MODULE and "flashbdev" not in error.last
                if not lacks or self._by_plain_names:
                    raise self._board_error(error) from error
                if self.deflates:
                    self.deflates = False
                    self._trace(1, "this firmware has no deflate")
                else:
                    self._plain_names = True

    @property
    def _by_plain_names(self) -> bool:
        return self._plain_names and not self.deflates

    def _execute(self, code: bytes, timeout: float, listen: Callable[[], str] | None) -> str:
        if listen is None:
            return self._raw.execute(code, timeout=timeout)
        self._raw.start(code)
        return listen()

    def past_the_app(self, attempt: Callable[[], T], forget: Callable[[], None]) -> T:
        """Once more from a fresh interpreter where the running app has spoilt this one; `forget`
        what was known of it. Where boot.py spoils that too, from one in which it was interrupted;
        if it is too fast for that, NoAnswer: such a board may still be asked through its
        bootloader."""
        while True:
            try:
                return attempt()
            except BoardError as error:
                if not _spoilt(error):
                    raise
                if self._raw.boot_cut:
                    raise _spoilt_again(error) from error
                how = ", and boot.py interrupted" if self._raw.fresh else ""
                self._trace(1, f"{error.message}; once more from a fresh interpreter{how}")
            self._raw.restart_interpreter(interrupting=self._raw.fresh)
            self.deflates = True
            forget()

    def _board_error(self, error: BoardException) -> BoardError:
        if error.errno == errno.EROFS:
            return ReadOnly("the flash is mounted read-only")
        return BoardError(f"the board raised {self._raw.raised(error)}")


def _spoilt(error: BoardError) -> bool:
    """Whether it is the interpreter that a program failed by, rather than the board's files."""
    cause = error.__cause__
    if isinstance(cause, BoardException):
        return cause.name != "OSError"
    return isinstance(cause, MalformedReply) and not isinstance(cause, DamagedProgram)


def _spoilt_again(error: BoardError) -> NoAnswer:
    return NoAnswer(
        f"{error.message}, from a fresh interpreter too",
        hint="its boot.py takes all memory or changes what MicroPython gives to programs, sooner "
        "than it can be interrupted: with a `firmware:` for the device, and a port that can reset "
        "the board, its files are read and changed through the bootloader",
    )
