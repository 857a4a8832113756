"""The standard streams of a command: closed ones are opened on nothing, no character is too much
for their encoding, and what they did not take is told.
"""

from __future__ import annotations

import io
import os
import select
import sys
import time
from contextlib import suppress
from pathlib import Path

import click

from provision.errors import UsageError

_LOOK = 0.02  # seconds between two looks at the keyboard


def prepare_streams() -> None:
    """A service may start us with its standard streams closed, which Python has as None; a terminal
    or a pipe may be in an encoding that lacks the characters of a name."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            mode = "r" if number == 0 else "w"
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115
        elif number and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def typed_within(seconds: float) -> bool:
    """Whether somebody at the terminal types a line in that time, or has begun to on Windows, where
    `select` is for sockets alone."""
    if sys.platform != "win32":
        return bool(select.select([sys.stdin], [], [], seconds)[0])
    import msvcrt

    until = time.monotonic() + seconds
    while not msvcrt.kbhit():
        if time.monotonic() >= until:
            return False
        time.sleep(_LOOK)  # no event tells of a key
    return True


def forget_typed() -> None:
    """What was typed before a question stood there is no answer to it."""
    if sys.platform != "win32":
        import termios

        with suppress(termios.error):
            termios.tcflush(sys.stdin, termios.TCIFLUSH)
        return
    import msvcrt

    while msvcrt.kbhit():
        msvcrt.getwch()


def is_lost_output(error: OSError) -> bool:
    """Whether an error came of writing to a standard stream: all of it goes through click."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return trace is not None and trace.tb_frame.f_globals.get("__name__") == "click.utils"


def tell_lost_output(error: OSError) -> int:
    """Say that the output could not be written; the exit code for it."""
    with suppress(OSError):
        click.echo(f"error: the output cannot be written: {error.strerror}", err=True)
        click.echo("hint: free space where it goes, or send it elsewhere, and run again", err=True)
    return UsageError.exit_code


def finish_streams(code: int) -> int:
    """The exit code of a command that ends with `code`, once its output is out. Output that is lost
    is no success, unless its reader wanted no more, as `head`."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError as error:
            if stream is sys.stdout and not isinstance(error, BrokenPipeError):
                code = code or tell_lost_output(error)
            # It would be written once more when the interpreter ends, and change the exit code.
            with Path(os.devnull).open("wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())
    return code
