"""esptool as a library: imported late, on purpose, and made to speak per device.

Importing esptool reads a configuration file of the working directory and takes a fifth of a
second; its logger is one per process. Here it is imported once, with a configuration of our
own, and its logger replaced by one that hands every line to whoever is talking in this thread.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from provision.model.language import record

Trace = Callable[[int, str], None]
"""Called with a level (1: what esptool says, 2: every packet) and one line of text."""

_listener: ContextVar[Trace | None] = ContextVar("esptool_listener", default=None)
_lock = threading.Lock()
_loaded: Esptool | None = None


@record
class Esptool:
    """The parts of esptool that the bootloader adapter uses; all of them documented API."""

    Loader: Any  # esptool.ESPLoader
    FatalError: type[Exception]
    chips: Any  # CHIP_DEFS: name for --chip to ROM class
    commands: Any  # the module esptool.cmds: detect_chip, run_stub, attach_flash, …
    loader: Any  # the module esptool.loader: its timeouts
    resets: Any  # the module esptool.reset
    uses_flow_control: Callable[[tuple[int | None, int | None]], bool]


def esptool() -> Esptool:
    """Import esptool, the first time; safe from any thread."""
    global _loaded
    with _lock:
        if _loaded is None:
            _loaded = _load()
        return _loaded


@contextmanager
def listening(trace: Trace | None) -> Iterator[None]:
    """Send what esptool says inside, in this thread, to `trace`; None drops it."""
    token = _listener.set(trace)
    try:
        yield
    finally:
        _listener.reset(token)


def _load() -> Esptool:
    before = os.environ.get("ESPTOOL_CFGFILE")
    os.environ["ESPTOOL_CFGFILE"] = str(Path(__file__).with_name("esptool.cfg"))
    try:
        import esptool.cmds
        import esptool.loader
        import esptool.reset
        import esptool.targets
        from esp_pylib.serial_reset import uses_hardware_flow_control
    finally:
        if before is None:
            del os.environ["ESPTOOL_CFGFILE"]
        else:
            os.environ["ESPTOOL_CFGFILE"] = before
    _install_logger()
    return Esptool(
        Loader=esptool.loader.ESPLoader,
        FatalError=esptool.loader.FatalError,
        chips=esptool.targets.CHIP_DEFS,
        commands=esptool.cmds,
        loader=esptool.loader,
        resets=esptool.reset,
        uses_flow_control=uses_hardware_flow_control,
    )


# Notes about how esptool would reset the board, which this adapter does itself: they say again and
# again what is no news, and of one connection what is not so.
_ABOUT_RESETS = ("Failed to get VID/PID", 'Pre-connection option "no-reset"')


def _install_logger() -> None:
    from esp_pylib.logger import EspLogBase
    from esptool.logger import log

    class ThreadLogger(EspLogBase):  # type: ignore[misc]
        """Hands each line to the listener of the thread that esptool is called in."""

        def print(self, *args: object, **options: object) -> None:
            # esptool prints packets dimmed; everything else is meant for people.
            _tell(2 if options.get("style") == "dim" else 1, args)

        def note(self, *args: object) -> None:
            ours = str(args[0] if args else "").startswith(_ABOUT_RESETS)
            _tell(2 if ours else 1, ("note:", *args))

        def hint(self, *args: object) -> None:
            _tell(1, ("hint:", *args))

        def warn(self, *args: object, suggestion: str | None = None) -> None:
            _tell(1, ("warning:", *args))

        def err(self, *args: object, suggestion: str | None = None) -> None:
            _tell(1, ("error:", *args))

        def debug(self, *args: object) -> None:
            _tell(2, args)

        def warning(self, *args: object, suggestion: str | None = None) -> None:
            self.warn(*args)

        def error(self, *args: object, suggestion: str | None = None) -> None:
            self.err(*args)

        def set_verbosity(self, mode: int | str) -> None:
            """The listener decides what it shows."""

        def progress_bar(
            self,
            cur_iter: int,
            total_iters: int,
            prefix: str = "",
            suffix: str = "",
            bar_length: int = 30,
        ) -> None:
            """Progress is reported by the adapter, in bytes over the wire."""

    log.set_logger(ThreadLogger())


def _tell(level: int, words: tuple[object, ...]) -> None:
    trace = _listener.get()
    if trace is None:
        return
    from rich.errors import MarkupError
    from rich.text import Text

    text = " ".join(str(word) for word in words).strip()
    with suppress(MarkupError):  # a packet's bytes can look like markup
        text = Text.from_markup(text).plain.strip()
    if text.strip("."):
        trace(level, text)
