"""`provision apply`: make every board match the manifest."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import click

from provision import api
from provision.cli.fleet_command import (
    FleetCommand,
    FleetRequest,
    common_options,
    run_fleet_command,
)
from provision.cli.plan import check_part, run_plan
from provision.cli.suggestions import remember
from provision.core.wording import listed, quoted
from provision.errors import Refused, UsageError
from provision.model.event import Notice


def _shares(
    _context: click.Context, parameter: click.Parameter, text: str | None
) -> tuple[api.Share, ...]:
    """The sizes of `--batches`, or the one of `--max-failures`; none where it is not given. An
    empty one, of a variable that is not set, is a mistake: it must not mean all at once."""
    if text is None:
        return ()
    sizes = parameter.name == "batches"
    try:
        parts = text.split(",") if sizes else [text]
        least = 1 if sizes else 0
        return tuple(api.Share.from_text(part, least=least) for part in parts)
    except ValueError as error:
        raise UsageError(
            f"{parameter.opts[0]} {quoted(text)}: {error}",
            hint="write " + ("`--batches 1,10%,100%`" if sizes else "`--max-failures 5%`"),
        ) from None


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
@click.option("--batches", callback=_shares, metavar="SIZES",
              help="Go from a few devices to all, as in 1,10%,100%: each batch has to converge and "
                   "pass its checks before the next begins.")  # fmt: skip
@click.option("--max-failures", callback=_shares, metavar="NUMBER",
              help="How many devices may fail, as 2 or 5%, before no further one is begun; of the "
                   "first batch none may.")  # fmt: skip
@click.option("--resume", metavar="RUN",
              help="Go on with an earlier apply, `last` or the id of its record; what it "
                   "has done is left out.")  # fmt: skip
def command(
    *,
    request: FleetRequest,
    forks: int,
    manual_timeout: float,
    yes: bool,
    check: bool,
    fresh: bool,
    fail_fast: bool,
    batches: Sequence[api.Share],
    max_failures: Sequence[api.Share],
    resume: str | None,
) -> int:
    """Observe every board of MANIFEST (fleet.yaml), flash and write only what differs.

    Running it again changes nothing. MANIFEST may be - for standard input, or a plan that
    `provision plan --out FILE` has saved: then exactly that is done, and nothing where anything has
    changed since.
    """
    planned = _Planned(request)
    if planned.file is not None and (check or fresh or request.accept_new):
        raise UsageError(
            f"{planned.file} is a saved plan, which says itself what is to be done",
            hint="leave --check, --fresh and --accept-new-board out, or make a new plan with them",
        )
    if check and resume is not None:
        raise UsageError(
            "--check looks at devices as they are, and --resume goes on with a run",
            hint="leave one of them out; `provision plan --limit @failed` looks at what failed",
        )
    check_part(request, fresh=fresh, saved=planned.file)
    if check:
        return run_plan(request, forks=forks, manual_timeout=manual_timeout, fresh=fresh)

    def run(command: FleetCommand) -> api.RunReport:
        saved = planned.saved
        if (fresh or (saved is not None and saved.fresh)) and not yes:
            _ask_fresh(command)
        if saved is not None:
            command.outputs.handle(Notice(message=_about(saved)))
        return api.apply(
            command.fleet,
            yes=yes,
            forks=forks,
            fail_fast=fail_fast,
            accept_new_boards=request.accept_new,
            diff=request.diff,
            fresh=fresh,
            only=request.only,
            rollout=_rollout(command.fleet, batches, max_failures),
            resume=resume,
            saved=saved,
            match_by_mac=request.match_by_mac,
            operator=command.operator,
            manual_timeout=manual_timeout,
            confirm=command.confirm,
            on_event=command.outputs.handle,
            cancel=command.cancel,
        )

    return run_fleet_command(request, run, open_fleet=planned.open, forks=forks)


class _Planned:
    """What the command line names, a manifest or a plan that was `saved`, in `file`."""

    def __init__(self, request: FleetRequest) -> None:
        self._request = request
        named = Path(request.manifest) if request.manifest is not None else None
        self.file = named if named is not None and api.is_saved_plan(named) else None
        self.saved: api.SavedPlan | None = None

    def open(self) -> api.Fleet:
        """The fleet; of a plan the one that it was made for."""
        if self.file is None:
            return self._request.load()
        self.saved = api.read_plan(self.file)
        remember(click.get_current_context(), str(self.saved.manifest_path))
        return api.open_planned(
            self.saved,
            limit=self._request.limits,
            secrets=self._request.secrets,
            offline=self._request.offline,
            **self._request.where.as_arguments(),
        )


def _about(saved: api.SavedPlan) -> str:
    parts = [f"carrying out {saved.path} of {saved.made}"]
    if saved.accept_new:
        names = listed(list(saved.accept_new))
        parts.append(f"as was said when it was made, {names} may have another board than before")
    if saved.left_out:
        parts.append(f"without {listed(list(saved.left_out))}, for which it has no plan")
    if saved.secrets is not None and not api.made_here(saved):
        parts.append(
            "it was made elsewhere, so that it cannot be told here whether its secrets are the same"
        )
    return "; ".join(parts)


def _rollout(
    fleet: api.Fleet, batches: Sequence[api.Share], max_failures: Sequence[api.Share]
) -> api.Rollout | None:
    """The manifest's with what the command line says in its place; None where that says nothing."""
    if not batches and not max_failures:
        return None
    rollout = fleet.rollout or api.Rollout()
    if batches:
        rollout = replace(rollout, batches=tuple(batches))
    if max_failures:
        rollout = replace(rollout, max_failures=max_failures[0])
    return rollout


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
