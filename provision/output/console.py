"""What boards print, for people: on standard output, each line behind its device's name, and in a
file for each device."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from provision.core.file_names import plain_name
from provision.core.wording import columns, padded
from provision.errors import UsageError
from provision.model.event import ConsoleLine, DeviceFinished, Event, Printed, RunStarted
from provision.output.run_log import local_time
from provision.output.style import PLAIN, Colour, Style

_COLOURS: tuple[Colour, ...] = ("cyan", "green", "yellow", "magenta", "blue")


class ConsoleText:
    """`kitchen | temperature 21`. A line whose end has not come stays open for the rest of it,
    until another device's comes between."""

    name = "the console output"
    asked_for = True

    def __init__(self, stream: TextIO, *, style: Style = PLAIN) -> None:
        self._stream = stream
        self._style = style
        self._heads: dict[str, str] = {}
        self._open: str | None = None  # the device whose line has not ended

    def handle(self, event: Event) -> None:
        """Print what a board has printed."""
        match event:
            case RunStarted():
                width = max(map(columns, event.devices), default=0)
                for number, device in enumerate(event.devices):
                    name = self._style(padded(device, width), _COLOURS[number % len(_COLOURS)])
                    self._heads[device] = f"{name} | "
            case ConsoleLine():
                self._write(self._shown(event))
            case DeviceFinished() if event.device == self._open:
                self._end_line()
            case _:
                pass

    def handle_printed(self, said: Printed) -> None:
        """Print lines that a board has printed, in one go."""
        if self._open is None and said.ended:
            head = self._head(said.device)
            between = f"\n{head}"
            self._write(f"{head}{between.join(said.lines)}\n")
        else:
            self._write("".join(map(self._shown, said.each())))

    def _shown(self, event: ConsoleLine) -> str:
        goes_on = self._open == event.device and not event.traceback
        head = "" if goes_on else self._head(event.device)
        text = self._style(event.text, "red") if event.traceback else event.text
        end = "\n" if event.ended else ""
        before = "\n" if self._open is not None and not goes_on else ""
        self._open = None if event.ended else event.device
        return f"{before}{head}{text}{end}"

    def _head(self, device: str) -> str:
        return self._heads.get(device) or f"{device} | "

    def _end_line(self) -> None:
        if self._open is not None:
            self._open = None
            self._write("\n")

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()

    def close(self) -> None:
        """End the line that is open."""
        self._end_line()


class ConsoleFiles:
    """Appends what each device prints to `NAME.log` in a directory, each line with its local time;
    UsageError where that directory cannot be had."""

    asked_for = True

    def __init__(self, directory: Path, *, clock: Callable[[], float] = time.time) -> None:
        self.name = f"the files in {directory}"
        self._directory = directory
        self._clock = clock
        self._files: dict[str, TextIO] = {}
        self._open: set[str] = set()  # devices whose line has not ended
        try:
            directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(
                f"the directory {directory} cannot be made: {error.strerror}",
                hint="give another one with --to DIR",
            ) from error

    def handle(self, event: Event) -> None:
        """Append what a board has printed."""
        if isinstance(event, ConsoleLine):
            line = Printed(device=event.device, lines=(event.text,), ended=event.ended)
            self.handle_printed(line)

    def handle_printed(self, said: Printed) -> None:
        """Append lines that a board has printed, with one time."""
        file = self._file(said.device)
        head = f"{local_time(self._clock())} "
        first = "" if said.device in self._open else head
        between, end = f"\n{head}", "\n" if said.ended else ""
        file.write(f"{first}{between.join(said.lines)}{end}")
        file.flush()
        (self._open.discard if said.ended else self._open.add)(said.device)

    def _file(self, device: str) -> TextIO:
        file = self._files.get(device)
        if file is None:
            path = self._directory / f"{plain_name(device)}.log"
            file = path.open("a", encoding="utf-8", errors="backslashreplace")
            self._files[device] = file
        return file

    def close(self) -> None:
        """Close the files."""
        for device, file in self._files.items():
            if device in self._open:
                file.write("\n")
            file.close()
