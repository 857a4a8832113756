"""The station as it is seen: what each socket shows to whoever stands before it, as data.

The terminal's screen draws it and a page may; neither decides anything. What boards have a say in
is made harmless here.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import field

from provision.core.wording import harmless_line
from provision.model.language import record
from provision.station.machine import Counts, Phase, SocketState, Verdict

_MOST_NOTICES = 200

_ADVICE: Mapping[Phase, str] = {
    "empty": "plug a board in",
    "found": "leave it in",
    "proving": "leave it in",
    "working": "leave it in",
    "passed": "take it away",
    "failed": "take it away",
}


@record
class Working:
    """What is being done with a board, and how far that is, from 0 to 1 (None: nobody knows)."""

    stage: str
    fraction: float | None = None


@record
class SocketView:
    """One socket. `seconds` are those of the board that is there: so far, or until its verdict;
    `advice` is what a person does next; `last` is what became of the board before, while none is
    there. Every text is one harmless line."""

    socket: str
    phase: Phase
    number: str | None = None
    name: str | None = None
    mac: str | None = None
    seconds: float | None = None
    working: Working | None = None
    reason: str | None = None
    advice: str
    last: str | None = None


@record
class StationView:
    """All sockets in their order, what came to so far, and what was said, the newest last."""

    sockets: tuple[SocketView, ...] = ()
    counts: Counts = field(default_factory=Counts)
    notices: tuple[str, ...] = ()


def socket_view(socket: str, state: SocketState, working: Working | None, now: float) -> SocketView:
    """A socket at this moment; `now` is of the clock that its `since` is of."""
    verdict = state.verdict
    there = verdict if state.phase in ("passed", "failed") else None
    seconds = None
    if there is not None:
        seconds = there.seconds
    elif state.phase in ("proving", "working"):
        seconds = max(0.0, now - state.since)
    return SocketView(
        socket=socket,
        phase=state.phase,
        number=_line(there.number if there is not None else state.number),
        name=_line(there.name) if there is not None else None,
        mac=_line(there.mac if there is not None else state.mac),
        seconds=seconds,
        working=working if state.phase in ("proving", "working") else None,
        reason=_line(there.reason) if there is not None else None,
        advice=_advice(state.phase, there),
        last=_last(verdict) if state.phase in ("empty", "found") and verdict is not None else None,
    )


class LiveView:
    """A `Teller` that knows how the station looks now; `view` may be called from any thread.

    `on_change` is called after each change, on the station's own thread: it must be quick.
    """

    def __init__(
        self, sockets: Sequence[str] = (), *, on_change: Callable[[], None] | None = None
    ) -> None:
        self._lock = threading.Lock()
        self._states = {name: SocketState() for name in sockets}
        self._working: dict[str, Working] = {}
        self._counts = Counts()
        self._notices: list[str] = []
        self._on_change = on_change

    def view(self) -> StationView:
        """How it looks now."""
        now = time.monotonic()
        with self._lock:
            return StationView(
                sockets=tuple(
                    socket_view(name, state, self._working.get(name), now)
                    for name, state in self._states.items()
                ),
                counts=self._counts,
                notices=tuple(self._notices),
            )

    def changed(self, socket: str, state: SocketState, counts: Counts) -> None:
        with self._lock:
            self._states[socket] = state
            self._counts = counts
            self._working.pop(socket, None)
        self._tell()

    def progress(self, socket: str, stage: str, fraction: float | None) -> None:
        with self._lock:
            self._working[socket] = Working(stage=harmless_line(stage), fraction=fraction)
        self._tell()

    def said(self, text: str) -> None:
        with self._lock:
            self._notices = [*self._notices, harmless_line(text)][-_MOST_NOTICES:]
        self._tell()

    def close(self) -> None:
        """What it shows stays."""

    def _tell(self) -> None:
        if self._on_change is not None:
            self._on_change()


def _advice(phase: Phase, verdict: Verdict | None) -> str:
    if phase == "failed" and verdict is not None and verdict.advice:
        return harmless_line(verdict.advice)
    return _ADVICE[phase]


def _last(verdict: Verdict) -> str:
    who = verdict.name or verdict.number or "a board"
    if verdict.passed:
        return harmless_line(f"PASS {who}")
    return harmless_line(f"FAIL {who}: {verdict.reason}")


def _line(text: str | None) -> str | None:
    return harmless_line(text) if text is not None else None
