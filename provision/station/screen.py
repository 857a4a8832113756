"""The station on the whole terminal: a tile a socket, PASS and FAIL to be read while standing.

Each verdict is told three ways: by the tile's colour, by a word in large letters, by a symbol. Only
this module of the station imports rich. What is shown comes from `view.py`.
"""

from __future__ import annotations

from collections.abc import Sequence
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

from provision.core.wording import shorten
from provision.model.language import record
from provision.station.machine import Counts, SocketState
from provision.station.view import LiveView, SocketView

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


@record
class _Look:
    """How a tile looks: its colours, its word and its symbol."""

    style: str
    border: str
    word: str
    symbol: str


_LOOKS = {
    "empty": _Look(style="dim", border="dim", word="", symbol=""),
    "found": _Look(style="yellow", border="yellow", word="", symbol="…"),
    "proving": _Look(style="yellow", border="yellow", word="", symbol="…"),
    "working": _Look(style="cyan", border="cyan", word="", symbol="…"),
    "passed": _Look(style="bold black on green", border="green", word="PASS", symbol="✔"),
    "failed": _Look(style="bold white on red", border="red", word="FAIL", symbol="✘"),
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
        self._station = LiveView(sockets)  # rich draws on a thread of its own
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
        self._station.changed(socket, state, counts)
        told = state.verdict is not None and not state.verdict.again
        if told and state.phase in ("passed", "failed"):
            self._console.bell()

    def progress(self, socket: str, stage: str, fraction: float | None) -> None:
        self._station.progress(socket, stage, fraction)

    def said(self, text: str) -> None:
        self._station.said(text)

    def close(self) -> None:
        """Give the terminal back, with what was said."""
        self._live.stop()
        for text in self._station.view().notices:
            self._console.print(Text(text))

    def render(self) -> RenderableType:
        """All of it, as large as the terminal."""
        view = self._station.view()
        sockets, said = view.sockets, view.notices[-_NOTICES:]
        width, height = self._console.size
        columns = max(1, min(len(sockets) or 1, width // _NARROWEST))
        rows = -(-len(sockets) // columns) if sockets else 1
        room = (height - 3 - len(said)) // rows
        lines = _TILE if room >= _TILE else _SMALL
        grid = Table.grid(expand=True, padding=(0, 1))
        for _ in range(columns):
            grid.add_column(ratio=1)
        tiles: list[RenderableType] = [
            self._tile(socket, width // columns - 6, lines) for socket in sockets
        ]
        for first in range(0, len(tiles), columns):
            row = tiles[first : first + columns]
            grid.add_row(*row, *[""] * (columns - len(row)))
        head = Table.grid(expand=True)
        head.add_column()
        head.add_column(justify="right")
        head.add_row(
            Text(f" {self._title}", style="bold"), Text(f"{view.counts.summary} ", style="bold")
        )
        foot = [Text(f" {shorten(text, max(10, width - 2))}", style="dim") for text in said]
        ends = Text(" Ctrl-C ends the shift; writes in progress are finished", style="dim")
        return Group(head, grid, *foot, ends)

    def _tile(self, socket: SocketView, width: int, lines: int) -> Panel:
        look = _LOOKS[socket.phase]
        parts: list[RenderableType] = []
        symbol = self._symbol(look.symbol)
        large_letters = lines >= _TILE and self._unicode and width >= 20
        if look.word and large_letters:
            parts.append(Align.center(Text(f"\n{large(look.word)}")))
        elif look.word:
            parts.append(Align.center(Text(f"{symbol} {look.word} {symbol}")))
        for text in _lines(socket, symbol if large_letters else ""):
            parts.append(_cut(text, 2 * width))
        if socket.phase == "working":
            done = (socket.working.fraction if socket.working is not None else None) or 0.0
            parts.append(Padding(ProgressBar(total=1.0, completed=done), (1, 2)))
        arrow = "→ " if self._unicode else "> "
        parts.append(_cut(arrow + socket.advice, (3 if large_letters else 2) * width))
        return Panel(
            Group(*parts),
            title=Text(f" {socket.socket} ", style="bold"),
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
    return Text(shorten(text, most * 4 // 5), justify="center")


def _lines(socket: SocketView, symbol: str) -> list[str]:
    """What a tile says besides its word and what to do."""
    match socket.phase:
        case "empty" | "found":
            return [] if socket.last is None else ["", f"last: {socket.last}"]
        case "proving":
            return ["", "who is it?"]
        case "working":
            stage = socket.working.stage if socket.working is not None else ""
            return ["", socket.number or "", stage]
        case "passed" | "failed":
            seconds = f"{socket.seconds:.1f} s" if socket.phase == "passed" else ""
            who = f"{symbol} {socket.name or socket.number or 'a board'} {symbol}".strip()
            said = [who, seconds, socket.reason or ""]
            return [text for text in said if text]
