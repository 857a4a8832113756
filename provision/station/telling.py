"""What a station tells: a line for each change, for people or as JSON. The full screen is in
`screen.py`."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Protocol

from provision.core.wording import harmless_line, plural
from provision.station.machine import Counts, SocketState, Verdict

VERSION = 1


class Teller(Protocol):
    """Is told what changes; from one thread."""

    def changed(self, socket: str, state: SocketState, counts: Counts) -> None: ...

    def progress(self, socket: str, stage: str, fraction: float | None) -> None: ...

    def said(self, text: str) -> None: ...

    def close(self) -> None: ...


class Lines:
    """Plain lines, of what a person at the machine wants to know."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def changed(self, socket: str, state: SocketState, counts: Counts) -> None:
        line = told(state)
        if line:
            self._write(harmless_line(f"{socket}: {line}"))

    def progress(self, socket: str, stage: str, fraction: float | None) -> None:
        """Too much for lines."""

    def said(self, text: str) -> None:
        self._write(harmless_line(text))

    def close(self) -> None:
        """Nothing is open."""


class JsonLines:
    """One object a line, for programs."""

    def __init__(self, write: Callable[[str], None]) -> None:
        self._write = write

    def changed(self, socket: str, state: SocketState, counts: Counts) -> None:
        self._line("socket", socket=socket, **socket_data(state))

    def progress(self, socket: str, stage: str, fraction: float | None) -> None:
        """What is told by the run's own events elsewhere."""

    def said(self, text: str) -> None:
        self._line("notice", message=text)

    def close(self) -> None:
        """Nothing is open."""

    def _line(self, kind: str, **data: Any) -> None:
        self._write(json.dumps({"version": VERSION, "kind": kind, **data}))


def told(state: SocketState) -> str:
    """What is to be said of a socket in one line; "" for nothing."""
    match state.phase:
        case "proving":
            return "found a board, asking who it is"
        case "working":
            return f"{state.number or 'dry'}: at work on {state.mac}"
        case "passed" | "failed":
            assert state.verdict is not None
            return of_verdict(state.verdict)
        case "empty" | "found":
            return ""


def of_verdict(verdict: Verdict) -> str:
    """`PASS PV-001000 (24:6f:28:…) in 12.3 s; take it away`."""
    if verdict.again:
        said = of_verdict(replace(verdict, again=False))
        return f"the same board still: {said}"
    who = verdict.name or verdict.number or "a board"
    mac = f" ({verdict.mac})" if verdict.mac else ""
    reason = f": {verdict.reason}" if verdict.reason else ""
    if verdict.passed:
        return f"PASS {who}{mac} in {verdict.seconds:.1f} s{reason}; take it away"
    word = "STOPPED" if verdict.cut else "FAIL"
    return f"{word} {who}{mac}{reason}; {verdict.advice or 'take it away'}"


def socket_data(state: SocketState) -> dict[str, Any]:
    """A socket as JSON has it; `verdict` only of the board that is there."""
    data: dict[str, Any] = {
        "phase": state.phase,
        "port": state.port.path if state.port is not None else None,
        "number": state.number,
        "mac": state.mac,
    }
    if state.phase in ("passed", "failed") and state.verdict is not None:
        verdict = state.verdict
        data.update(
            number=verdict.number,
            name=verdict.name,
            mac=verdict.mac,
            seconds=round(verdict.seconds, 3),
            reason=verdict.reason,
            advice=verdict.advice,
            known=verdict.known,
            look=verdict.look,
            again=verdict.again,
        )
    return data


def ending(counts: Counts, cut: int) -> str:
    """The last line of a shift."""
    tail = f"; {plural(cut, 'board')} stopped in the middle" if cut else ""
    return f"{counts.summary}{tail}"
