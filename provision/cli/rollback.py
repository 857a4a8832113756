"""`provision rollback`: put back the files from before the last apply."""

from __future__ import annotations

import click

from provision import api
from provision.cli.fleet_command import (
    FleetCommand,
    FleetRequest,
    run_fleet_command,
    run_options,
)


@click.command(name="rollback")
@run_options
@click.option(
    "-y", "--yes", is_flag=True, help="Also lose what changed on a board since its last apply."
)
def command(*, request: FleetRequest, forks: int, manual_timeout: float, yes: bool) -> int:
    """Put back the files that the last apply of each board of MANIFEST (fleet.yaml) replaced.

    For devices whose check says `on_failure: rollback`: their applies keep what they replace. The
    firmware stays. The check that the board had passed with those files runs afterwards.
    """

    def run(command: FleetCommand) -> api.RunReport:
        return api.rollback(
            command.fleet,
            yes=yes,
            forks=forks,
            operator=command.operator,
            manual_timeout=manual_timeout,
            match_by_mac=request.match_by_mac,
            on_event=command.outputs.handle,
            cancel=command.cancel,
        )

    return run_fleet_command(request, run)
