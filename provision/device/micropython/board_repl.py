"""What is asked of a board that is held at its raw REPL: who it is, its files, its changes.

The protocol itself, from finding the prompt to the last byte of an answer, is `prompt`'s; here is
what a request means, what it leaves on the board for the next one, and what its failure is called.
mpremote speaks the same protocol, but polls every 10 ms, waits a turn of the line a command and
opens its port itself; here a look at a board is one round trip, and everything that is sent in bulk
keeps the line full (`transfer`). What must work on the oldest firmware rather than fast is left to
mpremote, over this same line (`slow_lane`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import TypeVar

from provision.core.chips.registry import family_of
from provision.core.planning.diff import STARTUP_FILES
from provision.core.wording import printable
from provision.device.micropython import agent_source
from provision.device.micropython.raw_repl import (
    ENTER_TIMEOUT,
    EXEC_TIMEOUT,
    SLOWEST,
    Prompt,
    Raised,
)
from provision.device.micropython.scan_protocol import (
    AHEAD,
    Entry,
    Garbled,
    Question,
    Sighting,
    filesystem,
    leftovers,
    mask_of,
    read_facts,
    read_listing,
    read_sighting,
    unbase64,
)
from provision.device.micropython.startup_files import (
    as_themselves,
    by_both_names,
    held_among,
    held_name,
)
from provision.device.transport.buffered_serial import (
    BytePort,
    Clock,
    Stopping,
    Tracer,
    never,
    untraced,
)
from provision.errors import BoardError, NoAnswer
from provision.interfaces import FileOperation, Progress, ReplFacts, ScanRequest
from provision.model.state import Filesystem

T = TypeVar("T")

SCAN_TIMEOUT = 60.0  # seconds: an ESP8266 hashes a full 3 MB filesystem in about half of it


class RawRepl:
    """A board held at its raw REPL, from `enter` to `leave`; implements `interfaces.Repl`.

    `errors` translates what the port raises (`Port.errors`); `lossless` says that the line
    holds bytes back while the board does not read, as a chip's own USB does.
    """

    def __init__(
        self,
        port: BytePort,
        *,
        errors: Callable[[], AbstractContextManager[None]] = nullcontext,
        lossless: bool = False,
        trace: Tracer = untraced,
        clock: Clock = time,
    ) -> None:
        self.prompt = Prompt(port, trace=trace, clock=clock)
        self.lossless = lossless
        self.trace = trace
        self.errors = errors
        self.deflates = True  # until the board says that it cannot
        self.leftovers: tuple[Entry, ...] = ()
        self.known: ReplFacts | None = None
        self._held: frozenset[str] = frozenset()  # start-up files under another name
        self._kept = False  # whether the scan is on the board, to be called again
        self._ahead: int | None = AHEAD

    # Entering and leaving

    def enter(self, timeout: float = ENTER_TIMEOUT) -> None:
        """Interrupt whatever runs and take the raw REPL, without a reset.

        Works on a board at any prompt, in the middle of output, busy in an app that takes a few
        Ctrl-C, or left inside a program or a stream by a host that died. Raises NoAnswer, with
        the last bytes heard, after `timeout` seconds.
        """
        with self.errors():
            self.prompt.enter(timeout)

    def await_prompt(self, timeout: float) -> bool:
        """Let a board boot without disturbing it; whether its prompt came in `timeout` seconds.

        What is sent while a chip boots is lost, and a Ctrl-C could stop its first set-up.
        """
        with self.errors():
            return self.prompt.await_friendly(timeout)

    def catch(self, timeout: float = ENTER_TIMEOUT, *, baud: int = 115200) -> None:
        """After a reset: interrupt before an app shuts the door; see `Prompt.catch`."""
        with self.errors():
            self.prompt.catch(timeout, baud=baud)
            self._mount()

    def _mount(self) -> None:
        """Before 1.21 a Ctrl-C can hit the firmware's own first script, which mounts the
        filesystem: then that is run again, by a soft reset, which at the raw REPL leaves main.py
        out."""
        code = b"import os;print(os.statvfs('/')[0])"
        try:
            if self.prompt.execute(code, timeout=EXEC_TIMEOUT).strip() != "0":
                return
        except Raised as error:
            raise self._board_error(error) from error
        self.trace(1, "the filesystem is not mounted yet: soft reset")
        self.prompt.begin_anew()

    def leave(self) -> None:
        """Back to the friendly REPL, without a reset."""
        with self.errors():
            if self._kept:
                with suppress(Raised, NoAnswer):
                    self.prompt.execute(b"del _p", timeout=2.0)
            self.prompt.leave()

    def soft_reset(self) -> None:
        """Start boot.py and main.py anew, in a fresh interpreter; returns at once."""
        with self.errors():
            self.prompt.soft_reset()

    def hard_reset(self) -> None:
        """Reset the chip by `machine.reset()`; returns at once."""
        with self.errors():
            self.prompt.start(b"import machine;machine.reset()")
            self.trace(1, "reset by machine.reset()")

    # Looking

    def facts(self) -> ReplFacts:
        return self.observe(ScanRequest(paths=(), expected={}))[0]

    def scan(self, request: ScanRequest) -> Filesystem:
        return self.observe(request)[1]

    def observe(self, request: ScanRequest) -> tuple[ReplFacts, Filesystem]:
        """Who the board is and what its files are, in one round trip when all is as expected,
        in two otherwise. `free` is known in the second case alone."""
        with self.errors():
            seen, strays = self._look(Question(request=request))
            self.leftovers = leftovers(strays)
            held = held_among(strays)
            self._held = frozenset()
            if held:
                seen, _ = self._look(Question(request=by_both_names(request, held)))
                seen = as_themselves(seen, held.keys())
                self._held = seen.held
                self.leftovers += tuple(held[path] for path in held.keys() - seen.held)
        assert self.known is not None
        return self.known, seen

    def _look(self, question: Question) -> tuple[Filesystem, tuple[Entry, ...]]:
        try:
            return self._look_once(question)
        except BoardError as error:
            if self._ahead is None:
                raise
            # A thread of the app that writes meanwhile may spoil a second view of the flash.
            self.trace(1, f"{error.message}; once more by the board's own view of its files")
            self._ahead = None
            return self._look_once(question)

    def _look_once(self, question: Question) -> tuple[Filesystem, tuple[Entry, ...]]:
        self.known, sighting = self._retry(lambda: self._scan(question))
        asked = sighting.ask_for(question)
        listing: tuple[Entry, ...] = ()
        if asked is not None:
            listing = self._retry(lambda: self._list(asked))
        self.trace(
            1,
            f"looked at {len(question.hoped)} files: "
            + ("as expected" if sighting.sums is None else f"{len(listing)} listed"),
        )
        return filesystem(question, sighting, listing), sighting.strays

    def _scan(self, question: Question) -> tuple[ReplFacts, Sighting]:
        arguments = question.arguments(self._ahead)
        if self._kept and self.known:
            try:
                answer = self.prompt.execute(
                    agent_source.program(
                        call=agent_source.SCAN, arguments=arguments, deflate=True, follow=True
                    ),
                    timeout=SCAN_TIMEOUT,
                )
            except Raised:
                self._kept = False  # not there any more: from the beginning
            else:
                self._kept = not _as_wanted(answer)
                return self.known, read_sighting(answer)
        answer = self.run(
            "facts", "scan", call=agent_source.SCAN, arguments=arguments, timeout=SCAN_TIMEOUT
        )
        self._kept = self.deflates and not _as_wanted(answer)
        at = answer.find("(")
        first, _, rest = answer[max(at, 0) :].partition("\n")
        return read_facts(first.rstrip("\r")), read_sighting(rest)

    def _list(self, buckets: Sequence[int]) -> tuple[Entry, ...]:
        arguments = mask_of(buckets)
        return read_listing(
            self.run("list", call="_list", arguments=arguments, timeout=SCAN_TIMEOUT, follow=True)
        )

    def _retry(self, attempt: Callable[[], T]) -> T:
        """Once more when something else on the board printed into the answer."""
        try:
            return attempt()
        except Garbled:
            try:
                return attempt()
            except Garbled as error:
                raise BoardError(
                    f"the board's answer makes no sense: {printable(str(error))!r}",
                    hint="a timer or thread of the app may print in between; "
                    "reset the board and run again",
                ) from error

    # Changing

    def transfer(self, operations: Sequence[FileOperation], progress: Progress) -> None:
        from provision.device.micropython.stream_transfer import transfer

        with self.errors():
            transfer(self, operations, progress)

    def hold(self) -> frozenset[str]:
        """Keep boot.py and main.py from starting; the paths of those that are held then. None are
        where secure boot or flash encryption is on."""
        chip = (self.known or self.facts()).firmware.chip
        fuses = b"".join(b"(%d,%d)," % fuse for fuse in family_of(chip).security_fuses(chip))
        return self._hold(b"0,(%s)" % fuses)

    def release(self) -> None:
        """Give held files their names back."""
        left = self._hold(b"1,()")
        if left:
            raise BoardError(
                f"{' and '.join(sorted(left))} could not be put back", hint="apply again"
            )

    def _hold(self, arguments: bytes) -> frozenset[str]:
        def attempt() -> frozenset[str]:
            answer = self.run("hold", call="_hold", arguments=arguments)
            _, found, names = answer.rpartition("\x02")
            if not found:
                raise Garbled(answer)
            return frozenset(path for path in STARTUP_FILES if path[1:] in names.split())

        with self.errors():
            self._held = self._retry(attempt)
        return self._held

    def evaluate(self, expression: str, timeout: float, stopping: Stopping = never) -> str:
        with self.errors():
            code = b"print('\\x02'+repr(eval(" + agent_source.text(expression) + b")))"
            try:
                answer = self.prompt.execute(code, timeout=timeout, stopping=stopping)
            except Raised as error:
                raise BoardError(
                    f"{expression} raised {printable(error.last)}",
                    hint="try the expression at a REPL on the board",
                ) from error
            return printable(answer.rpartition("\x02")[2].strip(), limit=4000)

    def read(self, path: str, limit: int) -> bytes:
        """The content of a file on the board, at most `limit` bytes of it."""
        name = held_name(path) if path in self._held else path
        arguments = agent_source.text(name) + b",%d" % limit

        def attempt() -> bytes:
            answer = self.run(
                "read", call="_read", arguments=arguments, timeout=60 + limit / SLOWEST
            )
            return unbase64(answer.partition("\x02")[2].encode())[:limit]

        with self.errors():
            return self._retry(attempt)

    # Executing

    def run(
        self,
        *names: str,
        call: str,
        arguments: bytes = b"",
        timeout: float = EXEC_TIMEOUT,
        follow: bool = False,
    ) -> str:
        """Execute agent files and call one of their functions; what it printed."""
        if self.deflates:
            try:
                return self.prompt.execute(
                    agent_source.program(
                        *names, call=call, arguments=arguments, deflate=True, follow=follow
                    ),
                    timeout=timeout,
                )
            except Raised as error:
                if error.name not in ("ImportError", "ModuleNotFoundError"):
                    raise self._board_error(error) from error
                self.deflates = False
                self.trace(1, "this firmware has no deflate")
        try:
            return self.prompt.execute(
                agent_source.program(*names, call=call, arguments=arguments, deflate=False),
                timeout=timeout,
            )
        except Raised as error:
            raise self._board_error(error) from error

    @staticmethod
    def _board_error(error: Raised) -> BoardError:
        return BoardError(f"the board raised {printable(error.last)}")


def _as_wanted(answer: str) -> bool:
    return answer.rstrip().endswith("\x02=")
