"""What is at a socket, and what comes next: a pure state machine, told what is seen and what the
work comes to.

    empty -> found -> proving -> working -> passed | failed -> (taken away) -> empty

A port counts once it was seen twice: its links and the leave to open it come a moment after it.
While a board is worked on its port may vanish and come back, as that of a chip with its own USB
does with every reset; whoever works on it finds out. Once it is done, a port that comes back with
the same USB serial number within `GRACE` is the same board still, or with one that is its MAC: many
a chip has another number in its boot loader than in its firmware. One that comes with any other
number is asked, and where its MAC is that of the board before it is no new visit. A UART bridge's
is taken away by no reset: whatever comes back there was plugged in by a hand, and is looked at,
also where that was amid the last steps of a board that then passed (its label was still being
printed).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from provision.model.language import record

GRACE = 3.0  # seconds that a board's own USB may take to come back after its last reset

Phase = Literal["empty", "found", "proving", "working", "passed", "failed"]


@record
class SeenPort:
    """A port as the system lists it; `serial` is the USB serial number of a chip's own USB, None
    of a bridge: the number of many is the same on every board."""

    path: str
    serial: str | None = None


@record
class Verdict:
    """What became of a board. `advice` is what to do next, `known` that its number was its own
    before, `look` that it was only looked at, `cut` that the station was stopped. `again`: it was
    told before, of a board whose own USB has come back since with another serial number."""

    passed: bool
    seconds: float
    number: str | None = None
    name: str | None = None
    mac: str | None = None
    reason: str | None = None
    advice: str | None = None
    known: bool = False
    look: bool = False
    cut: bool = False
    again: bool = False


@record
class Counts:
    """Since the start: how many boards passed and failed, and the seconds that those that passed
    took. Boards that were only `looked` at (done before, or a station that is dry), of which some
    were `amiss`, are in neither: they say nothing of the yield."""

    passed: int = 0
    failed: int = 0
    seconds: float = 0.0
    looked: int = 0
    amiss: int = 0

    def after(self, verdict: Verdict) -> Counts:
        if verdict.cut or verdict.again:
            return self
        if verdict.look:
            amiss = self.amiss + (not verdict.passed)
            return replace(self, looked=self.looked + 1, amiss=amiss)
        if not verdict.passed:
            return replace(self, failed=self.failed + 1)
        return replace(self, passed=self.passed + 1, seconds=self.seconds + verdict.seconds)

    @property
    def total(self) -> int:
        """Visits that came to a verdict."""
        return self.passed + self.failed + self.looked

    @property
    def yield_percent(self) -> int | None:
        """Of the boards that were made, rounded down; None before the first."""
        made = self.passed + self.failed
        return 100 * self.passed // made if made else None

    @property
    def seconds_a_unit(self) -> float | None:
        """Of those that passed, on average; None before the first."""
        return self.seconds / self.passed if self.passed else None

    @property
    def summary(self) -> str:
        """`41 passed, 2 failed, yield 95 %, 12.3 s a unit, 3 only looked at`."""
        said = [f"{self.passed} passed", f"{self.failed} failed"]
        if self.yield_percent is not None:
            said.append(f"yield {self.yield_percent} %")
        if self.seconds_a_unit is not None:
            said.append(f"{self.seconds_a_unit:.1f} s a unit")
        if self.looked:
            amiss = f" ({self.amiss} amiss)" if self.amiss else ""
            said.append(f"{self.looked} only looked at{amiss}")
        return ", ".join(said)


@record
class SocketState:
    """`lost` is since when the port of a board that was begun is not there, `replugged` whether
    a hand has taken it away meanwhile; `verdict` is of the board that is there, or of the last
    one. `perhaps` is the verdict on the board before, which this one may be still."""

    phase: Phase = "empty"
    port: SeenPort | None = None
    since: float = 0.0
    lost: float | None = None
    replugged: bool = False
    number: str | None = None
    mac: str | None = None
    verdict: Verdict | None = None
    perhaps: Verdict | None = None


def looked(state: SocketState, port: SeenPort | None, now: float) -> tuple[SocketState, bool]:
    """What a look at the socket makes of it, and whether the board there is to be begun."""
    match state.phase:
        case "empty":
            return (_found(state, port, now) if port is not None else state), False
        case "found":
            if port is None:
                return replace(state, phase="empty", port=None, since=now), False
            if port != state.port:
                return replace(_found(state, port, now), perhaps=state.perhaps), False
            return replace(state, phase="proving", since=now, verdict=None), True
        case "proving" | "working":
            if port is None:
                return replace(state, lost=_first(state.lost, now)), False
            gone = state.replugged or (port.serial is None and state.lost is not None)
            return replace(state, lost=None, replugged=gone), False
        case "passed" | "failed":
            if port is None:
                lost = _first(state.lost, now)
                if now - lost >= GRACE:
                    return SocketState(since=now, verdict=state.verdict), False
                return replace(state, lost=lost), False
            same = port == state.port and state.lost is None
            if port.serial is not None:
                same = port.serial == (state.port.serial if state.port is not None else None)
                same = same or _is_mac(port.serial, state.verdict)
            if state.phase == "passed" and state.replugged:
                same = False  # who knows whether this is the one that has passed
            if same:
                return replace(state, lost=None, port=port), False
            perhaps = state.verdict if port.serial is not None else None
            return replace(_found(state, port, now), perhaps=perhaps), False


def proved(state: SocketState, *, number: str | None, mac: str, now: float) -> SocketState:
    """The board there has said who it is, and has its number (None of a station that is dry)."""
    assert state.phase == "proving"
    return replace(state, phase="working", number=number, mac=mac, since=now)


def ended(state: SocketState, verdict: Verdict, now: float) -> SocketState:
    """The work is over."""
    assert state.phase in ("proving", "working")
    return replace(
        state, phase="passed" if verdict.passed else "failed", verdict=verdict, since=now
    )


def _found(state: SocketState, port: SeenPort, now: float) -> SocketState:
    return SocketState(phase="found", port=port, since=now, verdict=state.verdict)


def _is_mac(serial: str, verdict: Verdict | None) -> bool:
    """Whether a USB serial number is the MAC of the board that was told of, however it is written:
    `F4:12:FA:00:00:01` of a chip's own USB-serial, `f412fa000001` of a firmware's."""
    if verdict is None or verdict.mac is None:
        return False
    return serial.replace(":", "").replace("-", "").lower() == verdict.mac.replace(":", "").lower()


def _first(lost: float | None, now: float) -> float:
    return now if lost is None else lost
