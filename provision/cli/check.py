"""`provision check`: restart boards and run the checks of their apps; write nothing."""

from __future__ import annotations

import click

from provision import api
from provision.cli.fleet_command import (
    FleetCommand,
    FleetRequest,
    run_fleet_command,
    run_options,
)
from provision.cli.options import variables_option


@click.command(name="check")
@variables_option
@run_options
def command(*, request: FleetRequest, forks: int, manual_timeout: float) -> int:
    """Restart the boards of MANIFEST (fleet.yaml) that have a `check`, and run it.

    Nothing is written to a board. A check that fails stays pending until it has passed.
    """

    def run(command: FleetCommand) -> api.RunReport:
        return api.check(
            command.fleet,
            forks=forks,
            operator=command.operator,
            manual_timeout=manual_timeout,
            match_by_mac=request.match_by_mac,
            detailed_exit_code=request.detailed,
            on_event=command.outputs.handle,
            cancel=command.cancel,
        )

    return run_fleet_command(request, run)
