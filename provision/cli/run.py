"""`provision run`: run code on boards, and let their apps go on."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from provision import api
from provision.cli.fleet_command import (
    BY_MAC,
    FORKS,
    FleetCommand,
    FleetRequest,
    console_options,
    run_fleet_command,
)
from provision.errors import UsageError

_STDIN = "-"


@click.command(name="run")
@click.argument("files", nargs=-1, metavar="[FILE]")
@click.option("-c", "code", metavar="CODE", help="Run this code instead of a file.")
@console_options(BY_MAC, FORKS)
def command(*, request: FleetRequest, forks: int, files: tuple[str, ...], code: str | None) -> int:
    """Run FILE, or the CODE of -c, on boards, and print what they print.

    It runs in the interpreter of the app, which it interrupts and which is started again
    afterwards. FILE may be - for standard input. The exit code is 4 when code on some board raised
    an exception. Ctrl-C stops the code on all of them.
    """
    if len(files) > 1:
        meant = next((each for each in files if Path(each).suffix == ".py"), files[-1])
        boards = ",".join(each for each in files if each != meant)
        raise UsageError(
            f"run takes one file, and there are {len(files)}: {', '.join(files)}",
            hint=f"boards are chosen so: `provision run {meant} --limit {boards}`",
        )
    file = files[0] if files else None
    if (file is None) == (code is None):
        raise UsageError(
            "run needs either a file or -c CODE",
            hint="write `provision run FILE`, or `provision run -c 'print(1)'`",
        )
    source = code if code is not None else _read(str(file))

    def run(command: FleetCommand) -> api.RunReport:
        return api.run_code(
            command.fleet,
            source,
            file="<stdin>" if file in (None, _STDIN) else Path(str(file)).name,
            forks=forks,
            match_by_mac=request.match_by_mac,
            on_event=command.outputs.handle,
            cancel=command.cancel,
        )

    return run_fleet_command(request, run, console=True)


def _read(file: str) -> bytes:
    if file == _STDIN:
        return sys.stdin.buffer.read()
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise UsageError(
            f"{file} cannot be read: {error.strerror}",
            hint="name a file of this computer; code itself goes behind -c",
        ) from error
