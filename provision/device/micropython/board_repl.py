"""What is asked of a board that is stopped at its raw REPL: who it is, its files, its changes.

The protocol itself, from finding the prompt to the last byte of an answer, is in `raw_repl`; here
is what a request means, what it leaves on the board for the next one, and what its failure is
called. mpremote speaks the same protocol, but polls every 10 ms, waits a round trip a command and
opens its port itself; here a look at a board is one round trip, and what is sent in bulk keeps the
line full. What must work on the oldest firmware is left to mpremote (`transfer`, for both).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import replace
from typing import Literal, TypeVar

from provision.core.chips.registry import family_of
from provision.core.wording import Redact
from provision.device.micropython import agent_source
from provision.device.micropython.agent_runner import AgentRunner
from provision.device.micropython.file_reader import FileReader
from provision.device.micropython.flash_mount import FlashMount
from provision.device.micropython.nvs_access import Entries, NvsAccess
from provision.device.micropython.raw_repl import (
    ENTER_TIMEOUT,
    SLOWEST,
    BoardException,
    RawRepl,
)
from provision.device.micropython.replies import (
    FLASH_PIECE,
    MalformedReply,
    decode_base64,
    first_line,
    read_flash_reply,
    retry,
)
from provision.device.micropython.scan_protocol import (
    DirectoryEntry,
    ScanQuery,
    ScanReply,
    bucket_mask,
    filesystem,
    is_as_expected,
    leftovers,
    read_listing,
    read_scan_reply,
)
from provision.device.micropython.startup_files import (
    by_both_names,
    disabled_among,
    under_own_names,
)
from provision.device.micropython.transfer.line_rate import LineRate
from provision.device.micropython.transfer.way import Way
from provision.device.transport.buffered_serial import (
    BytePort,
    Clock,
    Stopping,
    Tracer,
    never,
    untraced,
)
from provision.errors import BoardError, NoAnswer, ReadOnly
from provision.interfaces import FileSink, Progress, ScanRequest
from provision.model.board_path import STARTUP_FILES, disabled_name, path_bytes
from provision.model.plan import DeleteFile, FileAction
from provision.model.state import ActualState, BoardEntry, Content, Filesystem
from provision.model.unit_data import NvsEntry

T = TypeVar("T")

_STARTUP_NAMES = agent_source.texts(tuple(path[1:] for path in STARTUP_FILES))
LONGEST_ANSWER = 4000  # characters of the value of a check's expression
SCAN_TIMEOUT = 60.0  # seconds: an ESP8266 hashes a full 3 MB filesystem in about half of it


class BoardRepl:
    """A board stopped at its raw REPL, from `enter` to `leave`; implements `interfaces.Repl`.

    `errors` translates what the port raises (`Port.errors`); `lossless` tells whether the link
    holds bytes back while the board does not read; `line` how fast it may be made.
    """

    def __init__(
        self,
        port: BytePort,
        *,
        errors: Callable[[], AbstractContextManager[None]] = nullcontext,
        lossless: Callable[[], bool] = bool,
        line: LineRate | None = None,
        trace: Tracer = untraced,
        clock: Clock = time,
        redact: Redact = str,
    ) -> None:
        self.raw = RawRepl(port, trace=trace, clock=clock, redact=redact)
        self.lossless = lossless
        self.line = line or LineRate()
        self.trace = trace
        self.errors = errors
        self.agent = AgentRunner(self.raw, trace)
        self._nvs = NvsAccess(self.raw, self.agent, lambda: self._identity)
        self.leftovers: tuple[DirectoryEntry, ...] = ()
        self._identity: ActualState | None = None
        self._disabled: frozenset[str] = frozenset()  # start-up files under another name
        self._scan_loaded = False  # whether the scan is on the board, to be called again
        self._looked = False  # whether / is the flash for all that follows
        self._flash = FlashMount(self.raw, self.agent.run, trace)

    # Entering and leaving

    def enter(self, timeout: float = ENTER_TIMEOUT) -> None:
        """Interrupt whatever runs and take the raw REPL, without a reset.

        Works on a board at any prompt, in the middle of output, busy in an app that takes a few
        Ctrl-C, or left inside a program or a stream by a host that died. Raises NoAnswer, with
        the last bytes heard, after `timeout` seconds.
        """
        with self.errors():
            self.raw.enter(timeout)

    def await_prompt(self, timeout: float) -> bool:
        """Let a board boot without disturbing it; whether its prompt came in `timeout` seconds.
        What is sent while a chip boots is lost, and a Ctrl-C could stop its first set-up."""
        with self.errors():
            return self.raw.await_friendly(timeout)

    def interrupt_boot(self, timeout: float = ENTER_TIMEOUT, *, baud: int = 115200) -> None:
        """After a reset: interrupt before an app can refuse; see `RawRepl.interrupt_boot`."""
        with self.errors():
            self.raw.interrupt_boot(timeout, baud=baud)

    def leave(self) -> None:
        """Back to the friendly REPL, without a reset."""
        with self.errors():
            if self._scan_loaded:
                with suppress(BoardException, NoAnswer):
                    self.raw.execute(b"del _p", timeout=2.0)
            self.raw.leave()

    def soft_reset(self) -> None:
        """Start boot.py and main.py anew, in a fresh interpreter; returns at once."""
        with self.errors():
            self.raw.soft_reset()

    def hard_reset(self, into: Literal["reset", "bootloader"] = "reset") -> None:
        """Reset the chip by `machine.reset()`, or into its boot loader; returns at once."""
        with self.errors():
            self.raw.start(agent_source.source(into).encode())
            self.trace(1, f"reset by machine.{into}()")

    # Looking

    def identify(self) -> ActualState:
        def attempt() -> ActualState:
            return first_line(self.agent.run("facts"))[0]

        with self.errors():
            self._identity = self._past_the_app(lambda: retry(self.raw, attempt))
        return self._identity

    def observe(self, request: ScanRequest) -> ActualState:
        """Who the board is and what its files are, in one round trip when all is as expected,
        in two otherwise. `free` is known in the second case alone."""
        with self.errors():
            seen = self._past_the_app(lambda: self._observe(request))
        assert self._identity is not None
        nvs = self.nvs(request.nvs, ()) if request.nvs else None
        return replace(self._identity, filesystem=seen, nvs=nvs)

    def _observe(self, request: ScanRequest) -> Filesystem:
        seen, unmanaged = self._look(request)
        self.leftovers = leftovers(unmanaged)
        disabled = disabled_among(unmanaged)
        self._disabled = frozenset()
        if disabled:
            seen, _ = self._look(by_both_names(request, disabled))
            seen = under_own_names(seen, disabled.keys())
            self._disabled = seen.disabled
            self.leftovers += tuple(disabled[path] for path in disabled.keys() - seen.disabled)
        return seen

    def _past_the_app(self, attempt: Callable[[], T]) -> T:
        return self.agent.past_the_app(attempt, self._forget)

    def _forget(self) -> None:
        """What was known of the interpreter that is gone."""
        self._scan_loaded = self._looked = False
        self._flash = FlashMount(self.raw, self.agent.run, self.trace)

    def _look(self, request: ScanRequest) -> tuple[Filesystem, tuple[DirectoryEntry, ...]]:
        if self._flash.mounts is None:
            try:
                seen = self._look_once(ScanQuery(request=request))
            except BoardError as error:
                # What is at / is not the flash, or holds mounts; or a thread of the app that
                # writes meanwhile has spoilt a second view of the flash.
                self.trace(1, f"{error.message}; once more by the board's own view of its files")
                self._flash.have(writable=False)
                self._scan_loaded = False
            else:
                self._looked = True
                return seen
        return self._look_once(ScanQuery(request=request, mounts=self._flash.mounts))

    def _writing(self, attempt: Callable[[], T]) -> T:
        """Change files, on the flash and nowhere else; twice where it is mounted read-only."""

        def on_the_flash() -> T:
            self._look_first()
            try:
                return attempt()
            except ReadOnly as error:
                if self._flash.writable:
                    raise
                self.trace(1, error.message)
                self._flash.have(writable=True)
                self._scan_loaded = False
                return attempt()

        return self._past_the_app(on_the_flash)

    def _look_first(self) -> None:
        """See to it that what is at / is the flash."""
        if not self._looked:
            self._look(ScanRequest())

    def _look_once(self, query: ScanQuery) -> tuple[Filesystem, tuple[DirectoryEntry, ...]]:
        self._identity, reply = retry(self.raw, lambda: self._scan(query))
        if not reply.flash:
            raise BoardError("what is at / is a copy of the flash")
        buckets = reply.buckets_to_list(query)
        listing: tuple[DirectoryEntry, ...] = ()
        if buckets is not None:
            listing = retry(self.raw, lambda: self._list(buckets))
        found = "as expected" if reply.sums is None else f"{len(listing)} listed"
        self.trace(1, f"looked at {len(query.expected)} files: {found}")
        return filesystem(query, reply, listing), (*reply.unmanaged, *listing)

    def _scan(self, query: ScanQuery) -> tuple[ActualState, ScanReply]:
        call, arguments = query.call, query.arguments
        if self._scan_loaded and self._identity:
            try:
                answer = self.raw.execute(
                    agent_source.program(call=call, arguments=arguments, deflate=True, follow=True),
                    timeout=SCAN_TIMEOUT,
                )
            except BoardException:
                self._scan_loaded = False  # not there any more: from the beginning
            else:
                self._scan_loaded = not is_as_expected(answer)
                return self._identity, read_scan_reply(answer)
        names = ("facts", "scan", *(("across",) if query.mounts is not None else ()))
        answer = self.agent.run(*names, call=call, arguments=arguments, timeout=SCAN_TIMEOUT)
        self._scan_loaded = self.agent.deflates and not is_as_expected(answer)
        identity, rest = first_line(answer)
        return identity, read_scan_reply(rest)

    def _list(self, buckets: Sequence[int]) -> tuple[DirectoryEntry, ...]:
        arguments = bucket_mask(buckets)
        return read_listing(
            self.agent.run(
                "list", call="_list", arguments=arguments, timeout=SCAN_TIMEOUT, follow=True
            )
        )

    def nvs(self, wanted: Collection[str] | None, hidden: Collection[str]) -> Entries | None:
        with self.errors():
            return self._past_the_app(lambda: self._nvs.read(wanted, hidden))

    # Changing

    def set_nvs(self, entry: NvsEntry, *, replaces: bool) -> None:
        with self.errors():
            self._past_the_app(lambda: self._nvs.set(entry, replaces=replaces))

    def transfer(
        self, actions: Sequence[FileAction], contents: Mapping[str, Content], progress: Progress
    ) -> None:
        """See `interfaces.Repl.transfer`. What an earlier, interrupted transfer left on the board
        is removed first."""
        work: list[FileAction] = [
            DeleteFile(path=entry.path, reason="an interrupted transfer left it")
            for entry in self.leftovers
        ]
        work += actions
        self.leftovers = ()

        def attempt() -> None:
            chip = self._identity.chip if self._identity else None
            way = Way(self.raw, self.agent, self.line, chip, self.lossless, self.trace)
            way.transfer(work, contents, progress)

        with self.errors():
            if work:
                self._writing(attempt)

    def disable_startup(self) -> frozenset[str]:
        chip = (self._identity or self.identify()).chip
        fuses = family_of(chip).security_fuses(chip) if chip is not None else ()
        literals = b"".join(b"(%d,%d)," % fuse for fuse in fuses)
        return self._rename_startup(b"0,%s,(%s)" % (_STARTUP_NAMES, literals))

    def restore_startup(self) -> None:
        left = self._rename_startup(b"1,%s,()" % _STARTUP_NAMES)
        if left:
            raise BoardError(
                f"could not restore {' and '.join(sorted(left))}",
                hint="run `provision apply` again",
            )

    def _rename_startup(self, arguments: bytes) -> frozenset[str]:
        """Which start-up files are under another name after it."""

        def attempt() -> frozenset[str]:
            answer = self.agent.change("startup", call="_startup", arguments=arguments)
            _, found, names = answer.rpartition("\x02")
            if not found:
                raise MalformedReply(answer)
            return frozenset(path for path in STARTUP_FILES if path[1:] in names.split())

        with self.errors():
            self._disabled = self._writing(lambda: retry(self.raw, attempt))
        return self._disabled

    def evaluate(self, expression: str, timeout: float, stopping: Stopping = never) -> str:
        with self.errors():
            code = b"print('\\x02'+repr(eval(" + agent_source.text(expression) + b")))"
            try:
                answer = self.raw.execute(code, timeout=timeout, stopping=stopping)
            except BoardException as error:
                raise BoardError(
                    f"{expression} raised {self.raw.raised(error)}",
                    hint="try the expression at a REPL on the board",
                ) from error
            answer = answer.rpartition("\x02")[2].strip()
            whole = answer.isprintable() and len(answer) <= LONGEST_ANSWER
            return answer if whole else self.raw.excerpt(answer, LONGEST_ANSWER)

    def read(self, path: str, limit: int) -> bytes:
        """The content of a file on the board, at most `limit` bytes of it."""
        name = disabled_name(path) if path in self._disabled else path
        arguments = agent_source.literal(path_bytes(name)) + b",%d" % limit

        def attempt() -> bytes:
            self._look_first()
            answer = self.agent.run(
                "read", call="_read", arguments=arguments, timeout=60 + limit / SLOWEST
            )
            return decode_base64(answer.partition("\x02")[2].encode())[:limit]

        with self.errors():
            return self._past_the_app(lambda: retry(self.raw, attempt))

    def tree(self, path: str, *, deep: bool, hashed: bool) -> tuple[BoardEntry, ...]:
        def attempt() -> tuple[BoardEntry, ...]:
            self._look_first()
            return FileReader(self.raw, self.agent).tree(path, deep=deep, hashed=hashed)

        with self.errors():
            return self._past_the_app(attempt)

    def fetch(
        self,
        files: Sequence[BoardEntry],
        sink: FileSink,
        progress: Progress,
        stopping: Stopping = never,
    ) -> tuple[str, ...]:
        going_on = FileReader(self.raw, self.agent).fetch(files, sink, progress, stopping)

        def attempt() -> tuple[str, ...]:
            self._look_first()
            return going_on()

        with self.errors():
            return self._past_the_app(attempt)

    def read_flash(self, offset: int, size: int) -> bytes | None:
        first, last = offset & ~3, (offset + size + 3) & ~3
        arguments = b"%d,%d,%d" % (first, last - first, FLASH_PIECE)

        def attempt() -> bytes | None:
            answer = self.agent.run(
                "flash", call="_flash", arguments=arguments, timeout=60 + 2 * size / SLOWEST
            )
            return read_flash_reply(answer, last - first)

        with self.errors():
            data = self._past_the_app(lambda: retry(self.raw, attempt))
        return None if data is None else data[offset - first :][:size]
