"""What boards print, for as long as somebody looks.

Listening sends a board not a byte, but it takes its port: it begins when somebody asks, ends soon
after the last page that shows it is closed, and makes room while a run is at work with the board.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from markupsafe import Markup

from provision import api
from provision.errors import ProvisionError
from provision.model.event import ConsoleLine, DeviceFinished, Event, Notice
from provision.web.live import Render, Topic

KEPT = 1000  # pieces of output, of each board
MOST_TEXT = 2000  # characters of a piece
GRACE = 20.0  # seconds that nobody may look: a page that is loaded anew, a tab that was changed
STATE = "console-state"

Listen = Callable[[str, api.Cancellation, Callable[[Event], None]], None]


class ConsoleTopic(Topic):
    """The output of one board: pieces that are appended, whose numbers are the topic's marks."""

    def __init__(self, render: Render) -> None:
        super().__init__(render)
        self._pieces: deque[tuple[int, Markup]] = deque(maxlen=KEPT)

    def say(self, text: str, kind: str, *, ended: bool = True) -> None:
        """Output, or a word about it; `kind` is its class."""
        piece = Markup('<span class="{}">{}{}</span>').format(
            kind, text[:MOST_TEXT], "\n" if ended else ""
        )
        with self._lock:
            self._last += 1
            self._pieces.append((self._last, piece))
            self._wake()

    def since(self, mark: str) -> tuple[str, list[str]]:
        mark_now, keys = super().since(mark)
        with self._lock:
            after = self._number(mark)
            if self._pieces and self._pieces[-1][0] > after:
                keys.append(f"after {after}")
        return mark_now, keys

    def html(self, key: str) -> str:
        if not key.startswith("after "):
            return super().html(key)
        text = Markup("").join(self.pieces(int(key.removeprefix("after "))))
        return Markup('<div hx-swap-oob="beforeend:#console">{}</div>').format(text)

    def pieces(self, after: int = 0) -> list[Markup]:
        """What there is, or has come after a number; a gap is said."""
        with self._lock:
            oldest = self._pieces[0][0] if self._pieces else 0
            found = [piece for number, piece in self._pieces if number > after]
        if 0 < after < oldest - 1:
            found.insert(0, Markup('<span class="dim">(some output was left out)\n</span>'))
        return found


class Console:
    """One board that is listened to, on a thread of its own."""

    def __init__(
        self,
        device: str,
        listen: Listen,
        topic: ConsoleTopic,
        tell_bug: Callable[[Exception], None],
    ) -> None:
        self.device = device
        self.topic = topic
        self._listen = listen
        self._tell_bug = tell_bug
        self._changed = threading.Condition()
        self._held = 0  # runs that are at work with the board
        self._ended = False
        self._listening = False
        self._cancel = api.Cancellation()
        self._thread = threading.Thread(target=self._work, name=f"console {device}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    @property
    def open(self) -> bool:
        return not self._ended

    @property
    def held(self) -> bool:
        return self._held > 0

    def end(self) -> None:
        """Stop listening; the port is free when `join` returns."""
        with self._changed:
            self._ended = True
            self._cancel.cancel()
            self._changed.notify_all()

    def join(self) -> None:
        self._thread.join()

    def hold(self) -> None:
        """Leave the port alone, from the return of this until `release`."""
        with self._changed:
            self._held += 1
            self._cancel.cancel()
            self._changed.wait_for(lambda: not self._listening)
        self.topic.touch([STATE])

    def release(self) -> None:
        with self._changed:
            self._held -= 1
            self._changed.notify_all()
        self.topic.touch([STATE])

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._ended or not self._held)
                if self._ended:
                    break
                self._cancel = cancel = api.Cancellation()
                self._listening = True
            try:
                self._listen(self.device, cancel, self._heard)
            except ProvisionError as error:
                self._say(f"{error.message}; {error.hint}")
            except Exception as error:  # noqa: BLE001 - a bug; the page must not say it listens
                self._tell_bug(error)
                self._say(f"internal: {type(error).__name__}: {error}")
            finally:
                with self._changed:
                    self._listening = False
                    if not cancel.cancelled():  # it has ended by itself, and has said why
                        self._ended = True
                    self._changed.notify_all()
        self.topic.touch([STATE])

    def _say(self, text: str) -> None:
        self.topic.say(text, "notice")

    def _heard(self, event: Event) -> None:
        match event:
            case ConsoleLine():
                kind = "bad" if event.traceback else "said"
                self.topic.say(event.text, kind, ended=event.ended)
            case Notice():
                self._say(event.message)
            case DeviceFinished(error=str(error)) if event.outcome != "interrupted":
                self._say(f"{error}; {event.hint}" if event.hint else error)
            case _:
                pass


