"""Reads files off a board: many in one round trip, as fast as the line is, each verified.

agent/send.py tells them as frames. What an app prints in between, or a line that loses a byte,
costs the frame that it hits, which is asked for again; a file is done when what has come has the
sha256 that the board itself has of it. They come as they are: official firmware can inflate, and
deflates only where it was built for it.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Literal

from provision.core.chips.registry import RESET_BANNERS
from provision.core.wording import printable
from provision.device.micropython import agent_source
from provision.device.micropython.agent_runner import AgentRunner
from provision.device.micropython.frames import FrameParser
from provision.device.micropython.raw_repl import BoardException, RawRepl
from provision.device.micropython.replies import MalformedReply, retry
from provision.device.transport.buffered_serial import ReadTimeout, Stopping, never
from provision.errors import BoardError, Interrupted, NoAnswer
from provision.interfaces import FileSink, Progress
from provision.model.board_path import path_bytes, path_of_bytes
from provision.model.state import BoardEntry

ROOM = 1024  # bytes of a file in a frame; on a line that damages frames, fewer
SMALLEST_ROOM = 64
BATCH = 40  # files asked for at once: an ESP8266 has to compile their names
PATIENCE = 60.0  # seconds without a frame: an ESP8266 hashes 3 MB in half of it
QUIET = 0.5  # seconds of silence after which an end that was damaged is believed
MOST_ENTRIES = 50_000
GROWTH = 1 << 20  # bytes by which a file may grow while it is read
ATTEMPTS = 4  # at a file that changes while it is read

_KINDS: tuple[Literal["file", "directory", "mount"], ...] = ("file", "directory", "mount")
_NOT_THERE = (2, 19, 20)  # ENOENT, ENODEV, ENOTDIR
_END = re.compile(rb"\x04([^\x04]*)\x04>", re.DOTALL)


class _Wanted:
    """A file to be read: which of its bytes have come, and what the board says of it."""

    def __init__(self, entry: BoardEntry) -> None:
        self.path = entry.path
        self.most = entry.size + GROWTH
        self.gone = False
        self.attempts = 0
        self.forget()

    def forget(self) -> None:
        self.total: int | None = None
        self.sha256 = ""
        self._have: list[tuple[int, int]] = []

    @property
    def received(self) -> int:
        return sum(end - start for start, end in self._have)

    def take(self, offset: int, size: int) -> None:
        if self._have and self._have[-1][1] == offset:
            self._have[-1] = (self._have[-1][0], offset + size)
            return
        merged: list[tuple[int, int]] = []
        for start, end in sorted([*self._have, (offset, offset + size)]):
            if merged and start <= merged[-1][1]:
                merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
            else:
                merged.append((start, end))
        self._have = merged

    def requests(self) -> Iterator[tuple[int, int]]:
        """Offset and size of what is still to be asked for: all as -1, its sha256 alone by an
        offset of -1. Nothing once all is here."""
        if self.total is None:
            yield (-1, 0) if self._have else (0, -1)
            return
        at = 0
        for start, end in [*self._have, (self.total, self.total)]:
            if at < min(start, self.total):
                yield at, min(start, self.total) - at
            at = max(at, end)


class FileReader:
    """Reads files of the board at a raw REPL."""

    def __init__(self, raw: RawRepl, agent: AgentRunner) -> None:
        self._raw = raw
        self._agent = agent

    def tree(self, path: str, *, deep: bool, hashed: bool) -> tuple[BoardEntry, ...]:
        """As `interfaces.Repl.tree`."""
        arguments = b"%d,%s,%d,%d" % (
            ROOM,
            agent_source.literal(path_bytes(path)),
            deep,
            hashed,
        )

        def attempt() -> tuple[BoardEntry, ...]:
            found: list[BoardEntry] = []
            ends: list[int] = []

            def take(payload: bytes) -> None:
                if payload[0] == 1 and len(payload) > 7:
                    found.append(_entry(payload))
                    if len(found) > MOST_ENTRIES:
                        raise BoardError(f"the board lists more than {MOST_ENTRIES} files")
                elif payload[0] == 5:
                    ends.append(int.from_bytes(payload[1:5], "little"))

            self._run("_tell", arguments, take, never)
            if ends != [len(found)]:
                raise MalformedReply(f"{len(found)} of {ends} entries of a listing")
            return tuple(found)

        try:
            return retry(self._raw, attempt)
        except BoardError as error:
            cause = error.__cause__
            if isinstance(cause, BoardException) and cause.errno in _NOT_THERE:
                raise BoardError(
                    f"there is no {printable(path)} on the board",
                    hint="`provision ls DEVICE:/` lists what there is",
                ) from None
            raise

    def fetch(
        self,
        files: Sequence[BoardEntry],
        sink: FileSink,
        progress: Progress,
        stopping: Stopping,
    ) -> Callable[[], tuple[str, ...]]:
        """As `interfaces.Repl.fetch`, as a call that goes on, when it is called again, from where
        it had come to; MalformedReply where a line lets nothing through."""
        total = sum(entry.size for entry in files)
        queue = deque(map(_Wanted, files))
        gone: list[str] = []
        room = ROOM
        done = 0

        def attempt() -> tuple[str, ...]:
            nonlocal room, done
            stuck = 0
            while queue:
                batch = [queue.popleft() for _ in range(min(BATCH, len(queue)))]
                before = sum(each.received for each in batch)
                try:
                    damaged = self._ask(
                        batch,
                        sink,
                        room,
                        partial(_progress, progress, done, total),
                        stopping,
                    )
                except BaseException:
                    queue.extendleft(reversed(batch))
                    raise
                came = sum(each.received for each in batch) - before
                left: list[_Wanted] = []
                for each in batch:
                    if each.gone:
                        gone.append(each.path)
                    elif _is_done(each, sink):
                        done += each.received
                    else:
                        left.append(each)
                queue.extendleft(reversed(left))
                stuck = 0 if came or len(left) < len(batch) else stuck + 1
                if damaged:
                    room = max(SMALLEST_ROOM, room // 2)
                    self._raw.trace(1, f"pieces were damaged; asking again, {room} bytes each")
                if stuck > 3:
                    raise MalformedReply("no piece of a file comes whole")
            return tuple(gone)

        return lambda: retry(self._raw, attempt)

    def _ask(
        self,
        batch: Sequence[_Wanted],
        sink: FileSink,
        room: int,
        progress: Callable[[int], None],
        stopping: Stopping,
    ) -> bool:
        """One round trip; whether something of it did not come as it was sent."""
        asked = [(each, request) for each in batch for request in each.requests()][: 2 * BATCH]
        literals = b"".join(
            b"(%s,%d,%d)," % (agent_source.literal(path_bytes(each.path)), *request)
            for each, request in asked
        )
        ends: list[int] = []
        count = 0

        def take(payload: bytes) -> None:
            nonlocal count
            kind = payload[0]
            if kind == 5:
                ends.append(int.from_bytes(payload[1:5], "little"))
                return
            index = int.from_bytes(payload[1:3], "little")
            if index >= len(asked) or len(payload) < 7:
                return
            count += 1
            each = asked[index][0]
            number = int.from_bytes(payload[3:7], "little")
            if kind == 2:
                if number + len(payload) > each.most:
                    raise BoardError(
                        f"{printable(each.path)}: a piece of it lies beyond its end",
                        hint="an app writes it meanwhile, or the board is not what it says",
                    )
                sink.write(each.path, number, payload[7:])
                each.take(number, len(payload) - 7)
                progress(sum(one.received for one in batch))
            elif kind == 3:
                each.total, each.sha256 = number, payload[7:].hex()
            elif number in _NOT_THERE:
                each.gone = True
            else:
                raise BoardError(
                    f"{printable(each.path)} cannot be read on the board: OSError {number}"
                )

        self._run("_send", b"%d,(%s)" % (room, literals), take, stopping)
        return ends != [count]

    def _run(
        self, call: str, arguments: bytes, take: Callable[[bytes], None], stopping: Stopping
    ) -> None:
        def listen() -> str:
            try:
                self._listen(take, stopping)
            except (BoardException, NoAnswer):
                raise
            except BaseException:
                self._raw.enter()  # whoever called wants to stop: leave a board that answers
                raise
            return ""

        self._agent.run("send", call=call, arguments=arguments, listen=listen)

    def _listen(self, take: Callable[[bytes], None], stopping: Stopping) -> None:
        """Frames, until the program is over; BoardException where it raised."""
        serial = self._raw.serial
        parser = FrameParser(most=ROOM + 64 + 512)
        patience = serial.deadline(PATIENCE)
        quiet = False
        while True:
            for payload in parser.payloads():
                patience = serial.deadline(PATIENCE)
                take(payload)
            end = _END.search(parser.rest)
            at_rest = not parser.damaged and not parser.waiting and parser.rest.endswith(b"\x04>")
            if end is not None and (parser.ended or at_rest):
                break
            # A file may hold such words: those of a frame that is still on its way are none.
            if (quiet or not parser.waiting) and any(one in parser.rest for one in RESET_BANNERS):
                raise NoAnswer(
                    "the board restarted while its files were read",
                    hint="check its power and cable, and whether its app's watchdog bites; then "
                    "run again",
                )
            if stopping():
                raise Interrupted("the run was cancelled")
            try:
                parser.feed(serial.read_exactly(1, QUIET) + serial.take(1 << 20))
                quiet = False
            except ReadTimeout:
                if end is not None:
                    break
                quiet = True
            waited = PATIENCE - serial.left(patience)
            if end is not None and waited > 4 * QUIET:
                break  # an app that prints for ever, after an end that was damaged
            if waited > PATIENCE:
                heard = self._raw.last_heard(bytes(parser.rest[-256:]))
                self._raw.enter()
                raise NoAnswer(f"the board stopped amid its files{heard}")
        problem = end[1].decode("utf-8", "replace").strip()
        if problem:
            raise BoardException(problem)


def _progress(progress: Progress, before: int, total: int, here: int) -> None:
    progress(min(before + here, total), total)


def _is_done(wanted: _Wanted, sink: FileSink) -> bool:
    """Whether a file is here whole and verified; one that is whole and differs begins anew."""
    if wanted.total is None or any(wanted.requests()):
        return False
    if sink.finish(wanted.path, wanted.total, wanted.sha256):
        return True
    wanted.attempts += 1
    if wanted.attempts >= ATTEMPTS:
        raise BoardError(
            f"{printable(wanted.path)} changes while it is read: its sha256 never is the same",
            hint="a thread or timer of the app writes it; stop the app and run again",
        )
    wanted.forget()
    return False


def _entry(payload: bytes) -> BoardEntry:
    kind, length = payload[1], payload[2]
    if kind >= len(_KINDS) or length not in (0, 32):
        raise MalformedReply(repr(payload))
    digest, path = payload[7 : 7 + length], payload[7 + length :]
    return BoardEntry(
        path=path_of_bytes(path),
        kind=_KINDS[kind],
        size=int.from_bytes(payload[3:7], "little"),
        sha256=digest.hex() or None,
    )
