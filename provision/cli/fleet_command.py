"""What `apply` and `plan` share: their options, the outputs they write to, and how they end."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import click

from provision.api import Cancellation, Confirm, Fleet, RunReport, load
from provision.cli.consent import Consent, Question
from provision.cli.options import (
    Where,
    host_options,
    limit_option,
    manifest_argument,
    manifest_option,
    offline_option,
    secrets_option,
    variables_option,
)
from provision.cli.stop_signals import shown_cursor_while_stopped
from provision.cli.suggestions import about_the_manifest, complete
from provision.errors import ProvisionError, UsageError
from provision.model.event import Notice, RunFailed
from provision.model.language import record
from provision.model.state import Part
from provision.output.fanout import Fanout
from provision.output.plain import QUIET
from provision.output.results import erase_question
from provision.output.setup import open_outputs, tell_failed


@record
class FleetRequest:
    """What the command line asked for, whichever the command."""

    manifest: str | None
    limits: tuple[str, ...]
    secrets: Path | None
    json: bool
    log_file: Path | None
    junit: Path | None
    html: Path | None
    verbose: int
    quiet: bool
    diff: bool
    match_by_mac: bool
    detailed: bool
    offline: bool
    accept_new: tuple[str, ...]
    only: Part | None
    variables: Mapping[str, str]
    where: Where

    def load(self) -> Fleet:
        """The fleet that is asked for, as it is on disk now."""
        return load(
            self.manifest,
            limit=self.limits,
            secrets=self.secrets,
            offline=self.offline,
            variables=self.variables,
            **self.where.as_arguments(),
        )


def common_options(function: Callable[..., int]) -> Callable[..., int]:
    """The options of every command that talks to boards and compares files, gathered into its
    `request`."""
    diff = click.option("--diff", is_flag=True, help="Show how text files would change.")
    accept = click.option(
        "--accept-new-board",
        "accept_new",
        multiple=True,
        metavar="PATTERNS",
        help="Accept that these devices have new boards; patterns as of --limit.",
    )
    only = click.option(
        "--only",
        type=click.Choice(["files", "firmware"]),
        help="Do this part of each device alone; what that leaves undone is told.",
    )
    return accept(only(diff(variables_option(run_options(function)))))


def run_options(function: Callable[..., int]) -> Callable[..., int]:
    """The same for a command that shows no files."""
    return _gathering(function, [
        manifest_argument,
        *_SELECTING,
        *_TELLING,
        click.option("-q", "--quiet", is_flag=True,
                     help="Show only what failed, what a person has to do, and the totals."),
        BY_MAC,
        click.option("--detailed-exitcode", "detailed", is_flag=True,
                     help="Exit with 6 when changes are pending."),
        offline_option,
        FORKS,
        click.option("--manual-timeout", type=click.FloatRange(min=0), default=120.0,
                     show_default=True, metavar="SECONDS",
                     help="How long to wait, on a terminal, for somebody to press a button."),
    ])  # fmt: skip


def console_options(*more: Option) -> Callable[[Callable[..., int]], Callable[..., int]]:
    """Those of a command that shows what boards print, whose words are no manifest."""
    return lambda function: _gathering(
        function, [manifest_option, *_SELECTING, *_TELLING, offline_option, *more]
    )


Option = Callable[[Callable[..., int]], Callable[..., int]]

FORKS: Option = click.option(
    "--forks",
    type=click.IntRange(min=0),
    envvar="PROVISION_FORKS",
    default=0,
    show_default="all",
    help="How many devices to work on at once.",
)
BY_MAC: Option = click.option(
    "--match-by-mac",
    is_flag=True,
    help="Find each board that is known by its MAC, whichever port it is on.",
)
_SELECTING: tuple[Option, ...] = (limit_option, host_options, secrets_option)
_TELLING: tuple[Option, ...] = (
    click.option("--json", is_flag=True, help="Print events as JSON lines, as they happen."),
    click.option("--log-file", type=click.Path(path_type=Path, dir_okay=False),
                 help="Append everything that -vv shows to this file."),
    click.option("--junit", type=click.Path(path_type=Path, dir_okay=False),
                 help="Write a JUnit report to this file."),
    click.option("--html", type=click.Path(path_type=Path, dir_okay=False),
                 help="Write the run as one HTML page to this file."),
    click.option("-v", "--verbose", count=True,
                 help="Show more; -vv shows the whole conversation with each board."),
)  # fmt: skip


def _gathering(function: Callable[..., int], options: Sequence[Option]) -> Callable[..., int]:
    @functools.wraps(function)
    def gathered(**arguments: Any) -> int:
        arguments = {**_ABSENT, **arguments}
        own = {field.name: arguments.pop(field.name) for field in fields(FleetRequest)}
        return function(request=FleetRequest(**own), **arguments)

    wrapped: Callable[..., int] = gathered
    for option in reversed(options):
        wrapped = option(wrapped)
    return wrapped


# What commands have that lack the option.
_ABSENT: dict[str, Any] = {
    "diff": False, "accept_new": (), "only": None, "variables": {}, "detailed": False,
    "match_by_mac": False, "manifest": None, "quiet": False,
}  # fmt: skip


@record(slots=False)
class FleetCommand:
    """A command about to run: the fleet, the outputs, and whom it can ask. `operator` says
    whether somebody is there to press buttons; `confirm` is None where nobody can be asked."""

    fleet: Fleet
    outputs: Fanout
    cancel: Cancellation
    operator: bool
    confirm: Confirm | None


def run_fleet_command(
    request: FleetRequest,
    run: Callable[[FleetCommand], RunReport],
    *,
    console: bool = False,
    directory: Path | None = None,
    rereads: bool = False,
    open_fleet: Callable[[], Fleet] | None = None,
    forks: int = 0,
) -> int:
    """Read the manifest, open the outputs, `run`, and return the exit code. With `console` what
    boards print is the result, also in files of `directory`; `rereads`: the run follows what
    becomes of the manifest. `open_fleet` takes the place of `request.load`."""
    return run_command(
        open_fleet or request.load,
        run,
        json=request.json,
        verbose=_verbosity(request),
        log_file=request.log_file,
        junit=request.junit,
        html=request.html,
        detailed=request.detailed,
        console=console,
        directory=directory,
        rereads=rereads,
        forks=forks,
    )


def _verbosity(request: FleetRequest) -> int:
    if request.quiet and request.verbose:
        raise UsageError("-q shows less and -v more", hint="leave one of them out")
    return QUIET if request.quiet else request.verbose


def run_command(
    open_fleet: Callable[[], Fleet],
    run: Callable[[FleetCommand], RunReport],
    *,
    json: bool,
    verbose: int,
    log_file: Path | None = None,
    junit: Path | None = None,
    html: Path | None = None,
    detailed: bool = False,
    console: bool = False,
    directory: Path | None = None,
    rereads: bool = False,
    question: Question = erase_question,
    forks: int = 0,
) -> int:
    """The same of the fleet that `open_fleet` opens, with whatever else is looked at before.
    `question` is what has to be agreed to before a plan of a device is carried out; the run works
    on so many devices at once as `forks` says, 0 for all."""
    try:
        fleet = open_fleet()
    except ProvisionError as error:
        complete(error, click.get_current_context())
        tell_failed(RunFailed.of(error), stdout=sys.stdout, json_lines=json, junit=junit, html=html)
        raise
    interactive = sys.stdin.isatty() and sys.stderr.isatty()
    cancel = Cancellation()
    with open_outputs(
        stdout=sys.stdout,
        stderr=sys.stderr,
        json_lines=json,
        verbosity=verbose,
        log_file=log_file,
        junit=junit,
        html=html,
        redact=fleet.masked,
        suggest=about_the_manifest(click.get_current_context()),
        console=console,
        directory=directory,
    ) as outputs:
        for warning in fleet.warnings:
            outputs.handle(Notice(message=f"warning: {warning}"))
        consent = None
        if interactive and not json:
            consent = Consent(outputs, cancel, question, forks=forks)
            outputs.add(consent)
        command = FleetCommand(
            fleet=fleet,
            outputs=outputs,
            cancel=cancel,
            operator=interactive,
            confirm=consent,
        )
        try:
            with shown_cursor_while_stopped(sys.stderr):
                report = run(command)
        except ProvisionError as error:
            outputs.handle(RunFailed.of(error))
            raise
        if not rereads and fleet.changed():
            outputs.handle(
                Notice(
                    message="the manifest changed during the run, which used what it had read "
                    "before; run again to apply the changes"
                )
            )
    if outputs.reader_left:  # whoever wanted no more has got what was wanted
        return 0
    code = report.exit_code(detailed=detailed)
    # Why was a notice of the run. What a board came to is said by its code all the same.
    return code or (UsageError.exit_code if outputs.lost else 0)
