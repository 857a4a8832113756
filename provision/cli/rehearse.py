"""`provision rehearse`: apply the manifest to virtual twins of its boards, as a test."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import click

from provision import api
from provision.cli import stop_signals
from provision.cli.options import (
    error_data,
    limit_option,
    manifest_argument,
    offline_option,
    secrets_option,
)
from provision.cli.suggestions import complete
from provision.core.wording import quoted
from provision.errors import ProvisionError, UsageError
from provision.model.event import RunFailed
from provision.output.reports.rehearsal import (
    as_data,
    opening_lines,
    run_lines,
    verdict_lines,
    write_junit,
)
from provision.output.setup import check_writable, tell_failed, unwritable

FINDINGS = ("check-failed", "data-lost", "file-differs", "not-converged", "repl-blocked")
"""What may be allowed: what is not as it has to be, and can be meant all the same."""


def _start(
    _context: click.Context, _parameter: click.Parameter, text: str | None
) -> api.Start | None:
    try:
        return api.Start.from_text(text) if text is not None else None
    except ValueError as error:
        raise UsageError(
            f"--start {quoted(text or '')}: {error}", hint="write `--start older:1a2b3c4`"
        ) from None


@click.command("rehearse")
@manifest_argument
@limit_option
@click.option("--faults", is_flag=True,
              help="Pull cables and cut the power while it applies, then apply again.")  # fmt: skip
@click.option("--runs", type=click.IntRange(min=1), metavar="N",
              help="How many runs; by default one from each start, with --faults two.")  # fmt: skip
@click.option("--seed", type=click.IntRange(min=1), default=1, show_default=True, metavar="S",
              help="Of the first run; each next has the next one.")  # fmt: skip
@click.option("--start", callback=_start, metavar="START",
              help="Begin every run with this: blank, locked, older or older:COMMIT.")  # fmt: skip
@click.option("--allow", multiple=True, type=click.Choice(FINDINGS),
              help="A finding that is told and does not fail it. Repeatable.")  # fmt: skip
@click.option("--skip-checks", is_flag=True,
              help="Leave out the checks of the manifest: they need what no twin has.")  # fmt: skip
@click.option("--stand-in-firmware", is_flag=True,
              help="In place of an image that cannot be had, take a stand-in.")  # fmt: skip
@click.option("-y", "--yes", is_flag=True, help="Erase as `provision apply --yes` does.")
@click.option("--forks", type=click.IntRange(min=0), default=0, show_default="processors",
              metavar="N", help="How many processes at once.")  # fmt: skip
@secrets_option
@offline_option
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False),
              help="Write a JUnit report to this file.")  # fmt: skip
@click.option("--json", "as_json", is_flag=True, help="Print JSON to stdout.")
def command(
    *,
    manifest: str | None,
    limits: tuple[str, ...],
    faults: bool,
    runs: int | None,
    seed: int,
    start: api.Start | None,
    allow: tuple[str, ...],
    skip_checks: bool,
    stand_in_firmware: bool,
    yes: bool,
    forks: int,
    secrets: Path | None,
    offline: bool,
    junit: Path | None,
    as_json: bool,
) -> int:
    """Apply MANIFEST (fleet.yaml) to virtual twins of its boards; no real port is opened.

    The twins begin blank, then as the manifest has them now, then as an earlier commit had them.
    Each has to converge, to have nothing to do a second time, to give its REPL, and to keep what it
    has made itself. Exits with 0 when all do, with 4 when one does not.
    """
    stop_signals.install()
    if junit is not None:
        check_writable(junit, "JUnit")
    again = ["provision", "rehearse", *([manifest] if manifest is not None else [])]
    for option, value in {
        "--allow": allow,
        "--secrets": [str(secrets)] if secrets is not None else [],
    }.items():
        again += [word for each in value for word in (option, each)]
    again += [
        option
        for option, given in {
            "--skip-checks": skip_checks,
            "--stand-in-firmware": stand_in_firmware,
            "--yes": yes,
            "--offline": offline,
        }.items()
        if given
    ]
    try:
        rehearsal = api.rehearse(
            manifest,
            limit=limits,
            faults=faults,
            runs=runs,
            seed=seed,
            start=start,
            secrets=secrets,
            offline=offline,
            yes=yes,
            stand_in_firmware=stand_in_firmware,
            checks=not skip_checks,
            allow=allow,
            forks=forks,
            command=again,
            on_begin=lambda begun: _narrate(*opening_lines(begun)),
            on_run=lambda result: _narrate(*run_lines(result)),
        )
    except ProvisionError as error:
        complete(error, click.get_current_context())
        _tell_failed(error, junit, as_json)
        raise
    if as_json:
        click.echo(json.dumps(as_data(rehearsal), indent=2))
    else:
        for line in verdict_lines(rehearsal):
            click.echo(line)
    if junit is not None:
        try:
            write_junit(rehearsal, junit)
        except OSError as error:
            raise unwritable(junit, "JUnit", error.strerror or str(error)) from error
    return rehearsal.exit_code


def _narrate(*lines: str) -> None:
    for line in lines:
        click.echo(line, err=True)
    sys.stderr.flush()


def _tell_failed(error: ProvisionError, junit: Path | None, as_json: bool) -> None:
    """A rehearsal that could not begin is one in the reports, too."""
    if as_json:
        click.echo(json.dumps(error_data(error), indent=2))
    tell_failed(RunFailed.of(error), stdout=sys.stdout, junit=junit)
