"""The live display on a terminal: one line per device, redrawn in place.

The only module that imports rich. It draws on standard error; when the run ends, or a prompt needs
the terminal, its lines are removed.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import TextIO

from rich.console import Console, Group, RenderableType
from rich.live import Live as RichLive
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from provision.core.wording import byte_size
from provision.model.event import Event, RunFinished, RunStarted
from provision.output.fleet_view import FleetView, Row
from provision.output.plain import QUIET, Plain
from provision.output.style import OUTCOME_COLOURS, Style
from provision.output.text import NARROW, duration

REDRAWS_A_SECOND = 4
_NAME_WIDTH = 24
_BAR_FROM = 76  # columns of the terminal from which there is room for bars


class Live:
    """Draws the fleet while a run goes on. Lines of `Plain` that must not scroll out of a
    redrawn screen (notices, what a person must do, failures; with -v everything) are printed
    above it."""

    name = "the live display"
    asked_for = False

    def __init__(
        self,
        stream: TextIO,
        *,
        colour: bool,
        verbosity: int = 0,
        clock: Callable[[], float] = time.monotonic,
        console: Console | None = None,
    ) -> None:
        self._console = console or Console(
            file=stream, force_terminal=True, no_color=not colour, highlight=False
        )
        self._clock = clock
        self._view = FleetView(clock)
        self._paused_at: float | None = None
        # rich's refresh thread draws while events come in from others.
        self._view_lock = threading.RLock()
        self._plain = Plain(stream, verbosity=verbosity or QUIET, style=Style(colour), fold=True)
        self._rich: RichLive | None = None
        self._running = False

    def handle(self, event: Event) -> None:
        """Take in one event; the next redraw shows it."""
        with self._view_lock:
            self._view.handle(event)
        lines = self._plain.lines(event)
        match event:
            case RunStarted():
                self._running = True
                self.resume()
            case RunFinished():
                self.close()
            case _:
                pass
        # Wrapped at words; what is written by others has its own lines.
        self._print([Text.from_ansi(line) for line in lines], soft_wrap=False)

    def write(self, text: str) -> None:
        """Print whole lines, which stay above the display."""
        self._print([Text.from_ansi(line) for line in text.splitlines()], soft_wrap=True)

    def _print(self, lines: Sequence[Text], *, soft_wrap: bool) -> None:
        if lines:
            self._console.print(Text("\n").join(lines), soft_wrap=soft_wrap)

    def flush(self) -> None:
        """Nothing is kept back."""

    def pause(self) -> None:
        """Take the display away."""
        self._paused_at = self._clock()
        if self._rich is not None:
            self._rich.stop()
            self._rich = None

    def resume(self) -> None:
        """Show the display again, if the run is still going on."""
        if self._paused_at is not None:
            with self._view_lock:
                self._view.waited(self._clock() - self._paused_at)
            self._paused_at = None
        if self._running and self._rich is None:
            self._rich = RichLive(
                console=self._console,
                get_renderable=self.render,
                refresh_per_second=REDRAWS_A_SECOND,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
                vertical_overflow="crop",
            )
            self._rich.start(refresh=True)

    def close(self) -> None:
        """Take the display away for good."""
        self._running = False
        self.pause()

    def render(self) -> RenderableType:
        """The display as it is now: rows and a summary, never higher than the terminal."""
        with self._view_lock:
            rows = self._view.rows(self._console.height - 2)
            summary = self._view.summary(rows)
        return Group(
            self._table(rows), Text(summary, style="dim", no_wrap=True, overflow="ellipsis")
        )

    def _table(self, rows: list[Row]) -> Table:
        if self._console.width < NARROW:
            return self._narrow_table(rows)
        bars = self._console.width >= _BAR_FROM
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=_NAME_WIDTH)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        if bars:
            table.add_column(width=12)
        table.add_column(no_wrap=True, justify="right", width=4)
        table.add_column(no_wrap=True, justify="right", width=10)
        table.add_column(no_wrap=True, justify="right", width=11)
        for row in rows:
            colour = "default" if row.outcome is None else OUTCOME_COLOURS[row.outcome]
            cells: list[RenderableType] = [
                Text(row.device, style="bold"),
                Text(row.what, style=colour),
            ]
            if bars:
                cells.append("" if row.percent is None else ProgressBar(100, row.percent, width=12))
            cells += [
                "" if row.percent is None else f"{row.percent}%",
                "" if row.rate is None else f"{byte_size(row.rate)}/s",
                "" if row.seconds is None else duration(row.seconds),
            ]
            table.add_row(*cells)
        return table

    def _narrow_table(self, rows: list[Row]) -> Table:
        """Name and stage alone, or in place of the stage how far it is, if that is known."""
        table = Table.grid(padding=(0, 1), expand=True)
        table.add_column(no_wrap=True, overflow="ellipsis", max_width=self._console.width // 3)
        table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
        for row in rows:
            colour = "default" if row.outcome is None else OUTCOME_COLOURS[row.outcome]
            what = row.what
            if row.percent is not None:
                rate = "" if row.rate is None else f" {byte_size(row.rate)}/s"
                left = "" if row.seconds is None else f" {duration(row.seconds)}"
                what = f"{row.percent}%{rate}{left}"
            table.add_row(Text(row.device, style="bold"), Text(what, style=colour))
        return table
