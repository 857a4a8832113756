"""What boards print, for people: on standard output, each line behind its device's name, and in a
file for each device."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from provision.core.file_names import plain_name
from provision.errors import UsageError
from provision.model.event import ConsoleLine, DeviceFinished, Event, RunStarted
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
                width = max(map(len, event.devices), default=0)
                for number, device in enumerate(event.devices):
                    name = self._style(device.ljust(width), _COLOURS[number % len(_COLOURS)])
                    self._heads[device] = f"{name} | "
            case ConsoleLine():
                self._print(event)
            case DeviceFinished() if event.device == self._open:
                self._end_line()
            case _:
                pass

    def _print(self, event: ConsoleLine) -> None:
        goes_on = self._open == event.device and not event.traceback
        head = "" if goes_on else self._heads.get(event.device, f"{event.device} | ")
        text = self._style(event.text, "red") if event.traceback else event.text
        end = "\n" if event.ended else ""
        before = "\n" if self._open is not None and not goes_on else ""
        self._stream.write(f"{before}{head}{text}{end}")
        self._stream.flush()
        self._open = None if event.ended else event.device

    def _end_line(self) -> None:
        if self._open is not None:
            self._open = None
            self._stream.write("\n")
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
        if not isinstance(event, ConsoleLine):
            return
        file = self._files.get(event.device)
        if file is None:
            path = self._directory / f"{plain_name(event.device)}.log"
            file = path.open("a", encoding="utf-8", errors="backslashreplace")
            self._files[event.device] = file
        head = "" if event.device in self._open else f"{local_time(self._clock())} "
        file.write(f"{head}{event.text}" + ("\n" if event.ended else ""))
        file.flush()
        (self._open.discard if event.ended else self._open.add)(event.device)

    def close(self) -> None:
        """Close the files."""
        for device, file in self._files.items():
            if device in self._open:
                file.write("\n")
            file.close()
