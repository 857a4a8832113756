"""The events of a run as an iterator, for callers that would rather pull than be called.

The run goes on in a thread of its own and never waits for its reader: events are queued. Closing
the stream, or dropping it unread, cancels the run.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Callable, Iterator
from queue import SimpleQueue
from types import TracebackType
from typing import ParamSpec

from provision.engine.cancellation import Cancellation
from provision.model.event import Event, Printed
from provision.model.report import RunReport

Arguments = ParamSpec("Arguments")
OnEvent = Callable[[Event], None]
OnPrinted = Callable[[Printed], None]


def one_by_one(on_event: OnEvent) -> OnPrinted:
    """What boards print, for somebody who takes events alone."""

    def tell(said: Printed) -> None:
        for line in said.each():
            on_event(line)

    return tell


def stream(
    call: Callable[Arguments, RunReport], *args: Arguments.args, **kwargs: Arguments.kwargs
) -> EventStream:
    """Begin a run, as in `stream(apply, fleet, yes=True)`, and iterate over its events.

    `call` is `plan`, `apply` or `facts`, followed by its arguments; a `cancel` among them is the
    stream's too, an `on_event` is called as well.
    """
    given = dict(kwargs)
    cancel = given.get("cancel")
    if not isinstance(cancel, Cancellation):
        cancel = Cancellation()
    listener = given.get("on_event")

    def begin(put: OnEvent) -> RunReport:
        def on_event(event: Event) -> None:
            put(event)
            if callable(listener):
                listener(event)

        again: Callable[..., RunReport] = call
        return again(*args, **{**given, "on_event": on_event, "cancel": cancel})

    return EventStream(begin, cancel)


class EventStream(Iterator[Event]):
    """Iterates over the events of one run, in the order they happened.

    >>> with stream(apply, fleet, yes=True) as events:   # doctest: +SKIP
    ...     for event in events:
    ...         queue.put(event)
    >>> events.report.exit_code()                        # doctest: +SKIP
    0
    """

    def __init__(self, begin: Callable[[OnEvent], RunReport], cancel: Cancellation) -> None:
        """Begins the run that `begin` makes of where its events go. `cancel` is its token."""
        self._run = _Run(begin, cancel)
        # The thread holds no reference to the stream, so that dropping the stream ends the run.
        self._thread = threading.Thread(target=self._run.go, name="provision-stream")
        self._closed = False
        weakref.finalize(self, self._run.abandon)
        self._thread.start()

    @property
    def report(self) -> RunReport:
        """What the run came to; waits for its end. Raises what ended the run without a report,
        such as SourceError for an image that cannot be had."""
        self._thread.join()
        if self._run.error is not None:
            raise self._run.error
        assert self._run.report is not None
        return self._run.report

    def __next__(self) -> Event:
        """The next event, waited for. When the run ends without a report, the last one is
        followed by the error that `report` raises."""
        if self._closed:
            raise StopIteration
        event = self._run.events.get()
        if event is not None:
            return event
        self._closed = True
        if self._run.error is not None:
            raise self._run.error
        raise StopIteration

    def close(self) -> None:
        """Cancel the run, unless it has ended, and wait until it has: writes in progress are
        finished first. Events that were not read are dropped; `report` tells how the run ended."""
        self._closed = True
        self._run.abandon()
        self._thread.join()

    def __enter__(self) -> EventStream:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


class _Run:
    """The run behind a stream, on the stream's thread."""

    def __init__(self, begin: Callable[[OnEvent], RunReport], cancel: Cancellation) -> None:
        self.events: SimpleQueue[Event | None] = SimpleQueue()  # None is the end
        self.report: RunReport | None = None
        self.error: Exception | None = None
        self._begin = begin
        self._cancel = cancel
        self._ended = False

    def go(self) -> None:
        try:
            self.report = self._begin(self.events.put)
        except Exception as error:  # noqa: BLE001 - the reader's to handle, as of any call
            self.error = error
        finally:
            self._ended = True
            self.events.put(None)

    def abandon(self) -> None:
        """Cancel it if it is still going on: a token may be shared with other runs."""
        if not self._ended:
            self._cancel.cancel()
