"""`provision plan`: show what apply would change; change nothing."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

from provision import api
from provision.cli.fleet_command import (
    FleetCommand,
    FleetRequest,
    common_options,
    run_fleet_command,
)
from provision.core.wording import listed, plural
from provision.errors import UsageError
from provision.model.event import Notice


@click.command(name="plan")
@common_options
@click.option("--fresh", is_flag=True, help="As for `provision apply --fresh`.")
@click.option("--out", type=click.Path(path_type=Path, dir_okay=False), metavar="FILE",
              help="Save the plan: `provision apply FILE` carries out exactly that.")  # fmt: skip
def command(
    *, request: FleetRequest, forks: int, manual_timeout: float, fresh: bool, out: Path | None
) -> int:
    """Observe every board of MANIFEST (fleet.yaml) and show what `apply` would change.

    Nothing is written, and a board whose REPL answers is not even reset.
    """
    return run_plan(request, forks=forks, manual_timeout=manual_timeout, fresh=fresh, out=out)


def run_plan(
    request: FleetRequest,
    *,
    forks: int,
    manual_timeout: float,
    fresh: bool,
    out: Path | None = None,
) -> int:
    """Also `apply --check`."""
    check_part(request, fresh=fresh, saved=out)

    def run(command: FleetCommand) -> api.RunReport:
        if out is not None:
            api.check_plan_path(command.fleet, out)
        report = api.plan(
            command.fleet,
            forks=forks,
            accept_new_boards=request.accept_new,
            diff=request.diff,
            fresh=fresh,
            only=request.only,
            match_by_mac=request.match_by_mac,
            operator=command.operator,
            manual_timeout=manual_timeout,
            detailed_exit_code=request.detailed,
            on_event=command.outputs.handle,
            cancel=command.cancel,
        )
        if out is not None and not report.interrupted:
            saved = api.save_plan(
                command.fleet, report, out, fresh=fresh, accept_new_boards=request.accept_new
            )
            command.outputs.handle(Notice(message=_told(saved)))
        return report

    return run_fleet_command(request, run)


def check_part(request: FleetRequest, *, fresh: bool, saved: Path | None) -> None:
    """UsageError where `--only` or `-e` goes with nothing else that is asked for."""
    if request.variables and saved is not None:
        raise UsageError(
            "-e goes with no saved plan, which is made of the manifest alone",
            hint="write the variable into the manifest, or leave the plan out",
        )
    if request.only is not None and saved is not None:
        raise UsageError(
            f"--only {request.only} goes with no saved plan, which is all that is to be done",
            hint="leave one of them out",
        )
    if request.only == "firmware" and fresh:
        raise UsageError(
            "--fresh is about files, and --only firmware leaves them as they are",
            hint="leave one of them out",
        )


def _told(saved: api.SavedPlan) -> str:
    names = listed(list(saved.left_out))
    missing = f", without {names}, for which there is none" if names else ""
    path = shlex.quote(str(saved.path))
    devices = plural(len(saved.devices), "device")
    return f"saved for {devices}{missing}: `provision apply {path}` carries out exactly this plan"
