"""One stream of events to several outputs, from many threads, in one order for all.

An output that cannot write any more (a full disk, a closed pipe) is dropped with a notice: no board
may be left half updated because a log cannot be written.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Protocol, runtime_checkable

from provision.core.wording import Redact
from provision.model.event import (
    ConsoleLine,
    Event,
    FileDiffed,
    ManualActionNeeded,
    Notice,
    Printed,
    Trace,
)
from provision.output.scrub import scrub, scrub_printed


class Output(Protocol):
    """Renders events; calls never overlap. `name` is for messages: "the log file run.log".
    `asked_for` says whether a run that could not write it has not done all it was asked for. One
    that has a method `handle_printed` gets there, as `Printed`, what boards print."""

    @property
    def name(self) -> str: ...

    @property
    def asked_for(self) -> bool: ...

    def handle(self, event: Event) -> None:
        """Show one event. May raise OSError when it cannot."""
        ...

    def close(self) -> None:
        """Finish; no event comes afterwards."""
        ...


@runtime_checkable
class Pausable(Protocol):
    """An output that redraws its own lines, and must remove them before a prompt."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Fanout:
    """Gives each event to every output, scrubbed. Safe to call from any thread.

    An output earlier in `outputs` sees an event before a later one. `suggest` completes the
    commands that our own messages suggest.
    """

    def __init__(
        self, outputs: Sequence[Output], redact: Redact = str, suggest: Redact = str
    ) -> None:
        self._outputs = list(outputs)
        self._redact = redact
        self._suggest = suggest
        self._lock = threading.RLock()
        self._prompt = threading.Lock()
        self._postponed: list[Event] | None = None  # events kept back while paused
        self._lost = False
        self._end: Callable[[], None] | None = None
        self._ended = False

    def add(self, output: Output) -> None:
        """Give events to this one as well, after all others."""
        with self._lock:
            self._outputs.append(output)

    @property
    def lost(self) -> bool:
        """Whether something that was asked for could not be written. A reader that went away, as
        `head` does when it has seen enough, has lost nothing."""
        return self._lost

    @property
    def reader_left(self) -> bool:
        """Whether a reader has ended the run by going away (`end_with_reader`)."""
        return self._ended

    def end_with_reader(self, end: Callable[[], None]) -> None:
        """Have `end` called, and nothing said, where a reader goes away: a run that is for its
        reader alone is over then."""
        self._end = end

    def handle(self, event: Event) -> None:
        """Show one event everywhere."""
        clean: Event = scrub(event, self._redact)
        if not isinstance(clean, (ConsoleLine, FileDiffed, Trace)):
            clean = scrub(clean, self._suggest)
        with self._lock:
            if self._postponed is not None:
                self._postponed.append(clean)
                return
            self._deliver_to_all(clean)

    def handle_printed(self, said: Printed) -> None:
        """Show lines that a board has printed: as `handle` of each."""
        clean = scrub_printed(said, self._redact)
        with self._lock:
            if self._postponed is not None:
                self._postponed += clean.each()
                return
            for output in list(self._outputs):
                self._deliver_printed(output, clean)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is written in this block: the caller has the terminal, for a prompt.

        Events of other threads are kept and shown afterwards, so that no device waits while a
        question about another one is answered. A second caller waits for the first.
        """
        with self._prompt, ExitStack() as cleanup:
            cleanup.callback(self._show_postponed)
            with self._lock:
                self._postponed = []
                for output in self._outputs:
                    if isinstance(output, Pausable):
                        output.pause()
                        cleanup.callback(output.resume)
            yield

    def _show_postponed(self) -> None:
        with self._lock:
            postponed, self._postponed = self._postponed or [], None
            # Of a countdown only the latest: nobody could have acted on the ones before.
            latest = {
                event.device: place
                for place, event in enumerate(postponed)
                if isinstance(event, ManualActionNeeded)
            }
            for place, event in enumerate(postponed):
                if not isinstance(event, ManualActionNeeded) or latest[event.device] == place:
                    self._deliver_to_all(event)

    def _deliver_to_all(self, event: Event) -> None:
        for output in list(self._outputs):
            self._deliver(output, event)

    def close(self) -> None:
        """Finish all outputs; a second call does nothing."""
        with self._lock:
            while self._outputs:
                output = self._outputs.pop(0)
                try:
                    output.close()
                except OSError as error:
                    self._warn(output, error)

    def __enter__(self) -> Fanout:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _deliver_printed(self, output: Output, said: Printed) -> None:
        # Asking a protocol whether it is one takes longer than all the rest.
        handle: Callable[[Printed], None] | None = getattr(output, "handle_printed", None)
        if handle is None:
            for line in said.each():
                self._deliver(output, line)
        else:
            self._attempt(output, lambda: handle(said))

    def _deliver(self, output: Output, event: Event) -> None:
        self._attempt(output, lambda: output.handle(event))

    def _attempt(self, output: Output, deliver: Callable[[], None]) -> None:
        if output not in self._outputs:
            return
        try:
            deliver()
        except OSError as error:
            self._outputs.remove(output)
            with suppress(OSError):
                output.close()
            self._warn(output, error)

    def _warn(self, output: Output, error: OSError) -> None:
        if isinstance(error, BrokenPipeError):
            if self._end is not None:
                self._ended = True
                self._end()
                return
        elif output.asked_for:
            self._lost = True
        reason = error.strerror or type(error).__name__
        notice = Notice(message=f"cannot write {output.name}: {reason}; the run goes on without it")
        for other in list(self._outputs):
            self._deliver(other, notice)
