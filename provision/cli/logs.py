"""`provision logs`: what boards print, until Ctrl-C."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click

from provision import api
from provision.cli.device_names import devices
from provision.cli.fleet_command import (
    FleetCommand,
    FleetRequest,
    console_options,
    run_fleet_command,
)
from provision.errors import UsageError


@click.command(name="logs")
@click.argument("devices", nargs=-1, metavar="[DEVICE]...", shell_complete=devices)
@console_options()
@click.option("--since-boot", is_flag=True, help="Restart the boards first.")
@click.option(
    "--seconds",
    type=click.FloatRange(min=0, min_open=True),
    metavar="N",
    help="Listen for so long, and not until Ctrl-C.",
)
@click.option(
    "--to",
    "directory",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="DIR",
    help="Append what each device prints to DIR/DEVICE.log too, with the time of each line.",
)
def command(
    *,
    request: FleetRequest,
    devices: tuple[str, ...],
    since_boot: bool,
    seconds: float | None,
    directory: Path | None,
) -> int:
    """Print what boards print, each line behind its device's name, until Ctrl-C.

    DEVICE is a pattern as of --limit. The boards are not disturbed: not a byte is sent to them. One
    that is unplugged is waited for.
    """
    if devices and request.limits:
        raise UsageError(
            "devices are named twice, as words and by --limit",
            hint="write `provision logs DEVICE...`, or `provision logs --limit PATTERNS`",
        )

    def run(command: FleetCommand) -> api.RunReport:
        command.outputs.end_with_reader(command.cancel.cancel)  # as of `provision logs | head`
        return api.logs(
            command.fleet,
            seconds=seconds,
            since_boot=since_boot,
            on_event=command.outputs.handle,
            on_printed=command.outputs.handle_printed,
            cancel=command.cancel,
        )

    return run_fleet_command(
        replace(request, limits=devices or request.limits), run, console=True, directory=directory
    )
