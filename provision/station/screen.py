"""The station on the whole terminal: a tile a socket, PASS and FAIL to be read while standing.

Each verdict is told three ways: by the tile's colour, by a word in large letters, by a symbol. Only
this module of the station imports rich. What boards have a say in is made harmless before it is
drawn.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TextIO

from rich import box
from rich.align import Align
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.padding import Padding
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from provision.core.wording import harmless_line, shorten
from provision.station.machine import SocketState, Verdict
from provision.station.telling import Counts

REDRAWS_A_SECOND = 8
_NARROWEST = 34  # columns of a tile
_TILE = 14  # lines of a tile with large letters
_SMALL = 8  # without
_NOTICES = 3

_LETTERS = {
    "P": ("████", "█  █", "████", "█   ", "█   "),
    "A": ("████", "█  █", "████", "█  █", "█  █"),
    "S": ("████", "█   ", "████", "   █", "████"),
    "F": ("████", "█   ", "███ ", "█   ", "█   "),
    "I": ("█", "█", "█", "█", "█"),
    "L": ("█   ", "█   ", "█   ", "█   ", "████"),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Look:
    """How a tile looks: its colours, its word and symbol, and what a person does next."""

    style: str
    border: str
    word: str
    symbol: str
    advice: str


_LOOKS = {
    "empty": _Look(style="dim", border="dim", word="", symbol="", advice="plug a board in"),
    "found": _Look(style="yellow", border="yellow", word="", symbol="…", advice="leave it in"),
    "proving": _Look(style="yellow", border="yellow", word="", symbol="…", advice="leave it in"),
    "working": _Look(style="cyan", border="cyan", word="", symbol="…", advice="leave it in"),
    "passed": _Look(
        style="bold black on green", border="green", word="PASS", symbol="✔", advice="take it away"
    ),
    "failed": _Look(
        style="bold white on red", border="red", word="FAIL", symbol="✘", advice="take it away"
    ),
}


class Screen:
    """Draws the station, its `sockets` in this order, until it is closed; then what was said is
    printed below what was there before. With a bell at each verdict."""

    def __init__(
        self,
        stream: TextIO,
        title: str,
        *,
        sockets: Sequence[str] = (),
        console: Console | None = None,
    ) -> None:
        self._console = console or Console(file=stream, highlight=False)
        self._title = title
        self._lock = threading.Lock()  # rich draws on a thread of its own
        self._states = {name: SocketState() for name in sockets}
        self._stages: dict[str, tuple[str, float | None]] = {}
        self._counts = Counts()
        self._said: list[str] = []
        self._live = Live(
            console=self._console,
            screen=True,
            refresh_per_second=REDRAWS_A_SECOND,
            get_renderable=self.render,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def changed(self, socket: str, state: SocketState, counts: Counts) -> None:
        with self._lock:
            self._states[socket] = state
            self._counts = counts
            self._stages.pop(socket, None)
        if state.phase in ("passed", "failed"):
            self._console.bell()

    def progress(self, socket: str, stage: str, fraction: float | None) -> None:
        with self._lock:
            self._stages[socket] = (stage, fraction)

    def said(self, text: str) -> None:
        with self._lock:
            self._said.append(harmless_line(text))

    def close(self) -> None:
        """Give the terminal back, with what was said."""
        self._live.stop()
        for text in self._said:
            self._console.print(Text(text))

    def render(self) -> RenderableType:
        """All of it, as large as the terminal."""
        with self._lock:
            states, stages = dict(self._states), dict(self._stages)
            counts, said = self._counts, self._said[-_NOTICES:]
        width, height = self._console.size
        columns = max(1, min(len(states) or 1, width // _NARROWEST))
        rows = -(-len(states) // columns) if states else 1
        room = (height - 3 - len(said)) // rows
        lines = _TILE if room >= _TILE else _SMALL
        grid = Table.grid(expand=True, padding=(0, 1))
        for _ in range(columns):
            grid.add_column(ratio=1)
        tiles: list[RenderableType] = [
            self._tile(name, state, stages.get(name), width // columns - 6, lines)
            for name, state in states.items()
        ]
        for first in range(0, len(tiles), columns):
            row = tiles[first : first + columns]
            grid.add_row(*row, *[""] * (columns - len(row)))
        head = Table.grid(expand=True)
        head.add_column()
        head.add_column(justify="right")
        head.add_row(
            Text(f" {self._title}", style="bold"), Text(f"{counts.summary} ", style="bold")
        )
        foot = [Text(f" {shorten(text, max(10, width - 2))}", style="dim") for text in said]
        ends = Text(" Ctrl-C ends the shift; writes in progress are finished", style="dim")
        return Group(head, grid, *foot, ends)

    def _tile(
        self,
        name: str,
        state: SocketState,
        stage: tuple[str, float | None] | None,
        width: int,
        lines: int,
    ) -> Panel:
        look = _LOOKS[state.phase]
        parts: list[RenderableType] = []
        symbol = self._symbol(look.symbol)
        large_letters = lines >= _TILE and self._unicode and width >= 20
        if look.word and large_letters:
            parts.append(Align.center(Text(f"\n{large(look.word)}")))
        elif look.word:
            parts.append(Align.center(Text(f"{symbol} {look.word} {symbol}")))
        for text in _lines(state, stage, symbol if large_letters else ""):
            parts.append(_cut(text, 2 * width))
        if state.phase == "working":
            done = stage[1] if stage is not None and stage[1] is not None else 0.0
            parts.append(Padding(ProgressBar(total=1.0, completed=done), (1, 2)))
        advice = look.advice
        if state.verdict is not None and state.phase == "failed":
            advice = state.verdict.advice or advice
        arrow = "→ " if self._unicode else "> "
        parts.append(_cut(arrow + advice, (3 if large_letters else 2) * width))
        return Panel(
            Group(*parts),
            title=Text(f" {name} ", style="bold"),
            style=look.style,
            border_style=look.border,
            box=box.HEAVY if self._unicode else box.ASCII,
            height=lines,
        )

    @property
    def _unicode(self) -> bool:
        return self._console.encoding.lower().startswith("utf")

    def _symbol(self, symbol: str) -> str:
        return symbol if self._unicode else {"✔": "+", "✘": "!"}.get(symbol, ".")


def large(word: str) -> str:
    """A word in letters of five lines."""
    return "\n".join("  ".join(_LETTERS[letter][line] for letter in word) for line in range(5))


def _cut(text: str, most: int) -> Text:
    """What is to be done must not be pushed off a tile by what is said above it. Words that are not
    cut at the end of a line leave up to a fifth of it empty."""
    return Text(shorten(harmless_line(text), most * 4 // 5), justify="center")


def _lines(state: SocketState, stage: tuple[str, float | None] | None, symbol: str) -> list[str]:
    """What a tile says besides its word and what to do."""
    verdict = state.verdict
    match state.phase:
        case "empty" | "found":
            return [] if verdict is None else ["", f"last: {_short(verdict)}"]
        case "proving":
            return ["", "who is it?"]
        case "working":
            return ["", state.number or "", stage[0] if stage is not None else ""]
        case "passed" | "failed":
            assert verdict is not None
            seconds = f"{verdict.seconds:.1f} s" if verdict.passed else ""
            who = f"{symbol} {verdict.name or verdict.number or 'a board'} {symbol}".strip()
            said = [who, seconds, verdict.reason or ""]
            return [text for text in said if text]


def _short(verdict: Verdict) -> str:
    who = verdict.name or verdict.number or "a board"
    if verdict.passed:
        return f"PASS {who}"
    return f"FAIL {who}: {verdict.reason}"
