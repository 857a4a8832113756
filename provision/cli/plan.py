"""`provision plan`: show what apply would change; change nothing."""

from __future__ import annotations

import click

from provision import api
from provision.cli.fleet_command import (
    FleetCommand,
    FleetRequest,
    common_options,
    run_fleet_command,
)


@click.command(name="plan")
@common_options
@click.option("--fresh", is_flag=True, help="As for `provision apply --fresh`.")
def command(*, request: FleetRequest, forks: int, manual_timeout: float, fresh: bool) -> int:
    """Observe every board of MANIFEST (fleet.yaml) and show what `apply` would change.

    Nothing is written, and a board whose REPL answers is not even reset.
    """
    return run_plan(request, forks=forks, manual_timeout=manual_timeout, fresh=fresh)


def run_plan(request: FleetRequest, *, forks: int, manual_timeout: float, fresh: bool) -> int:
    """Also `apply --check`."""

    def run(command: FleetCommand) -> api.RunReport:
        return api.plan(
            command.fleet,
            forks=forks,
            accept_new_boards=request.accept_new,
            diff=request.diff,
            fresh=fresh,
            match_by_mac=request.match_by_mac,
            operator=command.operator,
            manual_timeout=manual_timeout,
            detailed_exit_code=request.detailed,
            on_event=command.outputs.handle,
            cancel=command.cancel,
        )

    return run_fleet_command(request, run)
