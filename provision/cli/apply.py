"""`provision apply`: make every board match the manifest."""

from __future__ import annotations

import click

from provision import api
from provision.cli.fleet_command import (
    FleetCommand,
    FleetRequest,
    common_options,
    run_fleet_command,
)
from provision.cli.plan import run_plan
from provision.core.wording import listed
from provision.errors import Refused, UsageError


@click.command(name="apply")
@common_options
@click.option(
    "-y", "--yes", is_flag=True, help="Erase boards that are not in fleet.lock without asking."
)
@click.option("--check", is_flag=True, help="Change nothing, as `provision plan`.")
@click.option("--fresh", is_flag=True,
              help="Delete every file that MANIFEST does not name, but for those on cards, and "
                   "restart every board; asks once.")  # fmt: skip
@click.option("--fail-fast", is_flag=True, help="Start no further device once one has failed.")
def command(
    *,
    request: FleetRequest,
    forks: int,
    manual_timeout: float,
    yes: bool,
    check: bool,
    fresh: bool,
    fail_fast: bool,
) -> int:
    """Observe every board of MANIFEST (fleet.yaml), flash and write only what differs.

    Running it again changes nothing. MANIFEST may be - for standard input.
    """
    if check:
        return run_plan(request, forks=forks, manual_timeout=manual_timeout, fresh=fresh)

    def run(command: FleetCommand) -> api.RunReport:
        if fresh and not yes:
            _ask_fresh(command)
        return api.apply(
            command.fleet,
            yes=yes,
            forks=forks,
            fail_fast=fail_fast,
            accept_new_boards=request.accept_new,
            diff=request.diff,
            fresh=fresh,
            match_by_mac=request.match_by_mac,
            operator=command.operator,
            manual_timeout=manual_timeout,
            confirm=command.confirm,
            on_event=command.outputs.handle,
            cancel=command.cancel,
        )

    return run_fleet_command(request, run)


def _ask_fresh(command: FleetCommand) -> None:
    """Once, for all boards: what they hold besides is lost, and was no mistake of theirs."""
    if command.confirm is None:
        raise UsageError(
            "--fresh deletes every file that the manifest does not name, and nobody can be asked",
            hint="see what goes with `provision plan --fresh`, then add --yes",
        )
    boards = listed(command.fleet.devices)
    question = f"delete every file that the manifest does not name from {boards}"
    if not click.confirm(f"{question}?", err=True):
        raise Refused("--fresh was declined", hint="nothing was done")
