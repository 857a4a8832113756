"""`provision reset`: restart boards."""

from __future__ import annotations

import click

from provision import api
from provision.cli.fleet_command import (
    FleetCommand,
    FleetRequest,
    run_fleet_command,
    run_options,
)


@click.command(name="reset")
@run_options
def command(*, request: FleetRequest, forks: int, manual_timeout: float) -> int:
    """Restart the boards of MANIFEST (fleet.yaml), as their RESET button does.

    Nothing is written. A board that is not the one the manifest means is left alone.
    """

    def run(command: FleetCommand) -> api.RunReport:
        return api.reset(
            command.fleet,
            forks=forks,
            operator=command.operator,
            manual_timeout=manual_timeout,
            match_by_mac=request.match_by_mac,
            on_event=command.outputs.handle,
            cancel=command.cancel,
        )

    return run_fleet_command(request, run)
