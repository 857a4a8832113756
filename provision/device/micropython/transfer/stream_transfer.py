"""Carries out actions on a board's files as one deflated stream, paced by the acks of its frames.

It says when that cannot be: where the firmware has no `deflate` (before MicroPython 1.21) or no
`sys.stdin.buffer`, or the line loses bytes. Whoever called goes on by another way then.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from provision.core.chips.family import Pace
from provision.core.chips.registry import RESET_BANNERS, paces_of
from provision.device.micropython import agent_source
from provision.device.micropython.raw_repl import BoardException, RawRepl
from provision.device.micropython.transfer.line_rate import RateExchange, RateUncertain
from provision.device.micropython.transfer.stream_format import Stream, compose
from provision.device.transport.buffered_serial import ReadTimeout
from provision.errors import BoardError, NoAnswer, OutOfSpace, ReadOnly, Unreachable
from provision.interfaces import Progress
from provision.model.chip import Chip
from provision.model.plan import FileAction, WriteFile
from provision.model.state import Content

LOSSLESS_LEAD = 1 << 16

LARGE = 1 << 16  # bytes of files that take seconds, whatever they deflate to
USB_PACKET = 62
"""Bytes that make an FTDI bridge pass on a packet at once, and not when its latency timer (16 ms
by default) says so: at 115200 baud a padded ack is here 10 ms earlier than a single byte."""
SLOW_ROUND_TRIP = 0.010  # seconds

RESTART = "the board restarted while its files were sent"
RESTART_HINT = "check its power and cable, and whether its app's watchdog bites; then run again"

START_TIMEOUT = 30.0
"""Seconds for the receiver to be compiled and to have its memory, on the slowest of boards."""
ACK_TIMEOUT = 15.0
"""Seconds for one frame: LittleFS now and then compacts and erases a few dozen sectors in one."""
SLOWER = 10
"""How many times longer than the slowest frame so far one may take, on a flash that is slow."""

_ERRNO = re.compile(r"OSError\((\d+)")
_ENOSPC = 28
_EROFS = 30
_EINVAL = 22  # what DeflateIO makes of a damaged stream
_GARBLED = ("OSError", "EOFError", "ValueError")  # what it and the digest make of the receiver


class StreamUnsupported(Exception):
    """This firmware cannot receive a stream; `has_deflate` tells whether it lacks memory or the
    binary input alone."""

    def __init__(self, why: str, *, has_deflate: bool) -> None:
        super().__init__(why)
        self.has_deflate = has_deflate


class StreamDamaged(Exception):
    """The stream did not arrive as it was sent.

    How far it came is not known: a line that damages what is sent may double an ack as well, and
    to go on behind an operation that was not carried out would call it done. All of them are
    done again, which changes nothing where they were.
    """


class _Restarted(Exception):
    """The boot ROM spoke."""


def transfer(
    raw: RawRepl,
    actions: Sequence[FileAction],
    contents: Mapping[str, Content],
    choices: Sequence[Pace],
    progress: Progress,
    *,
    exchange: RateExchange | None = None,
) -> None:
    """Carry out the actions in order, at the first of `choices` that the board has memory for;
    see `interfaces.Repl.transfer`. StreamUnsupported before anything was done, StreamDamaged
    amid it. With `exchange` the line is at a higher rate meanwhile, where that saves time."""
    composing = _Composing(actions, contents, choices[0])
    if exchange is not None:
        size = sum(len(contents[one.path].data) for one in actions if isinstance(one, WriteFile))
        if size < LARGE:
            size = len(composing.stream().data)
        if not exchange.pays(size):
            exchange = None
    start_receiver(raw, choices, exchange)
    try:
        choice = _started(raw, choices, exchange)
    except BoardException as error:
        if agent_source.DAMAGED in error.last or (
            exchange is not None and exchange.rate and error.name in _GARBLED
        ):
            raise StreamDamaged("its receiver arrived as another program") from error
        raw.trace(1, f"this board takes no stream: {raw.raised(error)}")
        if error.name not in ("ImportError", "AttributeError", "MemoryError"):
            raise BoardError(f"the board raised {raw.raised(error)}") from error
        raise StreamUnsupported(error.last, has_deflate=error.name != "ImportError") from error
    pace = choices[choice]
    try:
        stream = compose(actions, contents, pace) if choice else composing.stream()
    except BaseException:
        with suppress(Unreachable, OSError):
            raw.recover()
        raise
    raw.trace(1, f"stream of {len(stream.data)} bytes in {len(stream.stops)} frames at {pace}")
    send_stream(raw, actions, stream, pace, progress, exchange=exchange)


class _Composing:
    """A stream that is composed on a thread of its own, where one is to be had: zlib does that
    beside this end's waiting for the line and for a board that compiles."""

    def __init__(
        self, actions: Sequence[FileAction], contents: Mapping[str, Content], pace: Pace
    ) -> None:
        self._composed: Stream | Exception | None = None
        self._thread = threading.Thread(
            target=self._work, args=(actions, contents, pace), name="provision-deflate", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:  # no more of them
            self._work(actions, contents, pace)

    def _work(
        self, actions: Sequence[FileAction], contents: Mapping[str, Content], pace: Pace
    ) -> None:
        try:
            self._composed = compose(actions, contents, pace)
        except Exception as error:  # noqa: BLE001 - whoever waits for the stream has it
            self._composed = error

    def stream(self) -> Stream:
        """It, once it is whole; raises as `compose`."""
        if self._thread.ident is not None:
            self._thread.join()
        if isinstance(self._composed, Exception):
            raise self._composed
        assert self._composed is not None
        return self._composed


def paces(chip: Chip | None, *, lossless: bool) -> Sequence[Pace]:
    """The paces for a board, best first; it takes the first that it has memory for."""
    choices = paces_of(chip)
    return [replace(pace, lead=LOSSLESS_LEAD) for pace in choices] if lossless else choices


def start_receiver(
    raw: RawRepl,
    choices: Sequence[Pace],
    exchange: RateExchange | None = None,
    *,
    take: bytes | None = None,
) -> None:
    """Have the receiver started; `receiver_choice` when it is. With `exchange` agent/rate.py is,
    which waits for it once the rate is settled. `take`: within agent/edit/take.py, whose first
    arguments these are."""
    offer = b"".join(b"(%d,%d)," % (pace.block, pace.window) for pace in choices)
    round_trip = raw.round_trip_time()
    padding = USB_PACKET - 1 if round_trip > SLOW_ROUND_TRIP else 0
    names, call, arguments = ["receive"], "_receive", b"(%s),%d" % (offer, padding)
    if exchange is not None:
        _, proof = agent_source.bare(*names)
        names, call = ["rate"], "_rate"
        arguments = b"%s,(%s),%s" % (proof, arguments, exchange.begin(round_trip))
    elif take is not None:
        names, call, arguments = ["edit/take", *names], "_take", take + b"," + arguments
    raw.start(agent_source.changing_program(*names, call=call, arguments=arguments))


def _started(raw: RawRepl, choices: Sequence[Pace], exchange: RateExchange | None) -> int:
    """`receiver_choice`, once the line is as fast as it gets."""
    if exchange is None:
        return receiver_choice(raw, choices)
    try:
        exchange.negotiate()
        raw.serial.write(agent_source.bare("receive")[0])
        return receiver_choice(raw, choices, exchange)
    except BoardException:
        raise  # its program has ended, and so restored the rate
    except (RateUncertain, NoAnswer, BoardError) as error:
        if not exchange.uncertain:
            raise
        raw.trace(1, f"no rate was agreed on: {error}")
        _recover(raw)
        raise StreamDamaged("no answer while the line went to another rate") from None
    except BaseException:
        with suppress(Unreachable, OSError):
            raw.recover()
        raise


def _recover(raw: RawRepl) -> None:
    if raw.recover():
        raise NoAnswer(RESTART, hint=RESTART_HINT) from None


def receiver_choice(
    raw: RawRepl, choices: Sequence[Pace], exchange: RateExchange | None = None
) -> int:
    """Which pace the board chose; BoardException when the receiver cannot run."""
    try:
        answer = raw.serial.read_until(b"\x01", b"\x02", b"\x04", timeout=START_TIMEOUT)
        if answer.endswith(b"\x01"):
            choice = raw.serial.read_exactly(1, START_TIMEOUT)[0] - 65
            if not 0 <= choice < len(choices):
                raise BoardError("the board chose transfer settings that were not offered")
            return choice
        if answer.endswith(b"\x02"):
            if exchange is not None and exchange.rate:
                exchange.restore()
            raw.result(timeout=START_TIMEOUT)
            raise BoardError("the board gave up its receiver of files")
        problem = raw.serial.read_until(b"\x04>", timeout=START_TIMEOUT)[:-2]
    except ReadTimeout as timed_out:
        heard = raw.last_heard(timed_out.heard)
        raise NoAnswer(f"the board did not start to receive files{heard}") from None
    raise BoardException(problem.decode("utf-8", "replace"))


def send_stream(
    raw: RawRepl,
    actions: Sequence[FileAction],
    stream: Stream,
    pace: Pace,
    progress: Progress,
    *,
    exchange: RateExchange | None = None,
) -> None:
    """Send a stream to a receiver that has started, and hear that it ended well; raises as
    `transfer`, and BoardException where the receiver's program goes on to raise one."""
    data, stops, total = stream.data, stream.stops, len(stream.data)
    sent = done = 0
    patience = ACK_TIMEOUT
    try:
        progress(0, total)
        for done in range(len(stops) - 1):
            allowed = min(total, stops[done] + pace.lead)
            if allowed > sent:
                raw.serial.write(data[sent:allowed])
                sent = allowed
            began = raw.clock.monotonic()
            answer = raw.serial.read_until(b"\x01", b"\x02", *RESET_BANNERS, timeout=patience)
            patience = max(patience, SLOWER * (raw.clock.monotonic() - began))
            if answer.endswith(RESET_BANNERS):
                raise _Restarted
            if answer.endswith(b"\x02"):
                break
            progress(stops[done], total)
        else:
            done = len(stops) - 1
            raw.serial.write(data[sent:])
            raw.serial.read_until(b"\x02", timeout=patience)
        if exchange is None or not exchange.rate:
            problem = raw.result(timeout=patience).strip()
        else:
            problem = _result_at_both_rates(raw, exchange, patience)
    except ReadTimeout as timed_out:
        raw.trace(1, f"no ack for frame {done}{raw.last_heard(timed_out.heard)}")
        _recover(raw)
        raise StreamDamaged("no answer to a frame") from None
    except _Restarted:
        raw.serial.restore_rate()
        raise NoAnswer(RESTART, hint=RESTART_HINT) from None
    except BaseException:
        # Whoever called wants to stop: leave a board that answers.
        with suppress(Unreachable, OSError):
            raw.recover()
        raise
    if problem:
        if exchange is not None and exchange.rate and not _ERRNO.match(problem):
            raise StreamDamaged(raw.excerpt(problem))  # which a line at its limit may have changed
        _raise(problem, raw.excerpt(problem), actions, stream.action_of_frame[done])
    progress(total, total)


def _result_at_both_rates(raw: RawRepl, exchange: RateExchange, patience: float) -> str:
    """What the board said last at the raised rate, once it has ended at its own; ReadTimeout where
    it does not."""
    heard = raw.serial.read_until(b"\n", timeout=patience)
    exchange.restore()
    try:
        raw.result(timeout=patience)
    except NoAnswer as error:
        raise ReadTimeout(error.message.encode()) from None
    return heard.decode("utf-8", "replace").strip()


def _raise(problem: str, shown: str, actions: Sequence[FileAction], action_index: int) -> None:
    found = _ERRNO.search(problem)
    number = int(found[1]) if found else None
    if (
        problem.startswith(("ValueError", "MemoryError"))
        or number == _EINVAL
        or action_index >= len(actions)
    ):
        raise StreamDamaged(shown)
    failed = file_error(actions[action_index].path, number, shown)
    raise failed from (BoardException(problem) if number is None else None)


def file_error(path: str, number: int | None, shown: str) -> BoardError:
    """What the board said about one path, safe to show, as an error of ours."""
    if number == _ENOSPC:
        return OutOfSpace(f"the board's filesystem is full: {path} does not fit")
    if number == _EROFS:
        return ReadOnly(f"{path}: the filesystem there is mounted read-only")
    return BoardError(f"{path}: the board says {shown}")
