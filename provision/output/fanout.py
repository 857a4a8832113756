"""One stream of events to several outputs, from many threads, in one order for all.

An output that cannot write any more (a full disk, a closed pipe) is dropped with a notice: boards
must not be left half done because a log cannot be kept.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from types import TracebackType
from typing import Protocol, runtime_checkable

from provision.model.event import Event, HandsNeeded, Notice
from provision.output.scrub import Redact, scrub


class Output(Protocol):
    """Renders events; calls never overlap."""

    def handle(self, event: Event) -> None:
        """Show one event. May raise OSError when it cannot."""
        ...

    def close(self) -> None:
        """Finish what was begun; no event comes afterwards."""
        ...


@runtime_checkable
class Pausable(Protocol):
    """An output that draws over its own lines, and must make room for others'."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...


class Fanout:
    """Hands each event to every output, scrubbed. Safe to call from any thread.

    An output earlier in `outputs` sees an event before a later one.
    """

    def __init__(self, outputs: Sequence[Output], redact: Redact = str) -> None:
        self._outputs = list(outputs)
        self._redact = redact
        self._lock = threading.RLock()
        self._prompt = threading.Lock()
        self._held: list[Event] | None = None  # events kept back while paused

    def handle(self, event: Event) -> None:
        """Show one event everywhere."""
        clean: Event = scrub(event, self._redact)
        with self._lock:
            if self._held is not None:
                self._held.append(clean)
                return
            self._give_all(clean)

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Nothing is written inside: the terminal is the caller's, for a prompt say.

        Events of other threads are kept and shown afterwards, so that no device waits for an
        answer that another one needs. A second caller waits for the first.
        """
        with self._prompt, ExitStack() as cleanup:
            cleanup.callback(self._show_held)
            with self._lock:
                self._held = []
                for output in self._outputs:
                    if isinstance(output, Pausable):
                        output.pause()
                        cleanup.callback(output.resume)
            yield

    def _show_held(self) -> None:
        with self._lock:
            held, self._held = self._held or [], None
            # Of a countdown only where it is now: what went by could not be acted upon.
            latest = {
                event.device: place
                for place, event in enumerate(held)
                if isinstance(event, HandsNeeded)
            }
            for place, event in enumerate(held):
                if not isinstance(event, HandsNeeded) or latest[event.device] == place:
                    self._give_all(event)

    def _give_all(self, event: Event) -> None:
        for output in list(self._outputs):
            self._give(output, event)

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

    def _give(self, output: Output, event: Event) -> None:
        if output not in self._outputs:
            return
        try:
            output.handle(event)
        except OSError as error:
            self._outputs.remove(output)
            with suppress(OSError):
                output.close()
            self._warn(output, error)

    def _warn(self, output: Output, error: OSError) -> None:
        reason = error.strerror or type(error).__name__
        where = f" {error.filename}" if error.filename else ""
        notice = Notice(message=f"{type(output).__name__}{where} stops here: {reason}")
        for other in list(self._outputs):
            self._give(other, notice)
