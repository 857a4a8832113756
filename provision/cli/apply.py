"""`provision apply`: make every board match."""

from __future__ import annotations

import click

from provision.cli.fleet_command import Request, common_options, go
from provision.engine.context import Options


@click.command(name="apply")
@common_options
@click.option("-y", "--yes", is_flag=True, help="Erase boards that are not in the lock, unasked.")
@click.option("--check", is_flag=True, help="Change nothing: the same as `provision plan`.")
@click.option("--fail-fast", is_flag=True, help="Start no further device once one has failed.")
@click.option(
    "--accept-new-board",
    "accept_new",
    multiple=True,
    metavar="NAME",
    help="This device has got another board: learn its MAC anew.",
)
def command(
    *,
    request: Request,
    forks: int,
    hands_timeout: float,
    yes: bool,
    check: bool,
    fail_fast: bool,
    accept_new: tuple[str, ...],
) -> int:
    """Observe every board of MANIFEST (fleet.yaml), flash and write only what differs.

    Running it again changes nothing. MANIFEST may be - for standard input.
    """
    options = Options(
        change=not check,
        yes=yes,
        forks=forks,
        fail_fast=fail_fast,
        accept_new=frozenset(accept_new),
        hands_timeout=hands_timeout,
    )
    return go(request, options, "plan" if check else "apply")