class Consoles:
    """Those of one server: at most one a board, whoever looks."""

    def __init__(
        self,
        listen: Listen,
        render: Callable[[str, str], str],
        *,
        tell_bug: Callable[[Exception], None],
        grace: float = GRACE,
    ) -> None:
        """`render` makes the HTML of a piece of a device's console; `tell_bug` is told of a mistake
        of this tool, which ends the listening; `grace` is for how many seconds nobody may look
        before the port is given back."""
        self._grace = grace
        self._tell_bug = tell_bug
        self._listen = listen
        self._render = render
        self._lock = threading.Lock()
        self._topics: dict[str, ConsoleTopic] = {}
        self._consoles: dict[str, Console] = {}
        self._watchers: dict[str, int] = {}
        self._timers: dict[str, threading.Timer] = {}
        self._held: dict[str, int] = {}
        self._closed = False

    def topic(self, device: str) -> ConsoleTopic:
        """What is live of a device's console, open or not."""
        with self._lock:
            found = self._topics.get(device)
            if found is None:
                found = ConsoleTopic(lambda key: self._render(device, key))
                self._topics[device] = found
            return found

    def state(self, device: str) -> str:
        """ "listening", "held" while a run is at work with the board, or "closed"."""
        console = self._consoles.get(device)
        if console is None or not console.open:
            return "closed"
        return "held" if console.held else "listening"

    def open(self, device: str) -> None:
        """Begin to listen; nothing where that is done already."""
        topic = self.topic(device)
        with self._lock:
            console = self._consoles.get(device)
            if self._closed or (console is not None and console.open):
                return
            console = self._consoles[device] = Console(device, self._listen, topic, self._tell_bug)
            for _ in range(self._held.get(device, 0)):
                console.hold()
            console.start()
            self._expect_watcher(device)
        topic.touch([STATE])

    def close(self, device: str) -> None:
        """Stop to listen; nothing where nobody does."""
        console = self._consoles.get(device)
        if console is not None:
            console.end()

    @contextmanager
    def watching(self, device: str) -> Iterator[None]:
        """Somebody looks, in this block."""
        with self._lock:
            self._watchers[device] = self._watchers.get(device, 0) + 1
            timer = self._timers.pop(device, None)
            if timer is not None:
                timer.cancel()
        try:
            yield
        finally:
            with self._lock:
                self._watchers[device] -= 1
                self._expect_watcher(device)

    @contextmanager
    def held(self, devices: Iterable[str]) -> Iterator[None]:
        """In this block nobody listens to these: a run is at work with them."""
        devices = list(devices)
        with self._lock:
            for device in devices:
                self._held[device] = self._held.get(device, 0) + 1
            holding = [self._consoles[each] for each in devices if each in self._consoles]
        for console in holding:
            console.hold()
        try:
            yield
        finally:
            with self._lock:
                for device in devices:
                    self._held[device] -= 1
                for console in [self._consoles[each] for each in devices if each in self._consoles]:
                    console.release()

    def shut(self) -> None:
        """The server ends."""
        with self._lock:
            self._closed = True
            consoles = list(self._consoles.values())
            timers, self._timers = list(self._timers.values()), {}
        for timer in timers:
            timer.cancel()
        for console in consoles:
            console.end()
        for console in consoles:
            console.join()
        for topic in list(self._topics.values()):
            topic.close()

    def _expect_watcher(self, device: str) -> None:
        """Nobody looks any more, or not yet: for how long is bounded. The lock is held."""
        if self._closed or self._watchers.get(device) or device in self._timers:
            return
        timer = self._timers[device] = threading.Timer(self._grace, self._unwatched, [device])
        timer.daemon = True
        timer.start()

    def _unwatched(self, device: str) -> None:
        with self._lock:
            self._timers.pop(device, None)
            # With the lock: who looks again now has either stopped this, or has it to open anew.
            if not self._watchers.get(device):
                self.close(device)
