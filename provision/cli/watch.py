"""`provision watch`: keep boards in step with the folder while somebody edits it."""

from __future__ import annotations

from dataclasses import replace

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


@click.command(name="watch")
@click.argument("devices", nargs=-1, metavar="[DEVICE]...", shell_complete=devices)
@console_options()
@click.option(
    "--no-reset",
    is_flag=True,
    help="Leave boards at their prompt after a change, their apps stopped.",
)
def command(*, request: FleetRequest, devices: tuple[str, ...], no_reset: bool) -> int:
    """Put each save on the boards at once, start their apps anew, and print what they print, until
    Ctrl-C.

    DEVICE is a pattern as of --limit. The manifest, its secrets, sources and templates are watched.
    A mistake in them is shown, and mended by the next save. Firmware is never written: where the
    manifest asks for another, the `provision apply` that writes it is told.
    """
    if devices and request.limits:
        raise UsageError(
            "devices are named twice, as words and by --limit",
            hint="write `provision watch DEVICE...`, or `provision watch --limit PATTERNS`",
        )
    request = replace(request, limits=devices or request.limits)

    def run(command: FleetCommand) -> api.RunReport:
        command.outputs.end_with_reader(command.cancel.cancel)
        return api.watch(
            command.fleet,
            request.load,
            reset=not no_reset,
            on_event=command.outputs.handle,
            cancel=command.cancel,
        )

    return run_fleet_command(request, run, console=True, rereads=True)
