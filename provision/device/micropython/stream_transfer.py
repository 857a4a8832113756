"""Carries out file operations on a board: one deflated stream, paced by the frames' acks.

Where the firmware has no `deflate` (before MicroPython 1.21) or no `sys.stdin.buffer`, or a line
loses bytes, the operations that are left go through `slow_lane` with the same result. What an
earlier, interrupted transfer left on the board is removed first.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace

from provision.core.chips.family import Pace
from provision.core.chips.registry import RESET_BANNERS, paces_of
from provision.core.wording import printable
from provision.device.micropython import agent_source, fallback_transfer
from provision.device.micropython.board_repl import RawRepl
from provision.device.micropython.raw_repl import Raised, evidence
from provision.device.micropython.stream_format import Stream, compose
from provision.device.transport.buffered_serial import Silence
from provision.errors import BoardError, NoAnswer, OutOfSpace, Unreachable
from provision.interfaces import FileOperation, Progress, Remove

LOSSLESS_LEAD = 1 << 16

PACKET = 62
"""Bytes that make an FTDI bridge pass on a packet at once, and not when its latency timer (16 ms
by default) says so: at 115200 baud a padded ack is here 10 ms earlier than a single byte."""
SLOW_TURN = 0.010  # seconds

RESTART = "the board restarted while its files were sent"
RESTART_HINT = "check its power and cable, and whether its app's watchdog bites; then run again"

ACK_TIMEOUT = 15.0
"""Seconds for one frame: LittleFS now and then compacts and erases a few dozen sectors in one."""

_ERRNO = re.compile(r"OSError\((\d+)")
_ENOSPC = 28
_EINVAL = 22  # what DeflateIO makes of a damaged stream


class _Damaged(Exception):
    """The stream did not arrive as it was sent.

    How far it came is not known: a line that damages what is sent may double an ack as well, and
    to go on behind an operation that was not carried out would call it done. All of them are
    done again, which changes nothing where they were.
    """


class _Restarted(Exception):
    """The boot ROM spoke."""


def transfer(repl: RawRepl, operations: Sequence[FileOperation], progress: Progress) -> None:
    """Carry out `operations` in order; see `interfaces.Repl.transfer`."""
    swept = [Remove(path=entry.path) for entry in repl.leftovers]
    work: Sequence[FileOperation] = [*swept, *operations]
    repl.leftovers = ()
    if not work:
        return
    for going_on in ("once more", "slowly"):
        if not repl.deflates:
            break
        try:
            if _stream(repl, work, progress):
                return
            break
        except _Damaged as damage:
            repl.trace(1, f"the stream was damaged ({damage}); {going_on}")
    fallback_transfer.transfer(repl, work, progress)


def paces(repl: RawRepl) -> Sequence[Pace]:
    """The paces for this board, best first; it takes the first that it has memory for."""
    choices = paces_of(repl.known.firmware.chip if repl.known else None)
    return [replace(pace, lead=LOSSLESS_LEAD) for pace in choices] if repl.lossless else choices


def _stream(repl: RawRepl, work: Sequence[FileOperation], progress: Progress) -> bool:
    """Send the operations as a stream; False when this firmware cannot receive one."""
    choices = paces(repl)
    begin(repl, choices)
    stream = compose(work, choices[0])  # while the board compiles the receiver
    try:
        choice = ready(repl, choices)
    except Raised as error:
        repl.trace(1, f"this board takes no stream: {printable(error.last)}")
        if error.name not in ("ImportError", "AttributeError", "MemoryError"):
            raise BoardError(f"the board raised {printable(error.last)}") from error
        repl.deflates = repl.deflates and error.name != "ImportError"
        return False
    pace = choices[choice]
    if choice:
        stream = compose(work, pace)
    repl.trace(1, f"stream of {len(stream.data)} bytes in {len(stream.stops)} frames at {pace}")
    _pump(repl, work, stream, pace, progress)
    return True


def begin(repl: RawRepl, choices: Sequence[Pace]) -> None:
    """Have the receiver started; `ready` when it is."""
    offer = b"".join(b"(%d,%d)," % (pace.block, pace.window) for pace in choices)
    padding = PACKET - 1 if repl.prompt.turn() > SLOW_TURN else 0
    arguments = b"(%s),%d" % (offer, padding)
    repl.prompt.start(
        agent_source.program("receive", call="_receive", arguments=arguments, deflate=True)
    )


def ready(repl: RawRepl, choices: Sequence[Pace]) -> int:
    """Which pace the board chose; Raised when the receiver cannot run."""
    try:
        answer = repl.prompt.line.until(b"\x01", b"\x04", timeout=10.0)
        if answer.endswith(b"\x01"):
            choice = repl.prompt.line.exactly(1, 10.0)[0] - 65
            if not 0 <= choice < len(choices):
                raise BoardError("the board chose a pace that was not offered")
            return choice
        problem = repl.prompt.line.until(b"\x04>", timeout=10.0)[:-2]
    except Silence as silence:
        raise NoAnswer(f"the board does not start to receive{evidence(silence.heard)}") from None
    raise Raised(problem.decode("utf-8", "replace"))


def _pump(
    repl: RawRepl, work: Sequence[FileOperation], stream: Stream, pace: Pace, progress: Progress
) -> None:
    data, stops, total = stream.data, stream.stops, len(stream.data)
    sent = done = 0
    try:
        progress(0, total)
        for done in range(len(stops) - 1):
            allowed = min(total, stops[done] + pace.lead)
            if allowed > sent:
                repl.prompt.line.write(data[sent:allowed])
                sent = allowed
            answer = repl.prompt.line.until(b"\x01", b"\x02", *RESET_BANNERS, timeout=ACK_TIMEOUT)
            if answer.endswith(RESET_BANNERS):
                raise _Restarted
            if answer.endswith(b"\x02"):
                break
            progress(stops[done], total)
        else:
            done = len(stops) - 1
            repl.prompt.line.write(data[sent:])
            repl.prompt.line.until(b"\x02", timeout=ACK_TIMEOUT)
        problem = repl.prompt.result(timeout=10.0).strip()
    except Silence as silence:
        repl.trace(1, f"no ack for frame {done}{evidence(silence.heard)}")
        if repl.prompt.recover():
            raise NoAnswer(RESTART, hint=RESTART_HINT) from None
        raise _Damaged("no answer to a frame") from None
    except _Restarted:
        raise NoAnswer(RESTART, hint=RESTART_HINT) from None
    except BaseException:
        # Whoever called wants to stop: leave a board that answers.
        with suppress(Unreachable, OSError):
            repl.prompt.recover()
        raise
    if problem:
        _raise(problem, work, stream.owners[done])
    progress(total, total)


def _raise(problem: str, work: Sequence[FileOperation], owner: int) -> None:
    found = _ERRNO.search(problem)
    number = int(found[1]) if found else None
    if problem.startswith(("ValueError", "MemoryError")) or number == _EINVAL or owner >= len(work):
        raise _Damaged(printable(problem))
    raise failure(work[owner].path, number, problem)


def failure(path: str, number: int | None, problem: str) -> BoardError:
    """What the board said about one path, as an error of ours."""
    if number == _ENOSPC:
        return OutOfSpace(f"the board's filesystem is full: {path} does not fit")
    return BoardError(f"{path}: the board says {printable(problem)}")
