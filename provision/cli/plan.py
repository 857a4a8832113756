"""`provision plan`: say what `apply` would do, and change nothing."""

from __future__ import annotations

import click

from provision.cli.fleet_command import Request, common_options, go
from provision.engine.context import Options


@click.command(name="plan")
@common_options
def command(*, request: Request, forks: int, hands_timeout: float) -> int:
    """Observe every board of MANIFEST (fleet.yaml) and show what `apply` would change.

    Nothing is written, and a board whose REPL answers is not even reset.
    """
    return go(request, Options(change=False, forks=forks, hands_timeout=hands_timeout), "plan")
