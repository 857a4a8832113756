"""What changes on a page while it is looked at: its pieces, each with a version, and the streams of
Server-Sent Events that bring the changed ones to browsers.

Nothing is queued for anybody. A stream knows the number of the last change that it has sent, and
sends whatever has a newer one, rendered as it is now: a browser that is slow, or comes back with
its Last-Event-ID, gets each piece once, however often it has changed meanwhile.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import Callable, Iterable

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

LEAST_PAUSE = 0.2  # seconds between two messages of a stream: nobody reads faster
SILENCE = 15.0  # seconds after which an empty line tells that the stream is alive
STALLED = 30.0  # seconds that a browser may leave what it was sent unread
MOST_STREAMS = 400

GONE = b"event: gone\ndata:\n\n"
"""Tells a browser that nothing more comes of the page it has: it is to be loaded anew."""

_ALIVE = b": \n\n"  # a comment, which browsers leave out

Render = Callable[[str], str]


class Topic:
    """The pieces of one page, by key, such as the tile of a device. `touch` is called from any
    thread, the rest from the event loop."""

    def __init__(self, render: Render) -> None:
        """`render` makes the HTML of a piece as it is now, with its id and `hx-swap-oob`."""
        self._render = render
        self._epoch = secrets.token_hex(4)  # a number of an earlier start means nothing here
        self._lock = threading.Lock()
        self._last = 0
        self._versions: dict[str, int] = {}
        self._html: dict[str, tuple[int, str]] = {}
        self._waiting: dict[asyncio.Event, asyncio.AbstractEventLoop] = {}
        self._closed = False

    def touch(self, keys: Iterable[str]) -> None:
        """These pieces are not any more what they were."""
        with self._lock:
            for key in keys:
                self._last += 1
                self._versions[key] = self._last
            self._wake()

    def close(self) -> None:
        """Its streams end."""
        with self._lock:
            self._closed = True
            self._wake()

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for event, loop in waiting.items():
            loop.call_soon_threadsafe(event.set)

    @property
    def closed(self) -> bool:
        return self._closed

    @property
    def mark(self) -> str:
        """The number of the last change, for a page that is rendered now."""
        return f"{self._epoch}-{self._last}"

    def knows(self, mark: str) -> bool:
        """Whether a mark is of this start of the server. A page with another one shows what may
        have changed while nobody watched, and has to be loaded anew."""
        return not mark or mark.partition("-")[0] == self._epoch

    def since(self, mark: str) -> tuple[str, list[str]]:
        """The pieces that have changed since a mark, in the order of their changes; all of them
        for a mark of an earlier start, or none."""
        after = self._number(mark)
        with self._lock:
            changed = sorted(
                (version, key) for key, version in self._versions.items() if version > after
            )
            return self.mark, [key for _, key in changed]

    def _number(self, mark: str) -> int:
        """The number in a mark; 0 for one of an earlier start, or none."""
        epoch, _, number = mark.partition("-")
        known = epoch == self._epoch and number.isdecimal() and len(number) < 19
        return int(number) if known else 0

    def html(self, key: str) -> str:
        """A piece as it is now; rendered once for all streams."""
        with self._lock:
            version = self._versions.get(key, 0)
        known = self._html.get(key)
        if known is None or known[0] != version:
            known = self._html[key] = (version, self._render(key))
        return known[1]

    async def changed(self, mark: str, seconds: float) -> bool:
        """Whether something has changed since a mark: waited for, so many seconds at most."""
        event = asyncio.Event()
        with self._lock:
            if self._closed or mark != self.mark:
                return True
            self._waiting[event] = asyncio.get_running_loop()
        try:
            await asyncio.wait_for(event.wait(), seconds)
        except asyncio.TimeoutError:
            return False
        finally:
            with self._lock:
                self._waiting.pop(event, None)
        return True


class GoneAnswer(Response):
    """The answer to a browser that would follow what is no longer live."""

    media_type = "text/event-stream"

    def __init__(self) -> None:
        super().__init__(GONE)


class Streams:
    """The streams that are open, of all topics."""

    def __init__(self, most: int = MOST_STREAMS, *, stalled: float = STALLED) -> None:
        self.most = most
        self.stalled = stalled
        self._open = 0

    @property
    def full(self) -> bool:
        return self._open >= self.most

    @property
    def open(self) -> int:
        return self._open

    def answer(self, topic: Topic, mark: str) -> EventStreamAnswer:
        """An answer that goes on for as long as the browser listens."""
        return EventStreamAnswer(self, topic, mark)

    def opened(self, number: int) -> None:
        self._open += number


class EventStreamAnswer(Response):
    """One stream of one topic, from a mark on."""

    def __init__(self, streams: Streams, topic: Topic, mark: str) -> None:
        super().__init__()
        self._streams = streams
        self._topic = topic
        self._mark = mark

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._streams.opened(1)
        left = asyncio.ensure_future(_left(receive))
        sending = asyncio.ensure_future(self._send(send))
        try:
            await asyncio.wait({left, sending}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._streams.opened(-1)
            for task in (left, sending):
                task.cancel()
            _, ended = await asyncio.gather(left, sending, return_exceptions=True)
        if isinstance(ended, Exception) and not isinstance(ended, asyncio.TimeoutError):
            raise ended

    async def _send(self, send: Send) -> None:
        headers = [(b"content-type", b"text/event-stream"), (b"x-accel-buffering", b"no")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await self._write(send, _ALIVE)  # the browser knows now that it is connected
        while self._topic.knows(self._mark):
            last = self._topic.closed
            mark, keys = self._topic.since(self._mark)
            if keys:
                await self._write(send, message(mark, (self._topic.html(key) for key in keys)))
            self._mark = mark
            if last:
                break
            # Else a board's progress would be a message for every byte of it.
            await asyncio.sleep(LEAST_PAUSE)
            if not await self._topic.changed(mark, SILENCE):
                await self._write(send, _ALIVE)
        gone = b"" if self._topic.knows(self._mark) else GONE
        await send({"type": "http.response.body", "body": gone, "more_body": False})

    async def _write(self, send: Send, body: bytes) -> None:
        """Send, and give up on a browser that leaves it unread: it will come back."""
        part = {"type": "http.response.body", "body": body, "more_body": True}
        await asyncio.wait_for(send(part), self._streams.stalled)


def message(mark: str, pieces: Iterable[str]) -> bytes:
    """Pieces of a page as one event, with the mark that the browser comes back with."""
    lines = "\n".join(pieces).splitlines()
    data = "".join(f"data: {line}\n" for line in lines)
    return f"event: update\nid: {mark}\n{data}\n".encode("utf-8", "replace")


async def _left(receive: Receive) -> None:
    """Returns when the browser has gone."""
    while (await receive())["type"] != "http.disconnect":
        pass
